package chip_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/sim"
)

// airChip is a simulated chip of temperature and humidity.
type airChip interface {
	sim.Device
	Hold(*sim.RawAir)
	Tune(...sim.ChipOption)
}

type airCase struct {
	driver string
	chip   string
	addr   uint16
	make   func(sim.World, ...sim.ChipOption) airChip
	crc    bool // its words carry checksums
	bits   uint // of a word
}

var airCases = []airCase{
	{"sht3x", "SHT3x", 0x45, func(w sim.World, o ...sim.ChipOption) airChip { return sim.NewSHT3x(w, o...) }, true, 16},
	{"sht4x", "SHT4x", 0x44, func(w sim.World, o ...sim.ChipOption) airChip { return sim.NewSHT4x(w, o...) }, true, 16},
	{"shtc3", "SHTC3", 0x70, func(w sim.World, o ...sim.ChipOption) airChip { return sim.NewSHTC3(w, o...) }, true, 16},
	{"htu21d", "HTU21D", 0x40, func(w sim.World, o ...sim.ChipOption) airChip { return sim.NewHTU21D(w, o...) }, true, 16},
	{"si7021", "Si7021", 0x40, func(w sim.World, o ...sim.ChipOption) airChip { return sim.NewSi7021(w, o...) }, true, 16},
	{"sht2x", "SHT2x", 0x40, func(w sim.World, o ...sim.ChipOption) airChip { return sim.NewSHT21(w, o...) }, true, 16},
	{"aht20", "AHT20", 0x38, func(w sim.World, o ...sim.ChipOption) airChip { return sim.NewAHT20(w, o...) }, true, 20},
	{"aht10", "AHT10", 0x38, func(w sim.World, o ...sim.ChipOption) airChip { return sim.NewAHT10(w, o...) }, false, 20},
	{"hdc1080", "HDC1080", 0x40, func(w sim.World, o ...sim.ChipOption) airChip { return sim.NewHDC1080(w, o...) }, false, 16},
	{"hdc1000", "HDC1000", 0x43, func(w sim.World, o ...sim.ChipOption) airChip { return sim.NewHDC1010(w, o...) }, false, 16},
	{"hdc302x", "HDC302x", 0x47, func(w sim.World, o ...sim.ChipOption) airChip { return sim.NewHDC302x(w, o...) }, true, 16},
}

// eachAir runs a test for each of them, with the chip on the bus.
func eachAir(t *testing.T, f func(b *bench, c airCase, chip airChip)) {
	for _, c := range airCases {
		t.Run(c.driver, func(t *testing.T) {
			onBench(t, func(b *bench) {
				chip := c.make(sim.Steady(indoors))
				b.wire.Add(c.addr, chip)
				f(b, c, chip)
			})
		})
	}
}

