package chip

import (
	"math"
	"testing"
)

// Vectors of TMP102 (SBOS397 table 7-3; those of periph devices 3.7.4 are the same),
// LM75 (SNIS153 table 1), LM75B, TMP105 (SBOS648 table 7-4), TMP117 (SNOSD82 table 7-1).
func TestLM75Family(t *testing.T) {
	for _, v := range []struct {
		name       string
		celsius    func(uint16, uint) (float64, float64, bool)
		word       uint16
		bits       uint
		want, step float64
	}{
		{"LM75 125", lm75Celsius, 0x7d00, 9, 125, 0.5},
		{"LM75 25", lm75Celsius, 0x1900, 9, 25, 0.5},
		{"LM75 0.5", lm75Celsius, 0x0080, 9, 0.5, 0.5},
		{"LM75 0", lm75Celsius, 0x0000, 9, 0, 0.5},
		{"LM75 -0.5", lm75Celsius, 0xff80, 9, -0.5, 0.5},
		{"LM75 -25", lm75Celsius, 0xe700, 9, -25, 0.5},
		{"LM75 -55", lm75Celsius, 0xc900, 9, -55, 0.5},
		{"LM75 with bits below that mean nothing", lm75Celsius, 0x197f, 9, 25, 0.5},
		{"LM75 with such bits, negative", lm75Celsius, 0xe77f, 9, -25, 0.5},
		{"LM75B 0.125", lm75Celsius, 0x0020, 11, 0.125, 0.125},
		{"LM75B -0.125", lm75Celsius, 0xffe0, 11, -0.125, 0.125},
		{"LM75B 126.875", lm75Celsius, 0x7ee0, 11, 126.875, 0.125},
		{"TMP105 100", lm75Celsius, 0x6400, 12, 100, 0.0625},
		{"TMP105 -0.25", lm75Celsius, 0xffc0, 12, -0.25, 0.0625},
		{"TMP102 100", tmp102Celsius, 0x6400, 12, 100, 0.0625},
		{"TMP102 50", tmp102Celsius, 0x3200, 12, 50, 0.0625},
		{"TMP102 25", tmp102Celsius, 0x1900, 12, 25, 0.0625},
		{"TMP102 0.25", tmp102Celsius, 0x0040, 12, 0.25, 0.0625},
		{"TMP102 0", tmp102Celsius, 0x0000, 12, 0, 0.0625},
		{"TMP102 -0.25", tmp102Celsius, 0xffc0, 12, -0.25, 0.0625},
		{"TMP102 -25", tmp102Celsius, 0xe700, 12, -25, 0.0625},
		{"TMP102 -55", tmp102Celsius, 0xc900, 12, -55, 0.0625},
		{"TMP102 127.9375", tmp102Celsius, 0x7ff0, 12, 127.9375, 0.0625},
		{"TMP102 extended 150", tmp102Celsius, 0x4b01, 12, 150, 0.0625},
		{"TMP102 extended -0.0625", tmp102Celsius, 0xfff9, 12, -0.0625, 0.0625},
		{"TMP102 extended -55", tmp102Celsius, 0xe481, 12, -55, 0.0625},
		{"TMP117 25", tmp117Celsius, 0x0c80, 16, 25, 0.0078125},
		{"TMP117 0", tmp117Celsius, 0x0000, 16, 0, 0.0078125},
		{"TMP117 one step", tmp117Celsius, 0x0001, 16, 0.0078125, 0.0078125},
		{"TMP117 minus one step", tmp117Celsius, 0xffff, 16, -0.0078125, 0.0078125},
		{"TMP117 255.9921875", tmp117Celsius, 0x7fff, 16, 255.9921875, 0.0078125},
		{"TMP117 lowest", tmp117Celsius, 0x8001, 16, -255.9921875, 0.0078125},
	} {
		if got, step, ok := v.celsius(v.word, v.bits); !ok || got != v.want || step != v.step {
			t.Errorf("%s: got %v in steps of %v, %v, want %v in steps of %v", v.name, got, step, ok, v.want, v.step)
		}
	}
	for name, ok := range map[string]bool{
		"LM75 ffff":                     third(lm75Celsius(0xffff, 9)),
		"TMP102 ffff":                   third(tmp102Celsius(0xffff, 12)),
		"TMP102 with bits that are not": third(tmp102Celsius(0x1902, 12)),
		"TMP117 before the first":       third(tmp117Celsius(0x8000, 16)),
	} {
		if ok {
			t.Errorf("%s: taken for a temperature", name)
		}
	}
}

func third(_, _ float64, ok bool) bool { return ok }

