package chip_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarm/serial"

	"weir/sensors"
	"weir/sensors/sim"
)

// wire is the least sensors.Line the drivers can work with, on a real serial
// port. The one with an owner, locks and replugging is in sensors/bus.
type wire struct {
	*serial.Port
	mu sync.Mutex // held by an exchange
}

func (w *wire) String() string { return "serial a" }
func (w *wire) Mode() sensors.Mode {
	return sensors.Mode{Baud: 9600, DataBits: 8, Parity: 'N', StopBits: 1}
}

func (w *wire) Do(ctx context.Context, x sensors.Exchange) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.Flush(); err != nil {
		return err
	}
	return x.Exchange(ctx, wirePort{w.Port})
}

func (w *wire) Listen(sensors.Listener) func() { panic("not on this line") }

type wirePort struct{ *serial.Port }

func (p wirePort) Write(b []byte) error {
	_, err := p.Port.Write(b)
	return err
}

func (p wirePort) Read(b []byte, deadline time.Time) (int, error) {
	for {
		n, err := p.Port.Read(b)
		if n > 0 {
			return n, nil
		}
		if !errors.Is(err, io.EOF) {
			return 0, err
		}
		if time.Now().After(deadline) {
			return 0, sensors.Errorf(sensors.Timeout, "", "no answer")
		}
	}
}

func (p wirePort) Drain(quiet time.Duration, deadline time.Time) error {
	var b [256]byte
	for {
		if _, err := p.Read(b[:], time.Now().Add(quiet)); err != nil {
			return p.Flush()
		}
	}
}

// wired is a machine whose serial line leads to the instrument.
func wired(t *testing.T, i sim.Instrument) *machine {
	t.Helper()
	term, err := sim.OpenTerminal("")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- term.Serve(ctx, i) }()
	p, err := serial.OpenPort(&serial.Config{Name: term.Path(), Baud: 9600, ReadTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Close()
		cancel()
		_ = term.Close()
		<-done
	})
	return &machine{root: t.TempDir(), log: slog.New(slog.DiscardHandler), taken: map[uint16]bool{}, line: &wire{Port: p}}
}

// readWithin reads once with plenty of time.
func readWithin(t *testing.T, d sensors.Device) (sensors.Sample, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var s sensors.Sample
	err := d.Read(ctx, &s)
	return s, err
}

func wantReadings(t *testing.T, s sensors.Sample, err error, want map[sensors.Quantity]float64) {
	t.Helper()
	if err != nil || len(s.Readings) != len(want) {
		t.Errorf("got %+v, %v, want %v", s.Readings, err, want)
		return
	}
	for q, v := range want {
		r, _ := s.Get(q)
		if r.Quality.Level != sensors.Good || math.Abs(r.Value-v) > 1e-3+1e-7*math.Abs(v) { // a float32 has seven digits
			t.Errorf("%s: got %v %v %v, want %v", q, r.Value, r.Unit, r.Quality, v)
		}
	}
}

var room = sim.Steady(sim.Climate{Temperature: 21.5, Pressure: 101320, Humidity: 45})

