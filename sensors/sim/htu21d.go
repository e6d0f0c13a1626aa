package sim

// Sheets: TE HTU21D(F), HPC199_6 of June 2019: commands page 11, measurement times
// page 3, status bits page 12, user register page 13, checksum page 14, conversion
// page 15, start 15 ms. Sensirion SHT21, version 4: the same with times of table 7.
// Silicon Labs Si7021-A20, revision 1.2: times table 2 (start up to 80 ms, reset up
// to 15 ms), commands table 11, electronic identity 5.5 (SNB_3 tells the chip),
// E0 without checksum 5.1.2, heater register table 13.
//
// Assumed:
//   - typical times are two thirds of the longest;
//   - in the replies with a serial number each checksum is over the bytes since the
//     one before;
//   - the commands that hold the clock answer a read that comes too early by not
//     acknowledging it; unknown commands are not acknowledged;
//   - bits 5 to 3 of the user register read as written; the heater warms by 1.5 °C;
//   - an HTU21D and an SHT21 know no E0, 11 and 51.

import "time"

const (
	htuHoldT      = 0xE3
	htuHoldH      = 0xE5
	htuT          = 0xF3
	htuH          = 0xF5
	htuWriteUser  = 0xE6
	htuReadUser   = 0xE7
	htuReset      = 0xFE
	htuID1        = 0xFA // 0F
	htuID2        = 0xFC // C9
	siLastT       = 0xE0
	siFirmware    = 0x84 // B8
	siReadHeater  = 0x11
	siWriteHeater = 0x51

	htuHeaterOn    = 1 << 2 // of the user register
	htuHumidity    = 1 << 1 // status bit of a measurement
	htuHeaterWarms = 1.5    // °C
	htuCRC         = 0
)

// htuKind is what the members of the family differ in.
type htuKind struct {
	silabs         bool
	user           byte          // register after power-up
	startup, reset time.Duration // longest
	t, h           [4]time.Duration
}

// Times by resolution code (bits 7 and 0 of the user register): temperature 14, 12,
// 13, 11 bits, humidity 12, 8, 10, 11 bits.
var (
	htu21d = &htuKind{user: 0x02, startup: 15 * time.Millisecond, reset: 15 * time.Millisecond,
		t: milliseconds(50, 13, 25, 7), h: milliseconds(16, 3, 5, 8)}
	sht21 = &htuKind{user: 0x3A, startup: 15 * time.Millisecond, reset: 15 * time.Millisecond,
		t: milliseconds(85, 22, 43, 11), h: milliseconds(29, 4, 9, 15)}
	si7021 = &htuKind{silabs: true, user: 0x3A, startup: 80 * time.Millisecond, reset: 15 * time.Millisecond,
		t: milliseconds(10.8, 3.8, 6.2, 2.4), h: milliseconds(12, 3.1, 4.5, 7)}
)

func milliseconds(ms ...float64) (d [4]time.Duration) {
	for i, v := range ms {
		d[i] = time.Duration(v * float64(time.Millisecond))
	}
	return d
}

// HTU21D is a simulated HTU21D, SHT21 or Si7021. Safe for concurrent use.
type HTU21D struct {
	commanded
	kind   *htuKind
	user   byte
	heater byte
	lastT  uint16 // of the last humidity measurement of a Si7021
}

// NewHTU21D returns an HTU21D (temperature, humidity) in this world. ChipID changes
// the first byte of its second serial number, 32.
func NewHTU21D(w World, options ...ChipOption) *HTU21D { return newHTU(w, htu21d, 0x32, options) }

// NewSHT21 returns an SHT21 in this world; its SHT20 and SHT25 differ in accuracy
// only.
func NewSHT21(w World, options ...ChipOption) *HTU21D { return newHTU(w, sht21, 0x00, options) }

// NewSi7021 returns a Si7021 in this world. ChipID changes the byte that tells it,
// 15, from a Si7013 (0D) or Si7020 (14).
func NewSi7021(w World, options ...ChipOption) *HTU21D { return newHTU(w, si7021, 0x15, options) }

