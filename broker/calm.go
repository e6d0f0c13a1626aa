package broker

import (
	"context"
	"sync/atomic"
	"time"
)

// When Config.Calm is called.
const (
	calmMoves = 256                    // so many clients came or went
	calmFor   = 500 * time.Millisecond // and for so long
	calmFew   = 16                     // hardly any did
	calmEvery = time.Minute            // and it was not called for so long
)

// calm notices when a storm of clients is over. A runtime that collects its garbage by the size of what lives keeps as much
// again of what a thousand logins left behind until something else is done; on a small machine that is the larger half.
type calm struct {
	moves atomic.Int64  // since Config.Calm was called
	wake  chan struct{} // capacity 1
}

// moved notes that a client came or went.
func (c *calm) moved() {
	if c.moves.Add(1) == calmMoves {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// keepCalm calls Config.Calm until ctx ends: after the start, which is a storm of its own, and after each storm of clients.
// It sleeps while few come and go.
func (b *Broker) keepCalm(ctx context.Context) {
	for ok := b.calmDown(ctx); ok; ok = b.calmDown(ctx) && rest(ctx, calmEvery) {
		select {
		case <-ctx.Done():
			return
		case <-b.calm.wake:
		}
	}
}

// calmDown calls Config.Calm when for a moment hardly any client has come or gone; false: ctx has ended.
func (b *Broker) calmDown(ctx context.Context) bool {
	for before, still := b.calm.moves.Load(), false; !still; {
		if !rest(ctx, calmFor) {
			return false
		}
		now := b.calm.moves.Load()
		before, still = now, now-before < calmFew
	}
	b.calm.moves.Store(0)
	select {
	case <-b.calm.wake: // that storm is over too
	default:
	}
	b.cfg().Calm()
	return true
}

// rest waits; false: ctx has ended.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
