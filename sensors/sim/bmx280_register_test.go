package sim

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestBMx280PowerUp(t *testing.T) {
	onBus(t, func(t *testing.T, b *Bus, c *BMx280) {
		if got := registers(t, b, 0xF2, 13); !bytes.Equal(got, []byte{0, 0, 0, 0, 0, 0x80, 0, 0, 0x80, 0, 0, 0x80, 0}) {
			t.Errorf("F2 to FE: % x, want table 18", got)
		}
		if got := registers(t, b, 0xD0, 1)[0]; got != 0x60 {
			t.Errorf("id %02x", got)
		}
		if got := registers(t, b, 0xE0, 1)[0]; got != 0 {
			t.Errorf("reset reads %02x", got)
		}
		if got := registers(t, b, 0xFF, 2); got[0] != 0 || got[1] != 0 {
			t.Errorf("reserved registers read % x", got)
		}
		time.Sleep(time.Hour)
		if n := c.Conversions(); n != 0 {
			t.Errorf("%d conversions while asleep", n)
		}
	})
}

func TestBMx280TrimmingWords(t *testing.T) {
	onBus(t, func(t *testing.T, b *Bus, c *BMx280) {
		trim := TypicalTrimBME280()
		trim.T2, trim.H4, trim.H5, trim.H6 = -2, -3, -16, -1
		c.SetTrim(trim)
		low, high := registers(t, b, 0x88, 26), registers(t, b, 0xE1, 7)
		if got := low[2:4]; !bytes.Equal(got, []byte{0xFE, 0xFF}) {
			t.Errorf("T2 = -2 lies as % x", got)
		}
		if low[25] != 75 {
			t.Errorf("H1 = 75 lies as %d at A1", low[25])
		}
		// E4: H4[11:4], E5[3:0]: H4[3:0], E5[7:4]: H5[3:0], E6: H5[11:4]
		if got := high[3:]; !bytes.Equal(got, []byte{0xFF, 0x0D, 0xFF, 0xFF}) {
			t.Errorf("H4 = -3, H5 = -16, H6 = -1 lie as % x, want ff 0d ff ff", got)
		}
	})
}

func TestBMP280HasNoHumidity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := NewBus("I2C1"), NewBMP280(Steady(room))
		b.Add(0x76, c)
		got := measure(t, b)
		if registers(t, b, 0xD0, 1)[0] != 0x58 {
			t.Error("id is not 58")
		}
		if registers(t, b, 0xF2, 1)[0] != 0 || got[6] != 0 || got[7] != 0 || registers(t, b, 0xA1, 1)[0] != 0 {
			t.Error("a BMP280 has humidity registers")
		}
		if got[3] == 0x80 && got[4] == 0 {
			t.Error("no temperature")
		}
	})
}

func TestBMx280ForcedConversion(t *testing.T) {
	for _, v := range []struct {
		name      string
		options   []ChipOption
		hum, meas byte
		want      time.Duration
	}{
		{"sheet 9.1, longest", nil, 0, 0x2D, 13325 * time.Microsecond},
		{"sheet 9.1, typical", []ChipOption{Typical()}, 0, 0x2D, 11500 * time.Microsecond},
		{"all ×1", nil, 1, 0x25, 9300 * time.Microsecond},
		{"all ×16", nil, 5, 0xB5, 112800 * time.Microsecond},
		{"code 7 is ×16 too", nil, 7, 0xFD, 112800 * time.Microsecond},
		{"mode 10 is forced too", nil, 0, 0x2E, 13325 * time.Microsecond},
		{"slow", []ChipOption{Slow(3)}, 1, 0x25, 27900 * time.Microsecond},
		{"nothing selected", nil, 0, 0x01, 1250 * time.Microsecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			b, c := NewBus("I2C1", Speed(0)), NewBME280(Steady(room), v.options...)
			b.Add(0x76, c)
			write(t, b, 0xF2, v.hum, 0xF4, v.meas)
			time.Sleep(v.want - 1)
			if got := registers(t, b, 0xF3, 2); !bytes.Equal(got, []byte{0x08, v.meas}) {
				t.Errorf("%s: status and ctrl_meas % x a moment before the end, want 08 %02x", v.name, got, v.meas)
			}
			if got := registers(t, b, 0xF7, 1)[0]; got != 0x80 {
				t.Errorf("%s: data before the end", v.name)
			}
			time.Sleep(1)
			if got := registers(t, b, 0xF3, 2); !bytes.Equal(got, []byte{0x00, v.meas &^ 3}) {
				t.Errorf("%s: status and ctrl_meas % x at the end, want 00 %02x", v.name, got, v.meas&^3)
			}
			if n := c.Conversions(); n != 1 {
				t.Errorf("%s: %d conversions", v.name, n)
			}
		})
	}
}

