package chip_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/sim"
)

// boschCase is a driver with a simulated chip that it is made for.
type boschCase struct {
	driver     string
	chip       string // as the sample names it
	addr       uint16
	make       func(w sim.World, o ...sim.ChipOption) sim.Device
	quantities []sensors.Quantity
	data       byte   // register of the data
	never      []byte // what it holds before the first measurement
	given      map[string]any
}

var (
	tp      = []sensors.Quantity{t, p}
	tph     = []sensors.Quantity{t, p, h}
	gasOn   = map[string]any{"gas": true}
	never24 = []byte{0, 0, 0x80, 0, 0, 0x80}
	never7f = []byte{0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f}
	field68 = []byte{0x80, 0, 0x80, 0, 0, 0x80, 0, 0, 0x80, 0}
)

func boschCases() []boschCase {
	bmp388 := func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewBMP388(w, o...) }
	bmp390 := func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewBMP390(w, o...) }
	bmp581 := func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewBMP581(w, o...) }
	bmp585 := func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewBMP585(w, o...) }
	bme680 := func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewBME680(w, o...) }
	bme688 := func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewBME688(w, o...) }
	return []boschCase{
		{"bmp388", "BMP388", 0x76, bmp388, tp, 0x04, never24, nil},
		{"bmp390", "BMP390", 0x77, bmp390, tp, 0x04, never24, nil},
		{"bmp388", "BMP390", 0x76, bmp390, tp, 0x04, never24, nil}, // either driver reads both
		{"bmp390", "BMP388", 0x77, bmp388, tp, 0x04, never24, nil},
		{"bmp581", "BMP581", 0x46, bmp581, tp, 0x1d, never7f, nil},
		{"bmp585", "BMP585", 0x47, bmp585, tp, 0x1d, never7f, nil},
		{"bmp585", "BMP581", 0x47, bmp581, tp, 0x1d, never7f, nil},
		{"bme680", "BME680", 0x76, bme680, tph, 0x1d, field68, nil},
		{"bme688", "BME688", 0x77, bme688, tph, 0x1d, field68, nil},
		{"bme680", "BME688", 0x76, bme688, tph, 0x1d, field68, nil},
		{"bme688", "BME680", 0x76, bme680, append(tph[:3:3], sensors.GasResistance), 0x1d, field68, gasOn},
		{"bme688", "BME688", 0x76, bme688, append(tph[:3:3], sensors.GasResistance), 0x1d, field68, gasOn},
	}
}

// eachBosch runs f for every case on a bench of its own.
func eachBosch(tt *testing.T, f func(b *bench, c boschCase)) {
	for _, c := range boschCases() {
		tt.Run(fmt.Sprintf("%s on %s, %d quantities", c.driver, c.chip, len(c.quantities)), func(tt *testing.T) {
			onBench(tt, func(b *bench) { f(b, c) })
		})
	}
}

// wants reads and compares with the climate, and a gas resistance with 50 kΩ.
func (b *bench) wants(d sensors.Device, c boschCase, climate sim.Climate) {
	b.Helper()
	s, err := b.read(d)
	if err != nil {
		b.Fatalf("read: %v", err)
	}
	if s.Chip != c.chip {
		b.Errorf("chip %q, want %q", s.Chip, c.chip)
	}
	if gas, ok := s.Get(sensors.GasResistance); ok {
		if gas.Quality.Level != sensors.Good || gas.Value < 49900 || gas.Value > 50100 || gas.Unit != "Ω" {
			b.Errorf("gas %v %s, %v, want good 50000 Ω", gas.Value, gas.Unit, gas.Quality)
		}
		s.Readings = s.Readings[:len(s.Readings)-1]
	}
	if len(c.quantities) == 4 {
		b.check(s, climate, c.quantities[:3]...)
	} else {
		b.check(s, climate, c.quantities...)
	}
}

