package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"weir/sensors"
)

// LineOptions describe one serial line, [serial.NAME].
type LineOptions struct {
	Name   string
	Device string // path, best a link below /dev/serial/by-id
	Mode   sensors.Mode
	Echo   bool          // what is sent comes back first
	Gap    time.Duration // pause between two exchanges
}

// LineFrom makes options of settings checked against sensors.SerialKeys.
func LineFrom(s sensors.Settings) LineOptions {
	return LineOptions{Name: s.Name, Device: s.Text("device"), Mode: s.Mode("mode"), Echo: s.Bool("echo"), Gap: s.Duration("gap")}
}

// Waiting before a port that could not be opened is tried again, while somebody
// listens. Exchanges try at once; their callers have a back-off of their own.
const (
	firstReopen = 500 * time.Millisecond
	lastReopen  = 8 * time.Second
)

// stuckAfter is how long after its context an exchange may still hold the port
// before it counts as stuck in the kernel: a read returns after 100 ms, and a
// write is freed after a second.
const stuckAfter = 3 * time.Second

// line is one serial port with the goroutine that owns it. Nothing else reads,
// writes or closes the port.
type line struct {
	o        LineOptions
	path     string // o.Device below the machine's root
	warn     func(msg string, args ...any)
	open     func(path string, m sensors.Mode) (SerialPort, error)
	users    func(device string) []string // others that have it open
	requests chan *work
	doubtful chan *work    // of devices that did not answer the last time
	wake     chan struct{} // capacity 1; a listener has come
	ended    chan struct{} // closed when the owner has returned
	spare    chan *work
	counter  counter

	mu        sync.Mutex // guards the fields below
	listeners map[int]sensors.Listener
	next      int
	port      SerialPort // also read by unstick; set by the owner only

	in     inbox     // owner only, like all below
	last   time.Time // when the last exchange ended
	reopen time.Duration
	again  time.Time // not opened for listeners before
	failed bool      // the last opening failed; told once
	shared bool      // another program was seen on the port; told once

	resting time.Time // no doubtful exchange before

	hands port // what exchanges get; one at a time
	guard guard
	pause *time.Timer // between two exchanges
}

// work is an exchange on its way.
type work struct {
	ctx      context.Context
	x        sensors.Exchange
	err      error
	finished chan struct{} // capacity 1
}

func newLine(o LineOptions, m *Machine) *line {
	l := &line{
		o: o, path: m.Path(o.Device), warn: m.log.Warn, open: m.o.OpenSerial, users: func(device string) []string { return usersOf(m.Path, device) },
		requests: make(chan *work), doubtful: make(chan *work), wake: make(chan struct{}, 1), ended: make(chan struct{}), spare: make(chan *work, 8),
		listeners: map[int]sensors.Listener{},
	}
	l.guard.free = l.unstick
	return l
}

// String implements sensors.Line.
func (l *line) String() string { return fmt.Sprintf("serial %s (%s)", l.o.Name, l.o.Device) }

// Mode implements sensors.Line.
func (l *line) Mode() sensors.Mode { return l.o.Mode }

// Do implements sensors.Line.
func (l *line) Do(ctx context.Context, x sensors.Exchange) error {
	var w *work
	select {
	case w = <-l.spare:
	default:
		w = &work{finished: make(chan struct{}, 1)}
	}
	w.ctx, w.x, w.err = ctx, x, nil
	queue := l.requests
	if d, ok := x.(sensors.Doubtful); ok && d.Doubtful() {
		queue = l.doubtful
	}
	select {
	case queue <- w:
	case <-ctx.Done():
		return &sensors.Error{Fault: sensors.Timeout, Where: l.String(), Text: "the line was busy all the time", Err: context.Cause(ctx)}
	case <-l.ended:
		return sensors.Errorf(sensors.Gone, l.String(), "the line was closed")
	}
	select {
	case <-w.finished:
	case <-ctx.Done():
		if !l.awaitStuck(w) {
			return sensors.Errorf(sensors.Stuck, l.String(), "the kernel does not return from a call; unplug the adapter")
		}
	}
	err := w.err
	w.ctx, w.x = nil, nil
	select {
	case l.spare <- w:
	default:
	}
	return err
}

// awaitStuck waits for an exchange that should be over.
func (l *line) awaitStuck(w *work) bool {
	grace := time.NewTimer(stuckAfter)
	defer grace.Stop()
	select {
	case <-w.finished:
		return true
	case <-grace.C:
		return false
	}
}

// unstick throws away what a blocked write waits for.
func (l *line) unstick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.port != nil {
		l.port.DiscardOutput()
	}
}

// Listen implements sensors.Line.
func (l *line) Listen(h sensors.Listener) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	id := l.next
	l.listeners[id] = h
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.listeners, id)
	}
}

