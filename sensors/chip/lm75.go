package chip

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"weir/sensors"
)

// LM75 and what has its registers: temperature at 00, settings at 01, two limits at
// 02 and 03, high byte first. National (TI) LM75 data sheet SNIS153, sections 7.3 and
// 7.5 (9 bits, conversion up to 300 ms), NXP LM75B (11 bits); TI TMP105 SBOS648,
// section 7.5; TI TMP102 SBOS397, section 7.5 and 6.5 (35 ms, OS tells the end of a
// conversion); TMP112 SBOS473, the same; TI TMP1075 SBOS854, section 8.5 (device id at
// 0f); TI TMP117 SNOSD82, section 7.6 (device id, data-ready, averaging; 8000 stands
// for "no conversion yet").
//
// None of them has a checksum, and after a loss of power most of them show 0 °C, which
// is a temperature. So every reading looks for settings that differ from those after
// power-up, before and after the value, and reads the value twice. All but the LM75
// sleep between readings and convert once for each; the LM75 cannot, and is marked by
// its fault queue.
const (
	lm75Value  = 0x00
	lm75Config = 0x01
	lm75Low    = 0x02
	lm75High   = 0x03
	lm75ID     = 0x0f // TMP1075 and TMP117
)

var lm75Addresses = []uint16{0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f}

// lm75Model is what the chips of the family differ in. Settings of one byte stand in
// the low byte of a word.
type lm75Model struct {
	name     string // "TMP102"
	doc      string
	min, max float64 // °C
	bytes    int     // of the settings
	idle     uint16  // settings between readings
	mask     uint16  // the bits of idle that say nobody has changed them
	start    uint16  // written to convert once; 0: it converts all the time
	done     uint16  // bit that tells the end of a conversion; 0: only time does
	longest  time.Duration
	id, ids  uint16   // device id at 0f, and which of its bits count; 0: it has none
	cousin   uint16   // another id that is read the same way
	older    string   // the chip with that id
	addr     []uint16 // where it can be
	keys     []sensors.Key
	adjust   func(m *lm75Model, s sensors.Settings) // by the settings; nil: nothing to adjust
	celsius  func(word uint16, bits uint) (value, step float64, ok bool)
	bits     uint                                                      // of the value
	guess    func(ctx context.Context, c sensors.Conn) (string, error) // for the model that stands for those like it
}

