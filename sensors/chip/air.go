package chip

import (
	"context"
	"slices"
	"time"

	"weir/sensors"
)

// airKind is what tells one kind of chip that measures temperature and humidity from
// another. All of them know their calibration themselves: the computer only applies a
// formula to two words.
type airKind struct {
	name, doc string // of the driver
	chip      string // what ask calls it: "SHT3x"
	addresses []uint16
	keys      []sensors.Key
	lowest    float64 // °C the chip is made for
	highest   float64
	full      uint32  // highest word the converter can send; 0 is the lowest
	stepT     float64 // smallest step that means something
	stepH     float64
	ways      []precision   // to measure, if there is a choice; the first is the default
	takes     time.Duration // the longest time of a measurement, if there is none

	// ask says what answers, as far as it knows the chips of these addresses; "" for
	// something else. Nil: the chip has nothing it can be known by.
	ask func(ctx context.Context, a *asker) (chip string, err error)
	// stands are other chips of ask that can be read as one of this kind.
	stands []string

	begin   func(ctx context.Context, d *air) error
	convert func(ctx context.Context, d *air) (t, h uint32, err error)
	celsius func(raw uint32) float64
	percent func(raw uint32) float64

	after func(ctx context.Context, d *air, s *sensors.Sample) // done after a reading; may be nil
}

// airDrivers says how the chips that the askers know are written in a configuration.
var airDrivers = map[string]string{
	"SHT3x": "sht3x", "SHT4x": "sht4x", "SHTC3": "shtc3", "HDC302x": "hdc302x",
	"HTU21D": "htu21d", "Si7021": "si7021", "SHT2x": "sht2x", "HDC1080": "hdc1080", "HDC1000": "hdc1000",
	"AHT20": "aht20",
}

// airHumidity is what every one of these chips measures.
var airHumidity = sensors.Measure{Quantity: sensors.Humidity, Unit: sensors.RelativeHumidity, Min: 0, Max: 100}

func (k *airKind) temperature() sensors.Measure {
	return sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: k.lowest, Max: k.highest}
}

// driver makes the entry of the table.
func (k *airKind) driver() sensors.Driver {
	keys := k.keys
	if k.ways != nil {
		keys = append([]sensors.Key{precisionKey(k.ways)}, keys...)
	}
	d := sensors.Driver{
		Name: k.name, Doc: k.doc, Connection: sensors.OnI2C, Addresses: k.addresses,
		Measures: []sensors.Measure{k.temperature(), airHumidity},
		Keys:     i2cKeys(k.addresses, keys...),
		Open: func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
			return k.open(m, s), nil
		},
		Least: func(s sensors.Settings) time.Duration {
			least := k.way(s).takes + 3*time.Millisecond // and the transfers at 100 kHz
			if s.Has("dry_above") {
				least += heatingTakes
			}
			return least
		},
	}
	if k.ask != nil {
		d.Identify = func(ctx context.Context, c sensors.Conn) (string, error) {
			a := &asker{registers: registers{conn: c}}
			chip, err := k.ask(ctx, a)
			switch {
			case err == nil && a.heard == 0:
				return "", sensors.Errorf(sensors.NotAnswering, c.String(), "nothing acknowledges")
			case chip != k.chip:
				return "", err
			}
			return chip, err
		}
	}
	return d
}

// air is an opened chip of one of these kinds.
type air struct {
	attached
	kind     *airKind
	measures [2]sensors.Measure
	chip     string // what answered
	way      precision
	busy     time.Time // until then the chip may not acknowledge; zero: it does
	drying   drying
}

func (k *airKind) open(m sensors.Machine, s sensors.Settings) *air {
	d := &air{kind: k, measures: [2]sensors.Measure{k.temperature(), airHumidity}, chip: k.chip, way: k.way(s)}
	d.machine, d.settings, d.addresses = m, s, k.addresses
	d.fits, d.begin, d.once = d.suits, d.start, d.measureOnce
	d.drying = dryingOf(s)
	return d
}

// suits accepts the chip of this kind, and those that can stand in for it.
func (d *air) suits(ctx context.Context, c sensors.Conn) (int, error) {
	if err := d.settle(ctx); err != nil {
		return 0, err
	}
	a := &asker{registers: registers{conn: c}}
	if d.kind.ask == nil {
		_, err := a.receive(ctx, 1)
		return 2, err
	}
	chip, err := d.kind.ask(ctx, a)
	switch {
	case err != nil:
		return 0, err
	case chip == d.kind.chip:
		d.chip = chip
		return 2, nil
	case chip == "" && a.heard == 0:
		return 0, sensors.Errorf(sensors.NotAnswering, c.String(), "no %s; look at power, wiring and address", d.kind.chip)
	case chip == "":
		return 0, sensors.Errorf(sensors.WrongChip, "", "something answers at %s, but not as %s would", c, anA(d.kind.chip))
	case slices.Contains(d.kind.stands, chip):
		d.chip = chip
		return 1, nil
	}
	return 0, sensors.Errorf(sensors.WrongChip, "", "%s answers at %s, want %s; write driver = %q", anA(chip), c, anA(d.kind.chip), airDrivers[chip])
}

