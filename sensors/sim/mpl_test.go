package sim

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"
)

// 62F340 is 101325 Pa, and 190000 would be 25 °C with three bytes; here it is 1900.
func TestMPL3115A2Vector(t *testing.T) {
	c := NewMPL3115A2(Steady(Climate{Pressure: 101325, Temperature: 25}))
	if got := c.words(morning); got != (RawWords{Pressure: 0x62F340, Temperature: 0x1900}) {
		t.Errorf("%x", got)
	}
	c.Tune(In(Steady(Climate{Pressure: 101325.25, Temperature: -0.5})))
	if got := c.words(morning); got != (RawWords{Pressure: 0x62F350, Temperature: -0x80}) {
		t.Errorf("%x", got)
	}
	c.registers[mpl3Ctrl1] = mpl3Altitude
	c.Tune(In(Steady(Climate{Pressure: 90000, Temperature: 25})))
	if got := c.words(morning); math.Abs(float64(got.Pressure)/256-988.5) > 0.2 { // 900 hPa: 988.50 m
		t.Errorf("%.2f m", float64(got.Pressure)/256)
	}
}

func TestMPL3115A2OneShot(t *testing.T) {
	c := NewMPL3115A2(Steady(room))
	on77(t, c, func(b *Bus) {
		if got := tx(t, b, 1, 0x0C)[0]; got != 0xC4 {
			t.Errorf("id %02x", got)
		}
		if got := tx(t, b, 2, 0x14); !bytes.Equal(got, []byte{0xC5, 0xE7}) {
			t.Errorf("BAR_IN % x", got)
		}
		for os, takes := range []time.Duration{6, 10, 18, 34, 66, 130, 258, 512} {
			tx(t, b, 0, 0x13, 0x07)
			word := byte(os) << 3
			tx(t, b, 0, 0x26, word)
			tx(t, b, 0, 0x26, word|0x02)
			time.Sleep(takes*time.Millisecond - 1)
			if got, s := tx(t, b, 1, 0x26)[0], tx(t, b, 1, 0x00)[0]; got != word|0x02 || s != 0 {
				t.Errorf("OS %d: control %02x, status %02x before the end", os, got, s)
			}
			time.Sleep(1)
			if got, s := tx(t, b, 1, 0x26)[0], tx(t, b, 1, 0x06)[0]; got != word || s != 0x0E {
				t.Errorf("OS %d: control %02x, status %02x at the end", os, got, s)
			}
			tx(t, b, 3, 0x01)
			if s := tx(t, b, 1, 0x00)[0]; s != 0x02 {
				t.Errorf("OS %d: status %02x after reading pressure, want 02", os, s)
			}
			tx(t, b, 2, 0x04)
			if s := tx(t, b, 1, 0x00)[0]; s != 0x00 {
				t.Errorf("OS %d: status %02x after reading all", os, s)
			}
		}
		// Without PT_DATA_CFG nothing is said to be new.
		tx(t, b, 0, 0x13, 0x00)
		tx(t, b, 0, 0x26, 0x02)
		time.Sleep(6 * time.Millisecond)
		if got := tx(t, b, 6, 0x00); got[0] != 0 || got[1] == 0 {
			t.Errorf("% x", got)
		}
	})
}

func TestMPL3115A2ActiveAndReset(t *testing.T) {
	c := NewMPL3115A2(Steady(room))
	on77(t, c, func(b *Bus) {
		tx(t, b, 0, 0x13, 0x07)
		tx(t, b, 0, 0x26, 0x01)
		tx(t, b, 0, 0x13, 0x00) // not in standby: ignored
		time.Sleep(3*time.Second + 10*time.Millisecond)
		if s := tx(t, b, 1, 0x00)[0]; s != 0xEE || c.Conversions() != 4 {
			t.Errorf("status %02x after %d conversions, want ee after 4", s, c.Conversions())
		}
		if err := b.Tx(0x77, []byte{0x26, 0x04}, nil); !errors.Is(err, ErrNack) {
			t.Errorf("the reset bit was acknowledged: %v", err)
		}
		refused(t, b, 0x0C)
		time.Sleep(10 * time.Millisecond)
		if got := tx(t, b, 6, 0x00); !bytes.Equal(got, make([]byte, 6)) || tx(t, b, 1, 0x26)[0] != 0 {
			t.Errorf("after a reset: % x", got)
		}
	})
}

// The worked example of AN3785: counts 410 and 507 are 96.587 kPa.
func TestMPL115A2Vector(t *testing.T) {
	trim := SheetTrimMPL115()
	if got := trim.pascal(410, 507); math.Abs(got-96587) > 1 {
		t.Errorf("%.1f Pa, want 96587", got)
	}
	c := NewMPL115A2(Steady(Climate{Pressure: 96587, Temperature: 25 - 35/5.35}))
	on77(t, c, func(b *Bus) {
		if got := tx(t, b, 12, 0x00); !bytes.Equal(got, unhex(t, "00 00 00 00 3E CE B3 F9 C5 17 33 C8")) {
			t.Errorf("% x before a conversion", got)
		}
		tx(t, b, 0, 0x12, 0x00)
		time.Sleep(3*time.Millisecond - 1)
		if got := tx(t, b, 4, 0x00); !bytes.Equal(got, make([]byte, 4)) {
			t.Errorf("% x too early", got)
		}
		time.Sleep(1)
		if got := tx(t, b, 4, 0x00); !bytes.Equal(got, unhex(t, "66 80 7E C0")) {
			t.Errorf("% x, want 66 80 7e c0", got)
		}
		b.BrownOut(0x77)
		refused(t, b, 0x00)
		time.Sleep(5 * time.Millisecond)
		if got := tx(t, b, 4, 0x00); !bytes.Equal(got, make([]byte, 4)) {
			t.Errorf("% x after a brown-out", got)
		}
	})
}
