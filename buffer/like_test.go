package buffer

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// The drawing of doc.go: a record that is like the one of the block's example.
func TestDocLike(t *testing.T) {
	p, h := exampleBlock()
	r := Record{Boot: 0x1122334455667788, Since: 90e9 + 5, Dests: []Dest{{Consumer: 1, Must: true, Data: []byte{7}}}, Head: []byte("hEad,"), Payload: []byte("7")}
	var k bases
	k.begin()
	body := p[blockHeadLen:]
	it := items{body: body, first: h.first, boot: h.boot}
	v, _ := it.record()
	at := len(body) - int(v.size())
	buf := k.add(bytes.Clone(body[:at]), 0, &v, body[at:])
	whole := appendRecord(nil, &r, h.first+1, recordLen(&r, false), false)
	item, _, _ := nextItem(whole)
	v, _ = parseRecord(item, h.first, h.boot)
	buf = k.add(buf, 0, &v, whole)
	want := buf[len(body):]
	if got := example(t, "behind the items of"); !bytes.Equal(got, want) {
		t.Fatalf("doc.go has other bytes; these are right:\n%s", dump(want))
	}
	it = items{body: buf, first: h.first, boot: h.boot}
	it.record()
	got, ok := it.record()
	if !ok || !got.like || got.number != h.first+1 || got.since != 90e9+5 || got.size() != uint32(len(whole)) || string(got.body(new([]byte))) != "hEad,7" || !got.has(1) {
		t.Fatalf("got %+v %v", got, ok)
	}
	if again := got.appendWhole(nil); !bytes.Equal(again, whole) {
		t.Fatalf("alone it is %x, want %x", again, whole)
	}
}

// Whatever records have in common or not, each comes back as it was given:
// from the tail, from the disk, after a start, and when its segment was
// rewritten.
func TestLikeRecordsComeBack(t *testing.T) {
	for _, compress := range []bool{false, true} {
		t.Run(fmt.Sprintf("compress=%v", compress), func(t *testing.T) {
			dir := t.TempDir()
			o := Options{Dir: dir, SegmentSize: minSegment, TailSize: 1 << 20, MaxSize: 64 << 20, Compress: compress}
			l := open(t, o)
			c, _ := l.Consumer("cloud")
			other, _ := l.Consumer("other")
			rng := rand.New(rand.NewPCG(3, 4))
			var want []Record
			for range 2000 {
				r := likeRecord(rng, c.ID(), other.ID())
				if _, n, err := l.Append([]Record{r}); n != 1 || err != nil {
					t.Fatal(n, err)
				}
				want = append(want, r)
				if rng.IntN(40) == 0 {
					commit(t, l)
				}
			}
			check := func(l *Log, c *Consumer, where string) {
				t.Helper()
				got := drain(t, c)
				if len(got) != len(want) {
					t.Fatalf("%s: %d records, want %d", where, len(got), len(want))
				}
				for i, e := range got {
					r := want[i]
					if string(e.Body) != string(r.Head)+string(r.Payload) || e.Since != r.Since || e.Boot != r.Boot || !bytes.Equal(e.Data, r.Dests[0].Data) {
						t.Fatalf("%s: record %d is %+v, want %+v", where, i, e, r)
					}
				}
			}
			check(l, c, "tail and disk")
			commit(t, l)
			c.Rewind()
			check(l, c, "disk")
			bytesOf := c.Backlog().Bytes
			l.Close()
			l = open(t, o)
			c, _ = l.Consumer("cloud")
			check(l, c, "after a start")
			if now := c.Backlog().Bytes; now != bytesOf {
				t.Fatalf("the backlog counts %d bytes after a start, %d before", now, bytesOf)
			}
			for _, s := range l.segments {
				checkItems(t, l, s)
			}
			l.Close()
		})
	}
}

