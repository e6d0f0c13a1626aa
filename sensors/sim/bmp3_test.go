package sim

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// The dump of a real BMP388 and what its maker's formula gives for it, as published
// by the elixir bmp3xx project.
func TestBMP3Vector(t *testing.T) {
	trim := TypicalTrimBMP3()
	want := [21]byte{0x23, 0x6B, 0x58, 0x49, 0xF6, 0x5C, 0xFF, 0xCE, 0xF4, 0x23, 0x00, 0xEA, 0x63, 0x6E, 0x79, 0xF3, 0xF6, 0xAA, 0x43, 0x12, 0xC4}
	if got := trim.layout(); got != want {
		t.Errorf("words lie as % x, want % x", got, want)
	}
	celsius := trim.celsius(0x85D873)
	if math.Abs(celsius-30.4993144539) > 1e-9 {
		t.Errorf("%.10f °C, want 30.4993144539", celsius)
	}
	if got := trim.pascal(0x6D9F97, celsius); math.Abs(got-100876.006347) > 1e-5 {
		t.Errorf("%.6f Pa, want 100876.006347", got)
	}
}

func TestBMP3RoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	trim := TypicalTrimBMP3()
	for range 2000 {
		celsius, pascal := -40+125*random.Float64(), 30000+95000*random.Float64()
		got := trim.celsius(trim.rawTemperature(celsius))
		if math.Abs(got-celsius) > 2e-5 {
			t.Fatalf("%.5f °C comes back as %.5f", celsius, got)
		}
		if back := trim.pascal(trim.rawPressure(pascal, got), got); math.Abs(back-pascal) > 0.02 {
			t.Fatalf("%.3f Pa at %.2f °C comes back as %.3f", pascal, celsius, back)
		}
	}
}

// onBMP3 runs a test in a bubble with one chip at 0x76 on a wire without time.
func onBMP3(t *testing.T, test func(b *Bus, c *BMP3), options ...ChipOption) {
	t.Helper()
	onWire(t, 0x76, NewBMP388(Steady(room), options...), test)
}

func TestBMP3PowerUp(t *testing.T) {
	onBMP3(t, func(b *Bus, c *BMP3) {
		for _, v := range []struct {
			register byte
			want     []byte
		}{
			{0x00, []byte{0x50}}, {0x02, []byte{0x00, 0x10, 0, 0, 0x80, 0, 0, 0x80}},
			{0x10, []byte{0x01, 0x00}}, {0x10, []byte{0x00}}, // por_detected, cleared by reading
			{0x1B, []byte{0, 0x02, 0, 0, 0}}, {0x7E, []byte{0}},
		} {
			if got := registers(t, b, v.register, len(v.want)); !bytes.Equal(got, v.want) {
				t.Errorf("%02x: % x, want % x", v.register, got, v.want)
			}
		}
	})
	if c := NewBMP390(Steady(room)); c.tuning.id != 0x60 {
		t.Errorf("a BMP390 says %02x", c.tuning.id)
	}
}

func TestBMP3ForcedConversion(t *testing.T) {
	for _, v := range []struct {
		name       string
		options    []ChipOption
		osr, power byte
		want       time.Duration
		status     byte
	}{
		{"×1 ×1", nil, 0x00, 0x13, 4979 * time.Microsecond, 0x70},
		{"typical", []ChipOption{Typical()}, 0x00, 0x13, 4939 * time.Microsecond, 0x70},
		{"×32 ×2", nil, 0x0D, 0x13, 69619 * time.Microsecond, 0x70},
		{"temperature alone", nil, 0x00, 0x12, 2567 * time.Microsecond, 0x50},
		{"code 10 is forced too", nil, 0x00, 0x23, 4979 * time.Microsecond, 0x70},
		{"slow", []ChipOption{Slow(2)}, 0x00, 0x13, 9958 * time.Microsecond, 0x70},
	} {
		onBMP3(t, func(b *Bus, c *BMP3) {
			write(t, b, 0x1C, v.osr, 0x1B, v.power)
			write(t, b, 0x1B, v.power) // ignored
			time.Sleep(v.want - 1)
			if got := registers(t, b, 0x03, 1)[0]; got != 0x10 {
				t.Errorf("%s: status %02x a moment before the end", v.name, got)
			}
			if got := registers(t, b, 0x1B, 1)[0]; got != v.power {
				t.Errorf("%s: power control %02x a moment before the end", v.name, got)
			}
			time.Sleep(1)
			if got := registers(t, b, 0x03, 1)[0]; got != v.status {
				t.Errorf("%s: status %02x at the end, want %02x", v.name, got, v.status)
			}
			if got := registers(t, b, 0x1B, 1)[0]; got != v.power&3 {
				t.Errorf("%s: power control %02x at the end, want %02x", v.name, got, v.power&3)
			}
			if got := registers(t, b, 0x11, 2); got[0] != 0x08 {
				t.Errorf("%s: interrupt status %02x", v.name, got[0])
			}
			registers(t, b, 0x04, 6)
			if got := append(registers(t, b, 0x03, 1), registers(t, b, 0x11, 1)...); !bytes.Equal(got, []byte{0x10, 0}) {
				t.Errorf("%s: status % x after reading, want 10 00", v.name, got)
			}
			if n := c.Conversions(); n != 1 {
				t.Errorf("%s: %d conversions", v.name, n)
			}
		}, v.options...)
	}
}

