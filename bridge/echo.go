package bridge

import (
	"hash/maphash"
	"time"
)

const (
	echoMax = 4096
	echoFor = time.Minute
)

// echoes remembers messages sent upstream that a receive rule would bring back, for servers that know no "no local"
// (3.1.1). Each is remembered once per sending, for a minute, at most 4096 of them, and forgotten when it came back.
// Not safe for concurrent use.
type echoes struct {
	seed  maphash.Seed
	count map[uint64]int
	order []echo // oldest first, from head on
	head  int
}

type echo struct {
	sum uint64
	at  time.Time
}

func newEchoes() *echoes {
	return &echoes{seed: maphash.MakeSeed(), count: map[uint64]int{}}
}

func (e *echoes) sum(topic, payload []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(e.seed)
	h.Write(topic)
	h.WriteByte(0) // no topic holds it
	h.Write(payload)
	return h.Sum64()
}

// sent remembers a message.
func (e *echoes) sent(topic, payload []byte, now time.Time) {
	e.forget(now)
	sum := e.sum(topic, payload)
	e.count[sum]++
	e.order = append(e.order, echo{sum, now})
}

// back reports whether a received message is one of ours, and forgets it once.
func (e *echoes) back(topic, payload []byte, now time.Time) bool {
	e.forget(now)
	sum := e.sum(topic, payload)
	if e.count[sum] == 0 {
		return false
	}
	e.drop(sum)
	for i := e.head; i < len(e.order); i++ { // so that forget does not count it again
		if e.order[i].sum == sum {
			e.order = append(e.order[:i], e.order[i+1:]...)
			break
		}
	}
	return true
}

func (e *echoes) forget(now time.Time) {
	for e.head < len(e.order) && (len(e.order)-e.head >= echoMax || now.Sub(e.order[e.head].at) >= echoFor) {
		e.drop(e.order[e.head].sum)
		e.head++
	}
	if e.head > echoMax || e.head == len(e.order) {
		e.order, e.head = e.order[:copy(e.order, e.order[e.head:])], 0
	}
}

func (e *echoes) drop(sum uint64) {
	if e.count[sum]--; e.count[sum] <= 0 {
		delete(e.count, sum)
	}
}
