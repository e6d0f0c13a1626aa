package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"weir/sensors"
	"weir/sensors/bus"
	"weir/sensors/chip"
)

func runScan(ctx context.Context, c console, args []string) int {
	f := flags("scan", `[--json] [--modbus [--modes "9600 8N1,19200 8E1"] [--within 1m]]`)
	asJSON := f.Bool("json", false, "print JSON")
	modbus := f.Bool("modbus", false, "ask for Modbus slaves 1 to 16 on every serial port; other devices there hear it too")
	modes := f.String("modes", "9600 8N1,19200 8E1", "speeds and framings at which --modbus asks")
	within := f.Duration("within", time.Minute, "how long --modbus may take")
	if status, done := parseFlags(c, f, args); done {
		return status
	}
	if f.NArg() > 0 {
		return c.fail(exitUsage, "scan: got %q, want only flags", f.Arg(0))
	}
	var asked []sensors.Mode
	for text := range strings.SplitSeq(*modes, ",") {
		m, err := sensors.ParseMode(text)
		if err != nil {
			return c.fail(exitUsage, "scan: --modes: %v", err)
		}
		asked = append(asked, m)
	}
	found, err := scanMachine(ctx, bus.Options{})
	if err != nil {
		return c.fail(exitFailed, "scan: %v", err)
	}
	if *modbus {
		limited, cancel := context.WithTimeout(ctx, *within)
		found.Modbus = scanModbus(limited, bus.Options{}, found.Serial, asked)
		if limited.Err() != nil {
			fmt.Fprintf(c.err, "weir: scan: Modbus was not asked for to the end within %v; take more time with --within\n", *within)
		}
		cancel()
	}
	if *asJSON {
		err = printScanJSON(c, found)
	} else {
		printScan(c, found)
	}
	if err != nil {
		return c.fail(exitFailed, "scan: %v", err)
	}
	if empty(found) {
		return exitFailed
	}
	return exitOK
}

// scanMachine scans a machine that runs only for that.
func scanMachine(ctx context.Context, o bus.Options) (*bus.Scan, error) {
	m := bus.New(o)
	ctx, cancel := context.WithCancel(ctx)
	var buses sync.WaitGroup
	defer buses.Wait()
	defer cancel()
	buses.Go(func() { _ = m.Run(ctx) })
	return m.Scan(ctx, chip.Drivers)
}

// scanModbus asks for slaves on every port, in every mode, until ctx ends. A port that cannot be used is told once.
func scanModbus(ctx context.Context, o bus.Options, ports []string, modes []sensors.Mode) (found []bus.Slave) {
	for _, port := range ports {
		for _, mode := range modes {
			o.Lines = []bus.LineOptions{{Name: "scan", Device: port, Mode: mode}}
			slaves, err := scanLine(ctx, o)
			for _, s := range slaves {
				s.Port, s.Mode = port, mode.String()
				found = append(found, s)
			}
			if ctx.Err() != nil {
				return found
			}
			if err != nil {
				found = append(found, bus.Slave{Port: port, Mode: mode.String(), Problem: err.Error()})
				break
			}
		}
	}
	return found
}

// scanLine asks for slaves on the only line of a machine.
func scanLine(ctx context.Context, o bus.Options) (found []bus.Slave, err error) {
	m := bus.New(o)
	running, cancel := context.WithCancel(ctx)
	var owners sync.WaitGroup
	defer owners.Wait()
	defer cancel()
	owners.Go(func() { _ = m.Run(running) })
	line, err := m.Serial(o.Lines[0].Name)
	if err != nil {
		return nil, err
	}
	for address := byte(chip.FirstScanned); address <= chip.LastScanned; address++ {
		answers, words, err := chip.AskModbus(ctx, line, address)
		if err != nil {
			return found, err
		}
		if answers {
			found = append(found, bus.Slave{Address: int(address), Words: words})
		}
	}
	return found, nil
}

func printScanJSON(c console, s *bus.Scan) error {
	withoutNull(s)
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Schema int `json:"schema"`
		*bus.Scan
	}{1, s})
}

// withoutNull makes lists of what was not found, so that JSON has [] for them.
func withoutNull(s *bus.Scan) {
	s.Buses, s.Others, s.Serial = append([]bus.BusScan{}, s.Buses...), append([]bus.Found{}, s.Others...), append([]string{}, s.Serial...)
	for i := range s.Buses {
		s.Buses[i].Found = append([]bus.Found{}, s.Buses[i].Found...)
	}
}

// printScan draws each bus and prints what to paste into the configuration. Of the channels of a multiplexer those with
// nothing on them are only named.
func printScan(c console, s *bus.Scan) {
	var idle []string
	for i := range s.Buses {
		b := &s.Buses[i]
		channel := strings.Contains(b.Path, "/")
		switch {
		case channel && len(b.Found) == 0 && b.Problem == "":
			idle = append(idle, b.Path)
			continue
		case channel:
			fmt.Fprintf(c.err, "I2C bus %s, behind a multiplexer\n%s\n", b.Path, b.Grid())
		default:
			fmt.Fprintf(c.err, "I2C bus %s %s\n%s\n", b.Path, b.Adapter, b.Grid())
		}
		if b.Problem != "" {
			fmt.Fprintf(c.err, "bus %s was not scanned to the end: %s\n\n", b.Path, b.Problem)
		}
	}
	if len(idle) > 0 {
		fmt.Fprintf(c.err, "nothing on %s\n\n", strings.Join(idle, ", "))
	}
	if len(s.Buses) == 0 {
		fmt.Fprintln(c.err, "no I2C bus: on a Raspberry Pi it is switched on by: sudo raspi-config nonint do_i2c 0\n"+
			"(or dtparam=i2c_arm=on in /boot/firmware/config.txt, and i2c-dev in /etc/modules; then start anew)")
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
