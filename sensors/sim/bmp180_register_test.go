package sim

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// onBMP180 runs a test in a bubble with one BMP180 at 0x77 on a wire without time.
func onBMP180(t *testing.T, test func(b *Bus, c *BMP180), options ...ChipOption) {
	t.Helper()
	onWire(t, 0x77, NewBMP180(Steady(room), options...), test)
}

func tx(t *testing.T, b *Bus, n int, w ...byte) []byte {
	t.Helper()
	r := make([]byte, n)
	if err := b.Tx(0x77, w, r); err != nil {
		t.Fatalf("% x: %v", w, err)
	}
	return r
}

func TestBMP180PowerUp(t *testing.T) {
	onBMP180(t, func(b *Bus, c *BMP180) {
		if got := tx(t, b, 1, 0xD0); got[0] != 0x55 {
			t.Errorf("id %02x", got)
		}
		if got := tx(t, b, 5, 0xF4); !bytes.Equal(got, []byte{0, 0, 0x80, 0, 0}) {
			t.Errorf("F4 to F8: % x", got)
		}
		// AC1 = 408 first, MD = 2868 last, high bytes first (table 5).
		if got := tx(t, b, 22, 0xAA); !bytes.Equal(got[:2], []byte{0x01, 0x98}) || !bytes.Equal(got[20:], []byte{0x0B, 0x34}) {
			t.Errorf("calibration: % x", got)
		}
	})
}

func TestBMP180Conversions(t *testing.T) {
	for _, v := range []struct {
		word    byte
		longest time.Duration
		typical time.Duration
	}{
		{0x2E, 4500 * time.Microsecond, 3 * time.Millisecond},
		{0x34, 4500 * time.Microsecond, 3 * time.Millisecond},
		{0x74, 7500 * time.Microsecond, 5 * time.Millisecond},
		{0xB4, 13500 * time.Microsecond, 9 * time.Millisecond},
		{0xF4, 25500 * time.Microsecond, 17 * time.Millisecond},
	} {
		check := func(takes time.Duration, options ...ChipOption) {
			onBMP180(t, func(b *Bus, c *BMP180) {
				tx(t, b, 0, 0xF4, v.word)
				time.Sleep(takes - 1)
				if got := tx(t, b, 5, 0xF4); !bytes.Equal(got, []byte{v.word, 0, 0x80, 0, 0}) {
					t.Errorf("%02x: % x before the end, want sco and old data", v.word, got)
				}
				time.Sleep(1)
				if got := tx(t, b, 5, 0xF4); got[0] != v.word&^0x20 || got[2] == 0x80 && got[3] == 0 {
					t.Errorf("%02x: % x at the end", v.word, got)
				}
				if c.Conversions() != 1 {
					t.Errorf("%02x: %d conversions", v.word, c.Conversions())
				}
			}, options...)
		}
		check(v.longest)
		check(v.typical, Typical())
		check(2*v.longest, Slow(2))
	}
}

func TestBMP180Commands(t *testing.T) {
	onBMP180(t, func(b *Bus, c *BMP180) {
		tx(t, b, 0, 0xF4, 0x2E)
		tx(t, b, 0, 0xF4, 0xF4) // ignored: busy
		time.Sleep(4500 * time.Microsecond)
		temperature := tx(t, b, 3, 0xF6)
		if got := tx(t, b, 1, 0xF4)[0]; got != 0x0E {
			t.Errorf("control %02x after the conversion, want 0e", got)
		}
		tx(t, b, 0, 0xF4, 0x14) // no sco, no conversion
		tx(t, b, 0, 0xF4, 0x3F) // no such measurement
		tx(t, b, 0, 0xF6, 0x55) // read-only
		time.Sleep(time.Second)
		if got := tx(t, b, 3, 0xF6); !bytes.Equal(got, temperature) || c.Conversions() != 1 {
			t.Errorf("data % x after %d conversions, want % x after 1", got, c.Conversions(), temperature)
		}
		tx(t, b, 0, 0xF4, 0xF4)
		time.Sleep(26 * time.Millisecond)
		if got := tx(t, b, 3, 0xF6); got[2]&0x1F != 0 {
			t.Errorf("% x: more than 19 bits", got)
		}
	})
}

func TestBMP180ResetAndHold(t *testing.T) {
	onBMP180(t, func(b *Bus, c *BMP180) {
		c.Hold(&RawBMP180{Temperature: 0x1234, Pressure: 0x23456})
		tx(t, b, 0, 0xF4, 0x2E)
		time.Sleep(5 * time.Millisecond)
		if got := tx(t, b, 3, 0xF6); !bytes.Equal(got, []byte{0x12, 0x34, 0}) {
			t.Errorf("held temperature % x", got)
		}
		tx(t, b, 0, 0xF4, 0xB4)
		time.Sleep(14 * time.Millisecond)
		if got := tx(t, b, 3, 0xF6); !bytes.Equal(got, []byte{0x8D, 0x15, 0x80}) { // 0x23456 << 6
			t.Errorf("held pressure % x", got)
		}
		tx(t, b, 0, 0xE0, 0xB6)
		if err := b.Tx(0x77, []byte{0xD0}, make([]byte, 1)); !errors.Is(err, ErrNack) {
			t.Errorf("right after a reset: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
		if got := tx(t, b, 5, 0xF4); !bytes.Equal(got, []byte{0, 0, 0x80, 0, 0}) {
			t.Errorf("after a reset: % x", got)
		}
		c.Tune(ChipID(0x58))
		if got := tx(t, b, 1, 0xD0)[0]; got != 0x58 {
			t.Errorf("clone says %02x", got)
		}
	})
}

func TestBMP085ShowsNoEnd(t *testing.T) {
	onBMP180(t, func(b *Bus, c *BMP180) {
		c.old = true
		tx(t, b, 0, 0xE0, 0xB6) // it has no soft reset
		tx(t, b, 0, 0xF4, 0x2E)
		if got := tx(t, b, 5, 0xF4); !bytes.Equal(got, []byte{0, 0, 0x80, 0, 0}) {
			t.Errorf("during the conversion: % x", got)
		}
		time.Sleep(4500 * time.Microsecond)
		if got := tx(t, b, 5, 0xF4); got[0] != 0 || got[2] == 0x80 && got[3] == 0 {
			t.Errorf("after it: % x", got)
		}
	})
}
