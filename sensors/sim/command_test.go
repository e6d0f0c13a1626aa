package sim

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// talk is a conversation with one chip at 0x44 on a wire that takes no time.
type talk struct {
	*testing.T
	wire *Bus
}

// onTalk runs a test in a bubble. make runs inside it.
func onTalk(t *testing.T, chip Device, test func(k talk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := talk{t, NewBus("I2C1", Speed(0))}
		k.wire.Add(0x44, chip)
		test(k)
	})
}

// say writes, and asks for its acknowledgement.
func (k talk) say(w ...byte) {
	k.Helper()
	if err := k.wire.Tx(0x44, w, nil); err != nil {
		k.Fatalf("% x: %v", w, err)
	}
}

// hear reads n bytes.
func (k talk) hear(n int) []byte {
	k.Helper()
	r := make([]byte, n)
	if err := k.wire.Tx(0x44, nil, r); err != nil {
		k.Fatalf("read: %v", err)
	}
	return r
}

// ask writes and reads with a repeated start.
func (k talk) ask(n int, w ...byte) []byte {
	k.Helper()
	r := make([]byte, n)
	if err := k.wire.Tx(0x44, w, r); err != nil {
		k.Fatalf("% x: %v", w, err)
	}
	return r
}

// refuses wants these bytes not to be acknowledged.
func (k talk) refuses(w ...byte) {
	k.Helper()
	if err := k.wire.Tx(0x44, w, nil); !errors.Is(err, ErrNack) {
		k.Errorf("% x: %v, want no acknowledgement", w, err)
	}
}

// silent wants a read not to be acknowledged.
func (k talk) silent() {
	k.Helper()
	if err := k.wire.Tx(0x44, nil, make([]byte, 1)); !errors.Is(err, ErrNack) {
		k.Errorf("read: %v, want no acknowledgement", err)
	}
}

// same compares bytes.
func (k talk) same(what string, got []byte, want ...byte) {
	k.Helper()
	if !bytes.Equal(got, want) {
		k.Errorf("%s: % x, want % x", what, got, want)
	}
}

// near compares numbers.
func (k talk) near(what string, got, want, within float64) {
	k.Helper()
	if !(math.Abs(got-want) <= within) {
		k.Errorf("%s: %v, want %v within %v", what, got, want, within)
	}
}

// takesExactly triggers, and wants the answer at this moment and not before.
func (k talk) takesExactly(d time.Duration, n int, trigger ...byte) []byte {
	k.Helper()
	k.say(trigger...)
	time.Sleep(d - 1)
	k.silent()
	time.Sleep(1)
	b := k.hear(n)
	k.silent() // an answer is given once
	return b
}

// word returns one checked word of an answer.
func (k talk) word(b []byte, i int, start byte) float64 {
	k.Helper()
	b = b[3*i:]
	if checksum(start, b[0], b[1]) != b[2] {
		k.Errorf("word %d: checksum of % x is %02x", i, b[:3], checksum(start, b[0], b[1]))
	}
	return float64(b[0])*256 + float64(b[1])
}

// Published checksums: of the sheets of SHT3x and HDC302x, of other projects' tests,
// and of the HTU21D sheet.
func TestChecksum(t *testing.T) {
	for _, v := range []struct {
		start byte
		data  []byte
		want  byte
	}{
		{0xFF, []byte{0xBE, 0xEF}, 0x92},
		{0xFF, []byte{0xAB, 0xCD}, 0x6F},
		{0xFF, []byte{0xAB, 0xAB}, 0x72},
		{0xFF, []byte{0x01, 0xA4}, 0x4D},
		{0xFF, []byte{0x66, 0x66}, 0x93},
		{0xFF, []byte{0x80, 0x00}, 0xA2},
		{0xFF, []byte{0x18, 0x75, 0x52, 0x05, 0x8E, 0x40}, 0x7F},
		{0xFF, []byte{0x1C, 0x26, 0x9A, 0x76, 0x42, 0xE7}, 0x76},
		{0x00, []byte{0xDC}, 0x79},
		{0x00, []byte{0x68, 0x3A}, 0x7C},
		{0x00, []byte{0x4E, 0x85}, 0x6B},
	} {
		if got := checksum(v.start, v.data...); got != v.want {
			t.Errorf("% x from %02x: %02x, want %02x", v.data, v.start, got, v.want)
		}
	}
}

// Published values of words, and what their inverse makes of them.
func TestHumidityChipFormulas(t *testing.T) {
	for _, v := range []struct {
		name    string
		formula func(int64) float64
		raw     int64
		want    float64
	}{
		{"SHT3x 6666", celsius175, 0x6666, 25},
		{"SHT3x 8000", percent100, 0x8000, 50.0008},
		{"HDC302x D41C", celsius175, 0xD41C, 100},
		{"SHT4x 8000", sht4xPercent, 0x8000, 56.501},
		{"HTU21D 683A", htuCelsius, 0x683A, 24.686},
		{"HTU21D 7C80", htuPercent, 0x7C80, 54.79},
		{"HTU21D 4E85", htuPercent, 0x4E85, 32.338}, // published cut to 32.33
		{"HDC1080 6666", hdcCelsius, 0x6666, 25.999},
		{"HDC1080 8000", hdcPercent, 0x8000, 50},
		{"AHT20 humidity", ahtPercent, 0x75520, 45.82825},
		{"AHT20 temperature", ahtCelsius, 0x58E40, 19.44580},
		{"AHT20 humidity, second", ahtPercent, 0x269A7, 15.0794},
		{"AHT20 temperature, second", ahtCelsius, 0x642E7, 28.2667},
	} {
		if got := v.formula(v.raw); math.Abs(got-v.want) > 0.002 {
			t.Errorf("%s: %v, want %v", v.name, got, v.want)
		}
		if back := nearest(0, ahtFull, v.formula(v.raw), v.formula); math.Abs(v.formula(back)-v.formula(v.raw)) > 1e-9 {
			t.Errorf("%s: comes back as %x", v.name, back)
		}
	}
	for _, f := range []func(int64) float64{celsius175, percent100, sht4xPercent, shtc3Celsius, shtc3Percent, htuCelsius, htuPercent, hdcCelsius, hdcPercent} {
		if low, high := word16(-1e9, f), word16(1e9, f); low > 3 || high < 0xFFFC {
			t.Errorf("ends at %x and %x", low, high)
		}
	}
}
