package sim

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/physic"
)

var room = Climate{Temperature: 21.5, Pressure: 101325, Humidity: 45}

// onBus runs a test in a bubble with one BME280 at 0x76.
func onBus(t *testing.T, test func(t *testing.T, b *Bus, c *BMx280)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, c := NewBus("I2C1"), NewBME280(Steady(room))
		b.Add(0x76, c)
		test(t, b, c)
	})
}

// onWire runs a test in a bubble with one chip at an address of a wire without time.
func onWire[C Device](t *testing.T, address uint16, chip C, test func(b *Bus, c C)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := NewBus("I2C1", Speed(0))
		b.Add(address, chip)
		test(b, chip)
	})
}

// registers reads n bytes from a register on, and fails the test on an error.
func registers(t *testing.T, b *Bus, register byte, n int) []byte {
	t.Helper()
	r := make([]byte, n)
	if err := b.Tx(0x76, []byte{register}, r); err != nil {
		t.Fatalf("read %d from %#x: %v", n, register, err)
	}
	return r
}

func write(t *testing.T, b *Bus, pairs ...byte) {
	t.Helper()
	if err := b.Tx(0x76, pairs, nil); err != nil {
		t.Fatalf("write % x: %v", pairs, err)
	}
}

// measure forces one conversion with ×1 everywhere and returns the eight bytes.
func measure(t *testing.T, b *Bus) []byte {
	t.Helper()
	write(t, b, 0xF2, 0x01, 0xF4, 0x25)
	time.Sleep(20 * time.Millisecond)
	return registers(t, b, 0xF7, 8)
}

func TestTxArguments(t *testing.T) {
	onBus(t, func(t *testing.T, b *Bus, _ *BMx280) {
		if err := b.Tx(0x10, nil, nil); err != nil {
			t.Errorf("Tx of nothing: %v, want nil without touching the bus", err)
		}
		if n := b.Counts().Transactions; n != 0 {
			t.Errorf("Tx of nothing counts %d transactions", n)
		}
		for _, v := range []struct {
			name string
			addr uint16
			w, r []byte
			want error
		}{
			{"absent", 0x10, nil, make([]byte, 1), ErrNack},
			{"ten bits", 0x80, nil, make([]byte, 1), errAddress},
			{"too long", 0x76, make([]byte, 8193), nil, errLength},
			{"one byte read", 0x76, nil, make([]byte, 1), nil},
		} {
			if err := b.Tx(v.addr, v.w, v.r); !errors.Is(err, v.want) {
				t.Errorf("%s: %v, want %v", v.name, err, v.want)
			}
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := b.Tx(0x76, nil, make([]byte, 1)); err == nil || err.Error() != "sysfs-i2c: bad file descriptor" {
			t.Errorf("Tx after Close: %v", err)
		}
		if err := b.Close(); err == nil {
			t.Error("second Close succeeds")
		}
	})
}

func TestSetSpeedRefuses(t *testing.T) {
	b := NewBus("I2C1")
	for _, f := range []physic.Frequency{400 * physic.KiloHertz, physic.Hertz, physic.GigaHertz} {
		if err := b.SetSpeed(f); err == nil {
			t.Errorf("SetSpeed(%v) succeeds", f)
		}
	}
	if b.String() != "I2C1" {
		t.Errorf("name %q", b.String())
	}
}

func TestWireTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, v := range []struct {
			speed physic.Frequency
			want  time.Duration
		}{
			// start, address, register; start, address, eight bytes; stop: 2×9+9×9+3 bits
			{100 * physic.KiloHertz, 1020 * time.Microsecond},
			{400 * physic.KiloHertz, 255 * time.Microsecond},
			{0, 0},
		} {
			b := NewBus("I2C1", Speed(v.speed))
			b.Add(0x76, NewBME280(Steady(room)))
			start := time.Now()
			registers(t, b, 0xF7, 8)
			if got := time.Since(start); got != v.want {
				t.Errorf("at %v: %v, want %v", v.speed, got, v.want)
			}
		}
	})
}

func TestClockIsInjected(t *testing.T) {
	now := morning
	b := NewBus("I2C1", Clock(func() time.Time { return now }, func(d time.Duration) { now = now.Add(d) }))
	b.Add(0x76, NewBME280(Steady(room)))
	release := b.Hang()
	if err := b.Tx(0x76, nil, make([]byte, 1)); !errors.Is(err, ErrTimeout) {
		t.Errorf("hung bus: %v", err)
	}
	if got := now.Sub(morning); got != time.Second {
		t.Errorf("hung Tx took %v of the injected clock, want 1s", got)
	}
	release()
	registers(t, b, 0xD0, 1)
}