func TestBMP3Values(t *testing.T) {
	onBMP3(t, func(b *Bus, c *BMP3) {
		write(t, b, 0x1C, 0x2D, 0x1B, 0x13) // ×32
		time.Sleep(200 * time.Millisecond)
		d, trim := registers(t, b, 0x04, 6), TypicalTrimBMP3()
		word := func(b []byte) int64 { return int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16 }
		celsius := trim.celsius(word(d[3:]))
		closeTo(t, "BMP388", Climate{Temperature: celsius, Pressure: trim.pascal(word(d), celsius)}, Climate{room.Temperature, room.Pressure, 0}, Climate{0.001, 0.2, 0})
		write(t, b, 0x1B, 0x11) // pressure alone
		time.Sleep(200 * time.Millisecond)
		if got := registers(t, b, 0x07, 3); !bytes.Equal(got, []byte{0, 0, 0x80}) {
			t.Errorf("temperature that is off: % x, want 00 00 80", got)
		}
	})
}

func TestBMP3Errors(t *testing.T) {
	onBMP3(t, func(b *Bus, c *BMP3) {
		write(t, b, 0x7E, 0x99)
		if got := append(registers(t, b, 0x02, 1), registers(t, b, 0x02, 1)...); !bytes.Equal(got, []byte{0x02, 0}) {
			t.Errorf("after an unknown command: % x, want 02, then 00", got)
		}
		write(t, b, 0x1C, 0x05, 0x1D, 0x00, 0x1B, 0x33) // ×32 at 200 Hz
		if got := append(registers(t, b, 0x02, 1), registers(t, b, 0x1B, 1)...); !bytes.Equal(got, []byte{0x04, 0x03}) {
			t.Errorf("normal mode that is too fast: % x, want 04 03", got)
		}
		write(t, b, 0x1B, 0x33, 0x7E, 0xB6)
		if err := b.Tx(0x76, []byte{0}, make([]byte, 1)); !errors.Is(err, ErrNack) {
			t.Errorf("right after a reset: %v", err)
		}
		time.Sleep(time.Millisecond)
		if got := registers(t, b, 0x31, 3); !bytes.Equal(got, []byte{0, 0, 0}) || registers(t, b, 0x03, 1)[0] != 0 {
			t.Errorf("1 ms after a reset: trimming words % x, want none yet and no cmd_rdy", got)
		}
		write(t, b, 0x7E, 0xB6)
		time.Sleep(time.Millisecond)
		if got := registers(t, b, 0x02, 2); !bytes.Equal(got, []byte{0x02, 0x10}) {
			t.Errorf("a command that came too early: % x, want cmd_err and cmd_rdy", got)
		}
		if got := registers(t, b, 0x10, 1)[0]; got != 1 {
			t.Errorf("event %02x after a reset", got)
		}
	})
}

func TestBMP3NormalMode(t *testing.T) {
	onBMP3(t, func(b *Bus, c *BMP3) {
		write(t, b, 0x1C, 0x00, 0x1D, 0x02, 0x1B, 0x33) // 20 ms
		for i := range 5 {
			time.Sleep(20 * time.Millisecond)
			registers(t, b, 0x03, 1)
			if n := c.Conversions(); n != i+1 {
				t.Errorf("%d conversions after %d periods", n, i+1)
			}
		}
		time.Sleep(1000 * time.Hour)
		registers(t, b, 0x03, 1)
		if got, want := c.Conversions(), int(1000*time.Hour/(20*time.Millisecond))+5; got != want {
			t.Errorf("%d conversions, want %d", got, want)
		}
		write(t, b, 0x1B, 0x03) // sleep, when the running one is over
		time.Sleep(time.Second)
		registers(t, b, 0x03, 1)
		n := c.Conversions()
		time.Sleep(time.Second)
		registers(t, b, 0x03, 1)
		if got := registers(t, b, 0x1B, 1)[0]; got != 3 || c.Conversions() != n {
			t.Errorf("asleep: power control %02x, %d conversions more", got, c.Conversions()-n)
		}
	})
}

func TestBMP3FilterHoldCloneBrownOut(t *testing.T) {
	onBMP3(t, func(b *Bus, c *BMP3) {
		once := func() []byte {
			write(t, b, 0x1B, 0x13)
			time.Sleep(5 * time.Millisecond)
			return registers(t, b, 0x04, 6)
		}
		write(t, b, 0x1C, 0x00, 0x1F, 0x04) // coefficient 3
		once()
		trim := TypicalTrimBMP3()
		c.Tune(In(Steady(Climate{room.Temperature, 90000, 0})), ChipID(0x60))
		d := once()
		got := trim.pascal(int64(d[0])|int64(d[1])<<8|int64(d[2])<<16, room.Temperature)
		if want := room.Pressure + (90000-room.Pressure)/4; math.Abs(got-want) > 3 {
			t.Errorf("%.1f Pa one sample after a step, want a quarter of the way: %.1f", got, want)
		}
		c.Hold(&RawBMP3{Pressure: 0x123456, Temperature: 0xABCDEF})
		if got := once(); !bytes.Equal(got, []byte{0x56, 0x34, 0x12, 0xEF, 0xCD, 0xAB}) {
			t.Errorf("held: % x", got)
		}
		c.Hold(nil)
		b.BrownOut(0x76)
		time.Sleep(2 * time.Millisecond)
		if got := append(registers(t, b, 0x00, 1), registers(t, b, 0x1F, 1)...); !bytes.Equal(got, []byte{0x60, 0}) {
			t.Errorf("id and config % x after a brown-out, want 60 00", got)
		}
	})
}
