package sim

import (
	"bytes"
	"encoding/hex"
	"math"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCRC16(t *testing.T) {
	if got := crc16([]byte("123456789")); got != 0x4B37 {
		t.Errorf("check value %04x, want 4b37", got)
	}
	for _, frame := range []string{
		"01 03 00 00 00 0A C5 CD", "01 03 00 00 00 02 C4 0B", "01 04 00 01 00 01 60 0A",
		"01 04 00 01 00 02 20 0B", "01 04 02 01 31 79 74", "01 83 02 C0 F1",
	} {
		if got := crc16(unhex(t, frame)); got != 0 {
			t.Errorf("%s: rest %04x, want 0", frame, got)
		}
	}
}

func TestModbusAnswers(t *testing.T) {
	s := NewXYMD02(1, Steady(Climate{Temperature: 30.5, Humidity: 54.6}))
	s.Set(Holding, 0xFFFF, 7)
	for _, v := range []struct{ name, ask, want string }{ // without CRC
		{"temperature", "01 04 00 01 00 01", "01 04 02 01 31"},
		{"both", "01 04 00 01 00 02", "01 04 04 01 31 02 22"},
		{"not for it", "02 04 00 01 00 01", ""},
		{"broadcast", "00 04 00 01 00 01", ""},
		{"short", "01", ""},
		{"no such register", "01 03 00 00 00 02", "01 83 02"},
		{"no such function", "01 05 00 00 FF 00", "01 85 01"},
		{"no registers", "01 04 00 01 00 00", "01 84 03"},
		{"too many registers", "01 04 00 01 00 7E", "01 84 03"},
		{"too long", "01 04 00 01 00 01 00", "01 84 03"},
		{"over the end", "01 03 FF FF 00 02", "01 83 02"},
		{"the last", "01 03 FF FF 00 01", "01 03 02 00 07"},
	} {
		var want []byte
		if v.want != "" {
			want = sealed(unhex(t, v.want))
		}
		if got := s.Answer(morning, sealed(unhex(t, v.ask))); !bytes.Equal(got, want) {
			t.Errorf("%s: % x, want % x", v.name, got, want)
		}
	}
	if got := s.Answer(morning, unhex(t, "01 04 00 01 00 01 60 0B")); got != nil {
		t.Errorf("bad CRC: % x, want silence", got)
	}
	if got := s.Answer(morning, unhex(t, "01 04 00 01 00 01 60 0A")); !bytes.Equal(got, unhex(t, "01 04 02 01 31 79 74")) {
		t.Errorf("the published exchange: % x", got)
	}
	if s.Requests() != 10 {
		t.Errorf("%d requests heard, want 10", s.Requests())
	}
}

// A register that falls below zero is in two's complement: FF33 is -20.5.
func TestXYMD02BelowZero(t *testing.T) {
	s := NewXYMD02(1, Steady(Climate{Temperature: -20.5}))
	if got := s.Answer(morning, unhex(t, "01 04 00 01 00 01 60 0A")); !bytes.Equal(got[3:5], []byte{0xFF, 0x33}) {
		t.Errorf("-20.5 °C is % x", got)
	}
}

func TestWords32(t *testing.T) {
	for order, want := range map[string][2]uint16{
		"ABCD": {0xC2F6, 0xE666}, "CDAB": {0xE666, 0xC2F6}, "BADC": {0xF6C2, 0x66E6}, "DCBA": {0x66E6, 0xF6C2},
	} {
		got := Words32(math.Float32bits(-123.45), order)
		if got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%s: %04x, want %04x", order, got, want)
		}
	}
}

func TestPressureTransmitter(t *testing.T) {
	s := NewPressureTransmitter(5, Steady(room), "CDAB")
	got := s.Answer(morning, sealed([]byte{5, 3, 0, 2, 0, 5}))
	want := sealed([]byte{5, 3, 10, 0, 1, 0, 1, 0x03, 0xF5, 0, 0, 0x07, 0xD0}) // 101.3 kPa
	if !bytes.Equal(got, want) {
		t.Errorf("registers 2 to 6: % x, want % x", got, want)
	}
	got = s.Answer(morning, sealed([]byte{5, 3, 0, 22, 0, 2}))
	if want := sealed([]byte{5, 3, 4, 0xA6, 0x66, 0x42, 0xCA}); !bytes.Equal(got, want) { // 101.325 is 42CAA666
		t.Errorf("registers 22 and 23: % x, want % x", got, want)
	}
}

