package buffer

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// packedExample is the block drawn in doc.go. Another encoder may write another
// frame; every reader must read this one.
func packedExample() (p []byte, h blockHeader) {
	r := Record{Boot: 0x1122334455667788, Since: 90e9, Dests: []Dest{{Consumer: 1, Must: true, Data: []byte{7}}},
		Head: []byte("head,"), Payload: []byte(strings.Repeat("75", 48))}
	body := appendPut(nil, string(rune(spaceUser))+"clock", []byte{1})
	body = appendDelete(body, string(rune(spaceUser))+"old")
	body = appendRecord(body, &r, 2<<counterBits|9, recordLen(&r, false), false)
	var k packer
	stored, _ := k.pack(append(body, make([]byte, page)...)) // for the encoder
	stored = k.encoder.EncodeAll(body, le.AppendUint32(nil, uint32(len(body))))
	p = append(make([]byte, blockHeadLen), stored...)
	h = blockHeader{length: uint32(len(stored)), number: 41, first: 2<<counterBits | 9, count: 1, written: 1000,
		boot: r.Boot, run: 2, flags: flagFirst | flagLast, codec: codecZstd}
	eh := exampleHeader()
	h.encode(p, eh.seed(), dataStart+page)
	return p, h
}

func TestDocPackedBlock(t *testing.T) {
	got := example(t, "48 times \"75\", packed:")
	fresh, h := packedExample()
	eh := exampleHeader()
	b, ok := decodeBlockHeader(got, eh.seed(), dataStart+page, 4*page)
	if !ok || b.codec != codecZstd || !b.sound(eh.seed(), dataStart+page, got[blockHeadLen:]) {
		t.Fatalf("not a sound packed block: %+v %v; this is one:\n%s", b, ok, dump(fresh))
	}
	h.length, h.bodyCRC = b.length, b.bodyCRC
	if b != h {
		t.Fatalf("got %+v, want %+v", b, h)
	}
	body, ok := unpack(make([]byte, 0, page), got[blockHeadLen:])
	if !ok {
		t.Fatal("does not unpack")
	}
	_, _, rest := mustKeyed(t, body)
	_, _, rest = mustKeyed(t, rest)
	item, _, _ := nextItem(rest)
	v, ok := parseRecord(item, b.first, b.boot)
	if !ok || v.number != 2<<counterBits|9 || string(v.whole) != "head,"+strings.Repeat("75", 48) {
		t.Fatalf("third item: %+v %v", v, ok)
	}
}

func packedOptions(dir string) Options {
	return Options{Dir: dir, SegmentSize: minSegment, TailSize: 1 << 20, MaxSize: 64 << 20, Compress: true}
}

// fillPacked appends n records of which compression saves more than half, in
// commits of per, and gives their bodies.
func fillPacked(t testing.TB, l *Log, c *Consumer, n, per int) (bodies []string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range n {
		p := make([]byte, 500)
		for k := range p {
			p[k] = "0123456789"[rng.IntN(10)]
		}
		bodies = append(bodies, fmt.Sprintf("%d:%s", i, p))
		if _, k, err := l.Append([]Record{{Boot: 7, Since: int64(i), Dests: []Dest{{Consumer: c.ID()}}, Payload: []byte(bodies[i])}}); k != 1 || err != nil {
			t.Fatal(k, err)
		}
		if i%per == per-1 || i == n-1 {
			commit(t, l)
		}
	}
	return bodies
}

