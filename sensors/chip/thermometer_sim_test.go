package chip_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/devices/v3/mcp9808"
	"periph.io/x/devices/v3/tmp102"

	"weir/sensors"
	"weir/sensors/chip"
	"weir/sensors/sim"
)

// thermometers are the chips that measure temperature and nothing else.
var thermometers = map[string]struct {
	make func(sim.World, ...sim.ChipOption) sim.Device
	addr uint16
	step float64
	chip string
}{
	"lm75":    {func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewLM75(w, o...) }, 0x48, 0.5, "LM75"},
	"tmp105":  {func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewTMP105(w, o...) }, 0x48, 0.0625, "TMP105"},
	"tmp102":  {func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewTMP102(w, o...) }, 0x48, 0.0625, "TMP102"},
	"tmp112":  {func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewTMP112(w, o...) }, 0x48, 0.0625, "TMP112"},
	"tmp1075": {func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewTMP1075(w, o...) }, 0x49, 0.0625, "TMP1075"},
	"tmp117":  {func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewTMP117(w, o...) }, 0x4a, 0.0078125, "TMP117"},
	"mcp9808": {func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewMCP9808(w, o...) }, 0x1c, 0.0625, "MCP9808"},
}

// wantCelsius reads: one good temperature within a step.
func (b *bench) wantCelsius(d sensors.Device, want, step float64) {
	b.Helper()
	s, err := b.read(d)
	if err != nil {
		b.Fatal(err)
	}
	r := s.Readings[0]
	if len(s.Readings) != 1 || r.Quality != good || math.Abs(r.Value-want) > step/2+1e-9 || r.Resolution != step {
		b.Errorf("got %+v, want good %v in steps of %v", s.Readings, want, step)
	}
}

// eachThermometer runs a test with each of them in a world of its own.
func eachThermometer(tt *testing.T, f func(b *bench, name string, addr uint16, step float64)) {
	for name, c := range thermometers {
		tt.Run(name, func(tt *testing.T) {
			onBench(tt, func(b *bench) {
				b.wire.Add(c.addr, c.make(sim.Steady(indoors)))
				f(b, name, c.addr, c.step)
			})
		})
	}
}

func TestThermometersRead(tt *testing.T) {
	for name, c := range thermometers {
		for _, celsius := range []float64{-39.5, -25, -0.5, 0, 0.5, 21.5, 85, 124.5} {
			onBench(tt, func(b *bench) {
				b.wire.Add(c.addr, c.make(sim.Steady(sim.Climate{Temperature: celsius})))
				d := b.open(name, map[string]any{"address": int(c.addr)})
				for range 3 {
					b.wantCelsius(d, celsius, c.step)
				}
				if s, err := b.read(d); err != nil || s.Chip != c.chip {
					b.Errorf("%s: %q, %v", name, s.Chip, err)
				}
			})
		}
	}
}

// A temperature that changes is followed: no value is from before the reading, or from
// more than one conversion before where the chip cannot be asked for one.
func TestThermometersAreFresh(tt *testing.T) {
	for name, c := range thermometers {
		onBench(tt, func(b *bench) {
			now := 10.0
			b.wire.Add(c.addr, c.make(sim.WorldFunc(func(time.Time) sim.Climate { return sim.Climate{Temperature: now} })))
			d := b.open(name, map[string]any{"address": int(c.addr)})
			for now = 10; now < 40; now += 10 {
				time.Sleep(400 * time.Millisecond)
				b.wantCelsius(d, now, c.step)
			}
		})
	}
}

func TestLM75Bits(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x4f, sim.NewLM75B(sim.Steady(sim.Climate{Temperature: -10.125})))
		b.wantCelsius(b.open("lm75", map[string]any{"address": 0x4f, "bits": 11}), -10.125, 0.125)
	})
}

func TestTMP117Averages(tt *testing.T) {
	for n, least := range map[int]time.Duration{1: 15 * time.Millisecond, 8: 120 * time.Millisecond, 32: 490 * time.Millisecond, 64: 990 * time.Millisecond} {
		onBench(tt, func(b *bench) {
			b.wire.Add(0x48, sim.NewTMP117(sim.Steady(indoors)))
			d := b.open("tmp117", map[string]any{"average": n})
			b.wantCelsius(d, indoors.Temperature, 0.0078125)
			start := time.Now()
			b.wantCelsius(d, indoors.Temperature, 0.0078125)
			if took := time.Since(start); took < least || took > 2*least {
				b.Errorf("%d averages took %v, want about %v", n, took, least)
			}
		})
	}
}