var lm75Models = []lm75Model{
	{
		name: "LM75", doc: "LM75, LM75A and LM75B, temperature", min: -55, max: 125,
		bytes: 1, idle: 0x08, mask: 0x7f, longest: 300 * time.Millisecond, bits: 9, celsius: lm75Celsius, addr: lm75Addresses,
		keys: []sensors.Key{{Name: "bits", Kind: sensors.KindInt, Choices: []string{"9", "11"}, Default: 9,
			Meaning: "bits of a temperature that mean something: 9 is 0.5 °C, 11 (LM75A and LM75B of NXP) is 0.125 °C"}},
		adjust: func(m *lm75Model, s sensors.Settings) { m.bits = uint(s.Int("bits")) },
		guess:  func(ctx context.Context, c sensors.Conn) (string, error) { return guessLM75(ctx, c, false) },
	},
	{
		name: "TMP105", doc: "Texas Instruments TMP105, TMP75 and TMP175, temperature", min: -40, max: 125,
		bytes: 1, idle: 0x61, mask: 0x7f, start: 0xe1, longest: 300 * time.Millisecond, bits: 12, celsius: lm75Celsius, addr: lm75Addresses,
	},
	{
		name: "TMP102", doc: "Texas Instruments TMP102, temperature", min: -40, max: 125,
		bytes: 2, idle: 0x61a0, mask: 0x7fd0, start: 0xe1a0, done: 0x8000, longest: 35 * time.Millisecond, bits: 12, celsius: tmp102Celsius, addr: lm75Addresses[:4],
		guess: func(ctx context.Context, c sensors.Conn) (string, error) { return guessLM75(ctx, c, true) },
	},
	{
		name: "TMP112", doc: "Texas Instruments TMP112, temperature", min: -40, max: 125,
		bytes: 2, idle: 0x61a0, mask: 0x7fd0, start: 0xe1a0, done: 0x8000, longest: 35 * time.Millisecond, bits: 12, celsius: tmp102Celsius, addr: lm75Addresses[:4],
	},
	{
		name: "TMP1075", doc: "Texas Instruments TMP1075, temperature", min: -55, max: 125,
		bytes: 2, idle: 0x01ff, mask: 0x7fff, start: 0x81ff, longest: 10 * time.Millisecond, bits: 12, celsius: lm75Celsius,
		id: 0x7500, ids: 0xffff, addr: lm75Addresses,
	},
	{
		name: "TMP117", doc: "Texas Instruments TMP117 and TMP116, temperature to 0.1 °C", min: -55, max: 150,
		bytes: 2, idle: 0x0400, mask: 0x0ffc, start: 0x0c00, done: 0x2000, bits: 16, celsius: tmp117Celsius,
		id: 0x0117, ids: 0x0fff, cousin: 0x0116, older: "TMP116", addr: lm75Addresses[:4],
		keys: []sensors.Key{{Name: "average", Kind: sensors.KindInt, Choices: []string{"1", "8", "32", "64"}, Default: 8,
			Meaning: "conversions averaged inside the chip, 15.5 ms each; more is slower and quieter"}},
		adjust: adjustTMP117,
	},
}

// adjustTMP117 sets averaging, and the time it takes: 17.5 ms at most for one
// conversion (section 6.5).
func adjustTMP117(m *lm75Model, s sensors.Settings) {
	n := s.Int("average")
	code := uint16(map[int64]int{1: 0, 8: 1, 32: 2, 64: 3}[n]) << 5
	m.idle, m.start = m.idle|code, m.start|code
	m.longest = time.Duration(n) * 17500 * time.Microsecond
}

var (
	lm75    = lm75Driver(&lm75Models[0], "lm75")
	tmp105  = lm75Driver(&lm75Models[1], "tmp105")
	tmp102  = lm75Driver(&lm75Models[2], "tmp102")
	tmp112  = lm75Driver(&lm75Models[3], "tmp112")
	tmp1075 = lm75Driver(&lm75Models[4], "tmp1075")
	tmp117  = lm75Driver(&lm75Models[5], "tmp117")
)

func (m *lm75Model) measure() sensors.Measure {
	return sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: m.min, Max: m.max}
}

func lm75Driver(m *lm75Model, name string) sensors.Driver {
	d := sensors.Driver{
		Name: name, Doc: m.doc, Connection: sensors.OnI2C, Addresses: m.addr,
		Measures: []sensors.Measure{m.measure()},
		Keys:     i2cKeys(m.addr, m.keys...),
		Open: func(machine sensors.Machine, s sensors.Settings) (sensors.Device, error) {
			return openLM75(m, machine, s), nil
		},
		Least: func(s sensors.Settings) time.Duration {
			mine := m.with(s)
			if mine.start == 0 { // it converts by itself
				return 5 * time.Millisecond
			}
			return mine.longest + 3*time.Millisecond
		},
	}
	if m.id != 0 {
		d.Identify = func(ctx context.Context, c sensors.Conn) (string, error) {
			r := registers{conn: c}
			b, err := r.get(ctx, lm75ID, 2)
			if err != nil {
				return "", err
			}
			return m.called(binary.BigEndian.Uint16(b)), nil
		}
		return d
	}
	d.Guess = m.guess
	for i := range d.Keys {
		if d.Keys[i].Name == "address" { // it cannot say what it is, so it is not looked for
			d.Keys[i].Default, d.Keys[i].Example = int(m.addr[0]), "0x49"
			d.Keys[i].Meaning = "I2C address; the chip cannot say what it is, so it is not looked for at others"
		}
	}
	return d
}