// Records come back as they were, in the numbers and sizes that were counted
// when they were appended, whatever of the log was compressed: before and after
// a start, in segments begun with and without it.
func TestPackedAndRawTogether(t *testing.T) {
	dir := t.TempDir()
	var want []string
	var bytesBefore int64
	for round := range 6 {
		o := packedOptions(dir)
		o.Compress = round%3 != 2
		l := open(t, o)
		c, _ := l.Consumer("a")
		if b := c.Backlog(); b.Records != uint64(len(want)) || b.Bytes != bytesBefore {
			t.Fatalf("round %d: %d records of %d bytes, want %d of %d", round, b.Records, b.Bytes, len(want), bytesBefore)
		}
		want = append(want, fillPacked(t, l, c, 170, 17+40*(round%2))...)
		if s := l.Stats(); o.Compress != (s.Saved > 0) {
			t.Fatalf("round %d: compress %v, %d bytes saved", round, o.Compress, s.Saved)
		}
		got := drain(t, c)
		if len(got) != len(want) {
			t.Fatalf("round %d: %d records, want %d", round, len(got), len(want))
		}
		for i := range got {
			if string(got[i].Body) != want[i] || got[i].Boot != 7 {
				t.Fatalf("round %d: record %d is not what was stored", round, i)
			}
		}
		c.Rewind()
		bytesBefore = c.Backlog().Bytes
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What takes one page, and what does not shrink by one, is stored as it is.
func TestPackedOnlyWhereAPageIsSaved(t *testing.T) {
	noise := make([]byte, 3*page)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	var k packer
	for name, c := range map[string]struct {
		body []byte
		want bool
	}{
		"one page":      {make([]byte, page-blockHeadLen), false},
		"two pages":     {make([]byte, page-blockHeadLen+1), true},
		"noise":         {noise, false},
		"at the limit":  {make([]byte, packMost), true},
		"over":          {make([]byte, packMost+1), false},
		"half a page":   {append(bytes.Clone(noise), make([]byte, page/2)...), false},
		"a page and up": {append(bytes.Clone(noise), make([]byte, page)...), true},
	} {
		stored, ok := k.pack(c.body)
		if ok != c.want {
			t.Errorf("%s: packed is %v, want %v", name, ok, c.want)
		}
		if ok {
			if body, ok := unpack(make([]byte, 0, packMost), stored); !ok || !bytes.Equal(body, c.body) {
				t.Errorf("%s: does not come back", name)
			}
		}
	}
}

// A length that is not that of what the frame holds, and a frame that is none,
// are no body, and cost no memory.
func TestUnpackRefuses(t *testing.T) {
	var k packer
	good, _ := k.pack(bytes.Repeat([]byte("weir "), 2000))
	good = bytes.Clone(good)
	with := func(n uint32) []byte { p := bytes.Clone(good); le.PutUint32(p, n); return p }
	dst := make([]byte, 0, packMost+packMost/2)
	for name, p := range map[string][]byte{
		"nothing": nil, "no length": good[:3], "no frame": good[:4], "no bytes": with(0), "fewer": with(9999), "more": with(10001),
		"over the limit": with(packMost + 1), "4 GiB": with(1<<32 - 1), "cut": good[:len(good)-1], "no magic": append(bytes.Clone(good[:4]), good[5:]...),
	} {
		if got, ok := unpack(dst, p); ok || len(got) != 0 {
			t.Errorf("%s: taken, %d bytes", name, len(got))
		}
	}
	if got, ok := unpack(dst[:0:9999], good); ok || len(got) != 0 {
		t.Errorf("no room: taken, %d bytes", len(got))
	}
	if got, ok := unpack(dst, good); !ok || len(got) != 10000 {
		t.Errorf("the good one: %v, %d bytes", ok, len(got))
	}
}

// What one call of Next gives stays what it is until the next call, even if a
// damaged block makes the reader look further on than its memory reaches.
func TestNextKeepsWhatItGave(t *testing.T) {
	for _, compress := range []bool{false, true} {
		t.Run(fmt.Sprintf("compress=%v", compress), func(t *testing.T) {
			o := packedOptions(t.TempDir())
			o.SegmentSize, o.Compress = 4<<20, compress
			l := open(t, o)
			c, _ := l.Consumer("a")
			want := fillPacked(t, l, c, 2000, 200) // blocks of some 100,000 bytes
			name := filepath.Join(o.Dir, l.active.name)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			p, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var starts []int
			for at := dataStart; at < len(p)-page; at += page {
				if bytes.Equal(p[at:at+4], blockMagic[:]) && le.Uint32(p[at+36:]) == 200 {
					starts = append(starts, at)
				}
			}
			l = open(t, o)
			defer l.Close()
			for _, at := range []int{starts[2], starts[3], starts[6]} {
				p[at+1000] ^= 4
			}
			if err := os.WriteFile(name, p, 0o600); err != nil {
				t.Fatal(err)
			}
			c, _ = l.Consumer("a")
			dst := make([]Entry, 1500)
			seen := 0
			for {
				n, err := c.Next(dst)
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					break
				}
				for _, e := range dst[:n] {
					if string(e.Body) != want[e.Since] {
						t.Fatalf("record %d is not what was stored", e.Since)
					}
				}
				seen += n
			}
			if lost := l.Stats().Lost; seen != 1400 || lost != 600 {
				t.Fatalf("%d records came, %d reported lost, want 1400 and 600", seen, lost)
			}
		})
	}
}

// Compressing and reading compressed blocks allocate nothing once warm.
func TestNoAllocationPacked(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir(), Compress: true})
	defer l.Close()
	c, _ := l.Consumer("a")
	batch := make([]Record, 200)
	for i := range batch {
		batch[i] = Record{Boot: 1, Since: int64(i), Dests: []Dest{{Consumer: c.ID()}}, Payload: []byte(strings.Repeat("reading ", 12))}
	}
	put := func() {
		l.Append(batch)
		commit(t, l)
	}
	put()
	if n := testing.AllocsPerRun(300, put); n > 5 { // as many as without compression, and the segments
		t.Errorf("append 200 records and commit: %v allocations", n)
	}
	if l.Stats().Saved == 0 {
		t.Fatal("nothing was compressed")
	}
	dst := make([]Entry, 32)
	ack := make([]Range, 1)
	take := func() {
		n, err := c.Next(dst)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		ack[0] = Range{dst[0].Number, dst[n-1].Number}
		c.Ack(ack)
	}
	take()
	if n := testing.AllocsPerRun(500, take); n > 0.2 {
		t.Errorf("read and acknowledge 32 records from compressed blocks: %v allocations", n)
	}
}

