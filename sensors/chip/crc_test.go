package chip

import "testing"

// The check values the data sheets and public tests print.
func TestCRCHighFirst(t *testing.T) {
	for _, c := range []struct {
		name                string
		polynomial, initial byte
		data                []byte
		want                byte
	}{
		{"Sensirion sheet", 0x31, 0xff, []byte{0xbe, 0xef}, 0x92},
		{"periph sht4x", 0x31, 0xff, []byte{0xab, 0xcd}, 0x6f},
		{"TI", 0x31, 0xff, []byte{0xab, 0xab}, 0x72},
		{"periph hdc302x", 0x31, 0xff, []byte{0x01, 0xa4}, 0x4d},
		{"temperature 25 °C", 0x31, 0xff, []byte{0x66, 0x66}, 0x93},
		{"humidity 50 %", 0x31, 0xff, []byte{0x80, 0x00}, 0xa2},
		{"AHT20 reply", 0x31, 0xff, []byte{0x1c, 0x26, 0x9a, 0x76, 0x42, 0xe7}, 0x76},
		{"SHT2x one byte", 0x31, 0, []byte{0xdc}, 0x79},
		{"SHT2x temperature", 0x31, 0, []byte{0x68, 0x3a}, 0x7c},
		{"SHT2x humidity", 0x31, 0, []byte{0x4e, 0x85}, 0x6b},
		{"SMBus", 0x07, 0, []byte{0xb4, 0x07, 0xb5, 0xd2, 0x3a}, 0x30},
		{"nothing", 0x31, 0xff, nil, 0xff},
	} {
		if got := crcHighFirst(c.polynomial, c.initial, c.data); got != c.want {
			t.Errorf("%s: 0x%02x, want 0x%02x", c.name, got, c.want)
		}
	}
	// A bus that reads all 00 or FF never has a right one.
	for _, b := range []byte{0, 0xff} {
		if crcHighFirst(crcSensirion, crcFromFF, []byte{b, b}) == b {
			t.Errorf("words of 0x%02x have the checksum 0x%02x", b, b)
		}
	}
}