func TestBMx280SkippedChannels(t *testing.T) {
	for _, v := range []struct {
		hum, meas byte
		skipped   [3]bool // pressure, temperature, humidity
	}{
		{0, 0x25, [3]bool{false, false, true}},
		{1, 0x21, [3]bool{true, false, false}},
		{1, 0x05, [3]bool{false, true, false}},
		{0, 0x01, [3]bool{true, true, true}},
	} {
		onBus(t, func(t *testing.T, b *Bus, _ *BMx280) {
			measure(t, b)
			write(t, b, 0xF2, v.hum, 0xF4, v.meas)
			time.Sleep(20 * time.Millisecond)
			d := registers(t, b, 0xF7, 8)
			got := [3]bool{
				bytes.Equal(d[0:3], []byte{0x80, 0, 0}),
				bytes.Equal(d[3:6], []byte{0x80, 0, 0}),
				bytes.Equal(d[6:8], []byte{0x80, 0}),
			}
			if got != v.skipped {
				t.Errorf("ctrl_hum %02x, ctrl_meas %02x: skipped %v, want %v (% x)", v.hum, v.meas, got, v.skipped, d)
			}
		})
	}
}

func TestBMx280CtrlHumWaitsForCtrlMeas(t *testing.T) {
	onBus(t, func(t *testing.T, b *Bus, _ *BMx280) {
		write(t, b, 0xF4, 0x25) // humidity off
		time.Sleep(20 * time.Millisecond)
		write(t, b, 0xF4, 0x27) // normal mode, still off
		write(t, b, 0xF2, 0x01)
		if got := registers(t, b, 0xF2, 1)[0]; got != 1 {
			t.Errorf("ctrl_hum reads %02x", got)
		}
		time.Sleep(100 * time.Millisecond)
		if got := registers(t, b, 0xFD, 2); !bytes.Equal(got, []byte{0x80, 0}) {
			t.Errorf("humidity % x is measured before ctrl_meas was written", got)
		}
		write(t, b, 0xF4, 0x27)
		time.Sleep(100 * time.Millisecond)
		if got := registers(t, b, 0xFD, 2); bytes.Equal(got, []byte{0x80, 0}) {
			t.Error("humidity is not measured after ctrl_meas was written")
		}
	})
}

func TestBMx280ConfigOnlyInSleep(t *testing.T) {
	onBus(t, func(t *testing.T, b *Bus, _ *BMx280) {
		write(t, b, 0xF5, 0xB0)
		write(t, b, 0xF4, 0x27, 0xF5, 0x00)
		if got := registers(t, b, 0xF5, 1)[0]; got != 0xB0 {
			t.Errorf("config written in normal mode: %02x, want the old b0", got)
		}
		write(t, b, 0xF4, 0x24)
		time.Sleep(20 * time.Millisecond) // the running conversion ends first
		write(t, b, 0xF5, 0xFF)
		if got := registers(t, b, 0xF5, 1)[0]; got != 0xFD {
			t.Errorf("config written in sleep mode: %02x, want fd (bit 1 is unused)", got)
		}
	})
}