// A single fault heals inside the slot, wherever it falls, and nothing wrong comes out.
func TestThermometerFaultsHealInsideTheSlot(tt *testing.T) {
	for name, f := range map[string]sim.Fault{
		"nack": sim.Nack(), "eio": sim.InputOutput(), "zeros": sim.Zeros(), "ones": sim.Ones(),
	} {
		eachThermometer(tt, func(b *bench, driver string, addr uint16, step float64) {
			d := b.open(driver, map[string]any{"address": int(addr)})
			b.wantCelsius(d, indoors.Temperature, step)
			for after := range 8 {
				clear := b.wire.Inject(addr, f.Times(1).After(after))
				for range 2 {
					b.wantCelsius(d, indoors.Temperature, step)
				}
				clear()
			}
			_ = name
		})
	}
}

// A flipped bit in the value is seen, since it is read twice: a good value is right to
// a step, or to half a degree where the chip converts while it is read.
func TestThermometersSeeFlippedBits(tt *testing.T) {
	eachThermometer(tt, func(b *bench, driver string, addr uint16, step float64) {
		d := b.open(driver, map[string]any{"address": int(addr)})
		b.wantCelsius(d, indoors.Temperature, step)
		register := byte(0x00)
		if driver == "mcp9808" {
			register = 0x05
		}
		within := step
		if driver == "lm75" || driver == "mcp9808" {
			within = 0.5
		}
		for seed := range uint64(60) {
			clear := b.wire.Inject(addr, sim.FlipAny(seed).At(register).Times(1))
			s, err := b.read(d)
			clear()
			if err != nil || math.Abs(s.Readings[0].Value-indoors.Temperature) > within {
				b.Errorf("seed %d: %+v, %v", seed, s.Readings, err)
			}
		}
	})
}

// After a dip of the supply all of these chips show 0 °C or less, or sleep.
func TestThermometersSeeBrownOuts(tt *testing.T) {
	eachThermometer(tt, func(b *bench, driver string, addr uint16, step float64) {
		d := b.open(driver, map[string]any{"address": int(addr)})
		b.wantCelsius(d, indoors.Temperature, step)
		random := rand.New(rand.NewPCG(9, 9))
		for range 50 {
			b.wire.BrownOut(addr)
			time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
			b.wantCelsius(d, indoors.Temperature, step)
		}
	})
}

func TestThermometersAreReplugged(tt *testing.T) {
	eachThermometer(tt, func(b *bench, driver string, addr uint16, step float64) {
		d := b.open(driver, map[string]any{"address": int(addr)})
		b.wantCelsius(d, indoors.Temperature, step)
		b.wire.Unplug(addr)
		b.wantFault(d, sensors.NotAnswering, "")
		b.wire.Plug(addr)
		time.Sleep(time.Second)
		b.wantCelsius(d, indoors.Temperature, step)
		clear := b.wire.Inject(addr, sim.Ones())
		b.wantFault(d, sensors.Garbage, "")
		clear()
		clear = b.wire.Inject(addr, sim.Zeros())
		b.wantFault(d, sensors.Garbage, "")
		clear()
		b.wantCelsius(d, indoors.Temperature, step)
	})
}

func TestThermometersNameTheOtherChip(tt *testing.T) {
	for _, v := range []struct {
		driver string
		addr   uint16
		there  sim.Device
		text   string
	}{
		{"tmp117", 0x48, sim.NewTMP1075(sim.Steady(indoors)), `device id 0x7500 (TMP1075) at 0x48 on bus 1, want 0x0117 (TMP117); write driver = "tmp1075"`},
		{"tmp1075", 0x48, sim.NewTMP117(sim.Steady(indoors)), `(TMP117) at 0x48 on bus 1, want 0x7500 (TMP1075); write driver = "tmp117"`},
		{"tmp1075", 0x48, sim.NewTMP1075(sim.Steady(indoors), sim.ChipID(0x33)), "device id 0x3300 at 0x48 on bus 1, want 0x7500 (TMP1075)"},
		{"mcp9808", 0x18, sim.NewMCP9808(sim.Steady(indoors), sim.ChipID(0x05)), "manufacturer id 0x0054 and device id 0x05"},
		{"lm75", 0x48, sim.NewBME280(sim.Steady(indoors)), "look at the wiring"},
	} {
		onBench(tt, func(b *bench) {
			b.wire.Add(v.addr, v.there)
			want := sensors.WrongChip
			if v.driver == "lm75" {
				want = sensors.Garbage
			}
			b.wantFault(b.open(v.driver, map[string]any{"address": int(v.addr)}), want, v.text)
		})
	}
	onBench(tt, func(b *bench) { // a converter with thresholds 8000 and 7fff
		b.wire.Add(0x48, sim.NewTMP102(sim.Steady(indoors)))
		b.wire.Inject(0x48, sim.Answer(0x80, 0x00).At(0x02))
		b.wire.Inject(0x48, sim.Answer(0x7f, 0xff).At(0x03))
		b.wantFault(b.open("tmp102", nil), sensors.WrongChip, "has 0x8000 and 0x7fff where a TMP102 has its limits")
	})
}

