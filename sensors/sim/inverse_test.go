package sim

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Every climate a chip is made for must come back through the sheet's compensation
// within half a step of its converter, on top of the step of the result itself.
func TestBMx280RoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	trims := map[string]TrimBMx280{"sheet": SheetTrimBMP280(), "typical": TypicalTrimBME280()}
	for _, v := range bmx280Vectors {
		trims[v.name] = v.trim
	}
	negative := TypicalTrimBME280()
	negative.H4, negative.H5, negative.H6, negative.T3, negative.H3 = 250, -16, -30, -50, 12
	trims["negative words"] = negative
	for name, trim := range trims {
		for range 2000 {
			want := Climate{
				Temperature: -40 + 125*random.Float64(),
				Pressure:    30000 + 80000*random.Float64(),
				Humidity:    100 * random.Float64(),
			}
			rawT := trim.rawTemperature(want.Temperature)
			fine := trim.fine(rawT)
			rawP := trim.rawPressure(want.Pressure, fine)
			if got := float64(centi(fine)) / 100; math.Abs(got-want.Temperature) > 0.008 {
				t.Fatalf("%s: %.3f °C comes back as %.3f", name, want.Temperature, got)
			}
			p, ok := trim.pressure(rawP, fine)
			if step := math.Abs(pascals(&trim, rawP+1, fine)-pascals(&trim, rawP, fine)) + 1.0/256; !ok || math.Abs(float64(p)/256-want.Pressure) > step {
				t.Fatalf("%s: %.2f Pa at %.2f °C comes back as %.2f, step %.3f", name, want.Pressure, want.Temperature, float64(p)/256, step)
			}
			if trim.H2 == 0 || want.Temperature < 0 || want.Temperature > 60 {
				continue
			}
			rawH := trim.rawHumidity(want.Humidity, fine)
			if got := float64(trim.humidity(rawH, fine)) / 1024; rawH < full16 && rawH > 0 && math.Abs(got-want.Humidity) > 0.01 {
				t.Fatalf("%s: %.3f %% at %.2f °C comes back as %.3f", name, want.Humidity, want.Temperature, got)
			}
		}
	}
}

func pascals(c *TrimBMx280, raw, fine int64) float64 {
	p, _ := c.pressure(raw, fine)
	return float64(p) / 256
}

func TestBMP180RoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	second := trimFromBytes([]byte{35, 136, 251, 103, 199, 169, 135, 91, 98, 137, 80, 22, 25, 115, 0, 46, 128, 0, 209, 246, 10, 123})
	for name, trim := range map[string]TrimBMP180{"sheet": SheetTrimBMP180(), "second chip": second} {
		for range 2000 {
			celsius, pascal, oss := -40+125*random.Float64(), 30000+80000*random.Float64(), uint(random.IntN(4))
			b5, _ := trim.b5(trim.rawTemperature(celsius))
			if got := float64(deci(b5)) / 10; math.Abs(got-celsius) > 0.065 { // half of 0.1 and half a step of UT
				t.Fatalf("%s: %.2f °C comes back as %.1f", name, celsius, got)
			}
			up := trim.rawPressure(pascal, b5, oss)
			got, _ := trim.pressure(up, b5, oss)
			next, _ := trim.pressure(up+1, b5, oss)
			// The last division is doubled afterwards: results are 2 Pa apart.
			if step := float64(next-got) + 2; math.Abs(float64(got)-pascal) > step {
				t.Fatalf("%s: %.0f Pa at %.1f °C, oss %d, comes back as %d, step %.0f", name, pascal, celsius, oss, got, step)
			}
		}
	}
}

// What lies outside what the converter can express ends at its ends.
func TestRawWordsStayInRange(t *testing.T) {
	m, b := TypicalTrimBME280(), SheetTrimBMP180()
	for _, c := range []Climate{{-300, -1e9, -50}, {1e6, 1e12, 1e6}, {math.Inf(1), math.Inf(-1), 0}} {
		rawT := m.rawTemperature(c.Temperature)
		rawP := m.rawPressure(c.Pressure, m.fine(rawT))
		rawH := m.rawHumidity(c.Humidity, m.fine(rawT))
		if rawT < 0 || rawT > full20 || rawP < 0 || rawP > full20 || rawH < 0 || rawH > full16 {
			t.Errorf("%+v: %x %x %x", c, rawT, rawP, rawH)
		}
		ut := b.rawTemperature(c.Temperature)
		b5, _ := b.b5(ut)
		if up := b.rawPressure(c.Pressure, b5, 3); ut < 0 || ut > full16 || up < 0 || up > 1<<19-1 {
			t.Errorf("%+v: %x %x", c, ut, up)
		}
	}
	var none TrimBMx280
	if _, ok := none.pressure(1, 1); ok {
		t.Error("P1 = 0 gives a pressure")
	}
	var bare TrimBMP180
	if _, ok := bare.b5(1); ok {
		t.Error("X1 + MD = 0 gives a temperature")
	}
	none.rawPressure(101325, 0)
	bare.rawPressure(101325, bare.rawTemperature(20), 0)
}

// A conversion that happens to hit the code of a skipped channel moves one step.
func TestSkippedCodeIsNeverMeasured(t *testing.T) {
	trim := TypicalTrimBME280()
	fine := trim.fine(skipped20)
	celsius := float64(fine) / 5120
	p, _ := trim.pressure(skipped20, fine)
	for _, osrs := range []byte{1, 5} {
		c := NewBME280(Steady(Climate{celsius, float64(p) / 256, float64(trim.humidity(skipped16, fine)) / 1024}))
		c.ctrlMeas, c.osrsH = osrs<<5|osrs<<2, osrs
		c.sample(morning)
		if c.raw.Temperature == skipped20 || c.raw.Pressure == skipped20 || c.raw.Humidity == skipped16 {
			t.Errorf("code %d: %+v", osrs, c.raw)
		}
		if d := int64(c.raw.Temperature) - skipped20; d < -32 || d > 32 {
			t.Errorf("code %d: temperature word moved by %d", osrs, d)
		}
	}
}