func TestBoschChipsRead(tt *testing.T) {
	for _, climate := range []sim.Climate{indoors, {Temperature: -39, Pressure: 30500, Humidity: 20}, {Temperature: 84, Pressure: 109000, Humidity: 60}, {Temperature: 0, Pressure: 95000, Humidity: 60}} {
		eachBosch(tt, func(b *bench, c boschCase) {
			b.wire.Add(c.addr, c.make(sim.Steady(climate)))
			d := b.open(c.driver, c.given)
			for range 3 {
				b.wants(d, c, climate)
			}
			if err := d.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

func TestBoschChipsAtEachOversampling(tt *testing.T) {
	eachBosch(tt, func(b *bench, c boschCase) {
		b.wire.Add(c.addr, c.make(sim.Steady(indoors), sim.Noise(1)))
		key := sensors.Key{}
		for _, k := range driver(c.driver).Keys {
			if k.Name == "oversample" {
				key = k
			}
		}
		for _, choice := range key.Choices {
			var n int
			if _, err := fmt.Sscan(choice, &n); err != nil {
				b.Fatal(err)
			}
			given := map[string]any{"oversample": n}
			for k, v := range c.given {
				given[k] = v
			}
			d := b.open(c.driver, given)
			s, _ := driver(c.driver).Settings("room", given, nil)
			b.read(d)
			start := time.Now()
			if _, err := b.read(d); err != nil {
				b.Errorf("oversample %d: %v", n, err)
			}
			if took, least := time.Since(start), driver(c.driver).Least(s); took > least {
				b.Errorf("oversample %d: a read took %v, the driver says %v", n, took, least)
			}
			if err := d.Close(); err != nil {
				b.Error(err)
			}
		}
	})
}

func TestBoschTransientFaultsHealInsideTheSlot(tt *testing.T) {
	eachBosch(tt, func(b *bench, c boschCase) {
		faults := map[string]sim.Fault{
			"nack": sim.Nack().Times(1), "two nacks": sim.Nack().Times(2), "eio": sim.InputOutput().Times(1), "lost": sim.Lost().Times(1),
			"zeros": sim.Zeros().At(c.data).Times(1), "ones": sim.Ones().At(c.data).Times(1), "never measured": sim.Answer(c.never...).At(c.data).Times(1),
		}
		b.wire.Add(c.addr, c.make(sim.Steady(indoors)))
		d := b.open(c.driver, c.given)
		b.wants(d, c, indoors)
		for name, f := range faults {
			for after := range 8 {
				stop := b.wire.Inject(c.addr, f.After(after))
				for i := range 3 {
					if _, err := b.read(d); err != nil {
						b.Fatalf("%s after %d, read %d: %v", name, after, i, err)
					}
				}
				stop()
				b.wants(d, c, indoors)
			}
		}
	})
}

func TestBoschBrownOutAndReplug(tt *testing.T) {
	eachBosch(tt, func(b *bench, c boschCase) {
		b.wire.Add(c.addr, c.make(sim.Steady(indoors)))
		d := b.open(c.driver, c.given)
		b.wants(d, c, indoors)
		for range 3 {
			b.wire.BrownOut(c.addr)
			time.Sleep(10 * time.Millisecond)
			b.wants(d, c, indoors)
		}
		b.wire.Unplug(c.addr)
		for range 3 {
			b.wantFault(d, sensors.NotAnswering, "")
		}
		b.wire.Plug(c.addr)
		time.Sleep(time.Second)
		b.wants(d, c, indoors)
		release := b.wire.Hang()
		b.wantFault(d, sensors.Timeout, "")
		release()
		time.Sleep(2 * time.Second)
		b.wants(d, c, indoors)
	})
}

// At every moment of a measurement.
func TestBoschBrownOutWhileMeasuring(tt *testing.T) {
	eachBosch(tt, func(b *bench, c boschCase) {
		b.wire.Add(c.addr, c.make(sim.Steady(indoors)))
		d := b.open(c.driver, c.given)
		b.wants(d, c, indoors)
		for at := time.Duration(0); at < 40*time.Millisecond; at += 700 * time.Microsecond {
			go func() {
				time.Sleep(at)
				b.wire.BrownOut(c.addr)
			}()
			s, err := b.read(d)
			if err != nil {
				b.Fatalf("after %v: %v", at, err)
			}
			s.Readings = s.Readings[:min(len(s.Readings), 3)]
			b.check(s, indoors, c.quantities[:min(len(c.quantities), 3)]...)
			time.Sleep(50 * time.Millisecond)
		}
	})
}

func TestBoschSlowChips(tt *testing.T) {
	eachBosch(tt, func(b *bench, c boschCase) {
		b.wire.Add(c.addr, c.make(sim.Steady(indoors), sim.Slow(1.5)))
		b.wants(b.open(c.driver, c.given), c, indoors)
	})
	eachBosch(tt, func(b *bench, c boschCase) {
		b.wire.Add(c.addr, c.make(sim.Steady(indoors), sim.Slow(100)))
		given := map[string]any{"address": int(c.addr)}
		for k, v := range c.given {
			given[k] = v
		}
		b.wantFault(b.open(c.driver, given), sensors.Timeout, "still measuring")
	})
}

// Who writes the name of one chip of the family and has another is told which name
// to write. A BMP390 and a BME280 say the same id, in different registers.
func TestWrongBoschChipIsNamed(tt *testing.T) {
	for _, c := range []struct {
		driver string
		chip   sim.Device
		text   string
	}{
		{"bme280", sim.NewBME680(sim.Steady(indoors)), `chip id 0x61 (BME680 or BME688) at 0x76 on bus 1, want 0x60 (BME280); write driver = "bme680"`},
		{"bme280", sim.NewBMP388(sim.Steady(indoors)), `chip id 0x50 (BMP388) at 0x76 on bus 1, want 0x60 (BME280); write driver = "bmp388"`},
		{"bme280", sim.NewBMP390(sim.Steady(indoors)), `chip id 0x60 (BMP390) at 0x76 on bus 1, want 0x60 (BME280); write driver = "bmp390"`},
		{"bmp280", sim.NewBMP390(sim.Steady(indoors)), `write driver = "bmp390"`},
		{"bmp388", sim.NewBME280(sim.Steady(indoors)), `chip id 0x60 (BME280) at 0x76 on bus 1, want 0x50 in register 0x00 (BMP388); write driver = "bme280"`},
		{"bmp390", sim.NewBME280(sim.Steady(indoors)), `chip id 0x60 (BME280) at 0x76 on bus 1, want 0x60 in register 0x00 (BMP390); write driver = "bme280"`},
		{"bmp390", sim.NewBMP280(sim.Steady(indoors)), `write driver = "bmp280"`},
		{"bme680", sim.NewBMP280(sim.Steady(indoors)), `chip id 0x58 (BMP280) at 0x76 on bus 1, want 0x61 (BME680 or BME688); write driver = "bmp280"`},
		{"bme688", sim.NewBMP388(sim.Steady(indoors)), `write driver = "bmp388"`},
		{"bme688", sim.NewBMP180(sim.Steady(indoors)), `write driver = "bmp180"`},
		{"bmp390", sim.NewBMP390(sim.Steady(indoors), sim.ChipID(0x42)), "chip id 0x42 (unknown) at 0x76 on bus 1, want 0x60 in register 0x00 (BMP390)"},
	} {
		tt.Run(c.driver, func(tt *testing.T) {
			onBench(tt, func(b *bench) {
				b.wire.Add(0x76, c.chip)
				b.wantFault(b.open(c.driver, map[string]any{"address": 0x76}), sensors.WrongChip, c.text)
			})
		})
	}
	onBench(tt, func(b *bench) {
		b.wire.Add(0x46, sim.NewBMP581(sim.Steady(indoors), sim.ChipID(0x52)))
		b.wantFault(b.open("bmp581", map[string]any{"address": 0x46}), sensors.WrongChip, "chip id 0x52 (unknown) at 0x46 on bus 1, want 0x50 in register 0x01 (BMP581)")
	})
}

// A scan names each chip once, by the first driver that knows it.
func TestBoschChipsAreIdentified(tt *testing.T) {
	eachBosch(tt, func(b *bench, c boschCase) {
		b.wire.Add(c.addr, c.make(sim.Steady(indoors)))
		got, err := driver(c.driver).Identify(b.Context(), &wireConn{m: b.machine, addr: c.addr})
		want := c.chip
		if !strings.EqualFold(c.driver, c.chip) {
			want = "" // it is the other driver's
		}
		if got != want || err != nil {
			b.Errorf("%q, %v, want %q", got, err, want)
		}
	})
}

// A flipped bit in the calibration is caught, as it is read twice.
func TestBoschCalibrationIsReadTwice(tt *testing.T) {
	for driver, c := range map[string]struct {
		chip     sim.Device
		register byte
	}{
		"bmp388": {sim.NewBMP388(sim.Steady(indoors)), 0x31},
		"bme680": {sim.NewBME680(sim.Steady(indoors)), 0xe1},
	} {
		onBench(tt, func(b *bench) {
			b.wire.Add(0x76, c.chip)
			b.wire.Inject(0x76, sim.Flip(17).At(c.register).Times(1))
			b.wire.Inject(0x76, sim.Flip(3).At(c.register).After(3).Times(1))
			d := b.open(driver, nil)
			b.wantFine(d)
			b.wire.Inject(0x76, sim.Ones().At(c.register))
			b.wire.BrownOut(0x76)
			time.Sleep(10 * time.Millisecond)
			b.wantFault(d, sensors.Garbage, "its calibration is all 0xff")
		})
	}
}

// wantFine wants temperature and pressure as they are indoors.
func (b *bench) wantFine(d sensors.Device) {
	b.Helper()
	s, err := b.read(d)
	if err != nil {
		b.Fatal(err)
	}
	s.Readings = s.Readings[:2]
	b.check(s, indoors, t, p)
}

func TestAnotherBoschChipIsDoubted(tt *testing.T) {
	bmp388, bme680 := sim.NewBMP388(sim.Steady(indoors)), sim.NewBME680(sim.Steady(indoors))
	for driver, c := range map[string]struct {
		chip   sim.Device
		change func()
	}{
		"bmp388": {bmp388, func() { trim := sim.TypicalTrimBMP3(); trim.P7++; bmp388.SetTrim(trim) }},
		"bme680": {bme680, func() { trim := sim.TypicalTrimBME68x(); trim.H7++; bme680.SetTrim(trim) }},
	} {
		onBench(tt, func(b *bench) {
			b.wire.Add(0x76, c.chip)
			d := b.open(driver, nil)
			b.wantFine(d)
			c.change()
			b.wire.BrownOut(0x76)
			time.Sleep(10 * time.Millisecond)
			s, err := b.read(d)
			if err != nil {
				b.Fatal(err)
			}
			if q := s.Readings[0].Quality; q != (sensors.Quality{Level: sensors.Uncertain, Reason: sensors.OtherChip}) {
				b.Errorf("%s: got %v, want uncertain: another chip", driver, q)
			}
			b.wantFine(d)
			if n := strings.Count(b.log.String(), "calibration has changed"); n != 1 {
				b.Errorf("%s: %d warnings, want 1", driver, n)
			}
		})
	}
}

// One flipped bit makes the id of a chip that of another. It is read when the chip
// is looked for and when it is set up; neither may make it the other chip for good.
func TestFlippedIDMakesNoOtherChip(tt *testing.T) {
	for driver, c := range map[string]struct {
		chip       sim.Device
		addr       uint16
		register   byte
		name       string
		quantities []sensors.Quantity
	}{
		"bme280": {sim.NewBME280(sim.Steady(indoors)), 0x76, 0xd0, "BME280", tph},
		"bme680": {sim.NewBME680(sim.Steady(indoors)), 0x76, 0xf0, "BME680", tph},
		"bmp581": {sim.NewBMP581(sim.Steady(indoors)), 0x46, 0x01, "BMP581", tp},
	} {
		for after := range 4 {
			onBench(tt, func(b *bench) {
				b.wire.Add(c.addr, c.chip)
				b.wire.Inject(c.addr, sim.Flip(0).At(c.register).After(after).Times(1))
				s, err := b.read(b.open(driver, map[string]any{"bus": "1", "address": int(c.addr)}))
				if err != nil {
					b.Fatal(err)
				}
				if s.Chip != c.name {
					b.Errorf("%s: it is a %s after a flip in reading %d of the id", driver, s.Chip, after)
				}
				b.check(s, indoors, c.quantities...)
			})
		}
	}
}
