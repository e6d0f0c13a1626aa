package broker

import (
	"context"
	"sync/atomic"
	"time"
)

// When Config.Calm is called.
const (
	calmMoves = 256         // so many clients came or went
	calmFor   = time.Second // and for so long none did
	calmEvery = time.Minute // and it was not called for so long
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

// calmDown calls Config.Calm when no client has come or gone for a moment; false: ctx has ended.
func (b *Broker) calmDown(ctx context.Context) bool {
	for before := int64(-1); before != b.calm.moves.Load(); {
		if before = b.calm.moves.Load(); !rest(ctx, calmFor) {
			return false
		}
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
