package buffer_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"weir/buffer"
	"weir/buffer/crashfs"
)

// world drives a log on a crashfs disk and remembers what was promised.
type world struct {
	disk *crashfs.Disk
	o    buffer.Options
	log  *buffer.Log
	rng  *rand.Rand

	mu       sync.Mutex
	records  map[uint64]*record
	highest  uint64
	keys     map[string]*versions
	cons     map[string]*buffer.Consumer
	got      map[string][]buffer.Entry
	drops    map[string]uint64         // highest durable count seen
	barrier  map[uint64]map[string]int // what each key was when the barrier was asked for
	serial   int
	fresh    bool           // opened, and nothing done yet
	asked    bool           // for chores
	keyHeavy bool           // the workload changes keys most of the time, and consumers have limits
	sparse   bool           // the second consumer wants little, and takes less
	chores   bool           // the log asks for chores, and they are done now and then
	memory   bool           // some destinations are for memory only
	within   bool           // an Append runs, whose records are not noted yet
	inside   []buffer.Range // settled by it
}

// fleeting begins the body of a record that is for memory only.
const fleeting = "~fleeting~"

type record struct {
	body    string
	dests   map[string]string
	memory  map[string]bool // of dests: those in memory only
	reborn  bool            // power was cut since it was appended
	tied    string          // a key put along with it
	settled bool
	acked   map[string]mark
	aside   map[string]mark
}

// mark is what was said of a record: ever, since the log was opened, and before
// a commit that succeeded.
type mark struct{ said, now, durable bool }

// versions of a key: the committed one and those put since.
type versions struct {
	may []string
	cut int // how many before may[0] are out of the question
}

// known says that nothing before version n can be found any more.
func (v *versions) known(n int) {
	if n > v.cut {
		v.may, v.cut = v.may[n-v.cut:], n
	}
}

const deleted = "\x00deleted"

var consumerNames = []string{"a", "b"}

func newWorld(disk *crashfs.Disk, o buffer.Options, seed uint64) *world {
	w := &world{disk: disk, o: o, rng: rand.New(rand.NewPCG(seed, 1)), records: map[uint64]*record{},
		keys: map[string]*versions{}, drops: map[string]uint64{}, barrier: map[uint64]map[string]int{}}
	w.o.FS = disk
	w.o.OnSettled = w.settled
	return w
}

