package sensors

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mode is the speed and framing of a serial line.
type Mode struct {
	Baud     int
	DataBits int  // 5 to 8
	Parity   byte // 'N', 'E' or 'O'
	StopBits int  // 1 or 2
}

// rates are the speeds the kernel takes by name.
var rates = []int{
	300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 500000, 576000, 921600,
	1000000, 1152000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000,
}

// ParseMode reads "9600 8N1".
func ParseMode(s string) (Mode, error) {
	speed, frame, ok := strings.Cut(strings.TrimSpace(s), " ")
	frame = strings.ToUpper(strings.TrimSpace(frame))
	baud, err := strconv.Atoi(speed)
	if !ok || err != nil || len(frame) != 3 {
		return Mode{}, fmt.Errorf(`got %q, want speed and framing, such as "9600 8N1"`, s)
	}
	if !slices.Contains(rates, baud) {
		return Mode{}, fmt.Errorf("got a speed of %d, want a usual one such as 4800, 9600, 19200 or 115200", baud)
	}
	m := Mode{Baud: baud, DataBits: int(frame[0] - '0'), Parity: frame[1], StopBits: int(frame[2] - '0')}
	switch {
	case m.DataBits < 5 || m.DataBits > 8:
		return Mode{}, fmt.Errorf("got %q, want 5 to 8 data bits", frame)
	case m.Parity != 'N' && m.Parity != 'E' && m.Parity != 'O':
		return Mode{}, fmt.Errorf("got %q, want parity N, E or O", frame)
	case m.StopBits != 1 && m.StopBits != 2:
		return Mode{}, fmt.Errorf("got %q, want 1 or 2 stop bits", frame)
	}
	return m, nil
}

// String returns "9600 8N1".
func (m Mode) String() string {
	return fmt.Sprintf("%d %d%c%d", m.Baud, m.DataBits, m.Parity, m.StopBits)
}

// Character returns how long one character takes on the line.
func (m Mode) Character() time.Duration {
	bits := 1 + m.DataBits + m.StopBits
	if m.Parity != 'N' {
		bits++
	}
	if m.Baud <= 0 {
		return 0
	}
	return time.Duration(bits) * time.Second / time.Duration(m.Baud)
}

// SerialKeys are the settings of [serial.NAME].
var SerialKeys = []Key{
	{Name: "device", Kind: KindString, Required: true, Example: `"/dev/serial/by-id/usb-FTDI_FT232R_A50285BI-if00-port0"`,
		Meaning: "the port; a link below /dev/serial/by-id stays the same when the adapter is plugged in elsewhere"},
	{Name: "mode", Kind: KindMode, Default: "9600 8N1", Example: `"9600 8N1"`,
		Meaning: "speed, data bits, parity (N, E, O) and stop bits"},
	{Name: "echo", Kind: KindBool, Default: false,
		Meaning: "the adapter hears itself: what was sent comes back first and is taken away"},
	{Name: "gap", Kind: KindDuration, Default: "20ms", Min: 0, Max: 5, Unit: "s",
		Meaning: "pause between two requests, at least 3.5 characters; slow devices need up to 200 ms"},
}
