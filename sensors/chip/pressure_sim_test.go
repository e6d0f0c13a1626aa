package chip_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/sim"
)

// pressureChip is a driver with the simulated chip it is tested against, and how
// near its values have to be.
type pressureChip struct {
	driver    string
	addr      uint16
	make      func(w sim.World, options ...sim.ChipOption) sim.Device
	given     map[string]any
	near      map[sensors.Quantity]float64
	climates  []sim.Climate // besides indoors
	uncertain sensors.Quantity
}

// wide are climates near the ends of what most of them measure.
var wide = []sim.Climate{{Temperature: -29, Pressure: 30500}, {Temperature: 84, Pressure: 109000}, {Temperature: -0.01, Pressure: 95000}}

// pressureChips are the drivers that all tests of this file run.
var pressureChips = []pressureChip{
	{driver: "ms5611", addr: 0x77, given: map[string]any{"address": 0x77}, near: map[sensors.Quantity]float64{t: 0.011, p: 4},
		make:     func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewMS5611(w, o...) },
		climates: []sim.Climate{{Temperature: -39, Pressure: 60500}, {Temperature: 84, Pressure: 109000}, {Temperature: 0, Pressure: 95000}, {Temperature: 19.99, Pressure: 101325}}},
	{driver: "ms5607", addr: 0x76, near: map[sensors.Quantity]float64{t: 0.011, p: 4}, given: map[string]any{"oversample": 256},
		make:     func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewMS5607(w, o...) },
		climates: []sim.Climate{{Temperature: -39, Pressure: 30500}, {Temperature: 84, Pressure: 109000}, {Temperature: 0, Pressure: 95000}}},
	{driver: "dps310", addr: 0x77, given: map[string]any{"address": 0x77}, near: map[sensors.Quantity]float64{t: 0.01, p: 1}, climates: wide,
		make: func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewDPS310(w, o...) }},
	{driver: "spl06", addr: 0x76, given: map[string]any{"address": 0x76, "oversample": 1}, near: map[sensors.Quantity]float64{t: 0.01, p: 1}, climates: wide,
		make: func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewSPL06(w, o...) }},
	{driver: "mpl3115a2", addr: 0x60, given: map[string]any{"address": 0x60, "oversample": 1}, near: map[sensors.Quantity]float64{t: 0.04, p: 0.2}, climates: wide,
		make: func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewMPL3115A2(w, o...) }},
	{driver: "mpl115a2", addr: 0x60, given: map[string]any{"address": 0x60}, near: map[sensors.Quantity]float64{t: 0.2, p: 150}, climates: wide[1:2], uncertain: t,
		make: func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewMPL115A2(w, o...) }},
	{driver: "hsc", addr: 0x28, given: map[string]any{"range": "030PA"}, near: map[sensors.Quantity]float64{t: 0.06, p: 10}, climates: wide,
		make: func(w sim.World, o ...sim.ChipOption) sim.Device {
			return sim.NewHSC(w, sim.TransferA, 0, 30*psi, o...)
		}},
	{driver: "abp", addr: 0x28, given: map[string]any{"range": "030PA"}, near: map[sensors.Quantity]float64{p: 10}, climates: wide,
		make: func(w sim.World, o ...sim.ChipOption) sim.Device {
			return sim.NewHSC(w, sim.TransferA, 0, 30*psi, o...)
		}},
	{driver: "abp2", addr: 0x38, given: map[string]any{"range": "030PA", "address": 0x38}, near: map[sensors.Quantity]float64{t: 0.001, p: 0.1}, climates: wide,
		make: func(w sim.World, o ...sim.ChipOption) sim.Device {
			return sim.NewABP2(w, sim.TransferA, 0, 30*psi, o...)
		}},
	{driver: "mpr", addr: 0x18, given: map[string]any{"range": "0025PA", "function": "B"}, near: map[sensors.Quantity]float64{p: 0.1}, climates: wide,
		make: func(w sim.World, o ...sim.ChipOption) sim.Device {
			return sim.NewMPR(w, sim.TransferBOfMPR, 0, 25*psi, o...)
		}},
	{driver: "lps22hb", addr: 0x5d, given: map[string]any{"address": 0x5d}, near: map[sensors.Quantity]float64{t: 0.006, p: 0.02}, climates: wide,
		make: func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewLPS22HB(w, o...) }},
	{driver: "lps22hh", addr: 0x5d, given: map[string]any{"address": 0x5d}, near: map[sensors.Quantity]float64{t: 0.006, p: 0.02}, climates: wide,
		make: func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewLPS22HH(w, o...) }},
	{driver: "lps33hw", addr: 0x5d, given: map[string]any{"address": 0x5d}, near: map[sensors.Quantity]float64{t: 0.006, p: 0.02}, climates: wide,
		make: func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewLPS33HW(w, o...) }},
	{driver: "lps25hb", addr: 0x5d, given: map[string]any{"address": 0x5d}, near: map[sensors.Quantity]float64{t: 0.006, p: 0.02}, climates: wide[1:],
		make: func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewLPS25HB(w, o...) }},
	{driver: "lps331", addr: 0x5d, given: map[string]any{"address": 0x5d}, near: map[sensors.Quantity]float64{t: 0.006, p: 0.02}, climates: wide[1:],
		make: func(w sim.World, o ...sim.ChipOption) sim.Device { return sim.NewLPS331(w, o...) }},
}

