package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// Honeywell's pressure sensors on I2C: HSC, SSC and ABP, which measure without being
// asked and are simply read, and ABP2 and MPR, which take a command. Data sheets: see
// honeywell_math.go. None has an id, a checksum or a setting that could be read
// back, so that a sensor must be configured; what can be checked is the status that
// each answer begins with.
const (
	hscStatus  = 0xc0 // of the first byte
	hscCommand = 1
	hscStale   = 2
	hscFault   = 3

	mprMeasure   = 0xaa
	mprPowered   = 1 << 6 // status
	mprBusy      = 1 << 5
	mprMemory    = 1 << 2 // its memory has a wrong checksum
	mprSaturated = 1 << 0

	hscBits = 14
	mprBits = 24

	hscTakes = 2 * time.Millisecond // an update takes 0.46 ms, and it may be the second one
	mprTakes = 5 * time.Millisecond
)

var (
	hscAddresses = []uint16{0x28, 0x38, 0x48, 0x58, 0x68, 0x78}
	mprAddresses = []uint16{0x18, 0x08, 0x28, 0x38, 0x48, 0x58, 0x68, 0x78}
)

var honeywellTemperature = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -40, Max: 110}

var (
	hsc  = honeywellDriver("hsc", "TruStability HSC", hscAddresses, honeywellTransfers, true, hscBits)
	ssc  = honeywellDriver("ssc", "TruStability SSC", hscAddresses, honeywellTransfers, true, hscBits)
	abp  = honeywellDriver("abp", "Basic ABP", hscAddresses, honeywellTransfers, false, hscBits)
	abp2 = honeywellDriver("abp2", "Basic ABP2", hscAddresses, honeywellTransfers24, true, mprBits)
	mpr  = honeywellDriver("mpr", "MicroPressure MPR", mprAddresses, honeywellTransfers24, false, mprBits)
)

// honeywellDriver makes a driver. Warm: the parts usually have a thermometer. Bits is
// the width of the pressure, which tells those that are simply read from the others.
func honeywellDriver(name, series string, addresses []uint16, transfers map[string]honeywellTransfer, warm bool, bits int) sensors.Driver {
	own := honeywellKeys(transfers)
	if name != "mpr" {
		own = append(own, sensors.Key{Name: "temperature", Kind: sensors.KindBool, Default: warm,
			Meaning: "the part also gives a temperature, as its order code says"})
	}
	keys := i2cKeys(addresses, own...)
	keys[1].Default, keys[1].Example = int(addresses[0]), "0x38"
	keys[1].Meaning = "I2C address, as the order code says; the chip cannot be recognised"
	open := func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
		r, err := honeywellSettings(s)
		if err != nil {
			return nil, err
		}
		measures := honeywellMeasures(s)
		d := &honeywell{name: name, span: r, transfer: transfers[s.Text("function")], bits: uint(bits), warm: len(measures) > 1,
			pressure: measures[len(measures)-1]}
		only := []uint16{uint16(s.Int("address"))} // anything that answers elsewhere would fit
		d.attached = attached{machine: m, settings: s, addresses: only, fits: answers, begin: d.setUp, once: d.sample}
		return d, nil
	}
	takes := hscTakes
	if bits == mprBits {
		takes = mprTakes
	}
	return sensors.Driver{
		Name: name, Doc: "Honeywell " + series + ", pressure, absolute, gauge or differential; its range must be set",
		Connection: sensors.OnI2C, Addresses: addresses, Keys: keys, Open: open, Check: checkHoneywell,
		Named: func(s sensors.Settings) []sensors.Measure { return honeywellMeasures(s) },
		Least: func(sensors.Settings) time.Duration { return takes + 2*time.Millisecond },
	}
}

func honeywellKeys(transfers map[string]honeywellTransfer) []sensors.Key {
	functions := []string{"A", "B", "C"}
	if transfers["F"] != (honeywellTransfer{}) {
		functions = append(functions, "F")
	}
	return []sensors.Key{
		{Name: "range", Kind: sensors.KindString, Example: `"015PA"`,
			Meaning: "pressure range as in the order code; otherwise range_min, range_max, range_unit and reference"},
		{Name: "range_min", Kind: sensors.KindFloat, Meaning: "lowest pressure of the range, in range_unit"},
		{Name: "range_max", Kind: sensors.KindFloat, Meaning: "highest pressure of the range, in range_unit"},
		{Name: "range_unit", Kind: sensors.KindUnit, Example: `"bar"`, Meaning: "unit of range_min and range_max"},
		{Name: "reference", Kind: sensors.KindEnum, Choices: []string{"absolute", "gauge", "differential"},
			Meaning: "what range_min and range_max count from: a vacuum, the air around, or another vessel; only of an absolute one is sea level pressure computed"},
		{Name: "function", Kind: sensors.KindEnum, Choices: functions, Default: "A",
			Meaning: "transfer function as in the order code: which share of its numbers the range takes"},
		{Name: "quantity", Kind: sensors.KindString, Example: `"inlet_pressure"`,
			Meaning: "what the pressure is called; when not set, differential_pressure for a differential sensor, otherwise pressure"},
	}
}

