package gateway

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlot: a slot ends as a context with a timeout does, is another one for the next read, and ends with the one around it.
func TestSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		s, forget := newSlot(parent)
		defer forget()
		for range 3 { // in time
			ctx := s.begin(time.Second)
			time.Sleep(999 * time.Millisecond)
			synctest.Wait()
			if ctx.Err() != nil {
				t.Fatalf("ended early: %v", ctx.Err())
			}
			s.end()
			time.Sleep(time.Hour)
		}
		ctx := s.begin(time.Second)
		begun := time.Now()
		<-ctx.Done()
		if took := time.Since(begun); took != time.Second || !errors.Is(ctx.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			t.Errorf("ended after %v with %v, cause %v", took, ctx.Err(), context.Cause(ctx))
		}
		s.end()
		ctx = s.begin(time.Minute)
		if deadline, ok := ctx.Deadline(); ctx.Err() != nil || !ok || time.Until(deadline) != time.Minute {
			t.Errorf("the one after it: %v, deadline %v", ctx.Err(), deadline)
		}
		inner, stop := context.WithTimeout(ctx, time.Hour) // as a device may do
		defer stop()
		<-inner.Done()
		if !errors.Is(inner.Err(), context.DeadlineExceeded) {
			t.Errorf("inside of it: %v", inner.Err())
		}
		s.end()
		ctx = s.begin(time.Minute)
		cancel()
		<-ctx.Done()
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("with the one around it: %v", ctx.Err())
		}
		s.end()
		if ctx = s.begin(time.Minute); !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("after the end of the one around it: %v", ctx.Err())
		}
		s.end()
	})
}