// on runs a test of the chip on a bench of its own.
func (c *pressureChip) on(tt *testing.T, test func(b *bench)) {
	tt.Run(c.driver, func(tt *testing.T) { onBench(tt, test) })
}

func eachPressureChip(tt *testing.T, test func(b *bench, c *pressureChip)) {
	for i := range pressureChips {
		c := &pressureChips[i]
		c.on(tt, func(b *bench) { test(b, c) })
	}
}

// wantNear reads and compares with the climate, all quantities the driver has.
func (b *bench) wantNear(d sensors.Device, c *pressureChip, air sim.Climate) {
	b.Helper()
	s, err := b.read(d)
	if err != nil {
		b.Errorf("read: %v", err)
		return
	}
	if len(s.Readings) != len(c.near) || s.Chip == "" {
		b.Errorf("%q gave %v, want %d readings", s.Chip, s.Readings, len(c.near))
	}
	for q, tolerance := range c.near {
		r, ok := s.Get(q)
		if !ok || wrongBy(r, air) > tolerance || (r.Quality.Level == sensors.Good) == (q == c.uncertain) || r.Quality.Level == sensors.Bad {
			b.Errorf("%s is %v, %v, in %+v", q, r.Value, r.Quality, air)
		}
	}
}

// wrongBy is how far a reading is from the air.
func wrongBy(r sensors.Reading, air sim.Climate) float64 {
	if r.Quantity == t {
		return math.Abs(r.Value - air.Temperature)
	}
	return math.Abs(r.Value - air.Pressure)
}

func TestPressureChipsRead(tt *testing.T) {
	for i := range pressureChips {
		c := &pressureChips[i]
		for _, air := range append([]sim.Climate{indoors}, c.climates...) {
			c.on(tt, func(b *bench) {
				b.wire.Add(c.addr, c.make(sim.Steady(air)))
				d := b.open(c.driver, c.given)
				for range 3 {
					b.wantNear(d, c, air)
				}
				if err := d.Close(); err != nil {
					b.Error(err)
				}
			})
		}
	}
}

// What comes once is healed by the retries, wherever in the traffic it comes: while
// the chip is set up, and while it is read.
func TestPressureChipsHealInsideTheSlot(tt *testing.T) {
	faults := map[string]sim.Fault{"nack": sim.Nack(), "eio": sim.InputOutput(), "zeros": sim.Zeros(), "ones": sim.Ones()}
	for i := range pressureChips {
		c := &pressureChips[i]
		c.on(tt, func(b *bench) {
			for name, f := range faults {
				for after := range 40 {
					b.wire = sim.NewBus("I2C1")
					b.machine.wire = b.wire
					b.wire.Add(c.addr, c.make(sim.Steady(indoors)))
					clear := b.wire.Inject(c.addr, f.Times(1).After(after))
					d := b.open(c.driver, c.given)
					for range 3 {
						b.wantNear(d, c, indoors)
					}
					clear()
					if err := d.Close(); err != nil || b.Failed() {
						b.Fatalf("%s after %d: %v", name, after, err)
					}
				}
			}
		})
	}
}

func TestPressureChipsOutOfOrder(tt *testing.T) {
	eachPressureChip(tt, func(b *bench, c *pressureChip) {
		b.wire.Add(c.addr, c.make(sim.Steady(indoors)))
		d := b.open(c.driver, c.given)
		b.wantNear(d, c, indoors)
		b.wire.BrownOut(c.addr)
		time.Sleep(100 * time.Millisecond)
		b.wantNear(d, c, indoors)
		b.wire.Unplug(c.addr)
		b.wantFault(d, sensors.NotAnswering, "")
		b.wire.Plug(c.addr)
		time.Sleep(time.Second)
		b.wantNear(d, c, indoors)
		clear := b.wire.Inject(c.addr, sim.Zeros())
		b.wantFault(d, sensors.Garbage, "0x00")
		clear()
		clear = b.wire.Inject(c.addr, sim.Ones())
		b.wantFault(d, sensors.Garbage, "0xff")
		clear()
		b.wantNear(d, c, indoors)
		clear = b.wire.Inject(c.addr, sim.Nack())
		b.wantFault(d, sensors.NotAnswering, "")
		clear()
		b.wantNear(d, c, indoors)
	})
	eachPressureChip(tt, func(b *bench, c *pressureChip) {
		b.wire.Add(c.addr, c.make(sim.Steady(indoors), sim.Slow(200)))
		d := b.open(c.driver, c.given)
		if s, err := b.read(d); err == nil || len(s.Readings) > 0 {
			b.Errorf("a conversion that never ends gave %v, %v", s.Readings, err)
		}
	})
}

