package sim

import (
	"bytes"
	"math"
	"testing"
	"time"
)

func TestDPS310Vectors(t *testing.T) {
	real := PublishedTrimDPS310()
	if got := real.temperature(200498.0 / 524288); math.Abs(got - -2.578) > 0.001 {
		t.Errorf("published part: %.4f °C, want -2.578", got)
	}
	made := TrimDPS310{209, -260, 81059, -53500, -2150, 1300, -9700, 130, -1000}
	if got := made.temperature(100000.0 / 524288); math.Abs(got-54.908936) > 1e-6 {
		t.Errorf("%.6f °C, want 54.908936", got)
	}
	if got := made.pressure(-300000.0/524288, 100000.0/524288); math.Abs(got-108139.4976) > 1e-4 {
		t.Errorf("%.4f Pa, want 108139.4976", got)
	}
}

// Each coefficient has its place, its width and its sign.
func TestDPS310Layout(t *testing.T) {
	for _, v := range []struct {
		trim TrimDPS310
		want string
	}{
		{TrimDPS310{C0: -2048}, "80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"},
		{TrimDPS310{C1: -1}, "00 0F FF 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"},
		{TrimDPS310{C00: -524288}, "00 00 00 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00"},
		{TrimDPS310{C10: -1}, "00 00 00 00 00 0F FF FF 00 00 00 00 00 00 00 00 00 00"},
		{TrimDPS310{C01: -2, C11: 3}, "00 00 00 00 00 00 00 00 FF FE 00 03 00 00 00 00 00 00"},
		{TrimDPS310{C20: 1, C21: 2, C30: -32768}, "00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 02 80 00"},
	} {
		if got := v.trim.layout(); !bytes.Equal(got[:], unhex(t, v.want)) {
			t.Errorf("%+v: % x, want %s", v.trim, got, v.want)
		}
	}
}

func TestDPS310Start(t *testing.T) {
	c := NewDPS310(Steady(room))
	on77(t, c, func(b *Bus) {
		if got := tx(t, b, 1, 0x0D)[0]; got != 0x10 {
			t.Errorf("id %02x", got)
		}
		coef := tx(t, b, 18, 0x10)
		tx(t, b, 0, 0x0C, 0x09)
		refused(t, b, 0x08)
		for _, v := range []struct {
			wait time.Duration
			want byte
		}{{2500 * time.Microsecond, 0x00}, {9500 * time.Microsecond, 0x40}, {28 * time.Millisecond, 0xC0}} {
			time.Sleep(v.wait)
			if got := tx(t, b, 1, 0x08)[0]; got != v.want {
				t.Errorf("MEAS_CFG %02x, want %02x", got, v.want)
			}
			if got := tx(t, b, 18, 0x10); bytes.Equal(got, coef) != (v.want == 0xC0) {
				t.Errorf("coefficients % x at %02x", got, v.want)
			}
		}
		if got := tx(t, b, 6, 0x00); !bytes.Equal(got, []byte{0x80, 0, 0, 0x80, 0, 0}) {
			t.Errorf("data % x before a measurement", got)
		}
	})
}

func TestDPS310Measuring(t *testing.T) {
	c := NewDPS310(Steady(room))
	on77(t, c, func(b *Bus) {
		tx(t, b, 0, 0x06, 0x03, 0x83) // 8 samples each
		tx(t, b, 0, 0x08, 0x02)
		tx(t, b, 0, 0x08, 0x01) // not idle: ignored
		time.Sleep(14799 * time.Microsecond)
		if got := tx(t, b, 1, 0x08)[0]; got != 0xC2 {
			t.Errorf("MEAS_CFG %02x while measuring, want c2", got)
		}
		time.Sleep(time.Microsecond)
		if got := tx(t, b, 1, 0x08)[0]; got != 0xE0 {
			t.Errorf("MEAS_CFG %02x afterwards, want e0", got)
		}
		tx(t, b, 3, 0x03)
		tx(t, b, 0, 0x08, 0x01)
		time.Sleep(15 * time.Millisecond)
		if got := tx(t, b, 1, 0x08)[0]; got != 0xD0 {
			t.Errorf("MEAS_CFG %02x after a pressure, want d0", got)
		}
		tx(t, b, 3, 0x00)
		if got := tx(t, b, 1, 0x08)[0]; got != 0xC0 {
			t.Errorf("MEAS_CFG %02x after reading it, want c0", got)
		}
		tx(t, b, 0, 0x08, 0x07)
		time.Sleep(10*time.Second + 100*time.Millisecond)
		if got := tx(t, b, 1, 0x08)[0]; got != 0xF7 || c.Conversions() != 13 {
			t.Errorf("MEAS_CFG %02x after %d conversions, want f7 after 13", got, c.Conversions())
		}
		tx(t, b, 0, 0x08, 0x00)
		time.Sleep(10 * time.Second)
		tx(t, b, 0, 0x08)
		if c.Conversions() != 13 {
			t.Errorf("%d conversions while idle", c.Conversions())
		}
	})
}