func TestFaultTexts(t *testing.T) {
	for _, v := range []struct {
		fault Fault
		want  string
		takes time.Duration
	}{
		{Nack(), "sysfs-i2c: remote I/O error", 0},
		{Timeout(), "sysfs-i2c: connection timed out", time.Second},
		{InputOutput(), "sysfs-i2c: input/output error", 0},
		{Lost(), "sysfs-i2c: resource temporarily unavailable", 0},
		{Gone(), "sysfs-i2c: no such device", 0},
	} {
		onBus(t, func(t *testing.T, b *Bus, _ *BMx280) {
			b.Add(0x77, NewBMP280(Steady(room)))
			clear := b.Inject(0x76, v.fault)
			start := time.Now()
			err := b.Tx(0x76, []byte{0xD0}, make([]byte, 1))
			if err == nil || err.Error() != v.want {
				t.Errorf("got %v, want %s", err, v.want)
			}
			if took := time.Since(start).Truncate(time.Second); took != v.takes {
				t.Errorf("%s took %v, want %v", v.want, took, v.takes)
			}
			if err := b.Tx(0x77, []byte{0xD0}, make([]byte, 1)); err != nil {
				t.Errorf("%s at 0x76 hits 0x77: %v", v.want, err)
			}
			clear()
			registers(t, b, 0xD0, 1)
			defer b.InjectAll(v.fault)()
			if err := b.Tx(0x77, []byte{0xD0}, make([]byte, 1)); err == nil || err.Error() != v.want {
				t.Errorf("on the whole bus: got %v, want %s", err, v.want)
			}
		})
	}
}

func TestFaultSchedule(t *testing.T) {
	onBus(t, func(t *testing.T, b *Bus, _ *BMx280) {
		b.Inject(0x76, Nack().At(0xF7).After(1).Times(2))
		var failed strings.Builder
		for range 5 {
			registers(t, b, 0xD0, 1) // another register is never hit
			if b.Tx(0x76, []byte{0xF7}, make([]byte, 8)) != nil {
				failed.WriteByte('x')
			} else {
				failed.WriteByte('.')
			}
		}
		if got := failed.String(); got != ".xx.." {
			t.Errorf("failures %s, want .xx..", got)
		}
		if got := b.Counts(); got != (Counts{Transactions: 10, Failed: 2}) {
			t.Errorf("counts %+v", got)
		}
	})
}

func TestFaultChance(t *testing.T) {
	onBus(t, func(t *testing.T, b *Bus, _ *BMx280) {
		b.Inject(0x76, InputOutput().Chance(0.1, 7))
		for range 10000 {
			_ = b.Tx(0x76, []byte{0xD0}, make([]byte, 1))
		}
		if n := b.Counts().Failed; n < 900 || n > 1100 {
			t.Errorf("%d of 10000 failed, want about 1000", n)
		}
		b.Inject(0x76, Zeros().Chance(0, 7))
		for range 100 {
			_ = b.Tx(0x76, []byte{0xD0}, make([]byte, 1))
		}
		if n := b.Counts().Altered; n != 0 {
			t.Errorf("chance 0 altered %d", n)
		}
	})
}

func TestFaultsAlterWhatIsRead(t *testing.T) {
	for _, v := range []struct {
		name  string
		fault Fault
		want  []byte
	}{
		{"zeros", Zeros(), []byte{0x00}},
		{"ones", Ones(), []byte{0xFF}},
		{"flip", Flip(3), []byte{0x68}},
		{"flip beyond", Flip(8), []byte{0x60}},
		{"answer", Answer(0x58, 1), []byte{0x58}},
	} {
		onBus(t, func(t *testing.T, b *Bus, _ *BMx280) {
			b.Inject(0x76, v.fault.Times(1))
			write(t, b, 0xF5, 0x00) // not a read: the fault waits
			if got := registers(t, b, 0xD0, 1); !bytes.Equal(got, v.want) {
				t.Errorf("%s: % x, want % x", v.name, got, v.want)
			}
			if got := registers(t, b, 0xD0, 1); !bytes.Equal(got, []byte{0x60}) {
				t.Errorf("%s lasts: % x", v.name, got)
			}
			want := uint64(1)
			if v.want[0] == 0x60 {
				want = 0
			}
			if n := b.Counts().Altered; n != want {
				t.Errorf("%s: %d altered, want %d", v.name, n, want)
			}
		})
	}
}