func TestBMx280ModeChangeWaits(t *testing.T) {
	onBus(t, func(t *testing.T, b *Bus, c *BMx280) {
		write(t, b, 0xF4, 0x25)
		write(t, b, 0xF4, 0x4A) // taken over at the end of the conversion
		write(t, b, 0xF4, 0x27) // dropped
		write(t, b, 0xF2, 0x05) // dropped
		if got := registers(t, b, 0xF4, 1)[0]; got != 0x25 {
			t.Errorf("ctrl_meas during the conversion: %02x, want 25", got)
		}
		time.Sleep(9 * time.Millisecond)
		if got := registers(t, b, 0xF2, 3); !bytes.Equal(got, []byte{0x00, 0x08, 0x4A}) {
			t.Errorf("after it: % x, want ctrl_hum 00, measuring, 4a", got)
		}
		time.Sleep(20 * time.Millisecond)
		if n := c.Conversions(); n != 1 {
			t.Errorf("%d conversions before the second was asked for", n)
		}
		registers(t, b, 0xF3, 1)
		if n := c.Conversions(); n != 2 {
			t.Errorf("%d conversions, want 2", n)
		}
	})
}

func TestBMx280NormalMode(t *testing.T) {
	start := time.Now()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		b := NewBus("I2C1", Speed(0))
		world := Ramp(Climate{20, 100000, 40}, Climate{30, 100000, 40}, now, now.Add(10*time.Second))
		c := NewBME280(world)
		b.Add(0x76, c)
		write(t, b, 0xF5, 0xA0, 0xF4, 0xB7) // standby 1 s, ×16 ×16
		period := 1250*time.Microsecond + 32*2300*time.Microsecond + 575*time.Microsecond + time.Second
		time.Sleep(period - time.Second)
		for i := range 5 {
			d := registers(t, b, 0xF7, 6)
			rawT := int64(d[3])<<12 | int64(d[4])<<4 | int64(d[5])>>4
			trim := TypicalTrimBME280()
			got, want := float64(trim.fine(rawT))/5120, world.At(time.Now()).Temperature
			if math.Abs(got-want) > 0.005 {
				t.Errorf("cycle %d: %.3f °C, want %.3f, that of this moment", i, got, want)
			}
			time.Sleep(period - 1)
			if again := registers(t, b, 0xF7, 6); !bytes.Equal(again, d) {
				t.Errorf("cycle %d: data changed before the cycle was over", i)
			}
			if status := registers(t, b, 0xF3, 1)[0]; status != 8 {
				t.Errorf("cycle %d: status %02x at its end, want measuring", i, status)
			}
			time.Sleep(1)
		}
		time.Sleep(1000 * time.Hour)
		registers(t, b, 0xF3, 1)
		if got, want := c.Conversions(), int((1000*time.Hour)/period)+6; math.Abs(float64(got-want)) > 1 {
			t.Errorf("%d conversions, want about %d", got, want)
		}
	})
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v; a long silence is worked out cycle by cycle", took)
	}
}

func TestBMx280Standby(t *testing.T) {
	for _, v := range []struct {
		name string
		chip func(World, ...ChipOption) *BMx280
		want [8]float64 // ms
	}{
		{"BME280 table 27", NewBME280, [8]float64{0.5, 62.5, 125, 250, 500, 1000, 10, 20}},
		{"BMP280 table 11", NewBMP280, [8]float64{0.5, 62.5, 125, 250, 500, 1000, 2000, 4000}},
	} {
		for code, ms := range v.want {
			c := v.chip(Steady(room))
			c.config = byte(code << 5)
			if got := c.standby(); got != time.Duration(ms*float64(time.Millisecond)) {
				t.Errorf("%s: code %d: %v, want %v ms", v.name, code, got, ms)
			}
		}
	}
}

