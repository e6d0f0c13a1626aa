package chip_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"periph.io/x/conn/v3/i2c"

	"weir/sensors"
	"weir/sensors/chip"
)

// machine is the least sensors.Machine the drivers can work with: one bus,
// number 1, a directory of kernel files, and one serial line. The real one is
// sensors/bus, which tests of its own prove.
type machine struct {
	wire i2c.Bus
	root string
	log  *slog.Logger
	line sensors.Line

	mu    sync.Mutex // guards the fields below
	taken map[uint16]bool
	bulk  []string // masters a conversion was asked for
	noOne bool     // no bulk conversion
}

func (m *machine) Path(path string) string  { return filepath.Join(m.root, path) }
func (m *machine) Log() *slog.Logger        { return m.log }
func (m *machine) OneWire() sensors.OneWire { return m }

func (m *machine) Serial(name string) (sensors.Line, error) {
	if m.line == nil {
		return nil, sensors.Errorf(sensors.Gone, name, "no such line")
	}
	return m.line, nil
}

// Convert implements sensors.OneWire.
func (m *machine) Convert(_ context.Context, master string, _ time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.noOne {
		return false, nil
	}
	m.bulk = append(m.bulk, filepath.Base(master))
	return true, nil
}

func (m *machine) claim(addr uint16) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.taken[addr] {
		return false
	}
	m.taken[addr] = true
	return true
}

func (m *machine) release(addr uint16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.taken, addr)
}

func (m *machine) I2C(ctx context.Context, _ string, addresses []uint16, fits sensors.Fits) (sensors.Conn, error) {
	var best *wireConn
	var score, ties int
	var last error
	for _, a := range addresses {
		if !m.claim(a) {
			last = sensors.Errorf(sensors.Refused, "", "0x%02x has a user", a)
			continue
		}
		c := &wireConn{m: m, addr: a}
		s, err := fits(ctx, c)
		switch {
		case err != nil:
			last = err
			_ = c.Close()
		case s > score:
			if best != nil {
				_ = best.Close()
			}
			best, score, ties = c, s, 1
		default:
			if s == score {
				ties++
			}
			_ = c.Close()
		}
	}
	switch {
	case best == nil:
		return nil, last
	case ties > 1:
		_ = best.Close()
		return nil, sensors.Errorf(sensors.Ambiguous, "", "%d fit", ties)
	}
	return best, nil
}

// wireConn is a connection straight to the wire.
type wireConn struct {
	m    *machine
	addr uint16
}

func (c *wireConn) String() string { return fmt.Sprintf("0x%02x on bus 1", c.addr) }
func (c *wireConn) Close() error   { c.m.release(c.addr); return nil }

func (c *wireConn) Tx(ctx context.Context, w, r []byte) error {
	if ctx.Err() != nil {
		return &sensors.Error{Fault: sensors.Timeout, Where: c.String(), Err: ctx.Err()}
	}
	err := c.m.wire.Tx(c.addr, w, r)
	if err == nil {
		return nil
	}
	f := sensors.NotAnswering
	if !strings.Contains(err.Error(), "remote I/O") {
		f = sensors.Timeout
	}
	return &sensors.Error{Fault: f, Where: c.String(), Err: err}
}

// opened opens a sensor with settings and rows as a file would hold them.
func opened(t *testing.T, m sensors.Machine, driver string, given map[string]any, rows ...sensors.Row) sensors.Device {
	t.Helper()
	d := sensors.Find(chip.Drivers, driver)
	s, wrong := d.Settings("x", given, rows)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	dev, err := d.Open(m, s)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}