// run owns the port until ctx ends.
func (l *line) run(ctx context.Context) {
	defer close(l.ended)
	defer l.shut()
	for ctx.Err() == nil {
		if l.listening() {
			l.hear(ctx)
		} else {
			l.serve(ctx, nil)
		}
	}
}

func (l *line) listening() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.listeners) > 0
}

// hear serves one request if there is one, and otherwise listens for at most
// 100 ms.
func (l *line) hear(ctx context.Context) {
	if l.port != nil {
		if w := l.waiting(); w != nil {
			l.perform(ctx, w)
			return
		}
	} else {
		timer := time.NewTimer(time.Until(l.again))
		defer timer.Stop()
		if l.serve(ctx, timer.C) || ctx.Err() != nil {
			return
		}
	}
	if l.ensureOpen() != nil {
		return
	}
	var b [256]byte
	n, err := l.in.receive(l.port, b[:])
	if err != nil {
		l.lose(err)
		return
	}
	if n > 0 {
		l.tell(b[:n])
	}
}

// waiting returns a request that may be served now, nil if there is none. What is
// doubtful comes after everything else.
func (l *line) waiting() *work {
	select {
	case w := <-l.requests:
		return w
	default:
	}
	if time.Now().Before(l.resting) {
		return nil
	}
	select {
	case w := <-l.doubtful:
		return w
	default:
		return nil
	}
}

// serve serves one request, and waits for it until the limit, a first listener or
// the end. It reports whether there was one.
func (l *line) serve(ctx context.Context, limit <-chan time.Time) bool {
	if w := l.waiting(); w != nil {
		l.perform(ctx, w)
		return true
	}
	wake := l.wake
	if limit != nil {
		wake = nil // somebody listens already
	}
	doubtful, rested := l.doubtful, (<-chan time.Time)(nil)
	if rest := time.Until(l.resting); rest > 0 {
		timer := time.NewTimer(rest)
		defer timer.Stop()
		doubtful, rested = nil, timer.C
	}
	select {
	case w := <-l.requests:
		l.perform(ctx, w)
		return true
	case w := <-doubtful:
		l.perform(ctx, w)
		return true
	case <-rested:
		return l.serve(ctx, limit)
	case <-wake:
	case <-limit:
	case <-ctx.Done():
	}
	return false
}

// tell hands bytes to all listeners; none of them: the line was opened.
func (l *line) tell(b []byte) {
	l.mu.Lock()
	all := make([]sensors.Listener, 0, len(l.listeners))
	for _, h := range l.listeners {
		all = append(all, h)
	}
	l.mu.Unlock()
	now := time.Now()
	for _, h := range all {
		h.Received(b, now)
	}
}

// perform does one exchange.
func (l *line) perform(ctx context.Context, w *work) {
	start := time.Now()
	w.err = l.exchange(ctx, w)
	l.counter.note(w.err)
	l.last = time.Now()
	switch sensors.FaultOf(w.err) {
	case sensors.Gone:
		l.lose(w.err)
	case sensors.NotAnswering:
		l.resting = l.last.Add(l.last.Sub(start))
		w.err = l.explain(w.err)
	}
	w.finished <- struct{}{}
}

func (l *line) exchange(ctx context.Context, w *work) error {
	if err := l.ensureOpen(); err != nil {
		return err
	}
	if rest := l.gap() - time.Since(l.last); rest > 0 && !l.last.IsZero() {
		if l.pause == nil {
			l.pause = time.NewTimer(rest)
		}
		l.pause.Reset(rest)
		select {
		case <-l.pause.C:
		case <-w.ctx.Done():
			return &sensors.Error{Fault: sensors.Timeout, Where: l.String(), Text: "no time left", Err: context.Cause(w.ctx)}
		}
	}
	if err := l.setAside(); err != nil {
		return err
	}
	l.hands = port{l: l, ctx: ctx}
	return w.x.Exchange(w.ctx, &l.hands)
}

// gap is the pause between two exchanges: what is set, and at least the 3.5
// characters that end a Modbus frame, which at 1200 baud are more than usual
// settings.
func (l *line) gap() time.Duration { return max(l.o.Gap, 7*l.o.Mode.Character()/2) }

// setAside empties the way for an answer: what has come before goes to those who
// listen, or is a late answer that nobody wants.
func (l *line) setAside() error {
	if l.listening() {
		if rest := l.in.buffer[l.in.from:l.in.to]; len(rest) > 0 {
			l.tell(rest)
		}
		l.in.clear()
		return nil
	}
	l.in.clear()
	if err := l.port.Flush(); err != nil { // fails when the port is gone
		return &sensors.Error{Fault: sensors.Gone, Where: l.String(), Text: "the port is gone", Err: err}
	}
	return nil
}

// errTimeout is what port.Read gives at its deadline.
var errTimeout = errors.New("no answer in time")