// Every fault the wire or the chip can show, at random: a value that is called good
// is right, and the device comes back.
func TestPressureChipsNeverLie(tt *testing.T) {
	eachPressureChip(tt, func(b *bench, c *pressureChip) {
		b.wire.Add(c.addr, c.make(sim.Steady(indoors)))
		d := b.open(c.driver, c.given)
		for i, f := range []sim.Fault{sim.Nack(), sim.InputOutput(), sim.Lost(), sim.Zeros(), sim.Ones()} {
			b.wire.Inject(c.addr, f.Chance(0.004, uint64(i)))
		}
		random := rand.New(rand.NewPCG(7, 8))
		good, failed, row := 0, 0, 0
		for range 600 {
			if random.IntN(20) == 0 {
				b.wire.BrownOut(c.addr)
				time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
			}
			s, err := b.read(d)
			if err != nil {
				failed++
				if row++; row > 5 {
					b.Fatalf("%d reads in a row failed, the last with %v", row, err)
				}
				continue
			}
			row = 0
			for q, near := range c.near {
				r, ok := s.Get(q)
				if !ok || r.Quality.Level != sensors.Bad && wrongBy(r, indoors) > near {
					b.Errorf("%s is %v, %v, want %+v", q, r.Value, r.Quality, indoors)
				}
				if r.Quality.Level == sensors.Good {
					good++
				}
			}
		}
		b.Logf("%d good values, %d of 600 reads failed", good, failed)
		if failed > 120 || good == 0 {
			b.Errorf("%d of 600 reads failed in spite of two retries each", failed)
		}
	})
}

func TestPressureChipsAllocateNothing(tt *testing.T) {
	for i := range pressureChips {
		c := &pressureChips[i]
		m := quick(tt, c.addr, c.make(sim.Steady(indoors)))
		d := opened(tt, m, c.driver, c.given)
		var s sensors.Sample
		read := func() {
			if err := d.Read(tt.Context(), &s); err != nil {
				tt.Fatal(c.driver, err)
			}
		}
		read()
		if n := testing.AllocsPerRun(5, read); n != 0 {
			tt.Errorf("%s: a read allocates %v times, want 0", c.driver, n)
		}
	}
}

// A chip of another kind at the address is named, and nothing is read from it.
func TestPressureChipsAtWrongAddress(tt *testing.T) {
	eachPressureChip(tt, func(b *bench, c *pressureChip) {
		b.wire.Add(c.addr, sim.NewBME280(sim.Steady(indoors)))
		s, err := b.read(b.open(c.driver, c.given))
		if f := sensors.FaultOf(err); f != sensors.WrongChip && f != sensors.Garbage || len(s.Readings) > 0 {
			b.Errorf("a BME280 gave %v, %v", s.Readings, err)
		}
	})
}

// Whatever bytes come instead of the chip's: nothing panics, what is no measurement
// has no value, and no pressure is good beside a temperature that cannot be.
func FuzzPressureReplies(f *testing.F) {
	f.Add(uint8(0), uint8(12), []byte{0x12, 0x34, 0x56})
	f.Add(uint8(2), uint8(0), []byte{0xb1, 0, 0, 0, 0, 0})
	f.Fuzz(func(tt *testing.T, which, after uint8, reply []byte) {
		c := &pressureChips[int(which)%len(pressureChips)]
		onBench(tt, func(b *bench) {
			b.wire.Add(c.addr, c.make(sim.Steady(indoors)))
			b.wire.Inject(c.addr, sim.Answer(reply...).After(int(after)).Times(40))
			d := b.open(c.driver, c.given)
			for range 3 {
				s, err := b.read(d)
				if err == nil {
					err = goodButWrong(&s)
				} else {
					err = nil
				}
				if err != nil {
					b.Errorf("%s, % x after %d: %v", c.driver, reply, after, err)
				}
			}
		})
	})
}

func goodButWrong(s *sensors.Sample) error {
	for _, r := range s.Readings {
		if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) || r.Quality.Level == sensors.Bad && r.Value != 0 {
			return fmt.Errorf("%s is %v, %v", r.Quantity, r.Value, r.Quality)
		}
		if r.Quantity != p || r.Quality.Level != sensors.Good {
			continue
		}
		if temp, ok := s.Get(t); ok && (temp.Quality.Level == sensors.Bad || temp.Value < temp.Min || temp.Value > temp.Max) {
			return fmt.Errorf("pressure is good beside %v %v", temp.Value, temp.Quality)
		}
	}
	return nil
}
