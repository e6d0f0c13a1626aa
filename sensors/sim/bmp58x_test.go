package sim

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"
)

func onBMP58x(t *testing.T, w World, test func(b *Bus, c *BMP58x), options ...ChipOption) {
	t.Helper()
	onWire(t, 0x76, NewBMP581(w, options...), test)
}

// force measures once and returns the six data bytes.
func (c *BMP58x) force(t *testing.T, b *Bus) []byte {
	t.Helper()
	write(t, b, 0x37, 0xF2)
	time.Sleep(200 * time.Millisecond)
	return registers(t, b, 0x1D, 6)
}

// 25 °C and 101325 Pa have published words; negative temperatures are the two's
// complement.
func TestBMP58xWords(t *testing.T) {
	for _, v := range []struct {
		climate Climate
		want    []byte
	}{
		{Climate{25, 101325, 0}, []byte{0x00, 0x00, 0x19, 0x40, 0xF3, 0x62}},
		{Climate{-0.5, 30000, 0}, []byte{0x00, 0x80, 0xFF, 0x00, 0x4C, 0x1D}},
		{Climate{-40, 125000, 0}, []byte{0x00, 0x00, 0xD8, 0x00, 0x12, 0x7A}},
	} {
		onBMP58x(t, Steady(v.climate), func(b *Bus, c *BMP58x) {
			write(t, b, 0x36, 0x40)
			c.force(t, b)
			if got := c.force(t, b); !bytes.Equal(got, v.want) {
				t.Errorf("%+v: % x, want % x", v.climate, got, v.want)
			}
		})
	}
}

func TestBMP58xPowerUp(t *testing.T) {
	onBMP58x(t, Steady(room), func(b *Bus, c *BMP58x) {
		for _, v := range []struct{ register, want byte }{
			{0x01, 0x50}, {0x1D, 0x7F}, {0x22, 0x7F}, {0x27, 0x10}, {0x27, 0x00}, {0x28, 0x03}, {0x36, 0x00}, {0x37, 0x70}, {0x7E, 0x00},
		} {
			if got := registers(t, b, v.register, 1)[0]; got != v.want {
				t.Errorf("%02x: %02x, want %02x", v.register, got, v.want)
			}
		}
		write(t, b, 0x36, 0x7F)
		if err := b.Tx(0x76, []byte{0x7E, 0xB6}, nil); !errors.Is(err, ErrNack) {
			t.Errorf("a soft reset is acknowledged: %v", err)
		}
		time.Sleep(2 * time.Millisecond)
		if got := registers(t, b, 0x28, 1)[0]; got != 0x01 {
			t.Errorf("status %02x 2 ms after a reset, want the NVM not ready", got)
		}
		time.Sleep(time.Millisecond)
		if got := append(registers(t, b, 0x27, 2), registers(t, b, 0x36, 1)...); !bytes.Equal(got, []byte{0x10, 0x03, 0x00}) {
			t.Errorf("interrupt status, status and OSR % x after a reset, want 10 03 00", got)
		}
	})
	if c := NewBMP585(Steady(room)); c.tuning.id != 0x51 {
		t.Errorf("a BMP585 says %02x", c.tuning.id)
	}
}

func TestBMP58xFirstMeasurementIsEmpty(t *testing.T) {
	onBMP58x(t, Steady(room), func(b *Bus, c *BMP58x) {
		never := bytes.Repeat([]byte{0x7F}, 6)
		for range 2 {
			write(t, b, 0x15, 0x01, 0x00) // the second value goes to the register that follows
			write(t, b, 0x36, 0x40)
			if got := c.force(t, b); !bytes.Equal(got, never) {
				t.Errorf("first measurement: % x", got)
			}
			if got := registers(t, b, 0x27, 1)[0]; got&1 == 0 {
				t.Errorf("first measurement: interrupt status %02x, want data ready", got)
			}
			if got := c.force(t, b); got[2] != 0x15 || got[5] == 0x7F {
				t.Errorf("second measurement: % x, want 21.5 °C", got)
			}
			write(t, b, 0x36, 0x00) // without pressure
			if got := c.force(t, b); !bytes.Equal(got[3:], never[:3]) || got[2] != 0x15 {
				t.Errorf("without pressure: % x", got)
			}
			b.BrownOut(0x76)
			time.Sleep(10 * time.Millisecond)
		}
	})
}

