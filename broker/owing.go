package broker

import (
	"context"
	"sync"
)

// owing are the publishers that wait for the journal.
type owing struct {
	mu   sync.Mutex // guards the field below; taken before an owed's own
	all  map[*owed]struct{}
	work []*owed // reused by the one goroutine that calls each
}

func (w *owing) add(o *owed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[*owed]struct{}{}
	}
	w.all[o] = struct{}{}
}

func (w *owing) remove(o *owed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, o)
}

// release releases what all of them can have.
func (w *owing) release() {
	w.mu.Lock()
	w.work = w.work[:0]
	for o := range w.all { // in no order, so that the first to find room is not always the same one
		w.work = append(w.work, o)
	}
	w.mu.Unlock()
	for _, o := range w.work {
		o.release()
		w.mu.Lock()
		if o.idle() { // under mu: who adds a due afterwards adds itself again afterwards
			delete(w.all, o)
		}
		w.mu.Unlock()
	}
	clear(w.work)
}

// owed counts what all of them are owed.
func (w *owing) size() (dues int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for o := range w.all {
		dues += o.size()
	}
	return dues
}

// releaseOnNotice releases acknowledgements whenever the journal says that something changed, until ctx ends.
func (b *Broker) releaseOnNotice(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.notice:
			b.owing.release()
			b.pledges.keep()
		}
	}
}
