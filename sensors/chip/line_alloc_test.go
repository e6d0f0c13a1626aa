package chip_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/bus"
	"weir/sensors/chip"
)

// canned is a serial port that answers each request at once, with the same bytes.
type canned struct {
	answer []byte
	rest   []byte // of it, not read yet
}

func (c *canned) Write(b []byte) (int, error) { c.rest = c.answer; return len(b), nil }
func (c *canned) Flush() error                { c.rest = nil; return nil }
func (c *canned) DiscardOutput()              {}
func (c *canned) Path() string                { return "/dev/ttyUSB0" }
func (c *canned) Present() bool               { return true }
func (c *canned) Close() error                { return nil }

func (c *canned) Read(b []byte) (int, error) {
	n := copy(b, c.rest)
	if c.rest = c.rest[n:]; n == 0 {
		time.Sleep(100 * time.Millisecond)
		return 0, io.EOF
	}
	return n, nil
}

// exchanged opens a sensor on a line with a canned port, and returns what reads it.
func exchanged(t testing.TB, answer []byte, driver string, given map[string]any) (read func()) {
	port := &canned{answer: answer}
	m := bus.New(bus.Options{
		Lines: []bus.LineOptions{{Name: "a", Device: "/dev/ttyUSB0", Mode: sensors.Mode{Baud: 4000000, DataBits: 8, Parity: 'N', StopBits: 1}}},
		Log:   slog.New(slog.DiscardHandler), OpenSerial: func(string, sensors.Mode) (bus.SerialPort, error) { return port, nil },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	d := sensors.Find(chip.Drivers, driver)
	s, wrong := d.Settings("x", given, nil)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	device, err := d.Open(m, s)
	if err != nil {
		t.Fatal(err)
	}
	var sample sensors.Sample
	return func() {
		if err := device.Read(ctx, &sample); err != nil || len(sample.Readings) == 0 || sample.Readings[0].Quality.Level != sensors.Good {
			t.Fatalf("%+v, %v", sample.Readings, err)
		}
	}
}

var (
	xyMD02Answer = []byte{0x01, 0x04, 0x04, 0x00, 0xD7, 0x01, 0xC2, 0xCB, 0xBD} // 21.5 °C, 45.0 %
	xyMD02       = map[string]any{"bus": "a", "address": 1, "map": "xy-md02"}

	barometerLine = []byte("P= 1013.25 hPa\r\n")
	barometer     = map[string]any{"bus": "a", "poll": ".P\r", "pattern": `^P=\s*(?P<pressure>[\d.]+) hPa$`, "device_units": []any{"pressure=hPa"}}
)

// A Modbus exchange, through the owner of the line, allocates nothing.
func TestModbusReadAllocatesNothing(t *testing.T) {
	read := exchanged(t, xyMD02Answer, "modbus-rtu", xyMD02)
	read()
	if n := testing.AllocsPerRun(100, read); n != 0 {
		t.Errorf("a read allocates %v times, want 0", n)
	}
}

// The time of these is that of the program: the port takes none, the line 9 µs of silence.
func BenchmarkModbusExchange(b *testing.B) {
	read := exchanged(b, xyMD02Answer, "modbus-rtu", xyMD02)
	read() // opens the port
	b.ReportAllocs()
	for b.Loop() {
		read()
	}
}

func BenchmarkLineExchange(b *testing.B) {
	read := exchanged(b, barometerLine, "ascii-line", barometer)
	read() // opens the port
	b.ReportAllocs()
	for b.Loop() {
		read()
	}
}

func BenchmarkVaisalaExchange(b *testing.B) {
	read := exchanged(b, barometerLine, "vaisala", map[string]any{"bus": "a", "model": "ptb330"})
	read() // opens the port
	b.ReportAllocs()
	for b.Loop() {
		read()
	}
}
