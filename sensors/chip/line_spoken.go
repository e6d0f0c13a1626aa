package chip

import (
	"context"
	"sync"
	"time"

	"weir/sensors"
)

// spoken is a device that sends by itself.
type spoken struct {
	line    sensors.Line
	kind    lineKind
	timeout time.Duration
	ear     *ear
	stop    func() // nil: not listening yet
}

// Read implements sensors.Device. It takes the newest line that was not used yet
// and is fresh enough, or waits for the next. There is nothing to try again.
func (d *spoken) Read(ctx context.Context, s *sensors.Sample) error {
	s.Reset()
	if d.stop == nil {
		d.stop = d.line.Listen(d.ear)
	}
	text, at, ok := d.ear.take(d.timeout)
	if !ok {
		if err := d.line.Do(ctx, nothing{}); err != nil { // says whether the port is there at all
			return err
		}
		if text, at, ok = d.await(ctx); !ok {
			return d.ear.silent(d.line)
		}
	}
	s.Chip, s.At = "line", at
	d.kind.read(s, text)
	return nil
}

// nothing is an exchange that only needs the port.
type nothing struct{}

// Exchange implements sensors.Exchange.
func (nothing) Exchange(context.Context, sensors.Port) error { return nil }

// await waits for the next line.
func (d *spoken) await(ctx context.Context) (string, time.Time, bool) {
	timer := time.NewTimer(d.timeout)
	defer timer.Stop()
	idle := time.NewTicker(max(d.ear.idle, time.Hour))
	if d.ear.idle > 0 {
		idle.Reset(d.ear.idle)
	}
	defer idle.Stop()
	for {
		select {
		case <-d.ear.news:
		case <-idle.C:
		case <-timer.C:
			return d.ear.take(d.timeout)
		case <-ctx.Done():
			return "", time.Time{}, false
		}
		if text, at, ok := d.ear.take(d.timeout); ok {
			return text, at, true
		}
	}
}

// Close implements sensors.Device.
func (d *spoken) Close() error {
	if d.stop != nil {
		d.stop()
		d.stop = nil
	}
	return nil
}

// ear is the listener of a device that sends by itself. The owner of the line
// fills it, the device empties it.
type ear struct {
	kind lineKind
	idle time.Duration // a silence that ends a line; 0: none does
	news chan struct{} // capacity 1

	mu     sync.Mutex // guards the fields below
	cutter cutter
	heard  time.Time // when the last bytes came
	text   string    // the newest line that matches
	at     time.Time // when it came
	unused bool      // it was not taken yet
	wrong  error     // what was wrong with the last line that came, nil if it was right
	high   int       // bytes since the last right line that are no characters of seven bits
}

func newEar(kind lineKind, cut cutter, idle time.Duration) *ear {
	e := &ear{kind: kind, cutter: cut, idle: idle, news: make(chan struct{}, 1)}
	e.cutter.restart() // the line may be open already, and a line of text under way
	return e
}

// Received implements sensors.Listener.
func (e *ear) Received(b []byte, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(b) == 0 {
		e.cutter.restart()
		return
	}
	e.settle(at)
	e.heard = at
	e.high += highBits(b)
	e.cutter.feed(b, e.line)
}

// settle ends a line that was followed by silence. The caller holds mu.
func (e *ear) settle(now time.Time) {
	if e.idle > 0 && now.Sub(e.heard) >= e.idle {
		e.cutter.flush(e.line)
	}
}

// line takes one line. The caller holds mu.
func (e *ear) line(line []byte) {
	text, err := e.kind.check(string(line))
	if e.wrong = err; err != nil {
		return
	}
	e.text, e.at, e.unused, e.high = text, e.heard, true, 0
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// take returns the newest line and when it came, once, if it is no older than
// the limit.
func (e *ear) take(limit time.Duration) (string, time.Time, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	e.settle(now)
	fresh := e.unused && now.Sub(e.at) <= limit
	e.unused = false
	return e.text, e.at, fresh
}

// silent says why there is no line.
func (e *ear) silent(line sensors.Line) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return noLine(line, line.String(), e.wrong, e.high, sensors.Errorf(sensors.NotAnswering, line.String(), "no line came; look at wiring and mode"))
}