// honeywellReferences are the kinds of sensors by the letter of the order code.
var honeywellReferences = map[string]byte{"absolute": 'A', "gauge": 'G', "differential": 'D'}

// honeywellSettings returns the range that the settings name.
func honeywellSettings(s sensors.Settings) (honeywellRange, *sensors.KeyError) {
	own := s.Has("range_min") || s.Has("range_max") || s.Has("range_unit") || s.Has("reference")
	switch {
	case s.Has("range") && own:
		return honeywellRange{}, &sensors.KeyError{Key: "range", Text: "given beside range_min, range_max, range_unit or reference, want one or the other"}
	case s.Has("range"):
		r, err := parseHoneywellRange(s.Text("range"))
		if err != nil {
			return r, &sensors.KeyError{Key: "range", Text: err.Error()}
		}
		return r, nil
	case !own:
		return honeywellRange{}, &sensors.KeyError{Key: "range", Text: `missing, want the range of the order code, such as "015PA", or range_min, range_max, range_unit and reference`}
	}
	return honeywellOwnRange(s)
}

// honeywellOwnRange is a range in numbers. They do not tell a gauge sensor from an
// absolute one, whose pressure would be taken for that of the air: it must be said.
func honeywellOwnRange(s sensors.Settings) (honeywellRange, *sensors.KeyError) {
	r := honeywellRange{reference: honeywellReferences[s.Text("reference")]}
	unit := s.Unit("range_unit")
	low, isPressure := sensors.Convert(s.Float("range_min"), unit, sensors.Pascal)
	high, _ := sensors.Convert(s.Float("range_max"), unit, sensors.Pascal)
	switch {
	case !isPressure:
		return r, &sensors.KeyError{Key: "range_unit", Text: `want the unit of range_min and range_max, such as "bar", "mbar", "kPa" or "psi"`}
	case !(high > low):
		return r, &sensors.KeyError{Key: "range_max", Text: "want more than range_min"}
	case r.reference == 0:
		return r, &sensors.KeyError{Key: "reference", Text: `missing, want "absolute", "gauge" or "differential": A, G or D behind the range in the order code`}
	case r.reference == 'A' && low < 0:
		return r, &sensors.KeyError{Key: "range_min", Text: `want at least 0: no absolute pressure is below; write reference = "gauge" or "differential"`}
	}
	r.low, r.high = low, high
	return r, nil
}

func checkHoneywell(s sensors.Settings) []*sensors.KeyError {
	if _, err := honeywellSettings(s); err != nil {
		return []*sensors.KeyError{err}
	}
	return nil
}

func honeywellMeasures(s sensors.Settings) []sensors.Measure {
	r, err := honeywellSettings(s)
	if err != nil {
		return nil
	}
	m := r.measure()
	if q := s.Text("quantity"); q != "" {
		m.Quantity = sensors.Quantity(q)
	}
	if s.Bool("temperature") {
		return []sensors.Measure{honeywellTemperature, m}
	}
	return []sensors.Measure{m}
}

// honeywell is one of the sensors.
type honeywell struct {
	attached
	name     string
	span     honeywellRange
	pressure sensors.Measure
	transfer honeywellTransfer
	bits     uint // of the pressure
	warm     bool // it gives a temperature
}

// honeywellRaw is one answer: counts, and why they are no measurement if they are not.
type honeywellRaw struct {
	p, t uint32
	why  sensors.Reason
}

// answers accepts whatever acknowledges: there is nothing to recognise it by.
func answers(ctx context.Context, c sensors.Conn) (int, error) {
	var one [1]byte
	return 2, c.Tx(ctx, nil, one[:])
}

// receive reads n bytes without a register; they are valid until the next call.
func (d *honeywell) receive(ctx context.Context, n int) ([]byte, error) {
	b := d.read[:n]
	if err := d.conn.Tx(ctx, nil, b); err != nil {
		return nil, err
	}
	if n > 1 && busFault(b) {
		return nil, d.garbage("all bytes are 0x%02x", b[0])
	}
	return b, nil
}