func (w *world) settled(rs []buffer.Range) {
	if w.within {
		w.inside = append(w.inside, rs...)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settle(rs)
}

func (w *world) settle(rs []buffer.Range) {
	for _, r := range rs {
		for n := r.First; n <= r.Last; n++ {
			if w.records[n] != nil {
				w.records[n].settled = true
			}
			for key, version := range w.barrier[n] {
				w.keys[key].known(version)
			}
			delete(w.barrier, n)
		}
	}
}

func (w *world) open() error {
	if w.chores {
		w.o.OnChores = func() { w.asked = true }
	}
	l, err := buffer.Open(w.o)
	if err != nil {
		return err
	}
	w.fresh = true
	w.log, w.cons, w.got = l, map[string]*buffer.Consumer{}, map[string][]buffer.Entry{}
	for _, name := range consumerNames {
		if w.cons[name], err = l.Consumer(name); err != nil {
			return err
		}
	}
	if w.keyHeavy {
		w.cons["a"].SetLimits(buffer.Limits{MaxBytes: 30_000})
		w.cons["b"].SetLimits(buffer.Limits{MaxBytes: 20_000, Newest: true})
	}
	return nil
}

func (w *world) append(n, size int) error {
	var batch []buffer.Record
	var notes []*record
	for range n {
		w.serial++
		r := &record{dests: map[string]string{}, memory: map[string]bool{}, acked: map[string]mark{}, aside: map[string]mark{}}
		r.body = fmt.Sprintf("%d:%s", w.serial, strings.Repeat(string(rune('a'+w.serial%26)), w.rng.IntN(size)))
		if w.o.Compress { // half of it can be saved, not all
			r.body = fmt.Sprintf("%d:%s", w.serial, digits(w.rng, w.rng.IntN(size)))
		}
		w.place(r)
		in := buffer.Record{Boot: uint64(1 + w.serial%2), Since: int64(w.serial), Head: []byte(r.body[:2]), Payload: []byte(r.body[2:])}
		for _, name := range consumerNames {
			if data, ok := r.dests[name]; ok {
				in.Dests = append(in.Dests, buffer.Dest{Consumer: w.cons[name].ID(), Must: w.serial%11 == 0, Memory: r.memory[name], Data: []byte(data)})
			}
		}
		if w.serial%7 == 0 && len(in.Dests) > 0 {
			r.tied = fmt.Sprintf("tied%d", w.serial)
			in.Keys = []buffer.KeyValue{{Key: r.tied, Value: []byte(r.body[:2])}}
		}
		batch, notes = append(batch, in), append(notes, r)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.within = true
	first, taken, err := w.log.Append(batch)
	w.within = false
	if err != nil {
		return err
	}
	if taken > 0 && first <= w.highest {
		panic(fmt.Sprintf("number %#x was given out before: highest %#x", first, w.highest))
	}
	for i := range taken {
		if batch[i].Refused {
			notes[i].tied = "" // not put
		}
		w.records[first+uint64(i)] = notes[i]
		w.highest = first + uint64(i)
	}
	w.settle(w.inside)
	w.inside = w.inside[:0]
	return w.put("high", fmt.Sprint(w.highest)) // durable no later than the records
}

// place chooses the destinations of a record.
func (w *world) place(r *record) {
	for i, name := range consumerNames {
		if w.serial%3 == i && !w.sparse || w.sparse && i == 1 && w.serial%9 != 0 {
			continue
		}
		r.dests[name] = fmt.Sprintf("%s%d", name, w.serial)
		if kind := w.serial % 5; w.memory && (kind == 2 || kind == i) {
			r.memory[name] = true
		}
	}
	if len(r.dests) > 0 && len(r.memory) == len(r.dests) {
		r.body = fleeting + r.body
	}
}

// digits are n random hexadecimal digits: compression halves them.
func digits(rng *rand.Rand, n int) string {
	p := make([]byte, n)
	for i := range p {
		p[i] = "0123456789abcdef"[rng.IntN(16)]
	}
	return string(p)
}

func (w *world) commit() error {
	if err := w.log.Commit(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.records {
		for name, m := range r.acked {
			r.acked[name] = mark{true, m.now, m.now || m.durable}
		}
		for name, m := range r.aside {
			r.aside[name] = mark{true, m.now, m.now || m.durable}
		}
	}
	for _, v := range w.keys {
		v.known(v.cut + len(v.may) - 1)
	}
	for n, r := range w.records {
		if r.tied != "" && r.settled && n%3 == 0 {
			w.log.Delete(r.tied)
			r.tied = ""
		}
	}
	return nil
}

// fence asks for a barrier.
func (w *world) fence() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.log.Barrier()
	if err != nil {
		return err
	}
	w.highest = max(w.highest, n)
	at := map[string]int{}
	for key, v := range w.keys {
		at[key] = v.cut + len(v.may) - 1
	}
	w.barrier[n] = at
	return nil
}

func (w *world) put(key, value string) error {
	v := w.keys[key]
	if v == nil {
		v = &versions{may: []string{deleted}}
		w.keys[key] = v
	}
	v.may = append(v.may, value)
	if value == deleted {
		w.log.Delete(key)
		return nil
	}
	return w.log.Put(key, []byte(value))
}

// read takes up to n entries for a consumer and holds them as in flight.
func (w *world) read(name string, n int) error {
	dst := make([]buffer.Entry, n)
	k, err := w.cons[name].Next(dst)
	for _, e := range dst[:k] {
		w.got[name] = append(w.got[name], buffer.Entry{Number: e.Number})
	}
	return err
}

// ack acknowledges some of what is in flight, not always in order.
func (w *world) ack(name string) {
	g := w.got[name]
	if len(g) == 0 {
		return
	}
	from := 0
	if w.rng.IntN(3) == 0 {
		from = w.rng.IntN(len(g))
	}
	to := from + 1 + w.rng.IntN(len(g)-from)
	w.mu.Lock()
	for _, e := range g[from:to] {
		w.records[e.Number].acked[name] = mark{said: true, now: true}
	}
	w.mu.Unlock()
	var rs []buffer.Range
	for _, e := range g[from:to] {
		rs = append(rs, buffer.Range{First: e.Number, Last: e.Number})
	}
	w.cons[name].Ack(rs)
	w.got[name] = slices.Delete(g, from, to)
}

func (w *world) setAside(name string) {
	g := w.got[name]
	if len(g) == 0 {
		return
	}
	n := g[0].Number
	w.mu.Lock()
	w.records[n].aside[name] = mark{said: true, now: true}
	w.mu.Unlock()
	w.cons[name].SetAside(n)
	w.got[name] = g[1:]
}

// step does one thing of the workload.
func (w *world) step(i int) error {
	w.fresh = false
	name := consumerNames[w.rng.IntN(2)]
	if w.sparse && w.rng.IntN(8) > 0 {
		name = consumerNames[0]
	}
	what := w.rng.IntN(12)
	if w.keyHeavy && what < 7 && what != 3 {
		what = 9
	}
	switch what {
	case 0, 1, 2:
		return w.append(1+w.rng.IntN(6), 300)
	case 3:
		return w.append(1+w.rng.IntN(4), 12000)
	case 4, 5, 6:
		if err := w.read(name, 1+w.rng.IntN(16)); err != nil {
			return err
		}
		w.ack(name)
	case 7:
		if err := w.read(name, 3); err != nil {
			return err
		}
		if w.rng.IntN(3) == 0 {
			w.setAside(name)
		}
	case 8:
		w.cons[name].Rewind()
		w.got[name] = nil
	case 9:
		value := fmt.Sprintf("v%d", i) + strings.Repeat("x", w.rng.IntN(900))
		if w.rng.IntN(4) == 0 {
			value = deleted
		}
		if err := w.put(fmt.Sprintf("key%d", w.rng.IntN(9)), value); err != nil {
			return err
		}
		return w.fence()
	default:
		if err := w.commit(); err != nil {
			return err
		}
		if w.asked && w.rng.IntN(3) > 0 {
			w.asked = false
			w.log.Chores()
		}
	}
	return nil
}

// check compares what an open log gives with what was promised. lossy: drops
// are allowed as far as they are counted.
func (w *world) check() error {
	high := noLimit
	if v, ok := w.log.Get("high"); ok && w.fresh {
		high = 0
		fmt.Sscan(string(v), &high)
	}
	for n, r := range w.records {
		if r.tied == "" {
			continue
		}
		if _, ok := w.log.Get(r.tied); ok {
			r.settled = true // it has to be there
		} else if r.settled {
			return fmt.Errorf("record %#x is settled, and the key %s put along with it is missing", n, r.tied)
		}
	}
	for _, name := range consumerNames {
		if err := w.checkConsumer(name, high); err != nil {
			return fmt.Errorf("consumer %s: %w", name, err)
		}
	}
	for key, v := range w.keys {
		value, ok := w.log.Get(key)
		is := string(value)
		if !ok {
			is = deleted
		}
		if !slices.Contains(v.may, is) {
			return fmt.Errorf("key %s is %q, want one of %q", key, is, v.may)
		}
		if w.fresh {
			v.may = []string{is} // it was read from the disk
			v.cut++
		}
	}
	if r := w.log.Recovery(); r.LostRecords() > 0 || r.KeysLost {
		return fmt.Errorf("losses reported without damage: %+v, keys %t", r.Lost, r.KeysLost)
	}
	if s := w.log.Stats(); s.Bytes > w.o.MaxSize || w.disk.Peak() > w.o.MaxSize {
		return fmt.Errorf("%d bytes on disk, at most %d, cap %d", s.Bytes, w.disk.Peak(), w.o.MaxSize)
	}
	return nil
}

const noLimit = ^uint64(0)

func (w *world) checkConsumer(name string, high uint64) error {
	c := w.cons[name]
	before := c.Backlog()
	c.Rewind()
	seen := map[uint64]bool{}
	var last uint64
	dst := make([]buffer.Entry, 7)
	for {
		n, err := c.Next(dst)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		for _, e := range dst[:n] {
			if e.Number <= last {
				return fmt.Errorf("record %#x after %#x", e.Number, last)
			}
			last, seen[e.Number] = e.Number, true
			r := w.records[e.Number]
			switch {
			case e.Number > high:
				return fmt.Errorf("record %#x came without the key that was put with it: that says %#x", e.Number, high)
			case r == nil:
				return fmt.Errorf("record %#x was never appended", e.Number)
			case r.dests[name] != string(e.Data) || r.body != string(e.Body):
				return fmt.Errorf("record %#x: got %q %q, want %q %q", e.Number, e.Data, e.Body, r.dests[name], r.body)
			case r.reborn && strings.HasPrefix(r.body, fleeting):
				return fmt.Errorf("record %#x was for memory only and came after power was cut", e.Number)
			case r.acked[name].durable:
				return fmt.Errorf("record %#x was acknowledged for good and came again", e.Number)
			case r.aside[name].durable:
				return fmt.Errorf("record %#x was set aside for good and came again", e.Number)
			}
		}
	}
	if uint64(len(seen)) != before.Records {
		return fmt.Errorf("%d records came, backlog said %d", len(seen), before.Records)
	}
	missing, aside := uint64(0), uint64(0)
	for n, r := range w.records {
		if _, named := r.dests[name]; !named || r.reborn && r.memory[name] || seen[n] || !r.settled || r.acked[name].said {
			continue
		}
		if r.aside[name].said {
			aside++
			continue
		}
		missing++
		if missing > before.Dropped {
			return fmt.Errorf("record %#x is settled, not acknowledged, and missing; %d dropped by count", n, before.Dropped)
		}
	}
	if before.Aside+before.Dropped < aside {
		return fmt.Errorf("%d records are aside, want %d less %d dropped", before.Aside, aside, before.Dropped)
	}
	if before.Dropped < w.drops[name] {
		return fmt.Errorf("drop count went back from %d to %d", w.drops[name], before.Dropped)
	}
	w.drops[name] = before.Dropped
	c.Rewind()
	return nil
}

// fork is the same memory of promises on another disk.
func (w *world) fork(disk *crashfs.Disk, seed uint64) *world {
	n := newWorld(disk, w.o, seed)
	n.keyHeavy, n.sparse, n.chores, n.memory = w.keyHeavy, w.sparse, w.chores, w.memory
	n.highest, n.serial = w.highest, w.serial+1000
	for k, r := range w.records {
		c := *r
		c.reborn = true
		c.acked, c.aside = map[string]mark{}, map[string]mark{}
		for name, m := range r.acked {
			c.acked[name] = mark{said: true, durable: m.durable}
		}
		for name, m := range r.aside {
			c.aside[name] = mark{said: true, durable: m.durable}
		}
		n.records[k] = &c
	}
	for k, v := range w.keys {
		n.keys[k] = &versions{may: slices.Clone(v.may), cut: v.cut}
	}
	for k, v := range w.drops {
		n.drops[k] = v
	}
	return n
}
