package chip_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/sim"
)

// filtering are the chips that can smooth by themselves, with the register that says
// how much.
var filtering = []struct {
	driver   string
	addr     uint16
	make     func(w sim.World) sim.Device
	register byte
	over     int // oversampling at which the filter adds nothing to the resolution
}{
	{"bmp280", 0x76, func(w sim.World) sim.Device { return sim.NewBMP280(w) }, 0xf5, 16},
	{"bme280", 0x76, func(w sim.World) sim.Device { return sim.NewBME280(w) }, 0xf5, 16},
	{"bmp388", 0x76, func(w sim.World) sim.Device { return sim.NewBMP388(w) }, 0x1f, 32},
	{"bmp390", 0x76, func(w sim.World) sim.Device { return sim.NewBMP390(w) }, 0x1f, 32},
	{"bmp581", 0x46, func(w sim.World) sim.Device { return sim.NewBMP581(w) }, 0x31, 16},
	{"bmp585", 0x46, func(w sim.World) sim.Device { return sim.NewBMP585(w) }, 0x31, 16},
	{"bme680", 0x76, func(w sim.World) sim.Device { return sim.NewBME680(w) }, 0x75, 16},
	{"bme688", 0x76, func(w sim.World) sim.Device { return sim.NewBME688(w) }, 0x75, 16},
}

// After a step of the air each reading goes a share of what is left of the way, one in
// as many as filter says; humidity, and everything without a filter, is there at once.
func TestFilterSmooths(tt *testing.T) {
	before := sim.Climate{Temperature: 20, Pressure: 100000, Humidity: 40}
	after := sim.Climate{Temperature: 24, Pressure: 101000, Humidity: 50}
	for _, c := range filtering {
		choices := []string{}
		for _, k := range driver(c.driver).Keys {
			if k.Name == "filter" && k.Default == 0 {
				choices = k.Choices
			}
		}
		if len(choices) < 5 {
			tt.Errorf("%s: choices of filter, off when not set: %v", c.driver, choices)
		}
		for _, choice := range choices {
			tt.Run(c.driver+" "+choice, func(tt *testing.T) {
				onBench(tt, func(b *bench) {
					var n int
					if _, err := fmt.Sscan(choice, &n); err != nil {
						b.Fatal(err)
					}
					slams := time.Now().Add(time.Minute)
					b.wire.Add(c.addr, c.make(sim.Ramp(before, after, slams, slams.Add(1))))
					given := map[string]any{"oversample": c.over}
					if n > 0 {
						given["filter"] = n
					}
					d := b.open(c.driver, given)
					left := 1.0
					for second := range 6 {
						if second == 2 {
							time.Sleep(time.Minute)
						}
						if second >= 2 {
							left *= 1 - 1/float64(max(n, 1))
						}
						s, err := b.read(d)
						if err != nil {
							b.Fatal(err)
						}
						b.between(s, before, after, left)
						time.Sleep(time.Second)
					}
				})
			})
		}
	}
}

// between compares with air that has this share left of the way from one to the other.
func (b *bench) between(s sensors.Sample, from, to sim.Climate, left float64) {
	b.Helper()
	// Between its ends the curve of the compensation is no straight line.
	for q, w := range map[sensors.Quantity]struct{ want, within float64 }{
		t: {to.Temperature + (from.Temperature-to.Temperature)*left, 0.02},
		p: {to.Pressure + (from.Pressure-to.Pressure)*left, 8},
	} {
		if r, _ := s.Get(q); r.Quality != good || math.Abs(r.Value-w.want) > w.within {
			b.Errorf("%s with %.3f left: %v %v, want %.3f", q, left, r.Value, r.Quality, w.want)
		}
	}
}

// A filter that the chip has forgotten is set again before anything is believed.
func TestFilterIsSetAgain(tt *testing.T) {
	for _, c := range filtering {
		tt.Run(c.driver, func(tt *testing.T) {
			onBench(tt, func(b *bench) {
				b.wire.Add(c.addr, c.make(outside))
				d := b.open(c.driver, map[string]any{"filter": 8})
				if _, err := b.read(d); err != nil {
					b.Fatal(err)
				}
				was := b.register(c.addr, c.register)
				for name, forget := range map[string]func(){
					"power fails":     func() { b.wire.BrownOut(c.addr) },
					"another program": func() { b.write(c.addr, c.register, 0) },
					"a bit was lost":  func() { b.write(c.addr, c.register, was&(was-1)) },
				} {
					forget()
					time.Sleep(time.Second)
					if s, err := b.read(d); err != nil {
						b.Errorf("%s: %v", name, err)
					} else if r, _ := s.Get(p); r.Quality != good || wrongBy(r, indoors) > 6 {
						b.Errorf("%s: %+v", name, r)
					}
					if is := b.register(c.addr, c.register); is != was {
						b.Errorf("%s: its filter is 0x%02x, want 0x%02x", name, is, was)
					}
				}
			})
		})
	}
}

// register reads a register behind the driver's back, write writes one.
func (b *bench) register(addr uint16, register byte) byte {
	b.Helper()
	var one [1]byte
	if err := b.wire.Tx(addr, []byte{register}, one[:]); err != nil {
		b.Fatal(err)
	}
	return one[0]
}

func (b *bench) write(addr uint16, register, value byte) {
	b.Helper()
	if err := b.wire.Tx(addr, []byte{register, value}, nil); err != nil {
		b.Fatal(err)
	}
}
