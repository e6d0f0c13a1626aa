package main

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/bus"
	"weir/sensors/sim"
)

// TestScanModbus finds the slaves of a line, one that has the register and one that has not, and goes on at a port that
// is not there.
func TestScanModbus(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	knows, refuses := sim.NewModbusSlave(2), sim.NewModbusSlave(3)
	knows.Set(sim.Holding, 0, 0x1234)
	port := plugged(ctx, t, "usb-RS485-if00", sim.NewModbusLine(knows, refuses))
	mode, err := sensors.ParseMode("9600 8N1")
	if err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "usb-gone")
	got := scanModbus(ctx, bus.Options{}, []string{missing, port.Link()}, []sensors.Mode{mode})
	if len(got) != 3 || got[0].Port != missing || got[0].Problem == "" {
		t.Fatalf("got %+v, want a problem with the first port, and two slaves", got)
	}
	if want := (bus.Slave{Port: port.Link(), Mode: "9600 8N1", Address: 2, Words: "register 0 of function 3 is 0x1234"}); got[1] != want {
		t.Errorf("got %+v, want %+v", got[1], want)
	}
	if got[2].Address != 3 || got[2].Words == "" || got[2].Problem != "" {
		t.Errorf("got %+v, want slave 3 with what it said", got[2])
	}
	over, stop := context.WithCancel(ctx)
	stop()
	if got := scanModbus(over, bus.Options{}, []string{port.Link()}, []sensors.Mode{mode}); slices.ContainsFunc(got, func(s bus.Slave) bool { return s.Problem != "" }) {
		t.Errorf("out of time: got %+v, want no problem of a port", got)
	}
}