// Table 6: samples until three quarters of a step are passed on.
func TestBMx280FilterStepResponse(t *testing.T) {
	for code, want := range [5]int{1, 2, 5, 11, 22} {
		synctest.Test(t, func(t *testing.T) {
			b, c := NewBus("I2C1"), NewBME280(Steady(Climate{20, 100000, 40}))
			b.Add(0x76, c)
			write(t, b, 0xF5, byte(code<<2))
			read := func() float64 {
				write(t, b, 0xF4, 0xB5)
				time.Sleep(100 * time.Millisecond)
				d := registers(t, b, 0xF7, 3)
				return float64(int64(d[0])<<12 | int64(d[1])<<4 | int64(d[2])>>4)
			}
			before := read()
			trim := TypicalTrimBME280()
			c.Tune(In(Steady(Climate{20, 101000, 40})))
			after := float64(trim.rawPressure(101000, trim.fine(trim.rawTemperature(20))))
			n := 1
			for (read()-before)/(after-before) < 0.75 {
				n++
			}
			if n != want {
				t.Errorf("coefficient %d: %d samples, want %d", 1<<code, n, want)
			}
			// A write to the filter field starts it afresh.
			write(t, b, 0xF5, byte(code<<2))
			if got := read(); math.Abs(got-after) > 1 {
				t.Errorf("coefficient %d: %.0f after a reset of the filter, want %.0f", 1<<code, got, after)
			}
		})
	}
}

// Table 17: without filter the resolution is 16 bits and one more per doubling; with
// it the BME280 has 20 bits, the BMP280 has not.
func TestBMx280Resolution(t *testing.T) {
	now := time.Now()
	world := Ramp(Climate{10, 99000, 40}, Climate{30, 102000, 60}, now, now.Add(time.Hour))
	for _, v := range []struct {
		name   string
		chip   func(World, ...ChipOption) *BMx280
		config byte
		osrs   byte
		zeros  int64 // low bits that are always 0
	}{
		{"BME280 ×1", NewBME280, 0, 1, 0xF},
		{"BME280 ×2", NewBME280, 0, 2, 0x7},
		{"BME280 ×4", NewBME280, 0, 3, 0x3},
		{"BME280 ×8", NewBME280, 0, 4, 0x1},
		{"BME280 ×16", NewBME280, 0, 5, 0},
		{"BME280 ×1 filtered", NewBME280, 0x04, 1, 0},
		{"BMP280 ×1 filtered", NewBMP280, 0x04, 1, 0xF},
	} {
		c := v.chip(world)
		c.config, c.ctrlMeas = v.config, v.osrs<<5|v.osrs<<2
		var seen uint32
		for i := range 200 {
			c.sample(now.Add(time.Duration(i) * 17 * time.Second))
			seen |= c.raw.Pressure | c.raw.Temperature
		}
		if got := int64(^seen & 0xF); got != v.zeros {
			t.Errorf("%s: low bits %04b never set, want %04b", v.name, got, v.zeros)
		}
	}
}

func TestBMx280SoftReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBus("I2C1", Speed(0))
		b.Add(0x76, NewBME280(Steady(room)))
		measure(t, b)
		write(t, b, 0xE0, 0x01) // another word has no effect
		if got := registers(t, b, 0xF4, 1)[0]; got != 0x24 {
			t.Errorf("ctrl_meas %02x after a wrong reset word", got)
		}
		write(t, b, 0xE0, 0xB6, 0xF4, 0x25)
		if err := b.Tx(0x76, []byte{0xD0}, make([]byte, 1)); !errors.Is(err, ErrNack) {
			t.Errorf("right after a reset: %v", err)
		}
		time.Sleep(2 * time.Millisecond)
		if got := registers(t, b, 0xF3, 1)[0]; got != 0x01 {
			t.Errorf("status %02x 2 ms after a reset, want im_update", got)
		}
		if got := registers(t, b, 0x88, 4); !bytes.Equal(got, make([]byte, 4)) {
			t.Errorf("trimming words % x while they are copied", got)
		}
		time.Sleep(time.Millisecond)
		if got := registers(t, b, 0xF3, 2); !bytes.Equal(got, []byte{0, 0}) {
			t.Errorf("status and ctrl_meas % x 3 ms after a reset, want 00 00", got)
		}
		if bytes.Equal(registers(t, b, 0x88, 4), make([]byte, 4)) {
			t.Error("no trimming words after a reset")
		}
	})
}

