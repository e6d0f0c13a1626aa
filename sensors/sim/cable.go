package sim

import (
	"context"
	"io"
	"os"
	"sync"
	"time"
)

// Cable is a serial port in memory with an Instrument at its far end: what a
// Terminal is in real time, in the time of a testing/synctest bubble, and every
// byte takes its time on the line. Its methods are those of an open port; Read
// behaves as one with a timeout of 100 ms. Make it in the bubble that uses it.
type Cable struct {
	path      string
	near, far *lane // to the program, to the instrument
}

// cableTimeout is how long Read waits for a byte.
const cableTimeout = 100 * time.Millisecond

// NewCable returns a port with a path of its own, on which a character takes so
// long.
func NewCable(path string, character time.Duration) *Cable {
	return &Cable{path: path, near: newLane(character), far: newLane(character)}
}

// Serve lets the instrument speak until ctx ends, which is no error, or it fails.
// It is called once.
func (c *Cable) Serve(ctx context.Context, i Instrument) error {
	defer context.AfterFunc(ctx, c.far.close)()
	if err := i.Run(ctx, farEnd{c}); ctx.Err() == nil {
		return err
	}
	return nil
}

// Read returns what has come, or after 100 ms without a byte nothing and io.EOF.
func (c *Cable) Read(b []byte) (int, error) { return c.near.read(b, cableTimeout) }

// Write sends b and does not wait for it to go out.
func (c *Cable) Write(b []byte) (int, error) { return c.far.write(b) }

// Flush discards what has come and what has not gone out yet.
func (c *Cable) Flush() error {
	c.near.discard()
	c.DiscardOutput()
	return nil
}

// DiscardOutput throws away what has not gone out yet.
func (c *Cable) DiscardOutput() { c.far.discard() }

// Path is the name of the port.
func (c *Cable) Path() string { return c.path }

// Present is true: a cable is never pulled out.
func (c *Cable) Present() bool { return true }

// Close does nothing: a port may be opened again.
func (c *Cable) Close() error { return nil }

// farEnd is the instrument's side of a cable.
type farEnd struct{ c *Cable }

func (f farEnd) Read(b []byte) (int, error)  { return f.c.far.read(b, 0) }
func (f farEnd) Write(b []byte) (int, error) { return f.c.near.write(b) }
func (f farEnd) Close() error                { f.c.far.close(); return nil }

// lane is one direction of a cable.
type lane struct {
	character time.Duration

	mu     sync.Mutex    // guards the fields below
	bytes  []byte        // on their way or arrived
	first  time.Time     // when the first of them arrives, the others a character apart
	news   chan struct{} // closed at the next change
	closed bool
}

func newLane(character time.Duration) *lane {
	return &lane{character: character, news: make(chan struct{})}
}

// changed wakes who waits. The caller holds mu.
func (l *lane) changed() {
	close(l.news)
	l.news = make(chan struct{})
}

func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.changed()
}

func (l *lane) write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if arrives := time.Now().Add(l.character); len(l.bytes) == 0 && l.first.Before(arrives) {
		l.first = arrives // else right behind the last one that was read
	}
	l.bytes = append(l.bytes, b...)
	l.changed()
	return len(b), nil
}

func (l *lane) discard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes, l.first = nil, time.Time{}
}

// read waits for bytes, at most so long if that is not 0.
func (l *lane) read(b []byte, limit time.Duration) (int, error) {
	end := time.Now().Add(limit)
	for {
		n, next, news, closed := l.take(b)
		switch {
		case n > 0:
			return n, nil
		case closed:
			return 0, os.ErrClosed
		case limit > 0 && !time.Now().Before(end):
			return 0, io.EOF
		}
		wake := next // the zero time: only news can
		if limit > 0 && (wake.IsZero() || end.Before(wake)) {
			wake = end
		}
		l.await(wake, news)
	}
}

// await returns at a time, if that is not zero, or with the news.
func (l *lane) await(wake time.Time, news <-chan struct{}) {
	if wake.IsZero() {
		<-news
		return
	}
	timer := time.NewTimer(time.Until(wake))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-news:
	}
}

// take moves what has arrived into b. If nothing has, it says when the next byte
// will, if one is on its way.
func (l *lane) take(b []byte) (n int, next time.Time, news chan struct{}, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for n < len(b) && n < len(l.bytes) && !l.first.Add(time.Duration(n)*l.character).After(now) {
		n++
	}
	copy(b, l.bytes[:n])
	l.bytes = l.bytes[n:]
	l.first = l.first.Add(time.Duration(n) * l.character)
	if len(l.bytes) > 0 {
		next = l.first
	}
	return n, next, l.news, l.closed
}
