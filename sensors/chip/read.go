package chip

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/sensors"
)

// retryAfter are the pauses before the second and third try inside one read.
// One error in a few thousand transfers is normal on long wires, and a second
// try heals nearly all of them.
var retryAfter = [...]time.Duration{10 * time.Millisecond, 50 * time.Millisecond}

// mostOf is the longest time of a read with its retries, each of which takes up
// to once.
func mostOf(once time.Duration) time.Duration {
	most := once
	for _, after := range retryAfter {
		most += after + once
	}
	return most
}

// measurer is a device without its patience.
type measurer interface {
	// measure fills the empty s, setting the device up first where needed.
	measure(ctx context.Context, s *sensors.Sample) error
	// lost forgets that the device was set up.
	lost()
}

// readRetrying is sensors.Device.Read for a measurer.
func readRetrying(ctx context.Context, m measurer, p *pause, s *sensors.Sample) error {
	var failed sensors.Tally
	for try := 0; ; try++ {
		s.Reset()
		err := m.measure(ctx, s)
		if err == nil {
			s.Failed = failed
			return nil
		}
		failed.Count(err)
		if try == len(retryAfter) || p.once || !sensors.FaultOf(err).Retryable() || p.wait(ctx, retryAfter[try]) != nil {
			m.lost()
			s.Reset()
			s.Failed = failed
			return err
		}
	}
}

// pause waits without allocating. The zero value is ready; one user at a time.
type pause struct {
	timer *time.Timer
	once  bool // no second try; see partner
}

// wait returns after d, or earlier with the context's error.
func (p *pause) wait(ctx context.Context, d time.Duration) error {
	if p.timer == nil {
		p.timer = time.NewTimer(d)
	} else {
		p.timer.Reset(d)
	}
	select {
	case <-p.timer.C:
		return nil
	case <-ctx.Done():
		p.timer.Stop()
		return outOfTime(ctx)
	}
}

// outOfTime is the error of a read whose context ended.
func outOfTime(ctx context.Context) error {
	return &sensors.Error{Fault: sensors.Timeout, Text: "no time left", Err: context.Cause(ctx)}
}

// registers reads and writes the 8-bit registers of an I2C chip without
// allocating. One user at a time.
type registers struct {
	conn  sensors.Conn
	write [8]byte
	read  [32]byte
}

// connect finds the chip, or asks the one that was found before again.
func (r *registers) connect(ctx context.Context, m sensors.Machine, s sensors.Settings, all []uint16, fits sensors.Fits) error {
	if r.conn != nil {
		_, err := fits(ctx, r.conn)
		return err
	}
	c, err := m.I2C(ctx, s.Text("bus"), candidates(s, all), fits)
	if err != nil {
		return elsewhere(ctx, m, s, all, fits, err)
	}
	r.conn = c
	return nil
}

// elsewhere adds to the error of a chip that does not answer at the address that is set whether one does at another.
func elsewhere(ctx context.Context, m sensors.Machine, s sensors.Settings, all []uint16, fits sensors.Fits, err error) error {
	set := uint16(s.Int("address"))
	others := slices.DeleteFunc(slices.Clone(all), func(a uint16) bool { return a == set })
	if !s.Has("address") || len(others) == 0 || sensors.FaultOf(err) != sensors.NotAnswering {
		return err
	}
	c, otherwise := m.I2C(ctx, s.Text("bus"), others, fits)
	if otherwise != nil {
		return err
	}
	at := c.String()
	_ = c.Close() // only gives the address back
	address, _, _ := strings.Cut(at, " ")
	return sensors.Errorf(sensors.NotAnswering, "", "nothing at 0x%02x, but one that fits at %s: write address = %s", set, at, address)
}

// disconnect gives the address back, if there is one.
func (r *registers) disconnect() error {
	if r.conn == nil {
		return nil
	}
	c := r.conn
	r.conn = nil
	return c.Close()
}

// get reads n registers from first on in one burst; the result is valid until
// the next call.
func (r *registers) get(ctx context.Context, first byte, n int) ([]byte, error) {
	r.write[0] = first
	out := r.read[:n]
	if err := r.conn.Tx(ctx, r.write[:1], out); err != nil {
		return nil, err
	}
	return out, nil
}

// set writes pairs of register and value in one transfer.
func (r *registers) set(ctx context.Context, pairs ...byte) error {
	n := copy(r.write[:], pairs)
	return r.conn.Tx(ctx, r.write[:n], nil)
}

// signed extends the low bits of a raw word by its sign bit, the highest of
// them.
func signed(raw uint32, bits uint) int32 {
	shift := 32 - bits
	return int32(raw<<shift) >> shift
}

// noisy is how long a pressure sensor whose noise is more than a step of its
// converter can say the same word. Where a filter hides the noise, the weather
// moves by more than a step within an hour.
const noisy = time.Hour

// allSame reports whether every byte of b is v, the signature of a bus fault
// when v is 00 or FF.
func allSame(b []byte, v byte) bool {
	for _, x := range b {
		if x != v {
			return false
		}
	}
	return true
}

// busFault reports whether b is what a broken bus reads: all 00 or all FF.
func busFault(b []byte) bool { return allSame(b, 0) || allSame(b, 0xff) }

// within reports whether a chip can measure v; NaN it cannot.
func within(m sensors.Measure, v float64) bool { return v >= m.Min && v <= m.Max }

// i2cKeys are the settings every I2C driver takes.
func i2cKeys(addresses []uint16, own ...sensors.Key) []sensors.Key {
	low, high := slices.Min(addresses), slices.Max(addresses)
	var choices []string
	if int(high-low) >= len(addresses) { // there are others between them
		for _, a := range slices.Sorted(slices.Values(addresses)) {
			choices = append(choices, fmt.Sprintf("0x%02x", a))
		}
	}
	return append([]sensors.Key{
		{Name: "bus", Kind: sensors.KindString, Example: `"1"`,
			Meaning: "I2C bus by number or adapter name; when not set, bus 1 or the one where a single chip fits"},
		{Name: "address", Kind: sensors.KindAddress, Min: float64(low), Max: float64(high), Choices: choices, Example: fmt.Sprintf("0x%02x", low),
			Meaning: "I2C address; when not set, the one where a single chip fits"},
	}, own...)
}

// candidates returns the addresses to try.
func candidates(s sensors.Settings, all []uint16) []uint16 {
	if s.Has("address") {
		return []uint16{uint16(s.Int("address"))}
	}
	return all
}

// warnOtherChip says that the calibration is not the one of before.
func warnOtherChip(m sensors.Machine, s sensors.Settings, c sensors.Conn) {
	m.Log().Warn("another chip of the same kind answers: its calibration has changed", "sensor", s.Name, "at", c.String())
}
