package sim

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// on77 runs a test in a bubble with one chip at 0x77 on a wire without time.
func on77(t *testing.T, d Device, test func(b *Bus)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := NewBus("I2C1", Speed(0))
		b.Add(0x77, d)
		test(b)
	})
}

// refused expects that the chip does not acknowledge.
func refused(t *testing.T, b *Bus, w ...byte) {
	t.Helper()
	if err := b.Tx(0x77, w, make([]byte, 1)); !errors.Is(err, ErrNack) {
		t.Errorf("% x: %v, want no acknowledgement", w, err)
	}
}

func word(b []byte) (v int64) {
	for _, x := range b {
		v = v<<8 | int64(x)
	}
	return v
}

// Each chip must give back what its world was asked for, within half a step of its
// converters, through the formula of its sheet as this test reads it.
func TestBarometersMeasureTheirWorld(t *testing.T) {
	psi := 6894.757293
	for name, read := range map[string]struct {
		device           func(World) Device
		once             func(t *testing.T, b *Bus) (celsius, pascal float64)
		stepT, stepP     float64
		lowP, highP      float64
		coldest, warmest float64
	}{
		"MS5611": {func(w World) Device { return NewMS5611(w) }, readMS56(SheetTrimMS5611(), false), 0.011, 4, 30000, 110000, -40, 85},
		"MS5607": {func(w World) Device { return NewMS5607(w) }, readMS56(SheetTrimMS5607(), true), 0.011, 4, 30000, 110000, -40, 85},
		"LPS22HB": {func(w World) Device { return NewLPS22HB(w) }, func(t *testing.T, b *Bus) (float64, float64) {
			tx(t, b, 0, 0x11, 0x11)
			time.Sleep(14 * time.Millisecond)
			d := tx(t, b, 5, 0x28)
			return float64(int16(d[3])|int16(d[4])<<8) / 100, float64(word([]byte{d[2], d[1], d[0]})) / 40.96
		}, 0.006, 0.02, 30000, 110000, -40, 85},
		"LPS25HB": {func(w World) Device { return NewLPS25HB(w) }, func(t *testing.T, b *Bus) (float64, float64) {
			tx(t, b, 0, 0x20, 0x84)
			tx(t, b, 0, 0x21, 0x01)
			time.Sleep(41 * time.Millisecond)
			d := tx(t, b, 5, 0x28|0x80)
			return 42.5 + float64(int16(d[3])|int16(d[4])<<8)/480, float64(word([]byte{d[2], d[1], d[0]})) / 40.96
		}, 0.002, 0.02, 30000, 110000, -25, 85},
		"DPS310": {func(w World) Device { return NewDPS310(w) }, readDPS(PublishedTrimDPS310()), 0.001, 0.3, 30000, 110000, -40, 85},
		"MPL3115A2": {func(w World) Device { return NewMPL3115A2(w) }, func(t *testing.T, b *Bus) (float64, float64) {
			tx(t, b, 0, 0x13, 0x07)
			tx(t, b, 0, 0x26, 0x3A)
			time.Sleep(513 * time.Millisecond)
			d := tx(t, b, 6, 0x00)
			if d[0] != 0x0E {
				t.Errorf("MPL3115A2: status %02x, want 0e", d[0])
			}
			return float64(int16(word(d[4:]))) / 256, float64(word(d[1:4])) / 64
		}, 0.04, 0.13, 50000, 110000, -40, 85},
		"MPL115A2": {func(w World) Device { return NewMPL115A2(w) }, func(t *testing.T, b *Bus) (float64, float64) {
			tx(t, b, 0, 0x12, 0x00)
			time.Sleep(4 * time.Millisecond)
			d := tx(t, b, 4, 0x00)
			p, c := float64(word(d[:2])>>6), float64(word(d[2:])>>6)
			pc := 2009.75 + (-2.37585449+0.000789642334*c)*p - 0.920471191*c // the sheet's four coefficients
			return 25 + (c-472)/-5.35, (pc*65/1023 + 50) * 1000
		}, 0.1, 80, 60000, 110000, -20, 85},
		"HSC 015PA": {func(w World) Device { return NewHSC(w, TransferA, 0, 15*psi) }, func(t *testing.T, b *Bus) (float64, float64) {
			d := tx(t, b, 4)
			counts := float64(word(d[:2]) & 0x3FFF)
			return float64(word(d[2:])>>5)*200/2047 - 50, (counts - 1638.4) * 15 * psi / 13107.2
		}, 0.05, 5, 10000, 103000, -20, 85},
		"ABP2": {func(w World) Device { return NewABP2(w, TransferA, 0, 25*psi) }, func(t *testing.T, b *Bus) (float64, float64) {
			tx(t, b, 0, 0xAA, 0, 0)
			time.Sleep(5 * time.Millisecond)
			d := tx(t, b, 7)
			if d[0] != 0x40 {
				t.Errorf("ABP2: status %02x", d[0])
			}
			return float64(word(d[4:]))*200/16777215 - 50, (float64(word(d[1:4])) - 1677721.6) * 25 * psi / 13421772.8
		}, 1e-4, 0.02, 10000, 170000, -20, 85},
	} {
		random := rand.New(rand.NewPCG(7, 7))
		for range 40 {
			want := Climate{
				Temperature: read.coldest + (read.warmest-read.coldest)*random.Float64(),
				Pressure:    read.lowP + (read.highP-read.lowP)*random.Float64(),
			}
			on77(t, read.device(Steady(want)), func(b *Bus) {
				celsius, pascal := read.once(t, b)
				if math.Abs(celsius-want.Temperature) > read.stepT || math.Abs(pascal-want.Pressure) > read.stepP {
					t.Errorf("%s: %.4f °C %.2f Pa, want %.4f and %.2f", name, celsius, pascal, want.Temperature, want.Pressure)
				}
			})
		}
	}
}