func TestWords64(t *testing.T) {
	for order, want := range map[string][4]uint16{
		"ABCD": {0x0102, 0x0304, 0x0506, 0x0708}, "CDAB": {0x0708, 0x0506, 0x0304, 0x0102},
		"BADC": {0x0201, 0x0403, 0x0605, 0x0807}, "DCBA": {0x0807, 0x0605, 0x0403, 0x0201},
	} {
		if got := Words64(0x0102030405060708, order); [4]uint16(got) != want {
			t.Errorf("%s: %04x, want %04x", order, got, want)
		}
	}
}

func TestOtherTransmitters(t *testing.T) {
	for _, v := range []struct {
		name      string
		slave     *ModbusSlave
		ask, want string // without CRC
	}{
		{"MD02", NewMD02(1, Steady(Climate{Temperature: -20.5, Humidity: 54.6})), "01 04 00 01 00 02", "01 04 04 F7 FE 15 54"},
		{"float, unit and decimals", NewFloatPressureTransmitter(5, Steady(room), "ABCD"), "05 03 00 02 00 03", "05 03 06 00 00 00 0A 00 02"},
		{"float, value", NewFloatPressureTransmitter(5, Steady(room), "ABCD"), "05 03 00 16 00 02", "05 03 04 44 7D 50 00"}, // 1013.25
		{"float, temperature", NewFloatPressureTransmitter(5, Steady(room), "CDAB"), "05 03 00 26 00 02", "05 03 04 00 00 41 AC"},
		{"HMD60, test of integers", NewHMD60(240, Steady(room)), "F0 03 1F 00 00 01", "F0 03 02 CF C7"},
		{"HMD60, test of floats", NewHMD60(240, Steady(room)), "F0 03 1F 01 00 02", "F0 03 04 E6 66 C2 F6"},
		{"HMD60, test of texts", NewHMD60(240, Steady(room)), "F0 03 1F 03 00 04", "F0 03 08 2D 31 32 33 2E 34 35 00"},
		{"HMD60, values", NewHMD60(240, Steady(room)), "F0 03 00 00 00 04", "F0 03 08 00 00 42 34 00 00 41 AC"}, // 45, 21.5
	} {
		if got, want := v.slave.Answer(morning, sealed(unhex(t, v.ask))), sealed(unhex(t, v.want)); !bytes.Equal(got, want) {
			t.Errorf("%s: % x, want % x", v.name, got, want)
		}
	}
}

const askBoth, bothAnswer = "01 04 00 01 00 02 20 0B", "01 04 04 00 D7 01 C2 CB BD" // 21.5 °C, 45.0 %

// ask sends a request and returns all bytes that come within a time.
func ask(t *testing.T, port net.Conn, request string, within time.Duration) []byte {
	t.Helper()
	if _, err := port.Write(unhex(t, request)); err != nil {
		t.Fatal(err)
	}
	return collect(t, port, within)
}