func TestTMP117IsSlow(tt *testing.T) {
	onBench(tt, func(b *bench) {
		b.wire.Add(0x48, sim.NewTMP117(sim.Steady(indoors), sim.Slow(20)))
		b.wantFault(b.open("tmp117", map[string]any{"average": 1}), sensors.Timeout, "still measuring")
	})
	onBench(tt, func(b *bench) {
		b.wire.Add(0x48, sim.NewTMP117(sim.Steady(indoors), sim.Slow(3)))
		b.wantCelsius(b.open("tmp117", map[string]any{"average": 1}), indoors.Temperature, 0.0078125)
	})
}

func TestThermometersAreIdentified(tt *testing.T) {
	for name, c := range thermometers {
		onBench(tt, func(b *bench) {
			b.wire.Add(c.addr, c.make(sim.Steady(indoors)))
			for _, d := range chip.Drivers {
				if d.Identify == nil {
					continue
				}
				conn := &wireConn{m: b.machine, addr: c.addr}
				said, _ := d.Identify(b.Context(), conn)
				known := name == "tmp1075" || name == "tmp117" || name == "mcp9808"
				if want := map[bool]string{true: c.chip}[known && d.Name == name]; said != want {
					b.Errorf("%s says that a %s is %q, want %q", d.Name, name, said, want)
				}
			}
		})
	}
}

func TestThermometersAllocateNothing(tt *testing.T) {
	chips := map[string]uint16{"mlx90614": 0x5a}
	for name, c := range thermometers {
		chips[name] = c.addr
	}
	for name, addr := range chips {
		onBench(tt, func(b *bench) {
			b.wire = sim.NewBus("I2C1", sim.Speed(0))
			b.machine.wire = b.wire
			if name == "mlx90614" {
				b.wire.Add(addr, sim.NewMLX90614(facing(60)))
			} else {
				b.wire.Add(addr, thermometers[name].make(sim.Steady(indoors)))
			}
			d := b.open(name, map[string]any{"address": int(addr)})
			var s sensors.Sample
			read := func() {
				if err := d.Read(b.Context(), &s); err != nil {
					b.Fatal(err)
				}
			}
			read()
			if n := testing.AllocsPerRun(10, read); n != 0 {
				b.Errorf("%s: a read allocates %v times, want 0", name, n)
			}
		})
	}
}

// Those that cannot say what they are can be guessed by their limits, and by one driver
// only.
func TestThermometersAreGuessed(tt *testing.T) {
	for name, want := range map[string]string{
		"lm75": "LM75 or TMP105", "tmp105": "LM75 or TMP105", "tmp102": "TMP102 or TMP112", "tmp112": "TMP102 or TMP112",
		"mcp9808": "", "bme280": "",
	} {
		onBench(tt, func(b *bench) {
			if c, ok := thermometers[name]; ok {
				b.wire.Add(0x48, c.make(sim.Steady(indoors)))
			} else {
				b.wire.Add(0x48, sim.NewBME280(sim.Steady(indoors)))
			}
			var said []string
			for _, d := range chip.Drivers {
				if d.Guess == nil || !slices.Contains(d.Addresses, 0x48) {
					continue
				}
				if s, err := d.Guess(b.Context(), b.wired(0x48)); err != nil {
					b.Errorf("%s: %v", d.Name, err)
				} else if s != "" {
					said = append(said, s)
				}
			}
			if strings.Join(said, ", ") != want {
				b.Errorf("%s is guessed to be %q, want %q", name, said, want)
			}
		})
	}
}

// A second opinion: periph's drivers and ours on the same bus read the same.
func TestPeriphReadsTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(11, 11))
		for range 100 {
			celsius := math.Round((-39+160*random.Float64())*16) / 16
			b := sim.NewBus("I2C1")
			world := sim.Steady(sim.Climate{Temperature: celsius})
			b.Add(0x48, sim.NewTMP102(world))
			b.Add(0x18, sim.NewMCP9808(world))
			a, err := tmp102.NewI2C(b, 0x48, nil)
			if err != nil {
				t.Fatal(err)
			}
			m, err := mcp9808.New(b, &mcp9808.Opts{Addr: 0x18, Res: mcp9808.Maximum})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			for name, sense := range map[string]func(*physic.Env) error{"tmp102": a.Sense, "mcp9808": m.Sense} {
				var e physic.Env
				if err := sense(&e); err != nil {
					t.Fatal(err)
				}
				d := opened(t, &machine{wire: b, taken: map[uint16]bool{}}, name, nil)
				var s sensors.Sample
				if err := d.Read(t.Context(), &s); err != nil {
					t.Fatal(err)
				}
				if theirs := e.Temperature.Celsius(); math.Abs(theirs-s.Readings[0].Value) > 1e-6 {
					t.Errorf("%s at %v °C: periph says %v, we say %v", name, celsius, theirs, s.Readings[0].Value)
				}
			}
		}
	})
}