// celsius310 measures a temperature with so many samples (as a power of two).
func celsius310(t *testing.T, b *Bus, samples, source byte) float64 {
	t.Helper()
	tx(t, b, 0, 0x07, samples|source)
	tx(t, b, 0, 0x08, 0x02)
	time.Sleep(210 * time.Millisecond)
	trim := PublishedTrimDPS310()
	raw := wrapped(word(tx(t, b, 3, 0x03)), 24)
	return trim.temperature(float64(raw) / float64([8]int{524288, 1572864, 3670016, 7864320, 253952, 516096, 1040384, 2088960}[samples]))
}

// Above 8 samples the result needs its shift; below it must not have it.
func TestDPS310Shift(t *testing.T) {
	on77(t, NewDPS310(Steady(room)), func(b *Bus) {
		for samples := range byte(8) {
			for _, shift := range []byte{0x00, 0x04, 0x08} {
				tx(t, b, 0, 0x09, shift)
				right := (samples > 3) == (shift == 0x08)
				if got := celsius310(t, b, samples, 0x80); (math.Abs(got-room.Temperature) < 0.01) != right {
					t.Errorf("%d samples, CFG_REG %02x: %.2f °C", 1<<samples, shift, got)
				}
			}
		}
	})
}

func TestDPS310Source(t *testing.T) {
	c := NewDPS310(Steady(room))
	on77(t, c, func(b *Bus) {
		for _, element := range []bool{true, false} {
			c.SetSource(element)
			source := tx(t, b, 1, 0x28)[0]
			if (source == 0x80) != element {
				t.Errorf("COEF_SRCE %02x, element %v", source, element)
			}
			if got := celsius310(t, b, 0, source); math.Abs(got-room.Temperature) > 0.01 {
				t.Errorf("its own source: %.2f °C", got)
			}
			if got := celsius310(t, b, 0, source^0x80); math.Abs(got-room.Temperature) < 5 {
				t.Errorf("the other source: %.2f °C", got)
			}
		}
	})
}

func TestDPS310ReadsHot(t *testing.T) {
	c := NewDPS310(Steady(room))
	on77(t, c, func(b *Bus) {
		if got := tx(t, b, 1, 0x32)[0] & 0x02; got == 0 {
			t.Error("a sound part asks for the remedy")
		}
		c.ReadHot(true)
		if got := tx(t, b, 1, 0x32)[0] & 0x02; got != 0 {
			t.Error("a hot part does not ask for the remedy")
		}
		hot := func(want bool, when string) {
			t.Helper()
			if got := celsius310(t, b, 0, 0x80); (got > 55) != want {
				t.Errorf("%s: %.2f °C", when, got)
			}
		}
		hot(true, "at first")
		remedy := func(order ...int) {
			for _, i := range order {
				tx(t, b, 0, [][]byte{{0x0E, 0xA5}, {0x0F, 0x96}, {0x62, 0x02}, {0x0E, 0x00}, {0x0F, 0x00}}[i]...)
			}
		}
		remedy(0, 1, 2, 3)
		hot(true, "without the last write")
		remedy(0, 2, 1, 3, 4)
		hot(true, "out of order")
		hot(true, "out of order, again")
		remedy(0, 0, 1, 2, 3, 4)
		hot(true, "the first measurement after the remedy")
		hot(false, "the second one")
		tx(t, b, 0, 0x0C, 0x89)
		time.Sleep(50 * time.Millisecond)
		hot(true, "after a reset")
	})
}
