package sim

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/devices/v3/mcp9808"
	"periph.io/x/devices/v3/tmp102"
)

// at48 runs a test in a bubble with one chip at 0x48 on a wire without time, a
// second after its supply rose.
func at48(t *testing.T, d Device, test func(ask func(n int, w ...byte) []byte)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := NewBus("I2C1", Speed(0))
		b.Add(0x48, d)
		b.BrownOut(0x48)
		time.Sleep(5 * time.Millisecond)
		test(func(n int, w ...byte) []byte {
			t.Helper()
			r := make([]byte, n)
			if err := b.Tx(0x48, w, r); err != nil {
				t.Fatalf("% x: %v", w, err)
			}
			return r
		})
	})
}

func wantBytes(t *testing.T, what string, got []byte, want ...byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: % x, want % x", what, got, want)
	}
}

// The test values of the TMP102 sheet (table 4, as periph has them), of QEMU's
// TMP105 and of Linux's LM75, and the sheets' examples for the others.
func TestThermometerWords(t *testing.T) {
	for _, v := range []struct {
		name    string
		model   *thermometerModel
		config  uint16
		celsius float64
		word    uint16
	}{
		{"TMP102", &modelTMP102, 0x6080, 100, 0x6400},
		{"TMP102", &modelTMP102, 0x6080, 50, 0x3200},
		{"TMP102", &modelTMP102, 0x6080, 25, 0x1900},
		{"TMP102", &modelTMP102, 0x6080, 0, 0},
		{"TMP102", &modelTMP102, 0x6080, -25, 0xE700},
		{"TMP102", &modelTMP102, 0x6080, -55, 0xC900},
		{"TMP102 at its end", &modelTMP102, 0x6080, 150, 0x7FF0},
		{"TMP102 extended", &modelTMP102, 0x6090, 150, 0x4B01},
		{"TMP102 extended", &modelTMP102, 0x6090, -25, 0xF381},
		{"TMP105 at 12 bits", &modelTMP105, 0x60, 0.0625, 0x0010},
		{"TMP105 at 12 bits", &modelTMP105, 0x60, -25.0625, 0xE6F0},
		{"TMP105 at 9 bits", &modelTMP105, 0, 20.8, 0x1500},
		{"TMP105 at 10 bits", &modelTMP105, 0x20, 20.8, 0x14C0},
		{"TMP1075", &modelTMP1075, 0xFF, 127.9375, 0x7FF0},
		{"TMP1075", &modelTMP1075, 0xFF, -0.0625, 0xFFF0},
		{"LM75", &modelLM75, 0, 125, 0x7D00},
		{"LM75", &modelLM75, 0, 0.5, 0x0080},
		{"LM75", &modelLM75, 0, -0.5, 0xFF80},
		{"LM75", &modelLM75, 0, -55, 0xC900},
		{"LM75B", &modelLM75B, 0, 0.125, 0x0020},
		{"LM75B", &modelLM75B, 0, -54.875, 0xC920},
	} {
		if got := v.model.word(v.config, v.celsius); got != v.word {
			t.Errorf("%s: %v °C is %04x, want %04x", v.name, v.celsius, got, v.word)
		}
	}
}

func TestThermometersPowerUpAndMeasure(t *testing.T) {
	world := Steady(Climate{Temperature: 21.53})
	for _, v := range []struct {
		name    string
		chip    *Thermometer
		config  []byte
		takes   time.Duration
		every   time.Duration
		reading []byte
	}{
		{"LM75", NewLM75(world), []byte{0}, 100 * time.Millisecond, 100 * time.Millisecond, []byte{0x15, 0x80}},
		{"LM75B", NewLM75B(world), []byte{0}, 10 * time.Millisecond, 100 * time.Millisecond, []byte{0x15, 0x80}},
		{"TMP105", NewTMP105(world), []byte{0}, 37500 * time.Microsecond, 37500 * time.Microsecond, []byte{0x15, 0x80}},
		{"TMP102", NewTMP102(world), []byte{0x60, 0xA0}, 35 * time.Millisecond, 250 * time.Millisecond, []byte{0x15, 0x80}},
		{"TMP112", NewTMP112(world), []byte{0x60, 0xA0}, 35 * time.Millisecond, 250 * time.Millisecond, []byte{0x15, 0x80}},
		{"TMP1075", NewTMP1075(world), []byte{0x00, 0xFF}, 7 * time.Millisecond, 27500 * time.Microsecond, []byte{0x15, 0x80}},
	} {
		at48(t, v.chip, func(ask func(int, ...byte) []byte) {
			time.Sleep(v.takes - 5*time.Millisecond - 1)
			wantBytes(t, v.name+" before the first conversion", ask(2, 0), 0, 0)
			time.Sleep(1)
			wantBytes(t, v.name+" after it", ask(2, 0), v.reading...)
			wantBytes(t, v.name+" configuration", ask(len(v.config), 1), v.config...)
			wantBytes(t, v.name+" low limit", ask(2, 2), 0x4B, 0)
			wantBytes(t, v.name+" high limit", ask(2, 3), 0x50, 0)
			before := v.chip.Conversions()
			time.Sleep(10 * v.every)
			ask(2, 0)
			if got := v.chip.Conversions() - before; got != 10 {
				t.Errorf("%s: %d conversions in ten periods", v.name, got)
			}
			ask(0, 2, 0x12, 0x34)
			ask(0, 0, 0x55, 0x55) // read-only
			wantBytes(t, v.name+" written limit", ask(4, 2), 0x12, 0x34, 0x12, 0x34)
		})
	}
}