// with returns the model as the settings want it.
func (m *lm75Model) with(s sensors.Settings) lm75Model {
	mine := *m
	if m.adjust != nil {
		m.adjust(&mine, s)
	}
	return mine
}

// called returns the name of the chip with this device id, "" if it is none of these.
func (m *lm75Model) called(id uint16) string {
	switch id & m.ids {
	case m.id:
		return m.name
	case m.cousin:
		return m.older
	}
	return ""
}

// thermometer is a chip of the family.
type thermometer struct {
	attached
	model   lm75Model
	measure sensors.Measure
	chip    string
}

func openLM75(m *lm75Model, machine sensors.Machine, s sensors.Settings) *thermometer {
	d := &thermometer{model: m.with(s), measure: m.measure(), chip: m.name}
	d.machine, d.settings, d.addresses = machine, s, m.addr
	d.attached.fits, d.begin, d.once = d.fits, d.setUp, d.sample
	return d
}

// fits asks for the device id, or of a chip without one whether the limits can be
// those of a thermometer: their low four bits do not exist, and after power-up one is
// higher than the other.
func (d *thermometer) fits(ctx context.Context, c sensors.Conn) (int, error) {
	r := registers{conn: c}
	if d.model.id != 0 {
		b, err := r.get(ctx, lm75ID, 2)
		if err != nil {
			return 0, err
		}
		id := binary.BigEndian.Uint16(b)
		if name := d.model.called(id); name != "" {
			d.chip = name
			return 2, nil
		}
		return 0, otherThermometer(c, id, &d.model)
	}
	b, err := r.get(ctx, lm75Low, 2)
	if err != nil {
		return 0, err
	}
	low := binary.BigEndian.Uint16(b)
	if b, err = r.get(ctx, lm75High, 2); err != nil {
		return 0, err
	}
	high := binary.BigEndian.Uint16(b)
	if low == high && (low == 0 || low == 0xffff) {
		return 0, sensors.Errorf(sensors.Garbage, c.String(), "both limits of the %s are 0x%04x: look at the wiring", d.model.name, low)
	}
	if low&0xf != 0 || high&0xf != 0 {
		return 0, sensors.Errorf(sensors.WrongChip, "", "what answers at %s has 0x%04x and 0x%04x where a %s has its limits: it is another chip", c, low, high, d.model.name)
	}
	return 2, nil
}

// guessLM75 takes what has the limits of 75 and 80 °C that all of the family start with
// for one of it. Those with settings of two bytes have bits among them that cannot be
// written: 14 and 13 set, 3 to 0 not.
func guessLM75(ctx context.Context, c sensors.Conn, wide bool) (string, error) {
	r := registers{conn: c}
	for _, limit := range [...]struct {
		register byte
		word     uint16
	}{{lm75Low, 0x4b00}, {lm75High, 0x5000}} {
		b, err := r.get(ctx, limit.register, 2)
		if err != nil || binary.BigEndian.Uint16(b) != limit.word {
			return "", err
		}
	}
	b, err := r.get(ctx, lm75Config, 2)
	if err != nil {
		return "", err
	}
	two := binary.BigEndian.Uint16(b)&0x600f == 0x6000 && b[0] != b[1]
	switch {
	case two && wide:
		return "TMP102 or TMP112", nil
	case !two && !wide:
		return "LM75 or TMP105", nil
	}
	return "", nil
}

