package chip

import (
	"math"
	"testing"
)

// The example of ST's sheets and application notes, and the ends of the words.
func TestLPSVectors(t *testing.T) {
	for _, v := range []struct {
		bytes  [3]byte // low byte first
		pascal float64
	}{
		{[3]byte{0x8d, 0xf5, 0x3f}, 102334.69}, // 3FF58D: 1023.347 hPa
		{[3]byte{0, 0, 0}, 0},
		{[3]byte{1, 0, 0}, 100.0 / 4096},
		{[3]byte{0xff, 0xff, 0x7f}, 204799.97},
		{[3]byte{0, 0, 0x80}, -204800},
		{[3]byte{0xff, 0xff, 0xff}, -100.0 / 4096},
	} {
		if got, _ := lpsPressure(v.bytes[:]); math.Abs(got-v.pascal) > 0.01 {
			t.Errorf("% x: got %v, want %v", v.bytes, got, v.pascal)
		}
	}
	for _, v := range []struct {
		low, high  byte
		newer, old float64
	}{
		{0, 0, 0, 42.5}, {1, 0, 0.01, 42.5 + 1.0/480}, {0xff, 0xff, -0.01, 42.5 - 1.0/480},
		{0xff, 0x7f, 327.67, 42.5 + 32767.0/480}, {0, 0x80, -327.68, 42.5 - 32768.0/480},
		{0x66, 0x08, 21.5, 42.5 + 2150.0/480},
		{0xd8, 0xdc, -90, 42.5 - 9000.0/480}, // 23.75 °C on an LPS25HB
	} {
		b := []byte{v.low, v.high}
		if got, _ := lpsTemperature(b, false); math.Abs(got-v.newer) > 1e-9 {
			t.Errorf("% x on the newer ones: got %v, want %v", b, got, v.newer)
		}
		if got, _ := lpsTemperature(b, true); math.Abs(got-v.old) > 1e-9 {
			t.Errorf("% x on the older ones: got %v, want %v", b, got, v.old)
		}
	}
}
