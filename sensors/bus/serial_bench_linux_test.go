package bus

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/sim"
)

// patience is how long the tests wait for something that must happen.
const patience = 10 * time.Second

// parrot answers each request of four bytes with the same in upper case.
type parrot struct{}

func (parrot) Run(ctx context.Context, port io.ReadWriter) error {
	var b [4]byte
	for ctx.Err() == nil {
		if _, err := io.ReadFull(port, b[:]); err != nil {
			return err
		}
		if _, err := port.Write(bytes.ToUpper(b[:])); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serialBench is a machine with serial lines while a test runs.
type serialBench struct {
	*Machine
	log  logBuffer
	ctx  context.Context
	stop func() // ends the machine and waits for it
}

func serialMachine(t *testing.T, lines ...LineOptions) *serialBench {
	t.Helper()
	b := &serialBench{}
	b.Machine = New(Options{Lines: lines, Log: slog.New(slog.NewTextHandler(&b.log, nil))})
	ctx, cancel := context.WithCancel(t.Context())
	b.ctx = ctx
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("the machine does not stop")
		}
	})
	t.Cleanup(b.stop)
	return b
}

func (b *serialBench) line(t *testing.T, name string) sensors.Line {
	t.Helper()
	l, err := b.Serial(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// plugged opens a terminal with a link, and lets the instrument speak on it.
func plugged(t *testing.T, i sim.Instrument) *sim.Terminal {
	t.Helper()
	term, err := sim.OpenTerminal(filepath.Join(t.TempDir(), "usb-adapter"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	if i != nil {
		go func() { done <- term.Serve(ctx, i) }()
	} else {
		done <- nil
	}
	t.Cleanup(func() {
		cancel()
		_ = term.Close()
		<-done
	})
	return term
}

var mode = sensors.Mode{Baud: 115200, DataBits: 8, Parity: 'N', StopBits: 1}

// ask is an exchange of four bytes each way.
type ask struct {
	send, got string
	within    time.Duration
}

func (a *ask) Exchange(_ context.Context, p sensors.Port) error {
	if err := p.Write([]byte(a.send)); err != nil {
		return err
	}
	a.got = ""
	var b [4]byte
	for deadline := time.Now().Add(a.within); len(a.got) < len(b); {
		n, err := p.Read(b[:], deadline)
		if err != nil {
			return err
		}
		a.got += string(b[:n])
	}
	return nil
}

func (b *serialBench) ask(l sensors.Line, send string, within time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(b.ctx, within+time.Second)
	defer cancel()
	a := &ask{send: send, within: within}
	err := l.Do(ctx, a)
	return a.got, err
}

// mirror sends back what it hears, as an RS-485 adapter without direction
// control does, and then the answer.
type mirror struct{}

func (mirror) Run(ctx context.Context, port io.ReadWriter) error {
	var b [4]byte
	for {
		if _, err := io.ReadFull(port, b[:]); err != nil {
			return err
		}
		if _, err := port.Write(append(b[:], bytes.ToUpper(b[:])...)); err != nil {
			return err
		}
	}
}

// ears collects what a listener is told; every opening is a "|".
type ears struct {
	mu   sync.Mutex
	text string
	news chan struct{}
}

func newEars() *ears { return &ears{news: make(chan struct{}, 1)} }

func (e *ears) Received(b []byte, _ time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(b) == 0 {
		e.text += "|"
	}
	e.text += string(b)
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// await waits until the text satisfies f.
func (e *ears) await(t *testing.T, what string, f func(text string) bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		e.mu.Lock()
		ok := f(e.text)
		text := e.text
		e.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-e.news:
		case <-limit:
			t.Fatalf("%s: heard only %q", what, text)
		}
	}
}

// flood writes more than anybody takes.
type flood struct{ done chan struct{} }

func (f *flood) Exchange(_ context.Context, p sensors.Port) error {
	defer close(f.done)
	return p.Write(make([]byte, 64<<10))
}

// drain sends a request and throws the answer away.
type drain struct{ err error }

func (d *drain) Exchange(_ context.Context, p sensors.Port) error {
	if err := p.Write([]byte("abcd")); err != nil {
		return err
	}
	d.err = p.Drain(10*time.Millisecond, time.Now().Add(patience))
	var b [4]byte
	_, err := p.Read(b[:], time.Now().Add(50*time.Millisecond))
	return err
}
