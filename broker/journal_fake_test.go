package broker

import (
	"math"
	"sync"
	"testing"
	"time"

	"weir/broker/message"
)

// journal is a Journal whose settlement and room the test controls.
type journal struct {
	mu      sync.Mutex
	b       *Broker
	changed chan struct{} // closed and replaced at each Append
	room    int           // so many records are taken
	auto    bool          // records are settled as they come
	forget  bool          // nothing is remembered; for benchmarks, with auto
	records []record
	settled map[uint64]bool
	calls   int
}

type record struct {
	message message.Message
	routes  []RouteHit
	kind    Kind

	publisher uint64
	key       string
}

func newJournal() *journal {
	return &journal{changed: make(chan struct{}), room: math.MaxInt, settled: map[uint64]bool{}}
}

func (j *journal) Append(batch []Entry) (first uint64, n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls++
	if j.forget {
		return 1, len(batch)
	}
	first = uint64(len(j.records)) + 1
	for _, e := range batch {
		if j.room == 0 {
			break
		}
		j.room--
		j.records = append(j.records, record{e.Message.Clone(), append([]RouteHit(nil), e.Routes...), e.Kind, e.Publisher, e.Key})
		if j.auto {
			j.settled[uint64(len(j.records))] = true
		}
		n++
	}
	close(j.changed)
	j.changed = make(chan struct{})
	return first, n
}

func (j *journal) Settled(number uint64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.forget || j.settled[number]
}

// settle settles records and tells the broker.
func (j *journal) settle(numbers ...uint64) {
	j.mu.Lock()
	for _, n := range numbers {
		j.settled[n] = true
	}
	j.mu.Unlock()
	j.b.Notify()
}

// make gives room for so many more records.
func (j *journal) makeRoom(n int) {
	j.mu.Lock()
	j.room = n
	j.mu.Unlock()
	j.b.Notify()
}

// wait waits until the journal has n records.
func (j *journal) wait(t *testing.T, n int) []record {
	t.Helper()
	limit := time.After(patience)
	for {
		j.mu.Lock()
		records, changed := j.records, j.changed
		j.mu.Unlock()
		if len(records) >= n {
			return records
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("journal has %d records, want %d", len(records), n)
		}
	}
}
