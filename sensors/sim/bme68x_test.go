package sim

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// Words and results of Pimoroni's tests: their floating-point variant; the integer one
// they also have gives 26.69 °C, 98712 Pa and 42.402 %. Their humidity is computed
// with a temperature that is rounded up by half a hundredth, 0.0006 % more.
func TestBME68xVectors(t *testing.T) {
	trim := TypicalTrimBME68x()
	fine := trim.fine(501240)
	p, _ := trim.pascal(353485, fine)
	for _, v := range []struct {
		what              string
		got, want, within float64
	}{
		{"t_fine", fine, 136668.78, 0.01},
		{"pressure", p, 98716.92, 0.01},
		{"humidity", trim.percent(19019, fine/5120), 42.41028, 0.001},
		{"gas, BME680, word 0 of range 0", trim.ohms(0, 0), 12946860, 1},
		{"gas, BME688, word 0 of range 0", bme688Ohms(0, 0), 102400000, 1},
	} {
		if math.Abs(v.got-v.want) > v.within {
			t.Errorf("%s: %.5f, want %.5f", v.what, v.got, v.want)
		}
	}
	var none TrimBME68x
	if _, ok := none.pascal(1, 1); ok {
		t.Error("P1 = 0 gives a pressure")
	}
}

func TestBME68xLayout(t *testing.T) {
	trim := TypicalTrimBME68x()
	trim.SwitchError = -3
	low, high, heat := trim.layout()
	if want := [23]byte{0x65, 0x67, 3, 0, 0x41, 0x8F, 0xED, 0xD6, 88, 0, 0x8E, 0x1C, 0x7F, 0xFF, 46, 30, 0, 0, 0x97, 0xF3, 0xB5, 0xF6, 30}; low != want {
		t.Errorf("8A: % x, want % x", low, want)
	}
	// H2 = 0x405, H1 = 0x2A4: E1 = H2[11:4], E2 = H2[3:0] H1[3:0], E3 = H1[11:4]
	if want := [14]byte{0x40, 0x54, 0x2A, 0, 45, 20, 120, 0x9C, 0xB9, 0x65, 0xAF, 0xE8, 0xE2, 18}; high != want {
		t.Errorf("E1: % x, want % x", high, want)
	}
	if want := [5]byte{50, 0, 0x10, 0, 0xD0}; heat != want {
		t.Errorf("00: % x, want % x", heat, want)
	}
}

func TestBME68xRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 8))
	trim := TypicalTrimBME68x()
	for range 2000 {
		want := Climate{Temperature: 80*random.Float64() - 20, Pressure: 30000 + 80000*random.Float64(), Humidity: 100 * random.Float64()}
		fine := trim.fine(trim.rawTemperature(want.Temperature))
		p, _ := trim.pascal(trim.rawPressure(want.Pressure, fine), fine)
		h := trim.percent(trim.rawHumidity(want.Humidity, fine/5120), fine/5120)
		closeTo(t, "round trip", Climate{fine / 5120, p, h}, want, Climate{0.0003, 0.15, 0.01})
		ohms := math.Exp(math.Log(1e3) + math.Log(1e4)*random.Float64()) // 1 kΩ to 10 MΩ
		for name, of := range map[string]func(int64, int) float64{"BME680": trim.ohms, "BME688": bme688Ohms} {
			if name == "BME688" && ohms < 3e3 {
				continue // below its last range
			}
			if got := of(rawGas(ohms, of)); math.Abs(got-ohms) > ohms/600 {
				t.Fatalf("%s: %.0f Ω comes back as %.0f", name, ohms, got)
			}
		}
	}
}

func onBME68x(t *testing.T, test func(b *Bus, c *BME68x), options ...ChipOption) {
	t.Helper()
	onWire(t, 0x76, NewBME680(Steady(room), options...), test)
}