func TestBMP58xForcedConversion(t *testing.T) {
	for _, v := range []struct {
		name    string
		options []ChipOption
		osr     byte
		want    time.Duration
	}{
		{"×1 ×1, typical", []ChipOption{Typical()}, 0x40, 3000 * time.Microsecond},
		{"×1 ×1", nil, 0x40, 3200 * time.Microsecond},
		{"×128 ×8", nil, 0x7B, 91750 * time.Microsecond},
		{"temperature", nil, 0x00, 2100 * time.Microsecond},
		{"slow", []ChipOption{Slow(2)}, 0x40, 6400 * time.Microsecond},
	} {
		onBMP58x(t, Steady(room), func(b *Bus, c *BMP58x) {
			write(t, b, 0x15, 0x01)
			write(t, b, 0x36, v.osr, 0xF2) // and the register that follows: the mode
			registers(t, b, 0x27, 1)
			time.Sleep(v.want - 1)
			if got := append(registers(t, b, 0x27, 1), registers(t, b, 0x37, 1)...); !bytes.Equal(got, []byte{0x00, 0xF2}) {
				t.Errorf("%s: % x a moment before the end, want 00 f2", v.name, got)
			}
			time.Sleep(1)
			if got := append(registers(t, b, 0x27, 1), registers(t, b, 0x37, 1)...); !bytes.Equal(got, []byte{0x01, 0xF0}) {
				t.Errorf("%s: % x at the end, want 01 f0", v.name, got)
			}
		}, v.options...)
	}
}

func TestBMP58xNormalModeAndFilter(t *testing.T) {
	onBMP58x(t, Steady(room), func(b *Bus, c *BMP58x) {
		write(t, b, 0x30, 0x28, 0x10) // filtered values, pressure coefficient 3
		write(t, b, 0x36, 0x40, 0x80|0x17<<2|1)
		write(t, b, 0x31, 0x00) // not outside standby
		time.Sleep(time.Second)
		registers(t, b, 0x27, 1)
		if n := c.Conversions(); n != 10 {
			t.Errorf("%d conversions in a second at 10 Hz", n)
		}
		if got := registers(t, b, 0x31, 1)[0]; got != 0x10 {
			t.Errorf("filter %02x written in normal mode", got)
		}
		c.Tune(In(Steady(Climate{room.Temperature, 90000, 0})))
		time.Sleep(100 * time.Millisecond)
		d := registers(t, b, 0x20, 3)
		got := float64(int(d[0])|int(d[1])<<8|int(d[2])<<16) / 64
		if want := room.Pressure + (90000-room.Pressure)/4; math.Abs(got-want) > 0.1 {
			t.Errorf("%.1f Pa one sample after a step, want a quarter of the way: %.1f", got, want)
		}
		write(t, b, 0x37, 0x80)
		time.Sleep(time.Second)
		registers(t, b, 0x27, 1)
		n := c.Conversions()
		time.Sleep(time.Second)
		registers(t, b, 0x27, 1)
		if c.Conversions() != n {
			t.Error("it measures in standby")
		}
		write(t, b, 0x36, 0x40, 0x83) // continuous
		time.Sleep(time.Second)
		registers(t, b, 0x27, 1)
		if got := c.Conversions() - n; got < 440 || got > 460 {
			t.Errorf("%d conversions in a second of continuous mode, want about 454", got)
		}
	})
}

func TestBMP58xHoldAndClone(t *testing.T) {
	onBMP58x(t, Steady(room), func(b *Bus, c *BMP58x) {
		c.Hold(&RawBMP58x{Temperature: 0x123456, Pressure: 0xABCDEF})
		if got := c.force(t, b); !bytes.Equal(got, []byte{0x56, 0x34, 0x12, 0xEF, 0xCD, 0xAB}) {
			t.Errorf("held: % x", got)
		}
		c.Tune(ChipID(0x51))
		if got := registers(t, b, 0x01, 1)[0]; got != 0x51 {
			t.Errorf("clone says %02x", got)
		}
	})
}
