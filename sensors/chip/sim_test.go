package chip_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/sensors"
	"weir/sensors/chip"
	"weir/sensors/sim"
)

// bench is a machine with one simulated I2C bus, number 1, in fake time.
type bench struct {
	*testing.T
	wire    *sim.Bus
	machine *machine
	log     *bytes.Buffer
}

// onBench runs f in a bubble of fake time.
func onBench(t *testing.T, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, wire: sim.NewBus("I2C1"), log: &bytes.Buffer{}}
		b.machine = &machine{wire: b.wire, root: t.TempDir(), log: slog.New(slog.NewTextHandler(b.log, nil)), taken: map[uint16]bool{}}
		f(b)
	})
}

// open opens a sensor of the table with settings as a file would hold them.
func (b *bench) open(driver string, given map[string]any) sensors.Device {
	b.Helper()
	d := sensors.Find(chip.Drivers, driver)
	if d == nil {
		b.Fatalf("no driver %q", driver)
	}
	s, wrong := d.Settings("room", given, nil)
	if len(wrong) > 0 {
		b.Fatalf("settings: %v", wrong)
	}
	dev, err := d.Open(b.machine, s)
	if err != nil {
		b.Fatalf("open: %v", err)
	}
	return dev
}

// read reads once within two seconds.
func (b *bench) read(d sensors.Device) (sensors.Sample, error) {
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Second)
	defer cancel()
	var s sensors.Sample
	err := d.Read(ctx, &s)
	return s, err
}

// want reads and compares with the climate.
func (b *bench) want(d sensors.Device, c sim.Climate, quantities ...sensors.Quantity) {
	b.Helper()
	s, err := b.read(d)
	if err != nil {
		b.Fatalf("read: %v", err)
	}
	b.check(s, c, quantities...)
}

func (b *bench) check(s sensors.Sample, c sim.Climate, quantities ...sensors.Quantity) {
	b.Helper()
	if len(s.Readings) != len(quantities) {
		b.Errorf("got %d readings %v, want %v", len(s.Readings), s.Readings, quantities)
	}
	for _, q := range quantities {
		want, tolerance := c.Temperature, 0.02
		switch q {
		case sensors.Pressure:
			want, tolerance = c.Pressure, 6
		case sensors.Humidity:
			want, tolerance = c.Humidity, 0.1
		}
		r, ok := s.Get(q)
		if !ok || r.Quality.Level != sensors.Good || r.Value < want-tolerance || r.Value > want+tolerance {
			b.Errorf("%s: got %v %v %v, want good %v", q, r.Value, r.Unit, r.Quality, want)
		}
	}
}

// wantFault reads and expects an error of the class whose text holds the text.
func (b *bench) wantFault(d sensors.Device, f sensors.Fault, text string) {
	b.Helper()
	s, err := b.read(d)
	if sensors.FaultOf(err) != f || !strings.Contains(err.Error(), text) {
		b.Errorf("got %v, want %v with %q", err, f, text)
	}
	if len(s.Readings) != 0 {
		b.Errorf("a failed read left readings: %v", s.Readings)
	}
}

// driver returns a driver of the table.
func driver(name string) *sensors.Driver { return sensors.Find(chip.Drivers, name) }
