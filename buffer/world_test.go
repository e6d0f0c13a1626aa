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
