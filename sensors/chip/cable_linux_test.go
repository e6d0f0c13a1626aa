package chip_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/sensors"
	"weir/sensors/bus"
	"weir/sensors/sim"
)

// onLine runs f with a machine whose serial line "a" has its owner and leads to the
// instrument, in a bubble.
func onLine(t *testing.T, text string, i sim.Instrument, f func(t *testing.T, m sensors.Machine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		mode, err := sensors.ParseMode(text)
		if err != nil {
			t.Fatal(err)
		}
		cable := sim.NewCable("/dev/ttyUSB0", mode.Character())
		m := bus.New(bus.Options{
			Lines: []bus.LineOptions{{Name: "a", Device: "/dev/ttyUSB0", Mode: mode}}, Log: slog.New(slog.DiscardHandler),
			OpenSerial: func(string, sensors.Mode) (bus.SerialPort, error) { return cable, nil },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() { done <- m.Run(ctx) }()
		go func() { done <- cable.Serve(ctx, i) }()
		f(t, m)
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// goodReadings compares what is good, to what each instrument resolves.
func goodReadings(t *testing.T, what string, s sensors.Sample, err error, want map[sensors.Quantity]float64) {
	t.Helper()
	if err != nil || len(s.Readings) != len(want) {
		t.Errorf("%s: got %+v, %v, want %v", what, s.Readings, err, want)
		return
	}
	for q, v := range want {
		r, _ := s.Get(q)
		if r.Quality.Level != sensors.Good || math.Abs(r.Value-v) > r.Resolution/2+1e-9 {
			t.Errorf("%s: %s is %v %v %v, want %v", what, q, r.Value, r.Unit, r.Quality, v)
		}
	}
}

var normal = sim.Climate{Temperature: 21.5, Pressure: 101325, Humidity: 45}

func TestVaisalaInstruments(t *testing.T) {
	pressure := map[sensors.Quantity]float64{"pressure": 101325}
	all := map[sensors.Quantity]float64{"pressure": 101325, "temperature": 21.5, "humidity": 45}
	world := sim.Steady(normal)
	for _, c := range []struct {
		model, address string
		b              *sim.Barometer
		stop           bool
		want           map[sensors.Quantity]float64
	}{
		{"ptb210", "", sim.NewPTB210("0", world), false, pressure},
		{"ptb210", "001", sim.NewPTB210("001", world), false, pressure},
		{"ptb220", "7", sim.NewPTB220(7, world), false, pressure},
		{"ptb330", "255", sim.NewPTB330(255, world), false, pressure},
		{"ptb330", "", sim.NewPTB330(0, world), true, pressure},
		{"ptu300", "3", sim.NewPTU300(3, world), false, all},
		{"ptu300", "", sim.NewPTU300(0, world), true, all},
	} {
		what := c.model + " " + c.address
		if c.stop {
			c.b.Stop()
		}
		onLine(t, "4800 7E1", sim.NewBarometerLine(c.b), func(t *testing.T, m sensors.Machine) {
			d := opened(t, m, "vaisala", map[string]any{"bus": "a", "model": c.model, "address": c.address})
			s, err := readWithin(t, d)
			goodReadings(t, what, s, err, c.want)
			if s.Chip != strings.ToUpper(c.model) {
				t.Errorf("%s calls itself %q", what, s.Chip)
			}
			for name, f := range map[string]sim.Distortion{
				"silence": sim.Silence(), "cut off": sim.Cut(5), "noise before": sim.Prefix(0xff, '\r'), "in pieces": sim.Split(3, 80*time.Millisecond),
			} {
				c.b.Distort(f, 1)
				s, err = readWithin(t, d)
				goodReadings(t, what+", "+name, s, err, c.want)
			}
			c.b.Fail(true)
			s, err = readWithin(t, d)
			for _, r := range s.Readings {
				if r.Quality.Reason != sensors.FaultValue {
					t.Errorf("%s that fails: %+v", what, r)
				}
			}
			if err != nil || len(s.Readings) != len(c.want) {
				t.Errorf("%s that fails: %v, %v", what, s.Readings, err)
			}
		})
	}
}

// Nothing in an answer says who sent it: a late one of a neighbour is not taken.
func TestLateBarometerIsNotTakenForAnother(t *testing.T) {
	late := sim.NewPTB330(1, sim.Steady(sim.Climate{Pressure: 90000}))
	onLine(t, "9600 7E1", sim.NewBarometerLine(late, sim.NewPTB330(2, sim.Steady(normal))), func(t *testing.T, m sensors.Machine) {
		one := opened(t, m, "vaisala", map[string]any{"bus": "a", "model": "ptb330", "address": "1", "timeout": "500ms"})
		two := opened(t, m, "vaisala", map[string]any{"bus": "a", "model": "ptb330", "address": "2", "timeout": "500ms"})
		s, err := readWithin(t, two)
		goodReadings(t, "two", s, err, map[sensors.Quantity]float64{"pressure": 101325})
		late.Distort(sim.Late(900*time.Millisecond), 0)
		if _, err = readWithin(t, one); sensors.FaultOf(err) != sensors.NotAnswering || !strings.Contains(err.Error(), "PTB330 1 on serial a (/dev/ttyUSB0)") {
			t.Errorf("one: %v, want not answering", err)
		}
		s, err = readWithin(t, two)
		goodReadings(t, "two, after a late one", s, err, map[sensors.Quantity]float64{"pressure": 101325})
	})
}

// A slave that did not answer is asked once in a read, until it answers.
func TestADeadSlaveIsAskedOnce(t *testing.T) {
	slave := sim.NewXYMD02(1, sim.Steady(normal))
	want := map[sensors.Quantity]float64{"temperature": 21.5, "humidity": 45}
	onLine(t, "9600 8N1", sim.NewModbusLine(slave), func(t *testing.T, m sensors.Machine) {
		d := opened(t, m, "modbus-rtu", map[string]any{"bus": "a", "address": 1, "map": "xy-md02"})
		clear := slave.Distort(sim.Silence(), 0)
		for i, asked := range []int{3, 1, 1} {
			before := slave.Requests()
			if _, err := readWithin(t, d); sensors.FaultOf(err) != sensors.NotAnswering {
				t.Fatal(err)
			}
			if n := slave.Requests() - before; n != asked {
				t.Errorf("read %d: asked %d times, want %d", i, n, asked)
			}
		}
		clear()
		s, err := readWithin(t, d)
		goodReadings(t, "back again", s, err, want)
		slave.Distort(sim.Silence(), 2)
		s, err = readWithin(t, d)
		goodReadings(t, "silent twice", s, err, want)
	})
}

// However late an answer comes, up to twice the time limit, it is never taken for
// that to another question. Noise ends the waiting for it early, so that the
// question is asked again at once.
func TestLateModbusAnswersAtAnyMoment(t *testing.T) {
	slave := sim.NewPressureTransmitter(2, sim.Steady(normal), "ABCD")
	rows := []sensors.Row{{Quantity: "unit_code", Values: map[string]any{"register": 2}}, {Quantity: "value", Values: map[string]any{"register": 4}}}
	want := map[sensors.Quantity]float64{"unit_code": 1, "value": 1013}
	onLine(t, "9600 8N1", sim.NewModbusLine(slave), func(t *testing.T, m sensors.Machine) {
		d := opened(t, m, "modbus-rtu", map[string]any{"bus": "a", "address": 2, "map": "px", "timeout": "300ms"}, rows...)
		for late := 5 * time.Millisecond; late < 600*time.Millisecond; late += 5 * time.Millisecond {
			for _, then := range [][2]time.Duration{{0, 0}, {0, 250 * time.Millisecond}, {80 * time.Millisecond, 250 * time.Millisecond}, {250 * time.Millisecond, 0}} {
				slave.Distort(func(b []byte) []sim.Piece { // noise, which ends the waiting early
					return []sim.Piece{{Bytes: []byte{0xff}}, {Pause: late, Bytes: b}}
				}, 1)
				slave.Distort(sim.Late(then[0]), 1)
				slave.Distort(sim.Late(then[1]), 1)
				slave.Distort(sim.Late(240*time.Millisecond), 1) // of the other question, which waits meanwhile
				for range 2 {
					s, err := readWithin(t, d)
					goodReadings(t, fmt.Sprintf("late by %v, then by %v", late, then), s, err, want)
				}
			}
		}
	})
}

// A line that is set up for eight bits is told what it should be.
func TestWrongFramingIsNamed(t *testing.T) {
	b := sim.NewPTB330(0, sim.Steady(normal))
	b.Stop()
	b.Distort(sim.EvenParity(), 0)
	onLine(t, "4800 8N1", sim.NewBarometerLine(b), func(t *testing.T, m sensors.Machine) {
		_, err := readWithin(t, opened(t, m, "vaisala", map[string]any{"bus": "a", "model": "ptb330"}))
		if sensors.FaultOf(err) != sensors.Garbage || !strings.Contains(err.Error(), `mode = "4800 7E1"`) {
			t.Errorf("got %v, want the mode named", err)
		}
	})
	station := sim.NewNMEA(sim.Steady(normal), time.Second, sim.MDA)
	station.Distort(sim.EvenParity(), 0)
	onLine(t, "4800 8N1", station, func(t *testing.T, m sensors.Machine) {
		d := opened(t, m, "nmea", map[string]any{"bus": "a"})
		defer d.Close()
		_, err := readWithin(t, d)
		if sensors.FaultOf(err) != sensors.Garbage || !strings.Contains(err.Error(), `mode = "4800 7E1"`) {
			t.Errorf("station: got %v, want the mode named", err)
		}
	})
}

func TestStations(t *testing.T) {
	want := map[sensors.Quantity]float64{"temperature": 21.5, "pressure": 101325, "humidity": 45}
	for name, sentences := range map[string][]func(sim.Climate) string{
		"composite":      {sim.MDA},
		"three":          {sim.MTA, sim.MMB, sim.MHU},
		"Lambrecht":      {sim.LambrechtMMB, sim.MTA, sim.MHU},
		"transducers":    {sim.XDR},
		"Lufft":          {sim.LufftXDR},
		"Airmar in turn": {sim.MDA, sim.AirmarXDRA, sim.AirmarXDRB},
		"with a GPS":     {sim.Sentence("GPGLL,4916.45,N,12311.12,W,225444,A"), sim.MDA, sim.Sentence("PAMTR,EN")},
	} {
		station := sim.NewNMEA(sim.Steady(normal), time.Second/3, sentences...)
		onLine(t, "4800 8N1", station, func(t *testing.T, m sensors.Machine) {
			d := opened(t, m, "nmea", map[string]any{"bus": "a"})
			defer d.Close()
			for i := range 3 {
				s, err := readWithin(t, d)
				goodReadings(t, fmt.Sprint(name, " ", i), s, err, want)
			}
			for what, f := range map[string]sim.Distortion{"silence": sim.Silence(), "damaged": sim.Invert(60), "cut off": sim.Cut(9), "noise": sim.Prefix('$', 'W', 0), "pieces": sim.Split(8, 200*time.Millisecond)} {
				station.Distort(f, 2)
				s, err := readWithin(t, d)
				goodReadings(t, name+", "+what, s, err, want)
			}
			clear := station.Distort(sim.Silence(), 0)
			s, err := readWithin(t, d)
			for i := 0; i < 4 && sensors.FaultOf(err) != sensors.NotAnswering; i++ { // what was under way
				s, err = readWithin(t, d)
			}
			if sensors.FaultOf(err) != sensors.NotAnswering || len(s.Readings) != 0 {
				t.Errorf("%s, silent: %v, %v", name, s.Readings, err)
			}
			clear()
			s, err = readWithin(t, d)
			goodReadings(t, name+", again", s, err, want)
		})
	}
}

// What a station does not have is waited for twice, and is missing; the rest is good
// and as fresh as it came.
func TestStationWithoutHumidity(t *testing.T) {
	onLine(t, "4800 8N1", sim.NewNMEA(sim.Steady(normal), 500*time.Millisecond, sim.MTA, sim.LambrechtMMB), func(t *testing.T, m sensors.Machine) {
		d := opened(t, m, "nmea", map[string]any{"bus": "a", "timeout": "4s"})
		defer d.Close()
		for i := range 4 {
			start := time.Now()
			s, err := readWithin(t, d)
			h, _ := s.Get(sensors.Humidity)
			p, _ := s.Get(sensors.Pressure)
			if err != nil || h.Quality.Reason != sensors.Missing || p.Quality.Level != sensors.Good || time.Since(s.At) > time.Second {
				t.Errorf("%d: %+v, %v, %v old", i, s.Readings, err, time.Since(s.At))
			}
			if took := time.Since(start); i >= 2 && took > 1200*time.Millisecond {
				t.Errorf("%d: took %v, want no waiting for what does not come", i, took)
			}
		}
	})
}

func TestStationWithoutChecksums(t *testing.T) {
	station := sim.NewNMEA(sim.Steady(normal), time.Second, sim.MDA)
	station.Checksum = nil
	onLine(t, "4800 8N1", station, func(t *testing.T, m sensors.Machine) {
		d := opened(t, m, "nmea", map[string]any{"bus": "a"})
		defer d.Close()
		if _, err := readWithin(t, d); sensors.FaultOf(err) != sensors.Garbage || !strings.Contains(err.Error(), `checksum = "optional" takes it`) {
			t.Errorf("got %v, want what to write", err)
		}
		easy := opened(t, m, "nmea", map[string]any{"bus": "a", "checksum": "optional"})
		defer easy.Close()
		s, err := readWithin(t, easy)
		goodReadings(t, "optional", s, err, map[sensors.Quantity]float64{"temperature": 21.5, "pressure": 101325, "humidity": 45})
	})
}

// Silence ends the line of a device that sends no terminator.
func TestLineEndedBySilence(t *testing.T) {
	i := sim.NewLine(sim.Steady(normal))
	i.Poll, i.Terminator = "READ", "%" // XY-MD02 in its text mode: 21.50C,45.00%
	i.Format = func(c sim.Climate) string { return fmt.Sprintf("%.2fC,%.2f", c.Temperature, c.Humidity) }
	given := map[string]any{"bus": "a", "poll": "READ", "pattern": `^(?P<temperature>[-\d.]+)C,(?P<humidity>[\d.]+)%$`, "timeout": "1s"}
	want := map[sensors.Quantity]float64{"temperature": 21.5, "humidity": 45}
	onLine(t, "9600 8N1", i, func(t *testing.T, m sensors.Machine) {
		if _, err := readWithin(t, opened(t, m, "ascii-line", given)); sensors.FaultOf(err) != sensors.NotAnswering {
			t.Errorf("without idle: %v", err)
		}
		given["idle"] = "200ms"
		d := opened(t, m, "ascii-line", given)
		for range 2 {
			s, err := readWithin(t, d)
			goodReadings(t, "polled", s, err, want)
		}
		i.Distort(sim.Split(4, 100*time.Millisecond), 1)
		s, err := readWithin(t, d)
		goodReadings(t, "in pieces", s, err, want)
	})
	alone := sim.NewLine(sim.Steady(normal))
	alone.Interval, alone.Terminator, alone.Format = time.Second, "%", i.Format
	onLine(t, "9600 8N1", alone, func(t *testing.T, m sensors.Machine) {
		d := opened(t, m, "ascii-line", map[string]any{"bus": "a", "idle": "200ms", "pattern": given["pattern"], "timeout": "3s"})
		defer d.Close()
		for range 3 {
			s, err := readWithin(t, d)
			goodReadings(t, "by itself", s, err, want)
			if age := time.Since(s.At); age > 600*time.Millisecond {
				t.Errorf("the line is %v old", age)
			}
		}
	})
}

// Instruments of one kind on one line are asked by their ids.
func TestIDsOnOneLine(t *testing.T) {
	line := sim.NewBarometerLine(sim.NewPTB210("1", sim.Steady(normal)), sim.NewPTB210("22", sim.Steady(sim.Climate{Pressure: 99000})))
	onLine(t, "9600 8N1", line, func(t *testing.T, m sensors.Machine) {
		for id, want := range map[string]float64{"1": 101325, "22": 99000} {
			s, err := readWithin(t, opened(t, m, "ascii-line", map[string]any{
				"bus": "a", "poll": "{id}.P\r", "id": id, "pattern": `(?P<pressure>[\d.*]+)`, "device_units": []any{"pressure=hPa"}}))
			goodReadings(t, id, s, err, map[sensors.Quantity]float64{"pressure": want})
		}
	})
}
