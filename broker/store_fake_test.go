package broker

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/broker/message"
)

// vault is a Journal with its Store whose commits the test controls, and which can be cut off at any moment: what was not
// committed is gone then.
type vault struct {
	t       testing.TB
	mu      sync.Mutex
	b       *Broker
	auto    bool // everything is committed as it comes
	failing bool
	full    bool                // takes no records
	noKeys  bool                // Put has no room
	slow    bool                // what is committed has to be read from the disk
	broken  bool                // the disk cannot be read
	noQueue bool                // Queue has no room
	limit   int                 // of bytes of a value; 0: none
	reads   int                 // of the disk
	onNext  func()              // called once, by the next Next
	onKeep  func()              // the same for Keep
	watch   func(kept contents) // called with whatever becomes durable
	changed chan struct{}

	number    uint64
	committed uint64 // numbers up to it are durable
	settled   map[uint64]bool
	now, kept contents
	tied      map[uint64]string // keys put along with records that are not committed
	commits   int
	appended  []Entry // as given, with messages of their own
}

// contents are what the vault holds, and what it would hold after a crash.
type contents struct {
	keys   map[string]string
	queues map[string]*shelf
	last   uint32
}

type shelf struct {
	id      uint32
	records []shelved
	acked   map[uint64]bool
	pairs   map[uint16]Pair
}

type shelved struct {
	number  uint64
	must    bool
	data    []byte
	message message.Message
}

func newVault(t testing.TB) *vault {
	v := &vault{t: t, settled: map[uint64]bool{}, tied: map[uint64]string{}, number: 1 << 40, changed: make(chan struct{})}
	v.now = contents{keys: map[string]string{}, queues: map[string]*shelf{}}
	v.kept = v.now.clone()
	return v
}

func (c contents) clone() contents {
	n := contents{keys: maps.Clone(c.keys), queues: map[string]*shelf{}, last: c.last}
	for name, s := range c.queues {
		n.queues[name] = &shelf{s.id, slices.Clone(s.records), maps.Clone(s.acked), maps.Clone(s.pairs)}
	}
	return n
}

// crash gives the vault as the next process finds it.
func (v *vault) crash() *vault {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := newVault(v.t)
	n.auto, n.number, n.committed, n.slow = v.auto, v.number+1<<40, v.number, v.slow
	n.kept = v.kept.clone()
	n.now = v.kept.clone()
	return n
}

// change runs f, commits if that is automatic, and tells the broker and the test.
func (v *vault) change(f func()) {
	v.mu.Lock()
	f()
	if v.auto && !v.failing {
		v.commit()
	}
	b := v.b
	close(v.changed)
	v.changed = make(chan struct{})
	v.mu.Unlock()
	if b != nil {
		b.Notify()
	}
}

func (v *vault) commit() {
	for _, number := range slices.Sorted(maps.Keys(v.tied)) {
		v.now.keys[v.tied[number]] = ""
	}
	clear(v.tied)
	v.kept = v.now.clone()
	v.committed = v.number
	v.commits++
	if v.watch != nil {
		v.watch(v.kept)
	}
}

func (v *vault) Commit() { v.change(v.commit) }

func (v *vault) Append(batch []Entry) (first uint64, n int) {
	v.change(func() {
		if v.full {
			return
		}
		first, n = v.number+1, len(batch)
		for i, e := range batch {
			v.number++
			m := e.Message.Clone()
			kept := e.copy()
			kept.Message = &m
			v.appended = append(v.appended, kept)
			dropped := 0
			for _, hit := range kept.Sessions {
				if hit.Drop {
					dropped++
				}
			}
			batch[i].Refused = dropped > 0 && dropped == len(e.Sessions)+len(e.Routes)
			if e.Key != "" && !batch[i].Refused {
				v.tied[v.number] = e.Key
			}
			for _, hit := range kept.Sessions {
				if hit.Drop {
					continue
				}
				for _, s := range v.now.queues {
					if s.id == hit.Queue {
						s.records = append(s.records, shelved{v.number, hit.QoS == 2 || e.Must || e.Key != "", hit.Data, m})
					}
				}
			}
			if len(e.Sessions)+len(e.Routes) == 0 && !e.Must && e.Key == "" {
				v.settled[v.number] = true
			}
		}
	})
	return first, n
}

func (v *vault) Settled(number uint64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return number <= v.committed || v.settled[number]
}

func (v *vault) Put(key string, value []byte) (err error) {
	v.change(func() {
		if v.noKeys || v.limit > 0 && len(value) > v.limit {
			err = errKept
			return
		}
		v.now.keys[key] = string(value)
	})
	return err
}