func TestModbusPresetAndMaps(t *testing.T) {
	t.Parallel()
	cold := sim.NewXYMD02(7, sim.Steady(sim.Climate{Temperature: -20.5, Humidity: 54.6}))
	line := sim.NewModbusLine(sim.NewXYMD02(1, room), sim.NewPressureTransmitter(2, room, "CDAB"), cold)
	m := wired(t, line)
	d := opened(t, m, "modbus-rtu", map[string]any{"bus": "a", "address": 1, "map": "xy-md02"})
	s, err := readWithin(t, d)
	wantReadings(t, s, err, map[sensors.Quantity]float64{"temperature": 21.5, "humidity": 45})

	s, err = readWithin(t, opened(t, m, "modbus-rtu", map[string]any{"bus": "a", "address": 7, "map": "xy-md02"}))
	wantReadings(t, s, err, map[sensors.Quantity]float64{"temperature": -20.5, "humidity": 54.6})

	s, err = readWithin(t, opened(t, m, "modbus-rtu", map[string]any{"bus": "a", "address": 2, "map": "px"},
		sensors.Row{Quantity: "pressure", Values: map[string]any{"register": 22, "type": "float32", "order": "CDAB", "unit": "kPa"}},
		sensors.Row{Quantity: "coarse", Values: map[string]any{"register": 4, "unit": "kPa", "scale": 0.1}}))
	wantReadings(t, s, err, map[sensors.Quantity]float64{"pressure": 101320, "coarse": 101300})

	for i, c := range []struct {
		preset string
		slave  *sim.ModbusSlave
		want   map[sensors.Quantity]float64
	}{
		{"md02", sim.NewMD02(1, room), map[sensors.Quantity]float64{"temperature": 21.5, "humidity": 45}},
		{"pressure-integer", sim.NewPressureTransmitter(1, room, "ABCD"), map[sensors.Quantity]float64{"pressure": 101300}},
		{"pressure-float", sim.NewFloatPressureTransmitter(1, room, "ABCD"), map[sensors.Quantity]float64{"pressure": 101320}},
		{"pressure-float-cdab", sim.NewFloatPressureTransmitter(1, room, "CDAB"), map[sensors.Quantity]float64{"pressure": 101320}},
		{"hmd60", sim.NewHMD60(1, room), map[sensors.Quantity]float64{"temperature": 21.5, "humidity": 45, "dew_point": 0}},
	} {
		d := opened(t, wired(t, sim.NewModbusLine(c.slave)), "modbus-rtu", map[string]any{"bus": "a", "address": 1, "map": c.preset})
		s, err = readWithin(t, d)
		if i == 4 { // Magnus formula, to three digits
			if r, _ := s.Get("dew_point"); r.Value > 9.0 && r.Value < 9.1 {
				c.want["dew_point"] = r.Value
			}
		}
		wantReadings(t, s, err, c.want)
	}
	// Another device answers at the address: nothing of it is taken for a value.
	other := sim.NewFloatPressureTransmitter(1, room, "ABCD")
	other.Set(sim.Holding, 0, 1, 2, 3, 4, 5)
	other.Set(sim.Holding, 0x1F01, 0xC2F6, 0xE666)
	s, err = readWithin(t, opened(t, wired(t, sim.NewModbusLine(other)), "modbus-rtu", map[string]any{"bus": "a", "address": 1, "map": "hmd60"}))
	if sensors.FaultOf(err) != sensors.WrongChip || len(s.Readings) != 0 || !strings.Contains(err.Error(), `order = "ABCD"`) {
		t.Errorf("another order: got %v, %v, want the wrong chip", s.Readings, err)
	}

	_, err = readWithin(t, opened(t, m, "modbus-rtu", map[string]any{"bus": "a", "address": 1, "map": "px"},
		sensors.Row{Quantity: "x", Values: map[string]any{"register": 500}}))
	if sensors.FaultOf(err) != sensors.Refused || !strings.Contains(err.Error(), "exception 2 to reading holding register 500: it has no such register") {
		t.Errorf("no such register: %v", err)
	}
	_, err = readWithin(t, opened(t, m, "modbus-rtu", map[string]any{"bus": "a", "address": 1, "map": "px"},
		sensors.Row{Quantity: "x", Values: map[string]any{"register": 40005}}))
	if !strings.Contains(err.Error(), `if 40005 stands in a manual, it is register = 4 with table = "holding"`) {
		t.Errorf("a manual's number: %v", err)
	}
	_, err = readWithin(t, opened(t, m, "modbus-rtu", map[string]any{"bus": "a", "address": 99, "map": "xy-md02", "timeout": "100ms"}))
	if sensors.FaultOf(err) != sensors.NotAnswering || !strings.Contains(err.Error(), "slave 99 on serial a: not answering: no answer within 100ms") {
		t.Errorf("no such slave: %v", err)
	}
}