// readMS56 is a reading by the sheet's flow chart, in floating point.
func readMS56(c TrimMS5611, half bool) func(*testing.T, *Bus) (float64, float64) {
	return func(t *testing.T, b *Bus) (float64, float64) {
		convert := func(command byte) float64 {
			tx(t, b, 0, command)
			time.Sleep(9040 * time.Microsecond)
			return float64(word(tx(t, b, 3, 0x00)))
		}
		d1, d2 := convert(0x48), convert(0x58)
		dT := d2 - float64(c.C5)*256
		temperature := 2000 + dT*float64(c.C6)/(1<<23)
		unit := 1.0
		if half {
			unit = 2
		}
		off := (float64(c.C2)*65536 + float64(c.C4)*dT/128) * unit
		sens := (float64(c.C1)*32768 + float64(c.C3)*dT/256) * unit
		if x := temperature - 2000; x < 0 {
			frost := min(temperature+1500, 0)
			off2, sens2 := 5*x*x/2+7*frost*frost, 5*x*x/4+11*frost*frost/2
			if half {
				off2, sens2 = 61*x*x/16+15*frost*frost, 2*x*x+8*frost*frost
			}
			temperature, off, sens = temperature-dT*dT/(1<<31), off-off2, sens-sens2
		}
		return temperature / 100, (d1*sens/(1<<21) - off) / 32768
	}
}

// readDPS measures temperature, then pressure, with one sample each.
func readDPS(c TrimDPS310) func(*testing.T, *Bus) (float64, float64) {
	return func(t *testing.T, b *Bus) (float64, float64) {
		tx(t, b, 0, 0x07, 0x80)
		tx(t, b, 0, 0x08, 0x02)
		time.Sleep(4 * time.Millisecond)
		tx(t, b, 0, 0x08, 0x01)
		time.Sleep(4 * time.Millisecond)
		d := tx(t, b, 6, 0x00)
		p, c2 := float64(wrapped(word(d[:3]), 24))/524288, float64(wrapped(word(d[3:]), 24))/524288
		return c.temperature(c2), c.pressure(p, c2)
	}
}

// What all of them have: words that are held, a slow conversion, a supply that dips.
func TestBarometerControls(t *testing.T) {
	c := NewMS5611(Steady(room), Slow(3))
	on77(t, c, func(b *Bus) {
		c.Hold(&RawWords{Pressure: 0x123456, Temperature: 0x654321})
		tx(t, b, 0, 0x48)
		time.Sleep(3*9040*time.Microsecond - 1)
		if c.Conversions() != 0 {
			t.Error("a conversion has ended too early")
		}
		time.Sleep(1)
		if got := word(tx(t, b, 3, 0)); got != 0x123456 || c.Conversions() != 1 {
			t.Errorf("held: %06x after %d conversions", got, c.Conversions())
		}
		c.Tune(Slow(1))
		tx(t, b, 0, 0x58)
		b.BrownOut(0x77)
		refused(t, b, 0x00)
		time.Sleep(10 * time.Millisecond)
		if got := word(tx(t, b, 3, 0)); got != 0 {
			t.Errorf("after a brown-out: %06x, want the conversion to be forgotten", got)
		}
	})
}