func TestAirReads(tt *testing.T) {
	for _, climate := range []sim.Climate{indoors,
		{Temperature: -39, Humidity: 2}, {Temperature: 84, Humidity: 98}, {Temperature: 0, Humidity: 60}, {Temperature: 25, Humidity: 99.9}} {
		eachAir(tt, func(b *bench, c airCase, chip airChip) {
			chip.Tune(sim.In(sim.Steady(climate)))
			d := b.open(c.driver, map[string]any{"bus": "1", "address": int(c.addr)})
			for range 3 {
				s, err := b.read(d)
				if err != nil {
					b.Fatal(err)
				}
				if s.Chip != c.chip {
					b.Errorf("it is called %q, want %q", s.Chip, c.chip)
				}
				b.check(s, climate, t, h)
			}
			if err := d.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

func TestAirPrecisions(tt *testing.T) {
	for driver, precisions := range map[string][]string{
		"sht3x": {"high", "medium", "low"}, "sht4x": {"high", "medium", "low"}, "shtc3": {"high", "low"}, "hdc302x": {"high", "medium", "low", "lowest"},
	} {
		eachAir(tt, func(b *bench, c airCase, chip airChip) {
			if c.driver != driver {
				return
			}
			took := time.Hour
			for _, p := range precisions {
				d := b.open(driver, map[string]any{"precision": p})
				b.want(d, indoors, t, h)
				start := time.Now()
				b.want(d, indoors, t, h)
				if each := time.Since(start); each >= took {
					b.Errorf("%s takes %v, the one before %v", p, each, took)
				} else {
					took = each
				}
				if err := d.Close(); err != nil {
					b.Error(err)
				}
			}
		})
	}
}

// Every fault of one transfer heals inside the read it hits.
func TestAirFaultsHealInsideTheSlot(tt *testing.T) {
	faults := map[string]sim.Fault{
		"nack": sim.Nack(), "eio": sim.InputOutput(), "lost": sim.Lost(), "zeros": sim.Zeros(), "ones": sim.Ones(),
	}
	for bit := range 48 {
		faults[fmt.Sprintf("flip %d", bit)] = sim.Flip(bit)
	}
	eachAir(tt, func(b *bench, c airCase, chip airChip) {
		d := b.open(c.driver, nil)
		b.want(d, indoors, t, h)
		for name, f := range faults {
			if strings.HasPrefix(name, "flip") && !c.crc {
				continue // nothing can tell
			}
			for after := range 4 {
				clear := b.wire.Inject(c.addr, f.Times(1).After(after))
				for i := range 3 {
					s, err := b.read(d)
					if err != nil {
						b.Fatalf("%s after %d, read %d: %v", name, after, i, err)
					}
					b.check(s, indoors, t, h)
				}
				clear()
			}
		}
	})
}

func TestAirBrownOutAndReplug(tt *testing.T) {
	eachAir(tt, func(b *bench, c airCase, chip airChip) {
		d := b.open(c.driver, nil)
		b.want(d, indoors, t, h)
		for range 3 {
			b.wire.BrownOut(c.addr)
			time.Sleep(100 * time.Millisecond)
			b.want(d, indoors, t, h)
		}
		b.wire.Unplug(c.addr)
		for range 3 {
			b.wantFault(d, sensors.NotAnswering, "")
		}
		b.wire.Plug(c.addr)
		time.Sleep(time.Second)
		b.want(d, indoors, t, h)
	})
}

func TestAirBusFaults(tt *testing.T) {
	eachAir(tt, func(b *bench, c airCase, chip airChip) {
		d := b.open(c.driver, nil)
		b.want(d, indoors, t, h)
		for name, f := range map[string]sim.Fault{"all 00": sim.Zeros(), "all FF": sim.Ones()} {
			clear := b.wire.Inject(c.addr, f)
			for range 3 {
				if s, err := b.read(d); err == nil {
					b.Errorf("%s: read as %v", name, s.Readings)
				}
			}
			clear()
			b.want(d, indoors, t, h)
		}
		release := b.wire.Hang()
		b.wantFault(d, sensors.Timeout, "")
		release()
		time.Sleep(2 * time.Second)
		b.want(d, indoors, t, h)
	})
}

func TestAirSlowChip(tt *testing.T) {
	eachAir(tt, func(b *bench, c airCase, chip airChip) {
		chip.Tune(sim.Slow(1.5))
		d := b.open(c.driver, nil)
		b.want(d, indoors, t, h)
		chip.Tune(sim.Slow(100))
		if s, err := b.read(d); err == nil {
			b.Errorf("a chip that never finishes is read as %v", s.Readings)
		}
		chip.Tune(sim.Slow(1))
		time.Sleep(time.Minute)
		b.want(d, indoors, t, h)
	})
}

// A humidity is corrected with the chip's own temperature; words at the ends are no
// measurements.
func TestAirWordsAtTheEnds(tt *testing.T) {
	type reasons = map[sensors.Quantity]sensors.Reason
	eachAir(tt, func(b *bench, c airCase, chip airChip) {
		d := b.open(c.driver, nil)
		b.want(d, indoors, t, h)
		full, middle := uint32(1)<<c.bits-1, uint32(1)<<(c.bits-1)-1
		for _, v := range []struct {
			raw sim.RawAir
			why reasons
		}{
			{sim.RawAir{Temperature: middle, Humidity: middle}, nil},
			{sim.RawAir{Temperature: 0, Humidity: middle}, reasons{t: sensors.Saturated, h: sensors.NoTemperature}},
			{sim.RawAir{Temperature: full, Humidity: middle}, reasons{t: sensors.Saturated, h: sensors.NoTemperature}},
			{sim.RawAir{Temperature: middle, Humidity: 0}, reasons{h: sensors.Saturated}},
			{sim.RawAir{Temperature: middle, Humidity: full}, reasons{h: sensors.Saturated}},
		} {
			chip.Hold(&v.raw)
			if v.raw.Temperature == 0 && c.addr == 0x40 && c.crc { // not to be told from a bus held low
				b.wantFault(d, sensors.Garbage, "all bytes of the temperature are 0x00")
				continue
			}
			b.wantBad(d, v.why)
		}
	})
}

func TestAirWrongChip(tt *testing.T) {
	for _, v := range []struct {
		driver string
		addr   uint16
		chip   sim.Device
		text   string
	}{
		{"sht3x", 0x44, sim.NewSHT4x(sim.Steady(indoors)), `an SHT4x answers at 0x44 on bus 1, want an SHT3x; write driver = "sht4x"`},
		{"sht4x", 0x44, sim.NewSHT3x(sim.Steady(indoors)), `an SHT3x answers at 0x44 on bus 1, want an SHT4x; write driver = "sht3x"`},
		{"sht3x", 0x45, sim.NewHDC302x(sim.Steady(indoors)), `an HDC302x answers at 0x45 on bus 1, want an SHT3x; write driver = "hdc302x"`},
		{"hdc302x", 0x47, sim.NewBMP581(sim.Steady(indoors)), "something answers at 0x47 on bus 1, but not as an HDC302x would"},
		{"hdc1080", 0x40, sim.NewSi7021(sim.Steady(indoors)), `a Si7021 answers at 0x40 on bus 1, want an HDC1080; write driver = "si7021"`},
		{"htu21d", 0x40, sim.NewHDC1080(sim.Steady(indoors)), `an HDC1080 answers at 0x40 on bus 1, want an HTU21D; write driver = "hdc1080"`},
		{"aht20", 0x38, sim.NewAHT10(sim.Steady(indoors)), "something answers at 0x38 on bus 1, but not as an AHT20 would"},
		{"shtc3", 0x70, sim.NewTCA9548(), "something answers at 0x70 on bus 1, but not as an SHTC3 would"},
	} {
		onBench(tt, func(b *bench) {
			b.wire.Add(v.addr, v.chip)
			b.wantFault(b.open(v.driver, map[string]any{"address": int(v.addr)}), sensors.WrongChip, v.text)
		})
	}
}

// Members of a family stand in for each other.
func TestAirStandsIn(tt *testing.T) {
	for driver, c := range map[string]airCase{"htu21d": airCases[4], "si7021": airCases[5], "sht2x": airCases[3], "hdc1000": airCases[8]} {
		onBench(tt, func(b *bench) {
			b.wire.Add(c.addr, c.make(sim.Steady(indoors)))
			s, err := b.read(b.open(driver, nil))
			if err != nil || s.Chip != c.chip {
				b.Fatalf("%s: %q, %v, want to read the %s", driver, s.Chip, err, c.chip)
			}
			b.check(s, indoors, t, h)
		})
	}
}

// In fog an SHT4x heats itself, at most as often as was set, is left alone while it is
// hot, and doubted until it has cooled.
func TestSHT4xDries(tt *testing.T) {
	onBench(tt, func(b *bench) {
		chip := sim.NewSHT4x(sim.Steady(sim.Climate{Temperature: 8, Humidity: 99.5}))
		b.wire.Add(0x44, chip)
		d := b.open("sht4x", map[string]any{"dry_above": 98, "dry_every": "5m"})
		level := func() sensors.Quality {
			b.Helper()
			s, err := b.read(d)
			if err != nil {
				b.Fatal(err)
			}
			return s.Readings[1].Quality
		}
		heatings, start := 0, time.Now()
		for time.Since(start) < time.Hour {
			before := time.Now()
			q := level()
			if q != (sensors.Quality{Level: sensors.Good}) {
				b.Fatalf("after %v: %v, want good", time.Since(start), q)
			}
			heatings++
			if q = level(); q.Reason != sensors.JustHeated || time.Since(before) < time.Second {
				b.Fatalf("right after heating: %v, %v later, want doubt after the second it heats", q, time.Since(before))
			}
			time.Sleep(58 * time.Second)
			if q = level(); q.Reason != sensors.JustHeated {
				b.Errorf("within the minute: %v", q)
			}
			time.Sleep(5*time.Minute - time.Since(before) - time.Second)
			if q = level(); q.Level != sensors.Good {
				b.Errorf("cooled: %v", q)
			}
			time.Sleep(2 * time.Second)
		}
		if heatings < 11 || heatings > 12 {
			b.Errorf("%d heatings in an hour, want one every five minutes", heatings)
		}
		chip.Tune(sim.In(sim.Steady(indoors)))
		time.Sleep(10 * time.Minute)
		for range 3 {
			b.want(d, indoors, t, h)
			time.Sleep(time.Second)
		}
	})
	onBench(tt, func(b *bench) { // without the setting it never does
		b.wire.Add(0x44, sim.NewSHT4x(sim.Steady(sim.Climate{Temperature: 8, Humidity: 99.5})))
		d := b.open("sht4x", nil)
		for range 30 {
			b.want(d, sim.Climate{Temperature: 8, Humidity: 99.5}, t, h)
			time.Sleep(time.Minute)
		}
	})
}