// FuzzUnpack takes arbitrary bytes for a packed body: it is the length it says,
// or nothing, and no memory is taken for it.
func FuzzUnpack(f *testing.F) {
	var k packer
	good, _ := k.pack(bytes.Repeat([]byte("weir 21.5 "), 900))
	f.Add(bytes.Clone(good), uint16(0), byte(0))
	f.Add(bytes.Clone(good), uint16(9), byte(3))
	f.Add(le.AppendUint32(nil, packMost), uint16(0), byte(0))
	dst := make([]byte, 100, packMost+100)
	f.Fuzz(func(t *testing.T, p []byte, at uint16, x byte) {
		p = bytes.Clone(p)
		if int(at) < len(p) {
			p[at] ^= x
		}
		body, ok := unpack(dst, p)
		if &body[0] != &dst[0] {
			t.Fatal("memory was taken")
		}
		if n, _ := unpackedLen(p); ok && len(body) != 100+n || !ok && len(body) != 100 {
			t.Fatalf("%v: %d bytes", ok, len(body))
		}
	})
}

// A segment with a feature that this program does not know is refused.
func TestUnknownFeatureIsRefused(t *testing.T) {
	h := exampleHeader()
	h.features = featurePacked | featureLike
	if got, ok, err := decodeSegmentHeader(h.append(nil)); !ok || err != nil || got != h {
		t.Fatalf("a packed segment: %v %v", ok, err)
	}
	for _, f := range []uint64{featuresKnown, 1 << 63, featurePacked | 4} {
		h.features = f
		if _, _, err := decodeSegmentHeader(h.append(nil)); !errors.Is(err, ErrNewer) {
			t.Fatalf("features %#x: %v", f, err)
		}
	}
}

// The golden packed segment was written by the first version that packs.
func TestGoldenPackedSegment(t *testing.T) {
	l := openGolden(t, "segment-v1-packed", func(t *testing.T, dir string) {
		l := open(t, packedOptions(dir))
		c, _ := l.Consumer("cloud")
		fillPacked(t, l, c, 40, 20)
		l.Close()
	})
	defer l.Close()
	c, _ := l.Consumer("cloud")
	got := drain(t, c)
	if len(got) != 40 || l.active.features != featureLike || len(l.Recovery().Lost) > 0 {
		t.Fatalf("%d records, want 40; recovery %+v", len(got), l.Recovery())
	}
	for i := range got {
		if len(got[i].Body) < 502 || !bytes.HasPrefix(got[i].Body, fmt.Appendf(nil, "%d:", i)) {
			t.Fatalf("record %d is %.20q", i, got[i].Body)
		}
	}
	if s := l.Stats(); s.Saved > 0 {
		t.Fatal("packed without being asked to")
	}
}

// A block whose sums are right and whose body is no body, as a faulty machine
// might have written it, is lost and counted like any damaged block.
func TestSoundBlockThatDoesNotUnpack(t *testing.T) {
	for name, spoil := range map[string]func(body []byte){
		"length": func(p []byte) { le.PutUint32(p, le.Uint32(p)+1) },
		"huge":   func(p []byte) { le.PutUint32(p, 1<<32-1) },
		"frame":  func(p []byte) { p[len(p)/2] ^= 0x55; p[len(p)-3] ^= 0xff; p[5] ^= 8 },
	} {
		t.Run(name, func(t *testing.T) {
			o := packedOptions(t.TempDir())
			o.SegmentSize = 4 << 20
			l := open(t, o)
			c, _ := l.Consumer("a")
			want := fillPacked(t, l, c, 150, 30)
			file, sd := filepath.Join(o.Dir, l.active.name), l.active.seed()
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			p, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			spoiled := 0
			for at := int64(dataStart); at < int64(len(p))-page; at += page {
				h, ok := decodeBlockHeader(p[at:], sd, at, int64(len(p))-at)
				if !ok || h.codec != codecZstd || h.count != 30 {
					continue
				}
				if spoiled++; spoiled == 2 {
					spoil(p[at+blockHeadLen : at+blockHeadLen+int64(h.length)])
					h.encode(p[at:], sd, at)
				}
			}
			if spoiled != 5 {
				t.Fatalf("%d packed blocks of 30 records, want 5", spoiled)
			}
			if err := os.WriteFile(file, p, 0o600); err != nil {
				t.Fatal(err)
			}
			l = open(t, o)
			defer l.Close()
			c, _ = l.Consumer("a")
			got := drain(t, c)
			r := l.Recovery()
			if len(got) != 120 || r.LostRecords() != 30 {
				t.Fatalf("%d records came, %d reported lost, want 120 and 30", len(got), r.LostRecords())
			}
			for _, e := range got {
				if string(e.Body) != want[e.Since] {
					t.Fatalf("record %d is not what was stored", e.Since)
				}
			}
		})
	}
}