// anA puts the article before the name of a chip as it is spoken: an SHT3x, a Si7021.
func anA(chip string) string {
	switch chip[0] {
	case 'A', 'H':
		return "an " + chip
	case 'S':
		if chip[1] == 'H' {
			return "an " + chip
		}
	}
	return "a " + chip
}

func (d *air) start(ctx context.Context) error { return d.kind.begin(ctx, d) }

func (d *air) measureOnce(ctx context.Context, s *sensors.Sample) error {
	if err := d.settle(ctx); err != nil {
		return err
	}
	d.busy = time.Now().Add(d.way.takes)
	t, h, err := d.kind.convert(ctx, d)
	if err != nil {
		return err
	}
	d.busy = time.Time{}
	s.Chip = d.chip
	d.fill(s, t, h)
	if d.kind.after != nil {
		d.kind.after(ctx, d, s)
	}
	return nil
}

// settle waits until what was begun and not fetched is over, be it a measurement that
// broke off or the heater: a chip that is asked earlier seems to be gone.
func (d *air) settle(ctx context.Context) error {
	if d.busy.IsZero() {
		return nil
	}
	if left := time.Until(d.busy); left > 0 {
		if err := d.wait(ctx, left); err != nil {
			return err
		}
	}
	d.busy = time.Time{}
	return nil
}

// fill puts the values of two words into s. The chip corrects its humidity with its
// own temperature: with one that cannot be it would be wrong and look right.
func (d *air) fill(s *sensors.Sample, t, h uint32) {
	k := d.kind
	celsius := k.celsius(t)
	saturatedT := t == 0 || t >= k.full
	if saturatedT {
		s.AddBad(d.measures[0], sensors.Saturated, int64(t))
	} else {
		s.Add(d.measures[0], celsius, k.stepT, int64(t))
	}
	percent, sane := clipped(k.percent(h))
	switch {
	case h == 0 || h >= k.full:
		s.AddBad(d.measures[1], sensors.Saturated, int64(h))
	case saturatedT || !within(d.measures[0], celsius):
		s.AddBad(d.measures[1], sensors.NoTemperature, int64(h))
	case !sane:
		s.AddBad(d.measures[1], sensors.OutsideChip, int64(h))
	default:
		s.Add(d.measures[1], percent, k.stepH, int64(h))
	}
}

// Relative humidities this far outside 0 to 100 are what the tolerance of a chip makes
// of very dry and of saturated air, and are cut to the limits as the sheets say (SHT4x
// data sheet section 4.6; Si7021-A20 data sheet section 5.1.1). A wet sensor overshoots
// by more than a dry one undershoots. What lies further out is no measurement.
const (
	belowDry = 5
	aboveWet = 10
)

// clipped cuts a humidity to 0 and 100, and says whether it was near enough.
func clipped(percent float64) (float64, bool) {
	return min(max(percent, 0), 100), percent >= -belowDry && percent <= 100+aboveWet
}

// precision is a way to measure: a command and the longest time it takes.
type precision struct {
	name    string
	command [2]byte
	takes   time.Duration
}

// precisionKey is the setting that chooses one; the first is the default.
func precisionKey(all []precision) sensors.Key {
	k := sensors.Key{
		Name: "precision", Kind: sensors.KindEnum, Default: all[0].name,
		Meaning: "how long the chip measures: less precision is faster, noisier, and warms the chip less",
	}
	for _, p := range all {
		k.Choices = append(k.Choices, p.name)
	}
	return k
}

// way returns how the settings want it measured.
func (k *airKind) way(s sensors.Settings) precision {
	if k.ways == nil {
		return precision{takes: k.takes}
	}
	for _, p := range k.ways {
		if p.name == s.Text("precision") {
			return p
		}
	}
	return k.ways[0]
}

// convertWords measures with a command of two bytes.
func convertWords(ctx context.Context, d *air) (t, h uint32, err error) {
	if err := d.command(ctx, d.way.command[:]...); err != nil {
		return 0, 0, err
	}
	return d.twoWords(ctx)
}

// twoWords reads temperature and humidity, each with its checksum.
func (d *air) twoWords(ctx context.Context) (t, h uint32, err error) {
	b, err := d.await(ctx, d.way.takes, 6)
	if err != nil {
		return 0, 0, err
	}
	if t, err = d.checkedWord("temperature", crcFromFF, b); err != nil {
		return 0, 0, err
	}
	h, err = d.checkedWord("humidity", crcFromFF, b[3:])
	return t, h, err
}