func TestThermometerOneShot(t *testing.T) {
	for _, v := range []struct {
		name        string
		chip        *Thermometer
		sleep, shot []byte
		takes       time.Duration
		busy, over  byte // first byte of the configuration
	}{
		{"TMP102", NewTMP102(Steady(room)), []byte{1, 0x61, 0xA0}, []byte{1, 0xE1, 0xA0}, 35 * time.Millisecond, 0x61, 0xE1},
		{"TMP105", NewTMP105(Steady(room)), []byte{1, 0x61}, []byte{1, 0xE1}, 300 * time.Millisecond, 0x61, 0x61},
		{"TMP1075", NewTMP1075(Steady(room)), []byte{1, 0x01}, []byte{1, 0x81}, 7 * time.Millisecond, 0x01, 0x01},
	} {
		at48(t, v.chip, func(ask func(int, ...byte) []byte) {
			time.Sleep(time.Second)
			ask(0, v.sleep...)
			time.Sleep(time.Second)
			ask(2, 0)
			asleep := v.chip.Conversions()
			time.Sleep(time.Second)
			if ask(2, 0); v.chip.Conversions() != asleep {
				t.Errorf("%s: converts in shutdown", v.name)
			}
			ask(0, v.shot...)
			time.Sleep(v.takes - 1)
			wantBytes(t, v.name+" while it converts", ask(1, 1), v.busy)
			time.Sleep(1)
			wantBytes(t, v.name+" afterwards", ask(1, 1), v.over)
			time.Sleep(time.Second)
			if ask(2, 0); v.chip.Conversions() != asleep+1 {
				t.Errorf("%s: %d conversions for one", v.name, v.chip.Conversions()-asleep)
			}
		})
	}
}

func TestThermometerOddities(t *testing.T) {
	at48(t, NewLM75(Steady(room)), func(ask func(int, ...byte) []byte) {
		wantBytes(t, "limit", ask(1, 3), 0x50)
		wantBytes(t, "unused register 5", ask(2, 5), 0x50, 0x50)
		wantBytes(t, "configuration at 9", ask(1, 9), 0)
	})
	at48(t, NewTMP1075(Steady(room)), func(ask func(int, ...byte) []byte) {
		wantBytes(t, "id", ask(2, 0x0F), 0x75, 0)
	})
	at48(t, NewTMP1075(Steady(room), ChipID(0x11)), func(ask func(int, ...byte) []byte) {
		wantBytes(t, "other id", ask(2, 0x0F), 0x11, 0)
	})
	hot := NewTMP102(Steady(Climate{Temperature: 90}), Slow(2), Typical())
	at48(t, hot, func(ask func(int, ...byte) []byte) {
		time.Sleep(47*time.Millisecond - 1) // twice 26 ms, of which 5 have passed
		wantBytes(t, "before a slow conversion", ask(2, 1), 0x60, 0xA0)
		time.Sleep(1)
		wantBytes(t, "alert", ask(2, 1), 0x60, 0x80)
		word := uint16(0x1234)
		hot.Hold(&word)
		time.Sleep(time.Minute)
		wantBytes(t, "held", ask(2, 0), 0x12, 0x34)
	})
}

