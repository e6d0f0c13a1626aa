package buffer

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// inMemory is a destination for memory only.
func inMemory(c *Consumer) Dest { return Dest{Consumer: c.ID(), Memory: true} }

func durable(c *Consumer) Dest { return Dest{Consumer: c.ID()} }

// inFiles says whether a file of the directory holds the text.
func inFiles(t *testing.T, dir, text string) bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	return slices.ContainsFunc(names, func(name string) bool {
		p, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(p, []byte(text))
	})
}

func bodies(entries []Entry) string {
	var all []string
	for _, e := range entries {
		all = append(all, string(e.Body))
	}
	return strings.Join(all, " ")
}

// TestMemoryIsNeverWritten: a record for memory only is settled when it is taken, outlives commits, and is on no disk.
func TestMemoryIsNeverWritten(t *testing.T) {
	s := &settledNumbers{}
	o := Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 4 << 20, OnSettled: s.add}
	l := open(t, o)
	a, _ := l.Consumer("a")
	b, _ := l.Consumer("b")
	commit(t, l)
	before := l.Stats()
	for range 10 {
		n := put(t, l, "fleeting", inMemory(a), inMemory(b))
		if !s.has(n) {
			t.Fatal("not settled when it was taken")
		}
		commit(t, l)
	}
	if got := l.Stats(); got.Written != before.Written || got.Syncs != before.Syncs || got.Unsettled != 0 || got.InMemory != 10 {
		t.Errorf("%+v, want nothing written: before %+v", got, before)
	}
	put(t, l, "stored", durable(a))
	commit(t, l)
	if got := bodies(drain(t, a)); got != strings.Repeat("fleeting ", 10)+"stored" {
		t.Errorf("a got %q", got)
	}
	got := drain(t, b)
	b.Ack([]Range{{1, got[3].Number}})
	if x := b.Backlog(); x.Records != 6 {
		t.Errorf("%+v, want 6", x)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if inFiles(t, o.Dir, "fleeting") || !inFiles(t, o.Dir, "stored") {
		t.Error("what is for memory only is on the disk, or what is not is not")
	}
	l = open(t, o)
	defer l.Close()
	a, _ = l.Consumer("a")
	b, _ = l.Consumer("b")
	if x, y := bodies(drain(t, a)), bodies(drain(t, b)); x != "stored" || y != "" || len(l.Recovery().Lost) > 0 {
		t.Errorf("after a restart a has %q, b has %q, lost %v", x, y, l.Recovery().Lost)
	}
	if d := l.Stats().Consumers; d[0].Drops[DropMemory] != 10 || d[1].Drops[DropMemory] != 6 {
		t.Errorf("drops %v and %v, want what was given up at the clean stop", d[0].Drops, d[1].Drops)
	}
}

// TestMemoryAmongStored: one consumer's records in memory and in several segments come in the order of their numbers, read
// in pieces of any size, also after going back.
func TestMemoryAmongStored(t *testing.T) {
	for _, piece := range []int{1, 2, 3, 7, 64} {
		l := open(t, Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 4 << 20, TailSize: 1 << 20})
		a, _ := l.Consumer("a")
		b, _ := l.Consumer("b")
		want := 0
		for i := range 300 {
			body := fmt.Sprint(i, strings.Repeat("x", i%5*200))
			switch {
			case i%3 == 0 || i > 100 && i < 140:
				put(t, l, body, inMemory(a), inMemory(b))
			case i%7 == 0:
				put(t, l, body, durable(b)) // stands between, for others
				want--
			default:
				put(t, l, body, durable(a))
			}
			want++
			if i%10 == 9 && i < 290 {
				commit(t, l)
			}
		}
		if n := l.Stats().Segments; n < 2 {
			t.Fatalf("%d segments, want more", n)
		}
		dst := make([]Entry, piece)
		pass := func(ack bool) (n int) {
			last := uint64(0)
			for {
				k, err := a.Next(dst)
				if err != nil {
					t.Fatal(err)
				}
				if k == 0 {
					return n
				}
				for _, e := range dst[:k] {
					if e.Number <= last {
						t.Fatalf("in pieces of %d: record %d after %d", piece, e.Number, last)
					}
					last = e.Number
				}
				n += k
				if ack && n%2 == 0 {
					a.Ack([]Range{{last, last}})
				}
			}
		}
		if n := pass(false); n != want {
			t.Errorf("in pieces of %d: %d records come, want %d", piece, n, want)
		}
		a.Rewind()
		if n := pass(true); n != want {
			t.Errorf("in pieces of %d: %d records come again, want %d", piece, n, want)
		}
		a.Rewind()
		if n := pass(false); uint64(n) != a.Backlog().Records || n == want {
			t.Errorf("in pieces of %d: %d records are left, want %d", piece, n, a.Backlog().Records)
		}
		if l.Stats().Lost > 0 {
			t.Error("records are lost")
		}
		l.Close()
	}
}