func TestModbusFaultsHealInsideTheSlot(t *testing.T) {
	t.Parallel()
	slave := sim.NewXYMD02(1, room)
	d := opened(t, wired(t, sim.NewModbusLine(slave)), "modbus-rtu", map[string]any{"bus": "a", "address": 1, "map": "xy-md02", "timeout": "300ms"})
	for name, f := range map[string]sim.Distortion{
		"silence": sim.Silence(), "wrong checksum": sim.BadCRC(), "cut off": sim.Cut(4), "another slave": sim.WrongSlave(9),
		"another function": sim.WrongFunction(3), "busy": sim.Exception(6), "acknowledge": sim.Exception(5), "failed": sim.Exception(4),
		"noise before": sim.Prefix(0, 0xff, 1, 4), "noise after": sim.Suffix(0, 0xff), "in pieces": sim.Split(3, 50*time.Millisecond),
	} {
		slave.Distort(f, 1)
		s, err := readWithin(t, d)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantReadings(t, s, err, map[sensors.Quantity]float64{"temperature": 21.5, "humidity": 45})
	}
	for name, f := range map[string]struct {
		distortion sim.Distortion
		fault      sensors.Fault
		text       string
	}{
		"silence":        {sim.Silence(), sensors.NotAnswering, "no answer within 300ms"},
		"wrong checksum": {sim.BadCRC(), sensors.Garbage, "no answer to reading input registers 1 to 2 in 01 04 04 00 d7 01 c2"},
		"busy":           {sim.Exception(6), sensors.Timeout, "it is busy"},
		"refusal":        {sim.Exception(2), sensors.Refused, "exception 2"},
	} {
		clear := slave.Distort(f.distortion, 0)
		s, err := readWithin(t, d)
		if sensors.FaultOf(err) != f.fault || !strings.Contains(err.Error(), f.text) || len(s.Readings) != 0 {
			t.Errorf("%s for good: got %v %v, want %v with %q", name, s.Readings, err, f.fault, f.text)
		}
		clear()
	}
	s, err := readWithin(t, d)
	wantReadings(t, s, err, map[sensors.Quantity]float64{"temperature": 21.5, "humidity": 45})
}

func TestPolledLine(t *testing.T) {
	t.Parallel()
	i := sim.NewLine(room)
	i.Poll, i.Checksum = ".P\r", sim.StarXor
	given := map[string]any{"bus": "a", "poll": ".P\r", "checksum": "xor", "timeout": "250ms", "device_units": []any{"pressure=hPa"},
		"pattern": `^T=(?P<temperature>\S+) P=(?P<pressure>\S+) H=(?P<humidity>\S+)$`}
	m := wired(t, i)
	d := opened(t, m, "ascii-line", given)
	want := map[sensors.Quantity]float64{"temperature": 21.5, "pressure": 101320, "humidity": 45}
	s, err := readWithin(t, d)
	wantReadings(t, s, err, want)
	for name, f := range map[string]sim.Distortion{"silence": sim.Silence(), "damaged": sim.Invert(10), "prompt before": sim.Prefix([]byte(".P\r\n>")[:4]...), "cut off": sim.Cut(5), "in pieces": sim.Split(7, 50*time.Millisecond)} {
		i.Distort(f, 1)
		if s, err = readWithin(t, d); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantReadings(t, s, err, want)
	}
	clear := i.Distort(sim.Silence(), 0)
	if _, err = readWithin(t, d); sensors.FaultOf(err) != sensors.NotAnswering {
		t.Errorf("silence: got %v, want not answering", err)
	}
	clear()
	given["pattern"] = `(?P<speed>\d+) km/h`
	delete(given, "device_units")
	if _, err = readWithin(t, opened(t, m, "ascii-line", given)); sensors.FaultOf(err) != sensors.Garbage || !strings.Contains(err.Error(), "does not match the pattern") {
		t.Errorf("another pattern: got %v, want garbage", err)
	}
}