func collect(t *testing.T, port net.Conn, within time.Duration) []byte {
	t.Helper()
	_ = port.SetReadDeadline(time.Now().Add(within))
	var got []byte
	buffer := make([]byte, 64)
	for {
		n, err := port.Read(buffer)
		got = append(got, buffer[:n]...)
		if isTimeout(err) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestModbusLineDistorted(t *testing.T) {
	for _, v := range []struct {
		name string
		d    Distortion
		want string
	}{
		{"exception", Exception(DeviceBusy), "01 84 06 C3 02"},
		{"wrong slave", WrongSlave(2), "02 04 04 00 D7 01 C2 F8 BD"},
		{"wrong function", WrongFunction(3), "01 03 04 00 D7 01 C2 CA 0A"},
		{"bad CRC", BadCRC(), "01 04 04 00 D7 01 C2 CB 3D"},
		{"silence", Silence(), ""},
		{"garbage first", Prefix(0, 0xFF), "00 FF" + bothAnswer},
		{"split", Split(4, 50*time.Millisecond), bothAnswer},
		{"late", Late(90 * time.Millisecond), bothAnswer},
		{"too late", Late(time.Second), ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := NewXYMD02(1, Steady(room))
			port, stop := attach(t, NewModbusLine(s))
			defer stop()
			if got := ask(t, port, askBoth, 100*time.Millisecond); !bytes.Equal(got, unhex(t, bothAnswer)) {
				t.Fatalf("% x, want %s", got, bothAnswer)
			}
			s.Distort(v.d, 1)
			if got, want := ask(t, port, askBoth, 100*time.Millisecond), unhex(t, v.want); !bytes.Equal(got, want) {
				t.Errorf("%s: % x, want % x", v.name, got, want)
			}
		})
	}
}

// The wrong frames above are right in themselves.
func TestDistortedFramesAreSealed(t *testing.T) {
	for _, d := range []Distortion{Exception(1), WrongSlave(9), WrongFunction(6)} {
		if frame := d(unhex(t, bothAnswer))[0].Bytes; crc16(frame) != 0 {
			t.Errorf("% x: CRC does not fit", frame)
		}
	}
	if frame := BadCRC()(unhex(t, bothAnswer))[0].Bytes; crc16(frame) == 0 {
		t.Errorf("% x: CRC fits", frame)
	}
}

func TestModbusLineFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewXYMD02(1, Steady(room))
		l := NewModbusLine(s, NewXYMD02(2, Steady(room)))
		l.Turnaround = 5 * time.Millisecond
		port, stop := attach(t, l)
		defer stop()

		// A request in two parts is one request, if the silence between is short.
		request := unhex(t, askBoth)
		_, _ = port.Write(request[:3])
		time.Sleep(10 * time.Millisecond)
		_, _ = port.Write(request[3:])
		if got := collect(t, port, 100*time.Millisecond); !bytes.Equal(got, unhex(t, bothAnswer)) {
			t.Errorf("in two parts: % x", got)
		}
		// With a long silence it is two pieces of noise.
		_, _ = port.Write(request[:3])
		time.Sleep(30 * time.Millisecond)
		_, _ = port.Write(request[3:])
		if got := collect(t, port, 100*time.Millisecond); len(got) != 0 {
			t.Errorf("torn: % x", got)
		}
		// Noise in front spoils a request, silence heals the line.
		if got := ask(t, port, "FF"+askBoth, 100*time.Millisecond); len(got) != 0 {
			t.Errorf("after noise: % x", got)
		}
		if got := ask(t, port, askBoth, 100*time.Millisecond); !bytes.Equal(got, unhex(t, bothAnswer)) {
			t.Errorf("after silence: % x", got)
		}
		// Write multiple registers is longer than eight bytes and ends with silence.
		if got := ask(t, port, hex.EncodeToString(sealed(unhex(t, "01 10 00 01 00 01 02 00 05"))), 100*time.Millisecond); !bytes.Equal(got, exception(1, 0x10, IllegalFunction)) {
			t.Errorf("function 16: % x", got)
		}
		// Endless noise is forgotten.
		_, _ = port.Write(bytes.Repeat([]byte{0xAA}, 1000))
		time.Sleep(30 * time.Millisecond)
		if got := ask(t, port, askBoth, 100*time.Millisecond); !bytes.Equal(got, unhex(t, bothAnswer)) {
			t.Errorf("after endless noise: % x", got)
		}
	})
}

func TestModbusLineEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewModbusLine(NewXYMD02(1, Steady(room)))
		l.Echo = true
		port, stop := attach(t, l)
		defer stop()
		got := ask(t, port, askBoth, 100*time.Millisecond)
		if want := append(unhex(t, askBoth), unhex(t, bothAnswer)...); !bytes.Equal(got, want) {
			t.Errorf("% x, want % x", got, want)
		}
	})
}

// A slave that answers late does not keep another one from answering.
func TestModbusLateSlaveHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := NewXYMD02(1, Steady(room))
		late.Distort(Late(time.Second), 1)
		port, stop := attach(t, NewModbusLine(late, NewXYMD02(2, Steady(room))))
		defer stop()
		if got := ask(t, port, askBoth, 100*time.Millisecond); len(got) != 0 {
			t.Errorf("late slave answers % x at once", got)
		}
		if got := ask(t, port, hex.EncodeToString(sealed(unhex(t, "02 04 00 01 00 02"))), 100*time.Millisecond); len(got) != 9 || got[0] != 2 {
			t.Errorf("the other slave: % x", got)
		}
		if got := collect(t, port, time.Second); !bytes.Equal(got, unhex(t, bothAnswer)) {
			t.Errorf("the late answer: % x", got)
		}
	})
}

func FuzzModbusAnswer(f *testing.F) {
	for _, s := range []string{"010400010002", "0103ffff0002", "01830200", "01", ""} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	s := NewXYMD02(1, Steady(room))
	f.Fuzz(func(t *testing.T, body []byte) {
		answer := s.Answer(morning, sealed(body))
		if answer == nil {
			return
		}
		if crc16(answer) != 0 || answer[0] != 1 || len(answer) > longestFrame {
			t.Errorf("% x answers % x", body, answer)
		}
	})
}
