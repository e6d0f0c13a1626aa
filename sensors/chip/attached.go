package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// attached is what the drivers of I2C chips share that are set up once and then
// read: finding the chip, patience, and starting anew after a failure. A driver
// embeds it and fills the lower fields in when it is opened.
type attached struct {
	registers
	pause
	machine  sensors.Machine
	settings sensors.Settings
	ready    bool // begin has succeeded

	addresses []uint16
	fits      sensors.Fits
	begin     func(ctx context.Context) error                    // makes a chip that was found ready to measure
	once      func(ctx context.Context, s *sensors.Sample) error // measures with a chip that is ready
}

// Read implements sensors.Device.
func (d *attached) Read(ctx context.Context, s *sensors.Sample) error {
	return readRetrying(ctx, d, &d.pause, s)
}

// Close implements sensors.Device.
func (d *attached) Close() error {
	d.ready = false
	return d.disconnect()
}

func (d *attached) measure(ctx context.Context, s *sensors.Sample) error {
	if !d.ready {
		if err := d.connect(ctx, d.machine, d.settings, d.addresses, d.fits); err != nil {
			return err
		}
		if err := d.begin(ctx); err != nil {
			return err
		}
		d.ready = true
	}
	if err := d.once(ctx, s); err != nil {
		d.ready = false
		return err
	}
	return nil
}

func (d *attached) lost() {
	d.ready = false
	if !d.settings.Has("address") || !d.settings.Has("bus") {
		_ = d.disconnect() // only gives the address back; it is looked for everywhere next time
	}
}

// command sends bytes that are not a register and its value.
func (d *attached) command(ctx context.Context, bytes ...byte) error { return d.set(ctx, bytes...) }

// twice reads n bytes from register first on into a copy, and again, since a wrong
// bit in a calibration would make every later value wrong without a trace.
func (d *attached) twice(ctx context.Context, first byte, into []byte) error {
	b, err := d.get(ctx, first, len(into))
	if err != nil {
		return err
	}
	copy(into, b)
	if b, err = d.get(ctx, first, len(into)); err != nil {
		return err
	}
	if string(b) != string(into) {
		return d.garbage("its calibration reads differently a second time")
	}
	if busFault(into) {
		return d.garbage("its calibration is all 0x%02x", into[0])
	}
	return nil
}

// poll asks done every few milliseconds until it says yes, for up to 100 ms more
// than the sheet allows. Doing says what the chip does until then.
func (d *attached) poll(ctx context.Context, doing string, done func(ctx context.Context) (bool, error)) error {
	for range 50 {
		if ok, err := done(ctx); ok || err != nil {
			return err
		}
		if err := d.wait(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
	return sensors.Errorf(sensors.Timeout, d.conn.String(), "still %s 100 ms after the longest time of the data sheet", doing)
}

// garbage is the error of an answer that cannot be.
func (d *attached) garbage(format string, a ...any) error {
	return sensors.Errorf(sensors.Garbage, d.conn.String(), format, a...)
}

// powerFailed is the error of a chip whose register does not hold what was written.
func (d *attached) powerFailed(register, value byte) error {
	return d.garbage("it lost its settings (register 0x%02x is 0x%02x): its power failed for a moment, or the bus is bad", register, value)
}

// calibrated remembers the calibration of the chip of before, and notices another.
type calibrated[C comparable] struct {
	cal, first C
	known      bool // first is that of the chip of before
	otherChip  bool // the next sample is from another chip than those before
}

// take makes cal the calibration in use.
func (c *calibrated[C]) take(cal C, m sensors.Machine, s sensors.Settings, conn sensors.Conn) {
	if c.known && cal != c.first {
		c.otherChip = true
		warnOtherChip(m, s, conn)
	}
	c.cal, c.first, c.known = cal, cal, true
}

// doubt marks the first sample of another chip.
func (c *calibrated[C]) doubt(s *sensors.Sample) {
	if c.otherChip {
		s.Doubt(sensors.OtherChip)
		c.otherChip = false
	}
}

// guessed is sensors.Driver.Guess for a driver whose fits says what a chip is not.
func guessed(ctx context.Context, c sensors.Conn, fits sensors.Fits, chip string) (string, error) {
	switch _, err := fits(ctx, c); sensors.FaultOf(err) {
	case sensors.WrongChip, sensors.Garbage:
		return "", nil
	default:
		if err != nil {
			return "", err
		}
		return chip, nil
	}
}

// wrongIdentity says what answered instead; all 00 or FF is no chip at all.
func wrongIdentity(c sensors.Conn, id byte, names map[byte]string, want string) error {
	if id == 0 || id == 0xff {
		return sensors.Errorf(sensors.Garbage, c.String(), "chip id 0x%02x, which no chip has: look at the wiring", id)
	}
	name := names[id]
	if name == "" {
		name = "unknown"
	}
	return sensors.Errorf(sensors.WrongChip, "", "chip id 0x%02x (%s) at %s, want %s", id, name, c, want)
}
