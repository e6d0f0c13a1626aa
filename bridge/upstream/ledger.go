package upstream

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Ledger is the far end of the proofs: it holds what arrives against the numbers a Publisher gave. Its Take is what
// Options.OnArrival wants. The zero value is not usable. Methods are safe for concurrent use.
type Ledger struct {
	mu     sync.Mutex // guards the fields below
	topics map[string]*account
	notes  []string
	news   chan struct{}
}

// account is one topic. Numbers that come for the first time rise by one, because their publisher sends them that way and
// keeps each until it is acknowledged: anything else is a loss or disorder. At QoS 1 the line may go back to an earlier
// number and come again from there, rising. It may leave out what had come: a record that was acknowledged before any
// commit took it is nowhere after a crash, while one that was stored before it comes again if its position was not.
type account struct {
	exact   bool
	last    uint64          // the one that came last
	highest uint64          // the highest that came
	missing map[uint64]bool // below highest
	arrived int
	repeats int
	runs    int // how often the line went back
}

// Account says what came of one topic.
type Account struct {
	Arrived int // messages, repeats included
	Repeats int
	Runs    int // how often the line went back and came again
	Highest uint64
	Missing int // numbers below Highest
}

// NewLedger makes a ledger of these topics, as they are called upstream; at those in exact no message may come twice.
func NewLedger(topics, exact []string) *Ledger {
	l := &Ledger{topics: map[string]*account{}, news: make(chan struct{}, 1)}
	for _, t := range topics {
		l.topics[t] = &account{missing: map[uint64]bool{}}
	}
	for _, t := range exact {
		l.topics[t] = &account{missing: map[uint64]bool{}, exact: true}
	}
	return l
}

// Take notes an arrival; topics that are not in the ledger do not matter.
func (l *Ledger) Take(a Arrival) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[a.Topic]
	if t == nil {
		return
	}
	if len(a.Payload) < 8 {
		l.note("%s: a payload of %d bytes, want at least 8", a.Topic, len(a.Payload))
		return
	}
	l.enter(t, a.Topic, binary.BigEndian.Uint64(a.Payload))
	select {
	case l.news <- struct{}{}:
	default:
	}
}

func (l *Ledger) enter(t *account, topic string, n uint64) {
	t.arrived++
	switch {
	case n > t.highest:
		for m := t.highest + 1; m < n && m < t.highest+10_000; m++ {
			t.missing[m] = true
		}
		if n != t.highest+1 {
			l.note("%s: %d came after %d: %d numbers between are late or lost", topic, n, t.highest, n-t.highest-1)
		}
		t.highest = n
	case t.missing[n]:
		delete(t.missing, n)
		l.note("%s: %d came for the first time after %d", topic, n, t.highest)
	default:
		t.repeats++
		if n <= t.last {
			t.runs++
		}
		if t.exact {
			l.note("%s: %d came again, want it once", topic, n)
		}
	}
	t.last = n
}

// note keeps a fault. The caller holds mu.
func (l *Ledger) note(format string, a ...any) {
	if len(l.notes) < maxViolations {
		l.notes = append(l.notes, fmt.Sprintf(format, a...))
	}
}

// Faults are one line for each loss of order, each gap and each repeat that may not be. A number that is noted as missing
// and came later is disorder, not a loss.
func (l *Ledger) Faults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.notes)
}

// Accounts says what came, by topic.
func (l *Ledger) Accounts() map[string]Account {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := map[string]Account{}
	for name, t := range l.topics {
		m[name] = Account{Arrived: t.arrived, Repeats: t.repeats, Runs: t.runs, Highest: t.highest, Missing: len(t.missing)}
	}
	return m
}

// Wait blocks until of each topic everything up to the number has arrived. Its error says what has not.
func (l *Ledger) Wait(ctx context.Context, upTo map[string]uint64) error {
	for {
		lost := l.lost(upTo)
		if len(lost) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("acknowledged and not arrived: %v", lost)
		case <-l.news:
		}
	}
}

func (l *Ledger) lost(upTo map[string]uint64) (lost []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(upTo)) {
		t, n := l.topics[name], upTo[name]
		gaps := 0
		for m := range t.missing {
			if m <= n {
				gaps++
			}
		}
		if n > t.highest || gaps > 0 {
			lost = append(lost, fmt.Sprintf("%s: of %d, %d came and %d below it did not", name, n, t.highest, gaps))
		}
	}
	return lost
}
