package chip

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestModbusCRC(t *testing.T) {
	if got := crc16([]byte("123456789")); got != 0x4b37 {
		t.Errorf("got %04x, want 4b37", got)
	}
	for _, frame := range []string{
		"01 03 00 00 00 0A C5 CD", "01 03 00 00 00 02 C4 0B", "01 04 00 01 00 01 60 0A", "01 04 00 01 00 02 20 0B", "01 04 02 01 31 79 74", "01 83 02 C0 F1",
	} {
		if got := crc16(unhex(t, frame)); got != 0 {
			t.Errorf("%s: got %04x, want 0", frame, got)
		}
	}
}

func TestModbusRequest(t *testing.T) {
	if got, want := modbusRequest(nil, 1, readInput, 1, 2), unhex(t, "01 04 00 01 00 02 20 0B"); !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
	if got, want := modbusRequest(nil, 1, readHolding, 0, 10), unhex(t, "01 03 00 00 00 0A C5 CD"); !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
}

func TestModbusReply(t *testing.T) {
	for _, c := range []struct {
		name, received string
		data           string
		exception      byte
		ok             bool
	}{
		{"answer", "01 04 02 01 31 79 74", "01 31", 0, true},
		{"exception", "01 84 02 C2 C1", "", 2, true},
		{"nothing", "", "", 0, false},
		{"not whole yet", "01 04 02 01 31 79", "", 0, false},
		{"wrong checksum", "01 04 02 01 31 79 75", "", 0, false},
		{"noise before it", "00 FF 01 01 04 02 01 31 79 74", "01 31", 0, true},
		{"after the echo of the request", "01 04 00 01 00 01 60 0A 01 04 02 01 31 79 74", "01 31", 0, true},
		{"the answer of another slave before it", "02 04 02 01 31 3D 74 01 04 02 01 31 79 74", "01 31", 0, true},
		{"only that of another slave", "02 04 02 01 31 3D 74", "", 0, false},
		{"another length", "01 04 04 01 31 02 22 AA AA", "", 0, false},
		{"another function", "01 03 02 01 31 78 00", "", 0, false},
		{"rest after it", "01 04 02 01 31 79 74 00 00", "01 31", 0, true},
	} {
		data, exception, ok := modbusReply(unhex(t, c.received), 1, readInput, 1)
		if !bytes.Equal(data, unhex(t, c.data)) || exception != c.exception || ok != c.ok {
			t.Errorf("%s: got % x, exception %d, %v; want %s, %d, %v", c.name, data, exception, ok, c.data, c.exception, c.ok)
		}
	}
}

func FuzzModbusReply(f *testing.F) {
	f.Add(unhex(f, "01 04 02 01 31 79 74"), byte(1), byte(4), uint16(1))
	f.Add(unhex(f, "01 84 02 C2 C1"), byte(1), byte(4), uint16(1))
	f.Add(unhex(f, "00 01 04 00 01 00 01 60 0A 01 04 02 01 31 79 74"), byte(1), byte(4), uint16(1))
	f.Fuzz(func(t *testing.T, received []byte, slave, function byte, count uint16) {
		count = count%maxRegisters + 1
		data, exception, ok := modbusReply(received, slave, function&0x7f, count)
		if ok && exception == 0 && len(data) != 2*int(count) {
			t.Errorf("%d bytes for %d registers", len(data), count)
		}
		if !ok && (data != nil || exception != 0) {
			t.Error("not ok, but something")
		}
	})
}