func TestBME68xPowerUp(t *testing.T) {
	onBME68x(t, func(b *Bus, c *BME68x) {
		for _, v := range []struct {
			register byte
			want     []byte
		}{
			{0xD0, []byte{0x61}}, {0xF0, []byte{0x00}}, {0xE0, []byte{0x00}},
			{0x1D, []byte{0, 0, 0x80, 0, 0, 0x80, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0}},
			{0x70, make([]byte, 6)},
		} {
			if got := registers(t, b, v.register, len(v.want)); !bytes.Equal(got, v.want) {
				t.Errorf("%02x: % x, want % x", v.register, got, v.want)
			}
		}
		write(t, b, 0x72, 0x01, 0x74, 0x24, 0xE0, 0xB6)
		if err := b.Tx(0x76, []byte{0xD0}, make([]byte, 1)); !errors.Is(err, ErrNack) {
			t.Errorf("right after a reset: %v", err)
		}
		time.Sleep(2 * time.Millisecond)
		if got := registers(t, b, 0x72, 3); !bytes.Equal(got, []byte{0, 0, 0}) {
			t.Errorf("72 to 74 after a reset: % x", got)
		}
	})
	if c := NewBME688(Steady(room)); c.load(time.Time{}, 0xF0) != 1 || c.load(time.Time{}, 0xD0) != 0x61 {
		t.Error("a BME688 does not say that it is one")
	}
}

func TestBME68xForcedConversion(t *testing.T) {
	for _, v := range []struct {
		name      string
		options   []ChipOption
		hum, meas byte
		want      time.Duration
	}{
		{"all ×1", nil, 1, 0x25, 11182 * time.Microsecond},
		{"×2 ×16 ×1", nil, 1, 0x55, 42590 * time.Microsecond},
		{"slow", []ChipOption{Slow(2)}, 1, 0x25, 22364 * time.Microsecond},
	} {
		onBME68x(t, func(b *Bus, c *BME68x) {
			write(t, b, 0x72, v.hum, 0x74, v.meas, 0x75, 0x1C) // the last is ignored: it measures
			time.Sleep(v.want - 1)
			if got := append(registers(t, b, 0x1D, 1), registers(t, b, 0x74, 2)...); !bytes.Equal(got, []byte{0x20, v.meas, 0}) {
				t.Errorf("%s: % x a moment before the end", v.name, got)
			}
			time.Sleep(1)
			if got := append(registers(t, b, 0x1D, 1), registers(t, b, 0x74, 2)...); !bytes.Equal(got, []byte{0x80, v.meas &^ 3, 0}) {
				t.Errorf("%s: % x at the end", v.name, got)
			}
			d, trim := registers(t, b, 0x1D, 17), TypicalTrimBME68x()
			word := func(b []byte) int64 { return int64(b[0])<<12 | int64(b[1])<<4 | int64(b[2])>>4 }
			fine := trim.fine(word(d[5:]))
			p, _ := trim.pascal(word(d[2:]), fine)
			h := trim.percent(int64(d[8])<<8|int64(d[9]), fine/5120)
			closeTo(t, v.name, Climate{fine / 5120, p, h}, room, Climate{0.005, 2, 0.05})
			if d[14] != 0 {
				t.Errorf("%s: gas flags %02x without gas", v.name, d[14])
			}
			write(t, b, 0x74, v.meas, 0x74, 0x26) // the second is taken over at the end; mode 10 does not measure
			time.Sleep(time.Second)
			if got := append(registers(t, b, 0x1D, 1), registers(t, b, 0x74, 1)...); !bytes.Equal(got, []byte{0x80, 0x26}) || c.Conversions() != 2 {
				t.Errorf("%s: % x after %d conversions", v.name, got, c.Conversions())
			}
		}, v.options...)
	}
}

func TestBME68xSkippedChannels(t *testing.T) {
	onBME68x(t, func(b *Bus, c *BME68x) {
		write(t, b, 0x72, 0x00, 0x74, 0x21) // temperature alone
		time.Sleep(time.Second)
		if d := registers(t, b, 0x1D, 10); !bytes.Equal(d[2:5], []byte{0x80, 0, 0}) || !bytes.Equal(d[8:], []byte{0x80, 0}) || d[5] == 0x80 && d[6] == 0 {
			t.Errorf("% x, want pressure and humidity skipped", d)
		}
	})
}

