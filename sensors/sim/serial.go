package sim

import (
	"context"
	"io"
	"sync"
	"time"
)

// Instrument is a simulated device at the far end of a serial line.
type Instrument interface {
	// Run speaks on the port until ctx ends, which is no error, or the port
	// fails. To be stopped while it waits for bytes it needs a port that has
	// SetDeadline or Close; the port is of no further use then.
	Run(ctx context.Context, port io.ReadWriter) error
}

// Piece is a part of what an instrument sends, after a pause.
type Piece struct {
	Pause time.Duration
	Bytes []byte
}

// Distortion replaces what an instrument is about to send, one whole line or frame
// that it may change, by what goes onto the wire. No piece is silence.
type Distortion func(whole []byte) []Piece

// Silence sends nothing.
func Silence() Distortion { return func([]byte) []Piece { return nil } }

// Late sends everything after a pause.
func Late(pause time.Duration) Distortion {
	return func(b []byte) []Piece { return []Piece{{pause, b}} }
}

// Split sends the first n bytes, and the rest after a pause.
func Split(n int, pause time.Duration) Distortion {
	return func(b []byte) []Piece {
		n := min(n, len(b))
		return []Piece{{0, b[:n]}, {pause, b[n:]}}
	}
}

// Prefix sends other bytes first, such as noise from switching the line.
func Prefix(noise ...byte) Distortion {
	return func(b []byte) []Piece { return []Piece{{0, noise}, {0, b}} }
}

// Suffix sends other bytes after the right ones.
func Suffix(noise ...byte) Distortion {
	return func(b []byte) []Piece { return []Piece{{0, b}, {0, noise}} }
}

// Cut sends only the first n bytes.
func Cut(n int) Distortion {
	return func(b []byte) []Piece { return []Piece{{0, b[:min(n, len(b))]}} }
}

// Invert inverts one bit: bit 0 is the lowest of the first byte, bit -1 the highest
// of the last. A bit outside changes nothing.
func Invert(bit int) Distortion {
	return func(b []byte) []Piece {
		if bit < 0 {
			bit += 8 * len(b)
		}
		if bit >= 0 && bit/8 < len(b) {
			b[bit/8] ^= 1 << (bit % 8)
		}
		return []Piece{{0, b}}
	}
}

// Instead sends other bytes.
func Instead(bytes ...byte) Distortion {
	return func([]byte) []Piece { return []Piece{{0, bytes}} }
}

// distortions are those in use of one instrument; the first acts.
type distortions struct {
	mu   sync.Mutex // guards list
	list []*distortion
}

type distortion struct {
	f    Distortion
	left int // times; negative: until cleared
}

// add puts a distortion to the end, for a number of lines or frames, 0 for all
// until clear is called.
func (d *distortions) add(f Distortion, times int) (clear func()) {
	if times <= 0 {
		times = -1
	}
	one := &distortion{f, times}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, one)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		one.left = 0
	}
}

// apply returns what to send instead of whole.
func (d *distortions) apply(whole []byte) []Piece {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.list) > 0 && d.list[0].left == 0 {
		d.list = d.list[1:]
	}
	if len(d.list) == 0 {
		return []Piece{{0, whole}}
	}
	if d.list[0].left > 0 {
		d.list[0].left--
	}
	return d.list[0].f(whole)
}

// speaker is the sending side of a port, shared by those who speak at once.
type speaker struct {
	mu   sync.Mutex // one Write at a time
	port io.Writer
}

// send sends pieces with their pauses, and stops early when ctx ends.
func (s *speaker) send(ctx context.Context, pieces []Piece) error {
	for _, p := range pieces {
		if p.Pause > 0 && !pause(ctx, p.Pause) {
			return ctx.Err()
		}
		if len(p.Bytes) == 0 {
			continue
		}
		if err := s.write(p.Bytes); err != nil {
			return err
		}
	}
	return nil
}

func (s *speaker) write(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.port.Write(b)
	return err
}

// pause waits and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// interrupt wakes whoever waits on the port.
func interrupt(port io.ReadWriter) {
	switch p := port.(type) {
	case interface{ SetDeadline(time.Time) error }:
		_ = p.SetDeadline(time.Unix(1, 0))
	case io.Closer:
		_ = p.Close()
	}
}

// run is the frame of every instrument: it reads the port and hands each piece of
// input to hear, while speak, if any, goes on beside it. It returns when ctx ends,
// the port fails or one of them does, after all have returned.
func run(ctx context.Context, port io.ReadWriter, hear func(ctx context.Context, b []byte) error, speak func(ctx context.Context) error) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(inner, func() { interrupt(port) })()
	var g sync.WaitGroup
	if speak != nil {
		g.Go(func() {
			if err := speak(inner); err != nil {
				cancel(err)
			}
		})
	}
	buffer := make([]byte, 256)
	for inner.Err() == nil {
		n, err := port.Read(buffer)
		if n > 0 && err == nil {
			err = hear(inner, buffer[:n])
		}
		if err != nil {
			cancel(err)
		}
	}
	g.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(inner)
}
