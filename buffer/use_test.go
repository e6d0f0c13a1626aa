package buffer

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func put(t testing.TB, l *Log, body string, dests ...Dest) uint64 {
	t.Helper()
	n, k, err := l.Append([]Record{{Boot: 1, Since: 5, Dests: dests, Payload: []byte(body)}})
	if err != nil || k != 1 {
		t.Fatalf("append: %d taken, %v", k, err)
	}
	return n
}

func commit(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
}

// A record that every destination acknowledges in time costs no write; one
// that must be committed, or was set aside, does.
func TestSettlement(t *testing.T) {
	var got []Range
	l := open(t, Options{Dir: t.TempDir(), OnSettled: func(rs []Range) { got = append(got, rs...) }})
	defer l.Close()
	a, _ := l.Consumer("a")
	b, _ := l.Consumer("b")
	commit(t, l)
	quiet := l.Stats()
	n := put(t, l, "both", Dest{Consumer: a.ID()}, Dest{Consumer: b.ID()})
	drain(t, a)
	a.Ack([]Range{{n, n}})
	if len(got) > 0 {
		t.Fatal("settled by one of two")
	}
	drain(t, b)
	b.Ack([]Range{{n, n}})
	b.Ack([]Range{{n, n}})
	if len(got) != 1 || got[0] != (Range{n, n}) {
		t.Fatalf("settled %v, want %d", got, n)
	}
	commit(t, l)
	if s := l.Stats(); s.Written != quiet.Written || s.Syncs != quiet.Syncs {
		t.Fatalf("a record that was acknowledged in time was written: %+v", s)
	}
	must := put(t, l, "must", Dest{Consumer: a.ID(), Must: true})
	aside := put(t, l, "aside", Dest{Consumer: b.ID()})
	drain(t, a)
	drain(t, b)
	a.Ack([]Range{{must, must}})
	b.SetAside(aside)
	if len(got) != 1 {
		t.Fatalf("settled without a commit: %v", got)
	}
	commit(t, l)
	if len(got) != 2 || got[1] != (Range{must, aside}) {
		t.Fatalf("settled %v, want %d and %d", got, must, aside)
	}
	if n := put(t, l, "nobody"); len(got) != 3 || got[2] != (Range{n, n}) {
		t.Fatalf("a record for nobody is not settled at once: %v", got)
	}
	if x := b.Backlog(); x.Aside != 1 || x.Records != 0 {
		t.Fatalf("backlog %+v", x)
	}
	b.Rewind()
	if r := drain(t, b); len(r) != 0 {
		t.Fatalf("set aside, and came again: %+v", r)
	}
	if !l.PositionsDirty() {
		commit(t, l)
	}
	b.Ack([]Range{{aside, aside}})
	if x := b.Backlog(); x.Aside != 0 || !l.PositionsDirty() {
		t.Fatalf("backlog %+v after acknowledging it", x)
	}
	commit(t, l)
	if l.PositionsDirty() {
		t.Fatal("positions dirty after a commit")
	}
}

// Acknowledgements of records that Next has not given, in the tail and on the
// disk.
func TestAckAhead(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	defer l.Close()
	a, _ := l.Consumer("a")
	var n [10]uint64
	for i := range n {
		n[i] = put(t, l, fmt.Sprint(i), Dest{Consumer: a.ID()})
		if i == 4 {
			commit(t, l)
		}
	}
	a.Ack([]Range{{n[2], n[3]}, {n[6], n[7]}, {n[3], n[6]}})
	got := drain(t, a)
	var bodies []string
	for _, e := range got {
		bodies = append(bodies, string(e.Body))
	}
	if s := strings.Join(bodies, ""); s != "0189" {
		t.Fatalf("got %s, want 0189", s)
	}
	if b := a.Backlog(); b.Records != 4 {
		t.Fatalf("backlog %+v", b)
	}
	a.Ack([]Range{{n[0], n[9]}})
	if b := a.Backlog(); b.Records != 0 || b.Bytes != 0 {
		t.Fatalf("backlog %+v", b)
	}
}

