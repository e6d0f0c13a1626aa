package sim

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// The worked example of the sheet, figure "Read word": address 5A, command 07,
// answer 3AD2 (28.01 °C), PEC 30.
func TestMLX90614SheetExample(t *testing.T) {
	if got := smbusPEC(0xB4, 0x07, 0xB5, 0xD2, 0x3A); got != 0x30 {
		t.Errorf("PEC %02x, want 30", got)
	}
	if got := smbusPEC([]byte("123456789")...); got != 0xF4 { // the check value of CRC-8/SMBUS
		t.Errorf("PEC of 123456789 is %02x, want f4", got)
	}
	for celsius, want := range map[float64]uint16{28.01: 0x3AD2, -70: 0x27AD, 382.19: 0x7FFF, 1000: 0x7FFF, -300: 0} {
		if got := mlxWord(celsius); got != want {
			t.Errorf("%v °C is %04x, want %04x", celsius, got, want)
		}
	}
}

// at5A runs a test in a bubble with a chip at 0x5A that has just got power.
func at5A(t *testing.T, c *MLX90614, test func(b *Bus, ask func(command byte) []byte)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := NewBus("I2C1", Speed(0))
		b.Add(0x5A, c)
		b.BrownOut(0x5A)
		test(b, func(command byte) []byte {
			t.Helper()
			r := make([]byte, 3)
			if err := b.Tx(0x5A, []byte{command}, r); err != nil {
				t.Fatalf("%02x: %v", command, err)
			}
			return r
		})
	})
}

func TestMLX90614Reads(t *testing.T) {
	world := Facing(Steady(Climate{Temperature: 21}), func(time.Time) float64 { return 28.01 })
	c := NewMLX90614(world)
	at5A(t, c, func(b *Bus, ask func(byte) []byte) {
		time.Sleep(250*time.Millisecond - 1)
		wantBytes(t, "before the first data", ask(7)[:2], 0, 0)
		wantBytes(t, "flags", ask(0xF0)[:2], 0, 0)
		time.Sleep(1)
		wantBytes(t, "object", ask(7), 0xD2, 0x3A, 0x30)
		wantBytes(t, "ambient", ask(6)[:2], 0x73, 0x39) // 294.15 K
		wantBytes(t, "flags", ask(0xF0)[:2], 0x10, 0)
		wantBytes(t, "object 2", ask(8)[:2], 0, 0)
		wantBytes(t, "emissivity", ask(0x24)[:2], 0xFF, 0xFF)
		r := make([]byte, 2)
		if err := b.Tx(0x5A, nil, r); err != nil || r[0] != 0xFF {
			t.Errorf("without a command: % x, %v", r, err)
		}
		c.Hold(&RawMLX90614{Object: 0x8001})
		wantBytes(t, "held", ask(7)[:2], 0x01, 0x80)
	})
	at5A(t, NewMLX90614(Steady(Climate{Temperature: 21})), func(_ *Bus, ask func(byte) []byte) {
		time.Sleep(time.Second)
		wantBytes(t, "faces the air", ask(7)[:2], ask(6)[:2]...)
	})
}

func TestMLX90614IsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBus("I2C1", Speed(0))
		start := time.Now()
		warming := WorldFunc(func(at time.Time) Climate { return Climate{Temperature: 20 + at.Sub(start).Seconds()} })
		b.Add(0x5A, NewMLX90614(warming, Slow(2)))
		b.BrownOut(0x5A)
		word := func() uint16 {
			r := make([]byte, 3)
			if err := b.Tx(0x5A, []byte{6}, r); err != nil {
				t.Fatal(err)
			}
			return uint16(r[0]) | uint16(r[1])<<8
		}
		for _, v := range []struct {
			after time.Duration
			want  float64
		}{{500 * time.Millisecond, 20.5}, {199 * time.Millisecond, 20.5}, {time.Millisecond, 20.7}, {10*time.Second + 300*time.Millisecond, 30.9}} {
			time.Sleep(v.after)
			if got, want := word(), mlxWord(v.want); got != want {
				t.Errorf("after %v more: %v, want %v", v.after, got, want)
			}
		}
	})
}

func TestMLX90614Writes(t *testing.T) {
	at5A(t, NewMLX90614(Steady(room)), func(b *Bus, ask func(byte) []byte) {
		write := func(bytes ...byte) error {
			return b.Tx(0x5A, append(bytes, smbusPEC(append([]byte{0xB4}, bytes...)...)), nil)
		}
		if err := b.Tx(0x5A, []byte{0x24, 0, 0, 0x11}, nil); !errors.Is(err, ErrNack) {
			t.Errorf("wrong PEC: %v", err)
		}
		for _, word := range []byte{0x00, 0xF3} {
			if err := write(0x24, word, word); err != nil {
				t.Fatal(err)
			}
			if err := b.Tx(0x5A, []byte{0x24}, make([]byte, 3)); !errors.Is(err, ErrNack) {
				t.Errorf("while it writes: %v", err)
			}
			time.Sleep(5 * time.Millisecond)
		}
		wantBytes(t, "emissivity", ask(0x24)[:2], 0xF3, 0xF3)
		if err := write(0x3C, 0, 0); err != nil {
			t.Error(err)
		}
		wantBytes(t, "id is locked", ask(0x3C)[:2], 0x12, 0x1B)
		if err := b.Tx(0x5A, []byte{0xFF, 0xE8}, nil); err != nil { // PEC of the sheet's example
			t.Errorf("sleep: %v", err)
		}
		if err := b.Tx(0x5A, []byte{6}, make([]byte, 3)); !errors.Is(err, ErrNack) {
			t.Errorf("asleep: %v", err)
		}
		b.BrownOut(0x5A)
		time.Sleep(time.Second)
		wantBytes(t, "emissivity outlives the supply", ask(0x24)[:2], 0xF3, 0xF3)
	})
}