// TestMemoryShare: what waits for a destination in memory that is away takes at most half of the tail: the oldest goes,
// counted, and what is written has the other half.
func TestMemoryShare(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 4 << 20, TailSize: 256 << 10})
	defer l.Close()
	away, _ := l.Consumer("away")
	a, _ := l.Consumer("a")
	for i := range 5000 {
		put(t, l, strings.Repeat("m", 100), inMemory(away))
		if i%10 == 0 { // few, among many: their chunks must not be held up
			put(t, l, strings.Repeat("d", 100), durable(a), inMemory(away))
		}
		if i%200 == 0 {
			a.Ack([]Range{{1, noRecord - 1}}) // what was for both is for memory only now
		}
		if i%700 == 0 {
			commit(t, l)
		}
		if s := l.Stats(); s.TailBytes > 256<<10 {
			t.Fatalf("%d bytes of the tail are used", s.TailBytes)
		}
	}
	s := l.Stats()
	x := s.Consumers[0]
	if x.Drops[DropMemory] == 0 || x.Drops[DropMemory]+x.Backlog.Records != 5500 || x.Backlog.Records < 300 {
		t.Errorf("%+v: want 5500 in all", x)
	}
	if uint64(s.InMemory) > x.Backlog.Records || s.InMemoryBytes > 128<<10 {
		t.Errorf("%d records of %d bytes in memory, want at most half of the tail", s.InMemory, s.InMemoryBytes)
	}
	commit(t, l)
	room := 0
	for ; ; room++ {
		if _, n, _ := l.Append([]Record{{Payload: make([]byte, 100), Dests: []Dest{durable(a)}}}); n == 0 {
			break
		}
	}
	if room < 500 {
		t.Errorf("room for %d durable records, want half of the tail", room)
	}
	got := drain(t, away)
	if !slices.IsSortedFunc(got, func(a, b Entry) int { return int(a.Number) - int(b.Number) }) || uint64(len(got)) != x.Backlog.Records {
		t.Errorf("%d records come, want %d in order", len(got), x.Backlog.Records)
	}
}

// TestMemoryBesideDurable: a destination in memory causes no write of a record that others want too.
func TestMemoryBesideDurable(t *testing.T) {
	s := &settledNumbers{}
	o := Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 4 << 20, OnSettled: s.add}
	l := open(t, o)
	defer l.Close()
	a, _ := l.Consumer("a")
	m, _ := l.Consumer("m")
	commit(t, l)

	n := put(t, l, "answered", inMemory(m), durable(a))
	if s.has(n) {
		t.Error("settled before the durable destination had it")
	}
	drain(t, a)
	a.Ack([]Range{{n, n}})
	before := l.Stats().Written
	commit(t, l)
	if !s.has(n) || l.Stats().Written != before || inFiles(t, o.Dir, "answered") {
		t.Errorf("settled %t, %d bytes written: want it settled and not written", s.has(n), l.Stats().Written-before)
	}
	n = put(t, l, "late", inMemory(m), durable(a))
	commit(t, l)
	if !s.has(n) || !inFiles(t, o.Dir, "late") || l.Stats().InMemory != 1 {
		t.Errorf("settled %t: want it written for the durable destination, once", s.has(n))
	}
	put(t, l, "last", inMemory(m))
	if got := bodies(drain(t, m)); got != "answered late last" {
		t.Errorf("memory got %q", got)
	}
	if got := bodies(drain(t, a)); got != "late" {
		t.Errorf("durable got %q", got)
	}
	m.Ack([]Range{{1, noRecord - 1}})
	if x := m.Backlog(); x.Records != 0 || x.Bytes != 0 || l.Stats().InMemory != 0 || l.Stats().UnsettledBytes != 0 {
		t.Errorf("%+v, %+v: want nothing left", x, l.Stats())
	}
}