func TestTailIsBounded(t *testing.T) {
	room := 0
	l := open(t, Options{Dir: t.TempDir(), TailSize: minTail, OnRoom: func() { room++ }})
	defer l.Close()
	a, _ := l.Consumer("a")
	batch := make([]Record, 10)
	for i := range batch {
		batch[i] = Record{Dests: []Dest{{Consumer: a.ID()}}, Payload: make([]byte, 1000)}
	}
	taken := 0
	for {
		_, n, err := l.Append(batch)
		if err != nil {
			t.Fatal(err)
		}
		taken += n
		if n < len(batch) {
			break
		}
	}
	if s := l.Stats(); s.TailBytes > minTail || taken < 40 {
		t.Fatalf("%d records of 1000 bytes in a tail of %d: %+v", taken, minTail, s)
	}
	if _, n, _ := l.Append(batch); n != 0 || room != 0 {
		t.Fatalf("%d more taken, room told %d times", n, room)
	}
	commit(t, l)
	if room != 1 {
		t.Fatalf("room told %d times, want once", room)
	}
	if _, n, _ := l.Append(batch); n != len(batch) {
		t.Fatalf("%d taken after a commit", n)
	}
	if _, _, err := l.Append([]Record{{Dests: []Dest{{Consumer: a.ID()}}, Payload: make([]byte, minTail)}}); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("got %v, want ErrTooLarge", err)
	}
	if _, _, err := l.Append([]Record{{Dests: []Dest{{Consumer: 99}}}}); !errors.Is(err, ErrUnknownConsumer) {
		t.Fatalf("got %v, want ErrUnknownConsumer", err)
	}
}

// One consumer that stands still does not keep what the other is done with.
func TestSegmentsBetweenAreFreed(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, SegmentSize: minSegment, MaxSize: 4 << 20}
	l := open(t, o)
	slow, _ := l.Consumer("slow")
	fast, _ := l.Consumer("fast")
	put(t, l, "first", Dest{Consumer: slow.ID()})
	body := strings.Repeat("x", 5000)
	for range 100 {
		put(t, l, body, Dest{Consumer: fast.ID()})
		commit(t, l)
		got := drain(t, fast)
		fast.Ack([]Range{{got[0].Number, got[0].Number}})
	}
	commit(t, l)
	if s := l.Stats(); s.Segments > 3 || s.Freed < 5 {
		t.Fatalf("%+v", s)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, o)
	defer l.Close()
	if r := l.Recovery(); len(r.Lost) > 0 {
		t.Fatalf("freed segments are taken for lost ones: %+v", r)
	}
	slow, _ = l.Consumer("slow")
	if got := drain(t, slow); len(got) != 1 || string(got[0].Body) != "first" {
		t.Fatalf("got %+v", got)
	}
}

func TestRemovedConsumer(t *testing.T) {
	dir := t.TempDir()
	settled := 0
	o := Options{Dir: dir, SegmentSize: minSegment, MaxSize: 4 << 20, OnSettled: func([]Range) { settled++ }}
	l := open(t, o)
	a, _ := l.Consumer("a")
	put(t, l, "stored", Dest{Consumer: a.ID()})
	commit(t, l)
	put(t, l, "tail", Dest{Consumer: a.ID()})
	if err := l.RemoveConsumer("a"); err != nil {
		t.Fatal(err)
	}
	if settled != 2 {
		t.Fatalf("settled %d times, want 2", settled)
	}
	if _, err := a.Next(make([]Entry, 1)); !errors.Is(err, ErrRemoved) {
		t.Fatalf("got %v, want ErrRemoved", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, o)
	defer l.Close()
	b, _ := l.Consumer("a")
	if b.ID() <= a.ID() {
		t.Fatalf("number %d given out again", b.ID())
	}
	if got := drain(t, b); len(got) != 0 {
		t.Fatalf("got %+v of the one before", got)
	}
	if r := l.Recovery(); r.Orphans > 0 {
		t.Fatalf("%+v", r)
	}
}

func TestKeysAreBounded(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxKeys: minSegment / 8})
	defer l.Close()
	if err := l.Put("k", make([]byte, minSegment/8-100)); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{200, minSegment/8 + 1} {
		if err := l.Put("l", make([]byte, size)); !errors.Is(err, ErrTooLarge) {
			t.Fatalf("%d bytes: got %v, want ErrTooLarge", size, err)
		}
	}
	commit(t, l)
	l.Delete("k")
	if err := l.Put("l", make([]byte, 200)); err != nil {
		t.Fatal(err)
	}
	if err := l.Put(strings.Repeat("k", maxKey+1), nil); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("got %v, want ErrTooLarge", err)
	}
	var keys []string
	l.Put("prefix/2", nil)
	l.Put("prefix/1", nil)
	l.Range("prefix/", func(k string, _ []byte) bool { keys = append(keys, k); return true })
	if strings.Join(keys, " ") != "prefix/1 prefix/2" {
		t.Fatalf("got %v", keys)
	}
}

