package broker

import (
	"context"
	"sync"
	"time"
)

// pledges are the sessions and groups that wait for the store, and who waits for a single number.
type pledges struct {
	mu      sync.Mutex // guards everything below
	all     map[sender]struct{}
	changed chan struct{} // closed at the next notice; nil: nobody waits
	work    []sender      // reused by the one goroutine that calls keep
}

func (p *pledges) add(d sender) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[sender]struct{}{}
	}
	p.all[d] = struct{}{}
}

// notice is closed when the journal says next that something changed.
func (p *pledges) notice() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

// keep lets every one of them look at what it waits for.
func (p *pledges) keep() {
	p.mu.Lock()
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
	p.work = p.work[:0]
	for d := range p.all {
		p.work = append(p.work, d)
	}
	p.mu.Unlock()
	for _, d := range p.work {
		d.pumpOut()
		p.mu.Lock()
		if !d.hangs() { // under mu: who makes it wait afterwards adds it again afterwards
			delete(p.all, d)
		}
		p.mu.Unlock()
	}
	clear(p.work)
}

// await waits until a number is settled. kept is false if the store fails, for Config.SpillAfter at least; a store that only
// takes long is waited for until ctx ends, which is an error.
func (b *Broker) await(ctx context.Context, number uint64) (kept bool, err error) {
	patience := time.NewTimer(b.cfg().SpillAfter)
	defer patience.Stop()
	late := false
	for {
		changed := b.pledges.notice()
		if b.journal.Settled(number) {
			return true, nil
		}
		if late && b.cfg().Store.Failing() {
			return false, nil
		}
		select {
		case <-changed:
		case <-patience.C:
			late = true
			patience.Reset(b.cfg().SpillAfter)
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// readers are the goroutines that read queues from the disk.
type readers struct {
	mu      sync.Mutex // guards the two fields below
	stopped bool
	running sync.WaitGroup
}

// start runs f on a goroutine; false: the broker has stopped.
func (r *readers) start(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stopped {
		r.running.Go(f)
	}
	return !r.stopped
}

// stop lets none start any more and waits for those that run.
func (r *readers) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.running.Wait()
}