// TestMemoryAndKeys: what is to be committed along with a record for memory only is, without the record, and settles it.
func TestMemoryAndKeys(t *testing.T) {
	s := &settledNumbers{}
	o := Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 4 << 20, OnSettled: s.add}
	l := open(t, o)
	m, _ := l.Consumer("m")
	commit(t, l)
	first, _, err := l.Append([]Record{
		{Payload: []byte("fleeting"), Dests: []Dest{inMemory(m)}, Keys: []KeyValue{{"id", []byte("7")}}},
		{Payload: []byte("fleeting"), Dests: []Dest{inMemory(m)}, Must: true},
	})
	if err != nil || s.has(first) || s.has(first+1) {
		t.Fatalf("settled before the commit, or %v", err)
	}
	if records, _ := l.Unsettled(); records != 2 {
		t.Errorf("%d unsettled, want 2", records)
	}
	m.Ack([]Range{{first + 1, first + 1}})
	if s.has(first + 1) {
		t.Error("settled by an acknowledgement")
	}
	commit(t, l)
	if records, _ := l.Unsettled(); !s.has(first) || !s.has(first+1) || records != 0 {
		t.Errorf("settled %t, %t, unsettled %d", s.has(first), s.has(first+1), records)
	}
	if got := len(drain(t, m)); got != 1 {
		t.Errorf("%d records come, want 1", got)
	}
	l.Close()
	if inFiles(t, o.Dir, "fleeting") {
		t.Error("the record was written with its key")
	}
	l = open(t, o)
	defer l.Close()
	if v, ok := l.Get("id"); !ok || string(v) != "7" {
		t.Errorf("key %q, %t", v, ok)
	}
	if l.Stats().Consumers[0].Drops[DropMemory] != 1 {
		t.Errorf("drops %v, want one of memory", l.Stats().Consumers[0].Drops)
	}
}

// TestMemorySetAside: setting a record for memory only aside does not write it, and it can be found until it is
// acknowledged.
func TestMemorySetAside(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 4 << 20}
	l := open(t, o)
	defer l.Close()
	m, _ := l.Consumer("m")
	n := put(t, l, "fleeting", inMemory(m))
	put(t, l, "stored", durable(m))
	commit(t, l)
	drain(t, m)
	m.SetAside(n)
	commit(t, l)
	m.Rewind()
	if got := bodies(drain(t, m)); got != "stored" {
		t.Errorf("got %q, want what is not set aside", got)
	}
	if e, err := m.Find(n); err != nil || string(e.Body) != "fleeting" {
		t.Errorf("found %q, %v", e.Body, err)
	}
	m.Ack([]Range{{n, n}})
	if x := m.Backlog(); x.Aside != 0 || x.Records != 1 || l.Stats().InMemory != 0 || inFiles(t, o.Dir, "fleeting") {
		t.Errorf("%+v, %d in memory", x, l.Stats().InMemory)
	}
}

// settledNumbers counts how often each record was settled.
type settledNumbers struct {
	times map[uint64]int
}

func (s *settledNumbers) add(rs []Range) {
	if s.times == nil {
		s.times = map[uint64]int{}
	}
	for _, r := range rs {
		for n := r.First; n <= r.Last; n++ {
			s.times[n]++
		}
	}
}

func (s *settledNumbers) count(n uint64) int { return s.times[n] }

func (s *settledNumbers) has(n uint64) bool { return s.times[n] > 0 }