func newHTU(w World, kind *htuKind, id byte, options []ChipOption) *HTU21D {
	c := &HTU21D{kind: kind}
	c.tuning = tune(w, id, options)
	c.PowerUp(time.Time{})
	return c
}

// PowerUp is part of Device.
func (c *HTU21D) PowerUp(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start(now, c.kind.startup)
	c.user, c.heater, c.lastT = c.kind.user, 0, 0
}

// Write is part of Device: a command of one byte or two, and what it writes.
func (c *HTU21D) Write(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf(now) {
		return ErrNack
	}
	c.owed = nil
	if len(data) == 2 {
		return c.command2(now, data[0], data[1])
	}
	switch data[0] {
	case htuT, htuHoldT:
		at := c.measureFor(now, c.takes(c.kind.t))
		raw := uint16(c.measured(at).Temperature) &^ 3
		c.answer(at, c.checked(htuCRC, raw)...)
	case htuH, htuHoldH:
		at := c.measureFor(now, c.humiditySpan())
		raw := c.measured(at)
		c.lastT = uint16(raw.Temperature) &^ 3
		c.answer(at, c.checked(htuCRC, uint16(raw.Humidity)&^3|htuHumidity)...)
	case htuReadUser:
		c.answer(now, c.user)
	case htuReset:
		c.start(now, c.kind.reset)
		c.user = c.user&htuHeaterOn | c.kind.user // the heater bit is left alone
	default:
		return c.silabs(now, data[0])
	}
	return nil
}

// silabs executes the commands that only a Si7021 knows.
func (c *HTU21D) silabs(now time.Time, command byte) error {
	switch {
	case !c.kind.silabs:
		return ErrNack
	case command == siLastT:
		c.answer(now, byte(c.lastT>>8), byte(c.lastT))
	case command == siReadHeater:
		c.answer(now, c.heater)
	default:
		return ErrNack
	}
	return nil
}

// command2 executes those of two bytes.
func (c *HTU21D) command2(now time.Time, first, second byte) error {
	switch {
	case first == htuWriteUser:
		c.user = second
	case first == siWriteHeater && c.kind.silabs:
		c.heater = second
	case first == htuID1 && second == 0x0F:
		var b []byte
		for _, v := range []byte{0x1A, 0x2B, 0x3C, 0x4D} {
			b = append(b, v, checksum(htuCRC, v))
		}
		c.answer(now, b...)
	case first == htuID2 && second == 0xC9:
		c.answer(now, c.checked(htuCRC, uint16(c.tuning.id)<<8|0xFF, 0xFFFF)...)
	case first == siFirmware && second == 0xB8 && c.kind.silabs:
		c.answer(now, 0x20)
	default:
		return ErrNack
	}
	return nil
}

func (c *HTU21D) takes(times [4]time.Duration) span {
	longest := times[c.user>>7<<1|c.user&1]
	return span{longest, longest * 2 / 3}
}

// humiditySpan is longer on a Si7021, which measures the temperature as well.
func (c *HTU21D) humiditySpan() span {
	s := c.takes(c.kind.h)
	if c.kind.silabs {
		t := c.takes(c.kind.t)
		s.longest += t.longest
		s.typical += t.typical
	}
	return s
}

// measured returns the words with all 16 bits.
func (c *HTU21D) measured(at time.Time) RawAir {
	if c.held != nil {
		return *c.held
	}
	air := c.tuning.feels(at, Climate{Temperature: 0.01, Humidity: 0.03})
	if c.user&htuHeaterOn != 0 {
		air = warmed(air, htuHeaterWarms)
	}
	return RawAir{Temperature: word16(air.Temperature, htuCelsius), Humidity: word16(air.Humidity, htuPercent)}
}

// The formulas of page 15; the status bits count as 0.
func htuCelsius(raw int64) float64 { return -46.85 + 175.72*float64(raw&^3)/65536 }
func htuPercent(raw int64) float64 { return -6 + 125*float64(raw&^3)/65536 }