func TestBME68xGas(t *testing.T) {
	for name, v := range map[string]struct {
		chip  func(World, ...ChipOption) *BME68x
		run   byte
		at    int // of the result in the field
		of    func(int64, int) float64
		wrong byte // the other chip's switch
	}{
		"BME680": {NewBME680, 0x10, 13, func(raw int64, place int) float64 { trim := TypicalTrimBME68x(); return trim.ohms(raw, place) }, 0x20},
		"BME688": {NewBME688, 0x20, 15, bme688Ohms, 0x10},
	} {
		synctest.Test(t, func(t *testing.T) {
			b, c := NewBus("I2C1", Speed(0)), v.chip(Steady(room), Gas(123456))
			b.Add(0x76, c)
			measure := func(pairs ...byte) (ohms float64, flags byte) {
				write(t, b, append(pairs, 0x72, 0x01, 0x74, 0x25)...)
				time.Sleep(time.Second)
				d := registers(t, b, 0x1D, 17)
				word := int64(d[v.at])<<2 | int64(d[v.at+1])>>6
				return v.of(word, int(d[v.at+1]&0xF)), d[v.at+1] & 0x30
			}
			// Profile 3: 0x73 is about 320 °C with these words, 0x59 is 100 ms.
			ohms, flags := measure(0x5A+3, 0x73, 0x64+3, 0x59, 0x71, v.run|3)
			if math.Abs(ohms-123456) > 250 || flags != 0x30 {
				t.Errorf("%s: %.0f Ω, flags %02x, want 123456 and 30", name, ohms, flags)
			}
			if h := c.Heater(); h.For != 100*time.Millisecond || h.Celsius < 300 || h.Celsius > 340 {
				t.Errorf("%s: heated to %.0f °C for %v", name, h.Celsius, h.For)
			}
			if got := registers(t, b, 0x1D, 1)[0]; got != 0x83 {
				t.Errorf("%s: status %02x, want new data of profile 3", name, got)
			}
			if ohms, flags = measure(0x64+3, 0x0A); flags != 0x20 || math.Abs(ohms-123456/2) > 150 {
				t.Errorf("%s: heated for 10 ms: %.0f Ω, flags %02x", name, ohms, flags)
			}
			if _, flags = measure(0x64+3, 0x59, 0x70, 0x08); flags != 0x20 || c.Heater() != (Heating{}) {
				t.Errorf("%s: heater off: flags %02x", name, flags)
			}
			if _, flags = measure(0x70, 0x00, 0x71, v.wrong|3); flags != 0 {
				t.Errorf("%s: switched on as on the other chip: flags %02x", name, flags)
			}
			write(t, b, 0x71, v.run|3, 0x74, 0x25)
			time.Sleep(10 * time.Millisecond)
			if got := registers(t, b, 0x1D, 1)[0]; got != 0x63 {
				t.Errorf("%s: status %02x while it heats, want 63", name, got)
			}
		})
	}
}

func TestBME68xHoldCloneFilter(t *testing.T) {
	onBME68x(t, func(b *Bus, c *BME68x) {
		once := func() []byte {
			write(t, b, 0x72, 0x01, 0x74, 0x25)
			time.Sleep(20 * time.Millisecond)
			return registers(t, b, 0x1F, 8)
		}
		write(t, b, 0x75, 0x08) // coefficient 3
		once()
		c.Tune(In(Steady(Climate{room.Temperature, 90000, room.Humidity})), ChipID(0x60))
		d, trim := once(), TypicalTrimBME68x()
		got, _ := trim.pascal(int64(d[0])<<12|int64(d[1])<<4|int64(d[2])>>4, room.Temperature*5120)
		if want := room.Pressure + (90000-room.Pressure)/4; math.Abs(got-want) > 10 { // the words do not rise in a straight line
			t.Errorf("%.1f Pa one sample after a step, want a quarter of the way: %.1f", got, want)
		}
		c.Hold(&RawBME68x{Pressure: 0x12345, Temperature: 0xFEDCB, Humidity: 0xABCD})
		if got := once(); !bytes.Equal(got, []byte{0x12, 0x34, 0x50, 0xFE, 0xDC, 0xB0, 0xAB, 0xCD}) {
			t.Errorf("held: % x", got)
		}
		if got := registers(t, b, 0xD0, 1)[0]; got != 0x60 {
			t.Errorf("clone says %02x", got)
		}
	})
}