func (v *vault) Delete(key string) { v.change(func() { delete(v.now.keys, key) }) }

func (v *vault) Range(prefix string, f func(key string, value []byte) bool) {
	v.mu.Lock()
	keys := maps.Clone(v.now.keys)
	v.mu.Unlock()
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if strings.HasPrefix(k, prefix) && !f(k, []byte(keys[k])) {
			return
		}
	}
}

func (v *vault) Barrier() (number uint64, err error) {
	v.change(func() { v.number++; number = v.number })
	return number, nil
}

func (v *vault) Failing() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.failing
}

// looks is how often the disk was read.
func (v *vault) looks() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.reads
}

func (v *vault) fail(failing bool) { v.change(func() { v.failing = failing }) }

func (v *vault) Queue(name string) (Queue, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.noQueue {
		return nil, errKept
	}
	s := v.now.queues[name]
	if s == nil {
		v.now.last++
		s = &shelf{id: v.now.last, acked: map[uint64]bool{}, pairs: map[uint16]Pair{}}
		v.now.queues[name] = s
	}
	return &vaultQueue{v: v, name: name, id: s.id}, nil
}

func (v *vault) DropQueue(name string) { v.change(func() { delete(v.now.queues, name) }) }

func (v *vault) Queues(f func(name string) bool) {
	v.mu.Lock()
	names := slices.Sorted(maps.Keys(v.now.queues))
	v.mu.Unlock()
	for _, n := range names {
		if !f(n) {
			return
		}
	}
}

type vaultQueue struct {
	v      *vault
	name   string
	id     uint32
	cursor uint64
	live   bool
}

func (q *vaultQueue) shelf() *shelf {
	if s := q.v.now.queues[q.name]; s != nil && s.id == q.id {
		return s
	}
	return &shelf{}
}

func (q *vaultQueue) ID() uint32 { return q.id }

func (q *vaultQueue) Next(dst []Queued, disk bool) (n int, onDisk bool, err error) {
	q.v.once(&q.v.onNext)
	q.v.mu.Lock()
	defer q.v.mu.Unlock()
	if disk {
		q.v.reads++
	}
	if disk && q.v.broken {
		return 0, false, errKept
	}
	s := q.shelf()
	for i := range s.records {
		r := &s.records[i]
		switch {
		case n == len(dst) || r.number <= q.cursor || s.acked[r.number]:
			continue
		case q.v.slow && !disk && r.number <= q.v.committed:
			return n, n == 0, nil
		}
		dst[n] = Queued{r.number, r.data, r.message}
		n++
		q.cursor = r.number
	}
	return n, false, nil
}

func (q *vaultQueue) Ack(numbers []uint64) {
	q.v.change(func() {
		s := q.shelf()
		for _, n := range numbers {
			for _, r := range s.records {
				if r.number == n {
					s.acked[n] = true
					q.v.settled[n] = q.v.settled[n] || !r.must
				}
			}
		}
	})
}

func (q *vaultQueue) Rewind()      { q.v.mu.Lock(); q.cursor = 0; q.v.mu.Unlock() }
func (q *vaultQueue) Live(up bool) { q.v.mu.Lock(); q.live = up; q.v.mu.Unlock() }

func (q *vaultQueue) Waiting() (n int, bytes int64) {
	q.v.mu.Lock()
	defer q.v.mu.Unlock()
	s := q.shelf()
	for _, r := range s.records {
		if !s.acked[r.number] {
			n++
			bytes += int64(len(r.message.Payload))
		}
	}
	return n, bytes
}

// once calls a function that is there, and never again.
func (v *vault) once(f *func()) {
	v.mu.Lock()
	call := *f
	*f = nil
	v.mu.Unlock()
	if call != nil {
		call()
	}
}

func (q *vaultQueue) Keep(p Pair) error {
	q.v.once(&q.v.onKeep)
	q.v.change(func() {
		if s := q.shelf(); s.pairs != nil {
			s.pairs[p.ID] = p
		}
	})
	return nil
}

func (q *vaultQueue) Forget(id uint16) { q.v.change(func() { delete(q.shelf().pairs, id) }) }

func (q *vaultQueue) Pairs() (all []Pair) {
	q.v.mu.Lock()
	defer q.v.mu.Unlock()
	return slices.Collect(maps.Values(q.shelf().pairs))
}

// until waits until ok, looking again whenever the vault changes.
func (v *vault) until(what string, ok func() bool) {
	v.t.Helper()
	limit := time.After(patience)
	for {
		v.mu.Lock()
		changed := v.changed
		v.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-limit:
			v.t.Fatalf("%s: not in time", what)
		}
	}
}
