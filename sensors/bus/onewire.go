package bus

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"weir/sensors"
)

// conversionLimit is how long a bulk conversion may take: 750 ms at 12 bit, and
// slow copies of the chip.
const conversionLimit = 3 * time.Second

// oneWire remembers per 1-wire master when all its chips were last told to
// convert, so that ten sensors cost one conversion time instead of ten.
type oneWire struct {
	mu      sync.Mutex // guards masters
	masters map[string]*master
}

// master is the state of one w1 bus master. turn holds one token; who has it
// may use the other fields.
type master struct {
	turn chan struct{}
	done time.Time // when the last bulk conversion ended
	no   bool      // the kernel has no bulk conversion, or does not let us
}

// OneWire implements sensors.Machine.
func (m *Machine) OneWire() sensors.OneWire { return &m.onewire }

func (o *oneWire) master(dir string) *master {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.masters == nil {
		o.masters = map[string]*master{}
	}
	m, ok := o.masters[dir]
	if !ok {
		m = &master{turn: make(chan struct{}, 1)}
		o.masters[dir] = m
	}
	return m
}

// Convert implements sensors.OneWire over therm_bulk_read: writing "trigger"
// starts all chips; reading gives -1 while one is busy, then 1 until all were read,
// then 0.
func (o *oneWire) Convert(ctx context.Context, dir string, fresh time.Duration) (bool, error) {
	m := o.master(dir)
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return false, &sensors.Error{Fault: sensors.Timeout, Where: dir, Text: "no time left", Err: context.Cause(ctx)}
	}
	if m.no {
		return false, nil
	}
	if !m.done.IsZero() && time.Since(m.done) < fresh {
		return true, nil
	}
	file := filepath.Join(dir, "therm_bulk_read")
	if err := trigger(file); err != nil {
		// A master that has gone may come back with it; no permission stays.
		m.no = !errors.Is(err, os.ErrNotExist) || exists(dir)
		return false, nil
	}
	if err := awaitBulk(ctx, file); err != nil {
		return false, err
	}
	m.done = time.Now()
	return true, nil
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// trigger writes without creating the file.
func trigger(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("trigger\n")
	return errors.Join(err, f.Close())
}

// awaitBulk waits until no chip converts any more.
func awaitBulk(ctx context.Context, file string) error {
	deadline := time.Now().Add(conversionLimit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		b, err := os.ReadFile(file)
		if err != nil {
			return &sensors.Error{Fault: sensors.Gone, Where: file, Err: err}
		}
		if state := strings.TrimSpace(string(b)); state == "0" || state == "1" {
			return nil
		}
		if time.Now().After(deadline) {
			return sensors.Errorf(sensors.Timeout, file, "a conversion does not end within %v", conversionLimit)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return &sensors.Error{Fault: sensors.Timeout, Where: file, Text: "no time left", Err: context.Cause(ctx)}
		}
	}
}
