package client

import (
	"context"
	"fmt"
	"sync"

	"weir/broker/packet"
)

// waiters are the calls of Publish that wait for the end of their message.
type waiters struct {
	mu   sync.Mutex // guards the fields below
	next uint64
	of   map[uint64]chan packet.Reason
}

func (w *waiters) add() (ref uint64, end chan packet.Reason) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	ref, end = w.next|ownRef, make(chan packet.Reason, 1)
	w.of[ref] = end
	return ref, end
}

func (w *waiters) drop(ref uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.of, ref)
}

// answer tells waiting calls and returns the rest, in place.
func (w *waiters) answer(acks []Ack) []Ack {
	n := 0
	for _, a := range acks {
		if a.Ref < ownRef {
			acks[n] = a
			n++
			continue
		}
		w.mu.Lock()
		end := w.of[a.Ref]
		w.mu.Unlock()
		if end != nil {
			end <- a.Reason // has room, and a ref ends once
		}
	}
	return acks[:n]
}

// RefusedError says that the server did not take a message.
type RefusedError struct{ Reason packet.Reason }

// Error names the reason.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the server refuses the message: %s", e.Reason)
}

// Publish sends one message and waits until it is written (QoS 0), acknowledged (QoS 1) or completed (QoS 2).
// A *RefusedError: the server does not take it. An *Error: the connection ended first.
func (c *Conn) Publish(ctx context.Context, p packet.Publish) error {
	ref, end := c.waiting.add()
	defer c.waiting.drop(ref)
	if err := c.send(&p, ref); err != nil {
		return err
	}
	c.Flush()
	select {
	case reason := <-end:
		if reason.Failed() {
			return &RefusedError{reason}
		}
		return nil
	case <-c.done:
		return c.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Subscribe sends one SUBSCRIBE and waits for the answer: one reason per filter, some of which may be failures.
func (c *Conn) Subscribe(ctx context.Context, filters ...packet.Subscription) ([]packet.Reason, error) {
	return c.ask(ctx, len(filters), func(id uint16) error {
		return c.core.append(&packet.Subscribe{ID: id, Filters: filters})
	})
}

// Unsubscribe sends one UNSUBSCRIBE and waits for the answer. 3.1.1 servers answer without reasons: all are Success.
func (c *Conn) Unsubscribe(ctx context.Context, filters ...string) ([]packet.Reason, error) {
	list := make([][]byte, len(filters))
	for i, f := range filters {
		list[i] = []byte(f)
	}
	return c.ask(ctx, len(filters), func(id uint16) error {
		return c.core.append(&packet.Unsubscribe{ID: id, Filters: list})
	})
}

func (c *Conn) ask(ctx context.Context, n int, write func(id uint16) error) ([]packet.Reason, error) {
	answer := make(chan []packet.Reason, 1)
	c.mu.Lock()
	err := c.request(answer, write)
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	c.Flush()
	select {
	case reasons := <-answer:
		if len(reasons) == 0 && c.o.Version == packet.V311 {
			reasons = make([]packet.Reason, n)
		}
		if len(reasons) != n {
			return reasons, fault(Protocol, nil, "the server answers %d filters with %d reasons", n, len(reasons))
		}
		return reasons, nil
	case <-c.done:
		return nil, c.Err()
	case <-ctx.Done():
		return nil, ctx.Err() // the id stays taken until the answer comes
	}
}

// request takes an id and appends the packet. The caller holds mu.
func (c *Conn) request(answer chan<- []packet.Reason, write func(id uint16) error) error {
	if c.err != nil || c.leaving {
		return ErrClosed
	}
	id, err := c.core.request(answer)
	if err != nil {
		return err
	}
	if err := write(id); err != nil {
		delete(c.core.requests, id)
		c.core.outbound.Return(id)
		return err
	}
	return nil
}

// Disconnect says goodbye with r (5.0; DisconnectWithWill has the will published, any other drops it), waits until that
// is written and the server has closed, at most a second, and closes. What is in the write buffer goes out before.
func (c *Conn) Disconnect(ctx context.Context, r packet.Reason) error {
	c.mu.Lock()
	if c.err != nil || c.leaving {
		c.mu.Unlock()
		return c.Close()
	}
	err := c.core.disconnect(r)
	c.err, c.leaving = ErrClosed, true
	c.mu.Unlock()
	c.Flush()
	select {
	case <-c.done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.Close()
	return err
}