func TestTMP117(t *testing.T) {
	for celsius, want := range map[float64]uint16{25: 0x0C80, -0.0078125: 0xFFFF, 0: 0, -300: 0x8001, 300: 0x7FFF} {
		if got := tmp117Word(celsius); got != want {
			t.Errorf("%v °C is %04x, want %04x", celsius, got, want)
		}
	}
	chip := NewTMP117(Steady(Climate{Temperature: 25}))
	at48(t, chip, func(ask func(int, ...byte) []byte) {
		wantBytes(t, "id", ask(2, 0x0F), 0x01, 0x17)
		wantBytes(t, "configuration", ask(2, 1), 0x02, 0x20)
		wantBytes(t, "limits", append(ask(2, 2), ask(2, 3)...), 0x60, 0, 0x80, 0)
		wantBytes(t, "nothing yet", ask(2, 0), 0x80, 0)
		time.Sleep(120500 * time.Microsecond) // 8 averages after the start-up of 1.5 ms, less the 5 ms that have passed
		wantBytes(t, "data ready", ask(2, 1), 0x22, 0x20)
		wantBytes(t, "read, so not ready", ask(2, 1), 0x02, 0x20)
		wantBytes(t, "temperature", ask(2, 0), 0x0C, 0x80)
		ask(0, 7, 0xFF, 0x80)      // one degree less
		ask(0, 1, 0x0C, 0x00)      // one conversion, no average
		ask(0, 2, 0x0B, 0x00)      // high limit 22 °C
		time.Sleep(15500*1000 - 1) // ns
		wantBytes(t, "converting", ask(2, 1), 0x0C, 0x00)
		time.Sleep(1)
		wantBytes(t, "over, shut down, too warm", ask(2, 1), 0xA4, 0x00)
		wantBytes(t, "with offset", ask(2, 0), 0x0C, 0x00)
		ask(0, 1, 0x00, 0x02)
		time.Sleep(2 * time.Millisecond)
		wantBytes(t, "after a reset", ask(2, 0), 0x80, 0)
		n := chip.Conversions()
		time.Sleep(10 * time.Second)
		if ask(2, 0); chip.Conversions()-n != 10 {
			t.Errorf("%d conversions in 10 s", chip.Conversions()-n)
		}
	})
	at48(t, NewTMP117(Steady(room), ChipID(0x16)), func(ask func(int, ...byte) []byte) {
		wantBytes(t, "TMP116", ask(2, 0x0F), 0x01, 0x16)
	})
	synctest.Test(t, func(t *testing.T) {
		b := NewBus("I2C1", Speed(0))
		b.Add(0x48, NewTMP117(Steady(room)))
		b.BrownOut(0x48)
		if err := b.Tx(0x48, []byte{0}, make([]byte, 2)); !errors.Is(err, ErrNack) {
			t.Errorf("right after power-up: %v", err)
		}
	})
}

// The values of periph's own tests.
func TestMCP9808Words(t *testing.T) {
	for celsius, want := range map[float64]uint16{
		10: 0x00A0, -10: 0x1F60, 124.75: 0x07CC, -0.25: 0x1FFC, -39.75: 0x1D84, 0: 0, 0.9375: 0x000F,
	} {
		if got := mcpWord(celsius, 3); got != want {
			t.Errorf("%v °C is %04x, want %04x", celsius, got, want)
		}
	}
	if got := mcpWord(-10.3, 0); got != 0x1F58 {
		t.Errorf("-10.3 °C in steps of 0.5 is %04x, want 1f58", got)
	}
}

func TestMCP9808(t *testing.T) {
	at48(t, NewMCP9808(Steady(Climate{Temperature: -10})), func(ask func(int, ...byte) []byte) {
		wantBytes(t, "ids", append(ask(2, 6), ask(2, 7)...), 0, 0x54, 0x04, 0)
		wantBytes(t, "resolution", ask(1, 8), 3)
		time.Sleep(245*time.Millisecond - 1)
		wantBytes(t, "before the first conversion: 0 °C, not below critical", ask(2, 5), 0x80, 0)
		time.Sleep(1)
		wantBytes(t, "-10 °C, below lower", ask(2, 5), 0x3F, 0x60)
		ask(0, 8, 0)
		ask(0, 4, 0x1E, 0xC0) // critical at -20 °C
		ask(0, 2, 0x1E, 0xC0)
		time.Sleep(30 * time.Millisecond)
		wantBytes(t, "all alerts", ask(2, 5), 0xFF, 0x60)
		ask(0, 1, 0x01, 0x00)
		wantBytes(t, "shutdown", ask(2, 1), 0x01, 0x00)
	})
	at48(t, NewMCP9808(Steady(room), ChipID(9)), func(ask func(int, ...byte) []byte) {
		wantBytes(t, "other device", ask(2, 7), 9, 0)
	})
}

func TestPeriphReadsMCP9808AndTMP102(t *testing.T) {
	for _, celsius := range []float64{-40, -25.0625, -0.25, 0, 21.5, 99.9375, 124.75} {
		synctest.Test(t, func(t *testing.T) {
			b := NewBus("I2C1")
			b.Add(0x18, NewMCP9808(Steady(Climate{Temperature: celsius})))
			b.Add(0x48, NewTMP102(Steady(Climate{Temperature: celsius})))
			m, err := mcp9808.New(b, &mcp9808.DefaultOpts)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			var e physic.Env
			if err := m.Sense(&e); err != nil || math.Abs(e.Temperature.Celsius()-celsius) > 1e-6 {
				t.Errorf("MCP9808: %v, %v, want %v", e.Temperature.Celsius(), err, celsius)
			}
			c, err := tmp102.NewI2C(b, 0x48, nil)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if err := c.Sense(&e); err != nil || math.Abs(e.Temperature.Celsius()-celsius) > 1e-6 {
				t.Errorf("TMP102: %v, %v, want %v", e.Temperature.Celsius(), err, celsius)
			}
		})
	}
}