// checkItems takes the records of each block of a segment through the items
// that rewriting makes of them.
func checkItems(t *testing.T, l *Log, s *segment) {
	t.Helper()
	f, err := l.fs.Open(s.name, false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := scanner{buf: l.borrow()}
	sc.reset(f, s.seed(), s.end)
	for {
		b, ok, err := sc.next()
		if !ok || err != nil {
			return
		}
		var k bases
		k.begin()
		var buf []byte
		var views []recordView
		it := b.items()
		for v, ok := it.record(); ok; v, ok = it.record() {
			whole := v.appendWhole(nil)
			item, _, _ := nextItem(whole)
			alone, ok := parseRecord(item, b.first, b.boot)
			if !ok || alone.size() != v.size() {
				t.Fatalf("record %#x is no item alone", v.number)
			}
			buf = k.add(buf, 0, &alone, whole)
			views = append(views, alone)
		}
		again := items{body: buf, first: b.first, boot: b.boot}
		for _, want := range views {
			got, ok := again.record()
			if !ok || got.number != want.number || got.since != want.since || got.size() != want.size() || !bytes.Equal(got.body(new([]byte)), want.whole) || !bytes.Equal(got.dests, want.dests) {
				t.Fatalf("record %#x came back as %+v, want %+v", want.number, got, want)
			}
		}
	}
}

// likeRecord makes a record of one of a few sources, with the variety that
// heads, destinations and boots can have.
func likeRecord(rng *rand.Rand, a, b uint32) Record {
	r := Record{Boot: 7, Since: rng.Int64N(1 << 40), Dests: []Dest{{Consumer: a, Data: []byte{byte(rng.IntN(3))}}}}
	if rng.IntN(3) == 0 {
		r.Dests = append(r.Dests, Dest{Consumer: b, Must: rng.IntN(2) == 0})
	}
	if rng.IntN(20) == 0 {
		r.Boot = 8
	}
	switch rng.IntN(10) {
	case 0: // none
	case 1:
		r.Head = bytes.Repeat([]byte{'h'}, 1+rng.IntN(2*likeHead))
	default:
		r.Head = fmt.Appendf(nil, "%08x%02d", rng.Uint32(), rng.IntN(100))
		r.Head = fmt.Appendf(r.Head, "/Home/Floor%d/Room%d/Temperature", rng.IntN(3), rng.IntN(4))
	}
	if rng.IntN(30) == 0 {
		r.Keys = []KeyValue{{Key: fmt.Sprint("k", rng.IntN(5)), Value: []byte("v")}}
	}
	r.Payload = bytes.Repeat([]byte{byte(rng.IntN(256))}, rng.IntN(60))
	return r
}

// What a source sends on a topic again and again costs little more than its
// payload.
func TestLikeRecordsAreSmall(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	defer l.Close()
	c, _ := l.Consumer("cloud")
	before := l.Stats().Written
	const n = 1000
	for i := range n {
		head := append(le.AppendUint64([]byte{1, 1, 0}, uint64(i)*1e6), fmt.Sprintf("meter-%02d/Home/Floor%d/Room%d/Temperature", i%20, i%4, i%5)...)
		if _, k, err := l.Append([]Record{{Boot: 7, Since: int64(i) * 1e6, Dests: []Dest{{Consumer: c.ID(), Data: make([]byte, 4)}}, Head: head, Payload: make([]byte, 100)}}); k != 1 || err != nil {
			t.Fatal(k, err)
		}
	}
	commit(t, l)
	if got := (l.Stats().Written - before) / n; got > 135 {
		t.Fatalf("%d bytes per record of 100 bytes of payload, want at most 135", got)
	}
}

// The golden segment was written by the first version that knows like records.
func TestGoldenLikeSegment(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var want []Record
	for range 150 {
		want = append(want, likeRecord(rng, 1, 2))
	}
	l := openGolden(t, "segment-v1-like", func(t *testing.T, dir string) {
		l := open(t, Options{Dir: dir, SegmentSize: minSegment, TailSize: 1 << 20})
		l.Consumer("cloud")
		l.Consumer("other")
		for i := range want {
			l.Append(want[i : i+1])
		}
		commit(t, l)
		l.Close()
	})
	defer l.Close()
	c, _ := l.Consumer("cloud")
	got := drain(t, c)
	if len(got) != len(want) || len(l.Recovery().Lost) > 0 {
		t.Fatalf("%d records, want %d; recovery %+v", len(got), len(want), l.Recovery())
	}
	for i, e := range got {
		if string(e.Body) != string(want[i].Head)+string(want[i].Payload) {
			t.Fatalf("record %d is %.40q, want %.40q", i, e.Body, want[i].Head)
		}
	}
}
