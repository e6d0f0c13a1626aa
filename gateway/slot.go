package gateway

import (
	"context"
	"sync"
	"time"
)

// slot is the context of one read after another. It ends as one of context.WithTimeout would, when its time is over or
// the one around it ends, and is used again as long as it did not, so that a read costs no memory. It carries no values.
type slot struct {
	mu       sync.Mutex // guards all below
	timer    *time.Timer
	open     bool
	deadline time.Time
	done     chan struct{}
	err      error
	stopped  error // of the context around it; no slot begins any more
}

// newSlot returns a slot inside ctx. forget takes it out of ctx again.
func newSlot(ctx context.Context) (s *slot, forget func() bool) {
	s = &slot{done: make(chan struct{})}
	s.timer = time.AfterFunc(time.Hour, s.expire)
	s.timer.Stop()
	return s, context.AfterFunc(ctx, func() { s.stop(ctx.Err()) })
}

// begin makes it a context that ends after limit, at the latest with end.
func (s *slot) begin(limit time.Duration) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil && s.stopped == nil {
		s.done, s.err = make(chan struct{}), nil
	}
	s.open, s.deadline = true, time.Now().Add(limit)
	s.timer.Reset(limit)
	return s
}

// end is the end of the read that was begun. What it started has come to its end, too.
func (s *slot) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = false
	s.timer.Stop()
}

// expire ends the context when its time is over. It may come late, into the time of the next read.
func (s *slot) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open && !time.Now().Before(s.deadline) {
		s.finish(context.DeadlineExceeded)
	}
}

func (s *slot) stop(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = err
	s.finish(err)
}

// finish closes the context. The caller holds mu.
func (s *slot) finish(err error) {
	if s.err == nil {
		s.err = err
		close(s.done)
	}
}

// Deadline implements context.Context.
func (s *slot) Deadline() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deadline, true
}

// Done implements context.Context.
func (s *slot) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// Err implements context.Context.
func (s *slot) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Value implements context.Context.
func (s *slot) Value(any) any { return nil }