func TestBMx280HoldAndClone(t *testing.T) {
	onBus(t, func(t *testing.T, b *Bus, c *BMx280) {
		c.Tune(ChipID(0x58))
		if got := registers(t, b, 0xD0, 1)[0]; got != 0x58 {
			t.Errorf("clone says %02x", got)
		}
		free := measure(t, b)
		c.Hold(&RawBMx280{Pressure: 0x12345, Temperature: 0xFEDCB, Humidity: 0xABCD})
		want := []byte{0x12, 0x34, 0x50, 0xFE, 0xDC, 0xB0, 0xAB, 0xCD}
		for range 3 {
			if got := measure(t, b); !bytes.Equal(got, want) {
				t.Errorf("held: % x, want % x", got, want)
			}
		}
		c.Hold(nil)
		if got := measure(t, b); !bytes.Equal(got, free) {
			t.Errorf("released: % x, want % x", got, free)
		}
	})
}

// A burst is of one moment even while normal mode runs as fast as it can: with
// trimming words that make both channels equal functions of time, the halves of a
// burst must belong together.
func TestBMx280BurstIsOfOneMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		b, c := NewBus("I2C1"), NewBME280(Ramp(Climate{0, 90000, 40}, Climate{40, 110000, 40}, now, now.Add(2*time.Second)))
		b.Add(0x76, c)
		trim := TypicalTrimBME280()
		write(t, b, 0xF4, 0xB7)
		time.Sleep(100 * time.Millisecond)
		for range 300 {
			d := registers(t, b, 0xF7, 6)
			rawP := int64(d[0])<<12 | int64(d[1])<<4 | int64(d[2])>>4
			rawT := int64(d[3])<<12 | int64(d[4])<<4 | int64(d[5])>>4
			fine := trim.fine(rawT)
			p, _ := trim.pressure(rawP, fine)
			if want := 90000 + float64(fine)/5120*500; math.Abs(float64(p)/256-want) > 2 {
				t.Fatalf("pressure %.1f with the temperature of %.1f: torn", float64(p)/256, want)
			}
			time.Sleep(777 * time.Microsecond)
		}
	})
}

func TestNoise(t *testing.T) {
	spread := func(options ...ChipOption) (float64, []uint32) {
		c := NewBME280(Steady(room), options...)
		c.ctrlMeas, c.osrsH = 0x24, 1
		var sum, squares float64
		var raws []uint32
		for range 2000 {
			c.sample(morning)
			p, _ := c.trim.pressure(int64(c.raw.Pressure), c.trim.fine(int64(c.raw.Temperature)))
			x := float64(p)/256 - room.Pressure
			sum, squares = sum+x, squares+x*x
			raws = append(raws, c.raw.Pressure)
		}
		mean := sum / 2000
		return math.Sqrt(squares/2000 - mean*mean), raws
	}
	if got, _ := spread(); got != 0 {
		t.Errorf("spread %.3f Pa without noise", got)
	}
	got, raws := spread(Noise(1))
	if math.Abs(got-3.3) > 0.3 {
		t.Errorf("spread %.2f Pa, want 3.3, that of ×1 in the sheet", got)
	}
	_, again := spread(Noise(1))
	_, other := spread(Noise(2))
	if !equal(raws, again) || equal(raws, other) {
		t.Error("noise does not follow from its seed")
	}
}

func equal(a, b []uint32) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