// The vectors of periph devices 3.7.4, which follow DS25095 section 5.1.3.1; the alert
// bits above the sign change nothing.
func TestMCP9808Celsius(t *testing.T) {
	for word, want := range map[uint16]float64{
		0x00a0: 10, 0x1f60: -10, 0x07cc: 124.75, 0x1ffc: -0.25, 0x1d84: -39.75, 0x0000: 0, 0x000f: 0.9375, 0x1fff: -0.0625, 0x1000: -256,
	} {
		for _, alert := range []uint16{0, 0x2000, 0x4000, 0x8000, 0xe000} {
			if got := mcpCelsius(mcpRaw(word | alert)); got != want {
				t.Errorf("%04x: %v, want %v", word|alert, got, want)
			}
		}
	}
}

func TestMLX90614Words(t *testing.T) {
	if got, ok := mlxCelsius(0x3ad2); !ok || math.Abs(got-28.01) > 1e-9 {
		t.Errorf("3ad2: %v, %v, want 28.01", got, ok)
	}
	if got, ok := mlxCelsius(0x27ad); !ok || math.Abs(got - -70.01) > 1e-9 { // lowest and highest of the sheet
		t.Errorf("27ad: %v, %v, want -70.01", got, ok)
	}
	if got, ok := mlxCelsius(0x7fff); !ok || math.Abs(got-382.19) > 1e-9 {
		t.Errorf("7fff: %v, %v, want 382.19", got, ok)
	}
	if _, ok := mlxCelsius(0x8000); ok {
		t.Error("the error bit is not seen")
	}
	// The sheet's worked checksum: B4 07 B5 D2 3A -> 30.
	answer := []byte{0xd2, 0x3a, 0x30}
	if !mlxSound(0x5a, 0x07, answer) || mlxSound(0x5b, 0x07, answer) || mlxSound(0x5a, 0x06, answer) {
		t.Error("the checksum does not depend on all it is computed over")
	}
	for bit := range 24 {
		wrong := []byte{0xd2, 0x3a, 0x30}
		wrong[bit/8] ^= 1 << (bit % 8)
		if mlxSound(0x5a, 0x07, wrong) {
			t.Errorf("bit %d flipped, and the checksum is right", bit)
		}
	}
}

// Computed by hand: 100 °C seen with 1 in surroundings of 25 °C is hotter with 0.9.
func TestMLX90614Emissivity(t *testing.T) {
	if got := mlxCorrected(60, 25, 0.95, 0.95); math.Abs(got-60) > 1e-9 {
		t.Errorf("the same emissivity: %v, want 60", got)
	}
	if got := mlxCorrected(25, 25, 1, 0.1); math.Abs(got-25) > 1e-9 {
		t.Errorf("as warm as the sensor: %v, want 25 whatever the emissivity", got)
	}
	want := math.Pow((math.Pow(373.15, 4)-math.Pow(298.15, 4))/0.9+math.Pow(298.15, 4), 0.25) - 273.15
	if got := mlxCorrected(100, 25, 1, 0.9); math.Abs(got-want) > 1e-9 || got < 105 || got > 107 {
		t.Errorf("100 °C with 0.9: %v, want %v", got, want)
	}
	if got := mlxCorrected(-50, 25, 1, 0.1); got == got {
		t.Errorf("a surface that sends less than nothing: %v, want not a number", got)
	}
}

// No word gives a value that is not finite, or one outside what its bits can hold.
func FuzzThermometerWords(f *testing.F) {
	f.Add(uint16(0x1900), uint16(0x3ad2), byte(0x30))
	f.Add(uint16(0xffff), uint16(0x8000), byte(0))
	f.Fuzz(func(t *testing.T, word, other uint16, pec byte) {
		for _, m := range lm75Models {
			v, step, ok := m.celsius(word, m.bits)
			if ok && (math.Abs(v) > 256 || step <= 0 || v != v) {
				t.Errorf("%s %04x: %v in steps of %v", m.name, word, v, step)
			}
		}
		if v := mcpCelsius(mcpRaw(word)); v < -256 || v >= 256 {
			t.Errorf("MCP9808 %04x: %v", word, v)
		}
		if v, ok := mlxCelsius(other); ok && (v < -273.15 || v > 382.2) {
			t.Errorf("MLX90614 %04x: %v", other, v)
		}
		if mlxSound(mlxAddress, mlxObject, []byte{byte(other), byte(other >> 8), pec}) &&
			mlxSound(mlxAddress, mlxObject, []byte{byte(other), byte(other >> 8), pec ^ 1}) {
			t.Errorf("%04x: two checksums are right", other)
		}
	})
}