// otherThermometer says what answered with a wrong device id.
func otherThermometer(c sensors.Conn, id uint16, want *lm75Model) error {
	if id == 0 || id == 0xffff {
		return sensors.Errorf(sensors.Garbage, c.String(), "device id 0x%04x, which no chip has: look at the wiring", id)
	}
	e := sensors.Errorf(sensors.WrongChip, "", "device id 0x%04x at %s, want 0x%04x (%s)", id, c, want.id, want.name)
	for i := range lm75Models {
		if name := lm75Models[i].called(id); lm75Models[i].id != 0 && name != "" {
			e.Text = fmt.Sprintf("device id 0x%04x (%s) at %s, want 0x%04x (%s); write driver = %q", id, name, c, want.id, want.name, strings.ToLower(lm75Models[i].name))
		}
	}
	return e
}

// setUp writes the settings. The LM75 is given time for a whole conversion.
func (d *thermometer) setUp(ctx context.Context) error {
	if err := d.configure(ctx, d.model.idle); err != nil {
		return err
	}
	if d.model.start == 0 {
		if err := d.wait(ctx, d.model.longest); err != nil {
			return err
		}
	}
	return d.settled(ctx)
}

func (d *thermometer) configure(ctx context.Context, word uint16) error {
	if d.model.bytes == 1 {
		return d.set(ctx, lm75Config, byte(word))
	}
	return d.set(ctx, lm75Config, byte(word>>8), byte(word))
}

// settled reads the settings and checks that nobody, and no loss of power, has changed
// them.
func (d *thermometer) settled(ctx context.Context) error {
	word, err := d.configuration(ctx)
	if err != nil {
		return err
	}
	if word&d.model.mask != d.model.idle&d.model.mask {
		return d.garbage("it lost its settings (register 0x01 is 0x%0*x): its power failed for a moment, or the bus is bad", 2*d.model.bytes, word)
	}
	return nil
}

func (d *thermometer) configuration(ctx context.Context) (uint16, error) {
	b, err := d.get(ctx, lm75Config, d.model.bytes)
	if err != nil {
		return 0, err
	}
	if d.model.bytes == 1 {
		return uint16(b[0]), nil
	}
	return binary.BigEndian.Uint16(b), nil
}

func (d *thermometer) sample(ctx context.Context, s *sensors.Sample) error {
	if err := d.settled(ctx); err != nil {
		return err
	}
	if d.model.start != 0 {
		if err := d.convert(ctx); err != nil {
			return err
		}
	}
	word, err := d.value(ctx)
	if err != nil {
		return err
	}
	if err := d.settled(ctx); err != nil {
		return err
	}
	s.Chip = d.chip
	value, step, ok := d.model.celsius(word, d.model.bits)
	if !ok {
		return d.garbage("it sent 0x%04x, which is no temperature", word)
	}
	s.Add(d.measure, value, step, int64(int16(word)))
	return nil
}

// convert lets the chip convert once.
func (d *thermometer) convert(ctx context.Context) error {
	if err := d.configure(ctx, d.model.start); err != nil {
		return err
	}
	if err := d.wait(ctx, d.model.longest); err != nil {
		return err
	}
	if d.model.done == 0 {
		return nil
	}
	return d.poll(ctx, "measuring", d.converted)
}

// converted reports whether the conversion is over.
func (d *thermometer) converted(ctx context.Context) (bool, error) {
	word, err := d.configuration(ctx)
	return word&d.model.done != 0, err
}

// value reads the temperature twice. The two may differ by a step where the chip
// converts all the time.
func (d *thermometer) value(ctx context.Context) (uint16, error) {
	b, err := d.get(ctx, lm75Value, 2)
	if err != nil {
		return 0, err
	}
	first := binary.BigEndian.Uint16(b)
	if b, err = d.get(ctx, lm75Value, 2); err != nil {
		return 0, err
	}
	second := binary.BigEndian.Uint16(b)
	apart := int32(int16(second)) - int32(int16(first))
	if apart != 0 && (d.model.start != 0 || apart > 0x80 || apart < -0x80) {
		return 0, d.garbage("its temperature reads 0x%04x and then 0x%04x", first, second)
	}
	return second, nil
}