func TestBarrierWaitsForWhatWasPut(t *testing.T) {
	var settled []Range
	dir := t.TempDir()
	l := open(t, Options{Dir: dir, SegmentSize: 64 << 10, MaxSize: 1 << 20, TailSize: 64 << 10,
		OnSettled: func(rs []Range) { settled = append(settled, rs...) }})
	defer l.Close()
	l.Put("key", []byte("value"))
	first, err := l.Barrier()
	if err != nil {
		t.Fatal(err)
	}
	l.Put("other", []byte("value"))
	if again, _ := l.Barrier(); again != first {
		t.Errorf("a second barrier before any commit is %#x, want the first, %#x", again, first)
	}
	if len(settled) > 0 {
		t.Fatalf("settled before a commit: %v", settled)
	}
	commit(t, l)
	if want := (Range{first, first}); len(settled) != 1 || settled[0] != want {
		t.Fatalf("settled %v, want %v", settled, want)
	}
	for put := true; put; { // the tail is full
		c, err := l.Consumer("c")
		if err != nil {
			t.Fatal(err)
		}
		_, n, err := l.Append([]Record{{Dests: []Dest{{Consumer: c.ID()}}, Payload: make([]byte, 2000)}})
		if err != nil {
			t.Fatal(err)
		}
		put = n > 0
	}
	if next, err := l.Barrier(); err != nil || next <= first {
		t.Errorf("barrier with a full tail: %#x, %v", next, err)
	}
}

func TestKeysPutAlongWithARecord(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentSize: 64 << 10, MaxSize: 1 << 20, TailSize: 64 << 10, MaxKeys: 8192}
	l := open(t, o)
	c, _ := l.Consumer("c")
	n, _, err := l.Append([]Record{{Dests: []Dest{{Consumer: c.ID()}}, Payload: []byte("body"), Keys: []KeyValue{{"id/1", []byte("x")}, {"id/2", nil}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := l.Get("id/1"); ok {
		t.Error("a key put along with a record is seen before the record is durable")
	}
	c.Ack([]Range{{n, n}}) // by itself this would settle it without a commit
	if records, _ := l.Unsettled(); records != 1 {
		t.Errorf("%d records wait for a commit, want the one with keys", records)
	}
	commit(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, o)
	defer l.Close()
	for key, want := range map[string]string{"id/1": "x", "id/2": ""} {
		if v, ok := l.Get(key); !ok || string(v) != want {
			t.Errorf("key %s after opening again: %q %v, want %q", key, v, ok, want)
		}
	}
	big := make([]byte, 3000)
	for range 3 { // a key that is replaced is counted once
		if _, _, err := l.Append([]Record{{Keys: []KeyValue{{"big", big}}}}); err != nil {
			t.Fatal(err)
		}
		commit(t, l)
	}
	if _, _, err := l.Append([]Record{{Keys: []KeyValue{{"big2", big}, {"big3", big}}}}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("keys beyond their limit: %v, want ErrTooLarge", err)
	}
}

// Files of an outage are kept for the next one, up to a sixteenth of the cap:
// that one makes no new files.
func TestSparesAreKeptForTheNextOutage(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 512 * minSegment})
	defer l.Close()
	c, _ := l.Consumer("a")
	outage := func() (made int64) {
		before := l.Stats().Prepared
		for range 6 * minSegment / (8 << 10) {
			l.Append([]Record{{Dests: []Dest{{Consumer: c.ID()}}, Payload: make([]byte, 7<<10)}})
			commit(t, l)
		}
		made = l.Stats().Prepared - before
		got := drain(t, c)
		c.Ack([]Range{{got[0].Number, got[len(got)-1].Number}})
		commit(t, l)
		return made
	}
	if made := outage(); made < 4*minSegment {
		t.Fatalf("the first outage made files of %d bytes", made)
	}
	if n := l.Stats().Spares; n < 10 || n > 32 {
		t.Fatalf("%d spares after it, want 10 to 32", n)
	}
	if made := outage(); made > 0 {
		t.Fatalf("the second outage made files of %d bytes", made)
	}
}

// TestPutKeepsTheValue: what was put is held once, by the log and by whoever put it, and stays as it is when the key is set
// again or deleted.
func TestPutKeepsTheValue(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	defer l.Close()
	value := []byte("value")
	if err := l.Put("key", value); err != nil {
		t.Fatal(err)
	}
	got, _ := l.Get("key")
	if &got[0] != &value[0] {
		t.Error("the log made a copy")
	}
	commit(t, l)
	if err := l.Put("key", []byte("other")); err != nil {
		t.Fatal(err)
	}
	commit(t, l)
	l.Delete("key")
	commit(t, l)
	if string(got) != "value" {
		t.Errorf("the value became %q", got)
	}
}