func TestFlipAnyInvertsOneBit(t *testing.T) {
	onBus(t, func(t *testing.T, b *Bus, _ *BMx280) {
		right := registers(t, b, 0x88, 26)
		b.Inject(0x76, FlipAny(1))
		seen := make(map[string]bool)
		for range 100 {
			got, bits := registers(t, b, 0x88, 26), 0
			for i := range got {
				for x := got[i] ^ right[i]; x != 0; x &= x - 1 {
					bits++
				}
			}
			if bits != 1 {
				t.Fatalf("%d bits differ", bits)
			}
			seen[string(got)] = true
		}
		if len(seen) < 50 {
			t.Errorf("100 flips hit only %d different bits", len(seen))
		}
	})
}

func TestHungBus(t *testing.T) {
	onBus(t, func(t *testing.T, b *Bus, _ *BMx280) {
		release := b.Hang()
		start := time.Now()
		var g sync.WaitGroup
		for range 3 {
			g.Go(func() {
				if err := b.Tx(0x10, nil, make([]byte, 1)); !errors.Is(err, ErrTimeout) {
					t.Errorf("hung: %v", err)
				}
			})
		}
		g.Wait()
		if got := time.Since(start); got != 3*time.Second {
			t.Errorf("three Tx on a hung bus took %v, want 3s one after the other", got)
		}
		release()
		release()
		registers(t, b, 0xD0, 1)
	})
}

func TestUnplugAndPlug(t *testing.T) {
	onBus(t, func(t *testing.T, b *Bus, _ *BMx280) {
		measure(t, b)
		b.Unplug(0x76)
		if err := b.Tx(0x76, []byte{0xD0}, make([]byte, 1)); !errors.Is(err, ErrNack) {
			t.Errorf("unplugged: %v", err)
		}
		b.Plug(0x76)
		if err := b.Tx(0x76, []byte{0xD0}, make([]byte, 1)); !errors.Is(err, ErrNack) {
			t.Errorf("still starting: %v", err)
		}
		time.Sleep(2 * time.Millisecond)
		if got := registers(t, b, 0xF7, 8); !bytes.Equal(got, []byte{0x80, 0, 0, 0x80, 0, 0, 0x80, 0}) {
			t.Errorf("data after plugging in: % x, want power-up values", got)
		}
	})
}

func TestBrownOut(t *testing.T) {
	onBus(t, func(t *testing.T, b *Bus, _ *BMx280) {
		write(t, b, 0xF5, 0x10, 0xF4, 0x27)
		time.Sleep(100 * time.Millisecond)
		b.BrownOut(0x76)
		time.Sleep(10 * time.Millisecond)
		if got := registers(t, b, 0xF2, 4); !bytes.Equal(got, []byte{0, 0, 0, 0}) {
			t.Errorf("control registers after a brown-out: % x, want power-up values", got)
		}
	})
}

// A chip measures beside the truth, and humidity ends at 100 %.
func TestOffset(t *testing.T) {
	c := NewBME280(Steady(room), Offset(Climate{1.5, -200, 70}))
	if got := c.tuning.feels(morning, Climate{}); got != (Climate{23, 101125, 100}) {
		t.Errorf("feels %+v", got)
	}
}

func TestTwoDevicesAtOneAddress(t *testing.T) {
	onBus(t, func(t *testing.T, b *Bus, _ *BMx280) {
		b.Add(0x76, NewBMP280(Steady(room)))
		if got := registers(t, b, 0xD0, 1); got[0] != 0x60&0x58 {
			t.Errorf("ids 60 and 58 together read %02x, want their AND 40", got[0])
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	onBus(t, func(t *testing.T, b *Bus, c *BMx280) {
		var g sync.WaitGroup
		for range 4 {
			g.Go(func() {
				for range 200 {
					r := make([]byte, 1)
					if err := b.Tx(0x76, []byte{0xD0}, r); err == nil && r[0] != 0x60 {
						t.Errorf("id %02x", r[0])
					}
				}
			})
		}
		g.Go(func() {
			for range 50 {
				b.Inject(0x76, Nack().Times(1))
				c.Tune(Slow(2))
				c.SetTrim(TypicalTrimBME280())
				b.Counts()
			}
		})
		g.Wait()
		if n := b.Counts().Transactions; n != 800 {
			t.Errorf("%d transactions, want 800", n)
		}
	})
}
