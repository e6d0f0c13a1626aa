package chip

import (
	"testing"

	"weir/sensors"
)

func TestBMP581Vectors(t *testing.T) {
	near(t, "101325 Pa", bmp5Pascal(0x62f340), 101325, 0)
	near(t, "25 °C", bmp5Celsius(0x190000), 25, 0)
	for raw, want := range map[uint32]float64{ // both sides of the sign, and its ends
		0: 0, 1: 1.0 / 65536, 0xffffff: -1.0 / 65536, 0xff0000: -1, 0xd80000: -40, 0x550000: 85, 0x7fffff: 128 - 1.0/65536, 0x800000: -128,
	} {
		near(t, "temperature", bmp5Celsius(raw), want, 0)
	}
	near(t, "highest pressure", bmp5Pascal(0xffffff), 262143.984375, 0) // not negative
}

func TestBMP581NeverMeasured(t *testing.T) {
	for _, b := range [][]byte{
		{0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f}, {0x7f, 0x7f, 0x7f, 0x40, 0xf3, 0x62}, {0, 0, 0x19, 0x7f, 0x7f, 0x7f},
		{0, 0, 0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		if _, _, err := parseBMP5(b); sensors.FaultOf(err) != sensors.Garbage {
			t.Errorf("% x: got %v, want garbage", b, err)
		}
	}
	if rawT, rawP, err := parseBMP5([]byte{0, 0, 0x19, 0x40, 0xf3, 0x62}); rawT != 0x190000 || rawP != 0x62f340 || err != nil {
		t.Errorf("got %x, %x, %v", rawT, rawP, err)
	}
}

func FuzzBMP581Reply(f *testing.F) {
	f.Add([]byte{0, 0, 0x19, 0x40, 0xf3, 0x62})
	f.Add([]byte{0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f})
	f.Add([]byte{0, 0, 0x80, 1, 0, 0})
	f.Fuzz(func(t *testing.T, reply []byte) {
		var b [6]byte
		copy(b[:], reply)
		rawT, rawP, err := parseBMP5(b[:])
		if err != nil {
			return
		}
		var s sensors.Sample
		fillBMP5(&s, rawT, rawP)
		wantSoundSample(t, &s, 2)
	})
}
