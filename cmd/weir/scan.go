package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"weir/sensors/bus"
	"weir/sensors/chip"
)

func runScan(ctx context.Context, c console, args []string) int {
	f := flags("scan", "[--json]")
	asJSON := f.Bool("json", false, "print JSON")
	if status, done := parseFlags(c, f, args); done {
		return status
	}
	if f.NArg() > 0 {
		return c.fail(exitUsage, "scan: got %q, want only flags", f.Arg(0))
	}
	m := bus.New(bus.Options{})
	ctx, cancel := context.WithCancel(ctx)
	var buses sync.WaitGroup
	buses.Go(func() { _ = m.Run(ctx) })
	found, err := m.Scan(ctx, chip.Drivers)
	cancel()
	buses.Wait()
	if err != nil {
		return c.fail(exitFailed, "scan: %v", err)
	}
	if *asJSON {
		withoutNull(found)
		e := json.NewEncoder(c.out)
		e.SetIndent("", "  ")
		if err := e.Encode(struct {
			Schema int `json:"schema"`
			*bus.Scan
		}{1, found}); err != nil {
			return c.fail(exitFailed, "scan: %v", err)
		}
	} else {
		printScan(c, found)
	}
	if empty(found) {
		return exitFailed
	}
	return exitOK
}

// withoutNull makes lists of what was not found, so that JSON has [] for them.
func withoutNull(s *bus.Scan) {
	s.Buses, s.Others, s.Serial = append([]bus.BusScan{}, s.Buses...), append([]bus.Found{}, s.Others...), append([]string{}, s.Serial...)
	for i := range s.Buses {
		s.Buses[i].Found = append([]bus.Found{}, s.Buses[i].Found...)
	}
}

// printScan draws each bus and prints what to paste into the configuration.
func printScan(c console, s *bus.Scan) {
	for i := range s.Buses {
		b := &s.Buses[i]
		fmt.Fprintf(c.err, "I2C bus %d %s\n%s\n", b.Number, b.Adapter, b.Grid())
	}
	if len(s.Buses) == 0 {
		fmt.Fprintln(c.err, "no I2C bus: on a Raspberry Pi it is switched on by: sudo raspi-config nonint do_i2c 0")
	}
	fmt.Fprint(c.out, s.TOML())
	if empty(s) {
		fmt.Fprintln(c.err, "nothing found")
	}
}

func empty(s *bus.Scan) bool {
	n := len(s.Others) + len(s.Serial)
	for _, b := range s.Buses {
		n += len(b.Found)
	}
	return n == 0
}