// setUp throws the first measurement away.
func (d *honeywell) setUp(ctx context.Context) error {
	_, err := d.convert(ctx)
	return err
}

func (d *honeywell) convert(ctx context.Context) (honeywellRaw, error) {
	if d.bits == mprBits {
		return d.convertMPR(ctx)
	}
	return d.convertHSC(ctx)
}

// convertHSC reads until the answer is one that was not read before.
func (d *honeywell) convertHSC(ctx context.Context) (raw honeywellRaw, err error) {
	n := 2
	if d.warm {
		n = 4
	}
	for range 20 {
		b, err := d.receive(ctx, n)
		if err != nil {
			return raw, err
		}
		raw.p = uint32(b[0]&^hscStatus)<<8 | uint32(b[1])
		if d.warm {
			raw.t = uint32(b[2])<<3 | uint32(b[3])>>5
		}
		switch b[0] >> 6 {
		case hscCommand:
			return raw, d.garbage("it waits for commands instead of measuring: its power has to be switched off and on")
		case hscFault:
			raw.why = sensors.FaultValue
			return raw, nil
		case hscStale:
			if err := d.wait(ctx, hscTakes); err != nil {
				return raw, err
			}
			continue
		}
		return raw, nil
	}
	return raw, sensors.Errorf(sensors.Timeout, d.conn.String(), "it sends what it has sent before, for 40 ms now")
}

// convertMPR asks for a measurement and waits for it.
func (d *honeywell) convertMPR(ctx context.Context) (raw honeywellRaw, err error) {
	if err := d.command(ctx, mprMeasure, 0, 0); err != nil {
		return raw, err
	}
	if err := d.wait(ctx, mprTakes); err != nil {
		return raw, err
	}
	if err := d.poll(ctx, "measuring", d.rested); err != nil {
		return raw, err
	}
	n := 4
	if d.warm {
		n = 7
	}
	b, err := d.receive(ctx, n)
	if err != nil {
		return raw, err
	}
	raw.p = word24(b[1:])
	if d.warm {
		raw.t = word24(b[4:])
	}
	switch b[0] {
	case mprPowered:
	case mprPowered | mprSaturated:
		raw.why = sensors.Saturated
	case mprPowered | mprMemory, mprPowered | mprMemory | mprSaturated:
		raw.why = sensors.BadCalibration
	default:
		return raw, d.garbage("its status is 0x%02x, want 0x40 (powered, not busy)", b[0])
	}
	return raw, nil
}

// rested reports whether the measurement is over.
func (d *honeywell) rested(ctx context.Context) (bool, error) {
	b, err := d.receive(ctx, 1)
	if err != nil {
		return false, err
	}
	if b[0]&mprPowered == 0 || b[0] == 0xff {
		return false, d.garbage("its status is 0x%02x, want 0x40 (powered, not busy)", b[0])
	}
	return b[0]&mprBusy == 0, nil
}

func (d *honeywell) sample(ctx context.Context, s *sensors.Sample) error {
	raw, err := d.convert(ctx)
	if err != nil {
		return err
	}
	s.Chip = d.name
	cold := d.addTemperature(s, raw)
	all := float64(uint32(1) << d.bits)
	switch {
	case raw.why != "":
		s.AddBad(d.pressure, raw.why, int64(raw.p))
	case cold: // the chip compensates with it
		s.AddBad(d.pressure, sensors.NoTemperature, int64(raw.p))
	case raw.p == 0 || raw.p == 1<<d.bits-1:
		s.AddBad(d.pressure, sensors.Saturated, int64(raw.p))
	default:
		s.Add(d.pressure, d.span.pascal(float64(raw.p)/all, d.transfer), (d.span.high-d.span.low)/(1<<13), int64(raw.p))
	}
	return nil
}

// addTemperature adds the temperature, if there is one, and reports whether it is
// bad.
func (d *honeywell) addTemperature(s *sensors.Sample, raw honeywellRaw) (bad bool) {
	if !d.warm {
		return false
	}
	highest := uint32(1<<11 - 1)
	if d.bits == mprBits {
		highest = 1<<24 - 1
	}
	celsius := honeywellCelsius(float64(raw.t), float64(highest))
	switch {
	case raw.why != "":
		s.AddBad(honeywellTemperature, raw.why, int64(raw.t))
	case raw.t == 0 || raw.t == highest:
		s.AddBad(honeywellTemperature, sensors.Saturated, int64(raw.t))
		return true
	default:
		s.Add(honeywellTemperature, celsius, 0.1, int64(raw.t))
	}
	return raw.why == "" && !within(honeywellTemperature, celsius)
}
