package buffer

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata anew")

// example reads the bytes of a hex dump in doc.go: the lines behind the one
// that holds the title, as far as they begin with an offset.
func example(t *testing.T, title string) (p []byte) {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), title)
	if !ok {
		t.Fatalf("doc.go has no %q", title)
	}
	for _, line := range strings.Split(rest, "\n")[1:] {
		f := strings.Fields(strings.TrimPrefix(line, "//"))
		if len(f) < 2 || f[0] != fmt.Sprintf("%04x", len(p)) {
			if len(p) == 0 {
				continue
			}
			break
		}
		for _, h := range f[1:] {
			b, err := hex.DecodeString(h)
			if err != nil {
				break
			}
			p = append(p, b...)
		}
	}
	return p
}

func exampleHeader() segmentHeader {
	h := segmentHeader{seq: 3, incarnation: 1, run: 2, size: 4 << 20, firstBlock: 40, written: 1000, prevSeq: 2, prevEnd: 0x3fd000}
	for i := range h.salt {
		h.salt[i] = byte(i)
	}
	return h
}

func dump(p []byte) string {
	var b strings.Builder
	for at := 0; at < len(p); at += 16 {
		b.WriteString(strings.TrimRight("//\t"+hex.EncodeToString([]byte{byte(at >> 8), byte(at)})+"  "+spaced(p[at:min(at+16, len(p))]), " ") + "\n")
	}
	return b.String()
}

func spaced(p []byte) string {
	var s []string
	for i := range p {
		s = append(s, hex.EncodeToString(p[i:i+1]))
	}
	return strings.Join(s, " ")
}

func TestDocSegmentHeader(t *testing.T) {
	h := exampleHeader()
	want := h.append(nil)[:segmentHeadLen]
	if got := example(t, "A segment header:"); !bytes.Equal(got, want) {
		t.Fatalf("doc.go has other bytes; these are right:\n%s", dump(want))
	}
	got, ok, err := decodeSegmentHeader(want)
	if !ok || err != nil || got != h {
		t.Fatalf("got %+v %v %v, want %+v", got, ok, err, h)
	}
}

func exampleBlock() (p []byte, h blockHeader) {
	r := Record{Boot: 0x1122334455667788, Since: 90e9, Dests: []Dest{{Consumer: 1, Must: true, Data: []byte{7}}}, Head: []byte("head,"), Payload: []byte("75")}
	n := recordLen(&r, false)
	p = make([]byte, blockHeadLen)
	p = appendPut(p, string(rune(spaceUser))+"clock", []byte{1})
	p = appendDelete(p, string(rune(spaceUser))+"old")
	p = appendRecord(p, &r, 2<<counterBits|9, n, false)
	h = blockHeader{length: uint32(len(p) - blockHeadLen), number: 41, first: 2<<counterBits | 9, count: 1, written: 1000,
		boot: r.Boot, run: 2, flags: flagFirst | flagLast}
	eh := exampleHeader()
	h.encode(p, eh.seed(), dataStart+page)
	return p, h
}

func TestDocBlock(t *testing.T) {
	want, h := exampleBlock()
	got := example(t, "A block at offset 0x3000")
	if !bytes.Equal(got, want) {
		t.Fatalf("doc.go has other bytes; these are right:\n%s", dump(want))
	}
	eh := exampleHeader()
	b, ok := decodeBlockHeader(got, eh.seed(), dataStart+page, 4*page)
	if !ok || b != h || !b.sound(eh.seed(), dataStart+page, got[blockHeadLen:]) {
		t.Fatalf("got %+v %v, want %+v", b, ok, h)
	}
	key, value, rest := mustKeyed(t, got[blockHeadLen:])
	if key != "uclock" || !bytes.Equal(value, []byte{1}) {
		t.Fatalf("first item: %q %v", key, value)
	}
	if key, value, rest = mustKeyed(t, rest); key != "uold" || value != nil {
		t.Fatalf("second item: %q %v", key, value)
	}
	item, _, _ := nextItem(rest)
	v, ok := parseRecord(item, b.first, b.boot)
	data, found := v.dest(1)
	if !ok || v.number != 2<<counterBits|9 || v.since != 90e9 || v.boot != 0x1122334455667788 || string(v.whole) != "head,75" || !found || !bytes.Equal(data, []byte{7}) {
		t.Fatalf("third item: %+v %v", v, ok)
	}
	for _, at := range []int64{dataStart, dataStart + 2*page} {
		if _, ok := decodeBlockHeader(got, eh.seed(), at, 4*page); ok {
			t.Fatalf("the block counts at offset %d, where it was not written", at)
		}
	}
	eh.incarnation++
	if _, ok := decodeBlockHeader(got, eh.seed(), dataStart+page, 4*page); ok {
		t.Fatal("the block counts in another incarnation of the file")
	}
}

func mustKeyed(t *testing.T, p []byte) (string, []byte, []byte) {
	t.Helper()
	item, rest, ok := nextItem(p)
	key, value, _, ok2 := parseKeyed(item)
	if !ok || !ok2 {
		t.Fatal("not a keyed item")
	}
	return string(key), value, rest
}

// The golden segment was written by the first version of the format; every
// later reader must read it.
func TestGoldenSegment(t *testing.T) {
	l := openGolden(t, "segment-v1", writeGolden)
	defer l.Close()
	c, _ := l.Consumer("cloud")
	got := drain(t, c)
	if len(got) != 3 || string(got[0].Body) != "record 2" || got[0].Number != 1<<counterBits|2 || string(got[2].Body) != "record 4" {
		t.Fatalf("got %d records: %+v", len(got), got)
	}
	if got[1].Boot != 99 || got[0].Boot != 5 || got[1].Since != 300 || string(got[1].Data) != "d3" {
		t.Fatalf("got %+v", got[1])
	}
	if v, ok := l.Get("clock"); !ok || string(v) != "offset" {
		t.Fatalf("key: %q %v", v, ok)
	}
	if b := c.Backlog(); b.Aside != 1 || b.Records != 3 {
		t.Fatalf("backlog %+v", b)
	}
	if r := l.Recovery(); r.Run != 2 || len(r.Lost) > 0 || r.Torn {
		t.Fatalf("recovery %+v", r)
	}
}

// openGolden opens a log whose first segment is the golden file of this name. With -update a missing one is made of the
// first segment of what write leaves in a directory; what an earlier version wrote is never written again.
func openGolden(t *testing.T, name string, write func(t *testing.T, dir string)) *Log {
	t.Helper()
	golden := filepath.Join("testdata", name)
	p, err := os.ReadFile(golden)
	if os.IsNotExist(err) && *update {
		dir := t.TempDir()
		write(t, dir)
		if p, err = os.ReadFile(filepath.Join(dir, segmentName(1))); err == nil {
			err = os.WriteFile(golden, p, 0o644)
		}
	}
	dir := t.TempDir()
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, segmentName(1)), p, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return open(t, Options{Dir: dir, SegmentSize: minSegment})
}

func writeGolden(t *testing.T, dir string) {
	l := open(t, Options{Dir: dir, SegmentSize: minSegment})
	c, _ := l.Consumer("cloud")
	other, _ := l.Consumer("other")
	for i := range 5 {
		boot := uint64(5)
		if i == 2 {
			boot = 99
		}
		l.Append([]Record{{Boot: boot, Since: int64(i+1) * 100, Dests: []Dest{{Consumer: c.ID(), Data: []byte{'d', byte('1' + i)}}, {Consumer: other.ID(), Must: true}},
			Head: []byte("record "), Payload: []byte{byte('1' + i)}}})
	}
	l.Put("clock", []byte("offset"))
	l.Commit()
	got := drain(t, c)
	c.Ack([]Range{{got[0].Number, got[0].Number}})
	c.SetAside(got[4].Number)
	l.Close()
}

func TestNewerFormatIsRefusedAndUntouched(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, SegmentSize: minSegment}
	open(t, o).Close()
	name := filepath.Join(dir, segmentName(1))
	p, _ := os.ReadFile(name)
	for _, at := range []int{0, page} {
		le.PutUint32(p[at+8:], formatVersion+1)
		le.PutUint32(p[at+12:], segmentHeadCRC(p[at:]))
	}
	os.WriteFile(name, p, 0o600)
	os.WriteFile(filepath.Join(dir, "new-00000009"), []byte("x"), 0o600)
	before := listing(t, dir)
	if _, err := Open(o); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), segmentName(1)) {
		t.Fatalf("got %v, want ErrNewer with the file's name", err)
	}
	if after := listing(t, dir); after != before {
		t.Fatalf("touched: before\n%s\nafter\n%s", before, after)
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Name() == lockName {
			continue
		}
		p, _ := os.ReadFile(filepath.Join(dir, f.Name()))
		b.WriteString(f.Name() + " " + hex.EncodeToString(p[:min(len(p), 256)]) + "\n")
	}
	return b.String()
}

func FuzzItems(f *testing.F) {
	p, h := exampleBlock()
	f.Add(p[blockHeadLen:], h.first, h.boot)
	f.Add([]byte{15, 1, 1, 0, 0, 0, 0}, uint64(1), uint64(2))
	like := append(bytes.Clone(p[blockHeadLen:]), 0x08, tagLike, 0x1b, 1, 0x0a, 1, 1, 'E', '7')
	f.Add(like, h.first, h.boot)
	f.Fuzz(func(t *testing.T, p []byte, base, boot uint64) {
		it := items{body: p, first: base, boot: boot}
		var k bases
		k.begin()
		var buf, room []byte
		var views []recordView
		for v, ok := it.record(); ok; v, ok = it.record() {
			for d := v.dests; len(d) > 0; {
				_, _, next, ok := nextDest(d)
				if !ok {
					t.Fatal("destinations of an accepted record do not parse")
				}
				d = next
			}
			item := v.appendWhole(nil)
			inner, rest, ok := nextItem(item)
			w, ok2 := parseRecord(inner, v.number, boot)
			if !ok || !ok2 || len(rest) > 0 || w.number != v.number || w.boot != v.boot || w.since != v.since || !bytes.Equal(w.whole, v.body(&room)) || w.ndest != v.ndest {
				t.Fatalf("%+v came back as %+v", v, w)
			}
			room = room[:0]
			if v.number >= base && v.number-base < 1<<32 {
				buf = k.add(buf, 0, &w, item)
				views = append(views, w)
			}
		}
		again := items{body: buf, first: base, boot: boot}
		for _, w := range views {
			v, ok := again.record()
			if !ok || v.number != w.number || v.since != w.since || !bytes.Equal(v.body(&room), w.whole) {
				t.Fatalf("%+v came back as %+v", w, v)
			}
			room = room[:0]
		}
		for rest := p; ; {
			item, after, ok := nextItem(rest)
			if !ok {
				return
			}
			parseKeyed(item)
			rest = after
		}
	})
}

// memFile is a file in memory, for the fuzzer.
type memFile []byte

func (m memFile) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m).ReadAt(p, off) }
func (m memFile) WriteAt([]byte, int64) (int, error)      { return 0, errors.ErrUnsupported }
func (m memFile) Sync() error                             { return nil }
func (m memFile) Size() (int64, error)                    { return int64(len(m)), nil }
func (m memFile) Close() error                            { return nil }

// FuzzSegment scans arbitrary bytes as a segment: no panic, no memory beyond
// the file, progress at every step.
func FuzzSegment(f *testing.F) {
	golden, _ := os.ReadFile(filepath.Join("testdata", "segment-v1"))
	f.Add(golden[:min(len(golden), 5*page)], uint16(0), byte(0))
	f.Add(golden[:min(len(golden), 5*page)], uint16(dataStart+70), byte(9))
	packed, _ := os.ReadFile(filepath.Join("testdata", "segment-v1-packed"))
	f.Add(packed[:min(len(packed), 8*page)], uint16(0), byte(0))
	f.Add(packed[:min(len(packed), 8*page)], uint16(dataStart+page+300), byte(1))
	f.Fuzz(func(t *testing.T, p []byte, at uint16, x byte) {
		p = bytes.Clone(p)
		if int(at) < len(p) {
			p[at] ^= x
		}
		h, ok, _ := decodeSegmentHeader(p)
		if !ok {
			h = exampleHeader()
		}
		s := segment{segmentHeader: h}
		if len(p) >= page {
			s.readSummary(p[len(p)-page:], int64(len(p)-page))
		}
		var c scanner
		c.reset(memFile(p), h.seed(), int64(len(p)))
		off := c.off
		for {
			b, ok, err := c.next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if c.off <= off || len(b.body) > len(p) && (b.codec == codecNone || len(b.body) > packMost) {
				t.Fatalf("no progress at %d", off)
			}
			off = c.off
		}
		if cap(c.plain) > packMost {
			t.Fatalf("%d bytes of memory for packed blocks", cap(c.plain))
		}
		if cap(c.buf) > blockLimit+len(p) {
			t.Fatalf("%d bytes of memory for %d", cap(c.buf), len(p))
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add([]byte{5, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, p []byte) {
		low, done := parsePosition(p)
		at := low
		for _, r := range done {
			if r.First <= at || r.Last < r.First {
				t.Fatalf("ranges out of order: %d %v", low, done)
			}
			at = r.Last
		}
		for i, a := range parseAside(p) {
			if i > maxAside || a == 0 {
				t.Fatal("mark out of bounds")
			}
		}
		parseFreed(p)
	})
}

func TestDocSnapshot(t *testing.T) {
	h := snapshotHeader{covers: 42, keys: 1, run: 2}
	for i := range h.salt {
		h.salt[i] = byte(0xa0 + i)
	}
	f := &byteFile{}
	if _, err := writeSnapshot(f, &h, []KeyValue{{"clock", []byte{1, 5}}}); err != nil {
		t.Fatal(err)
	}
	if got := example(t, "A snapshot of \"clock\""); !bytes.Equal(got, f.data) {
		t.Fatalf("doc.go has other bytes; these are right:\n%s", dump(f.data))
	}
	var items []byte
	got, whole, _, err := readSnapshot(f, func(p []byte) { items = append(items, p...) })
	if err != nil || !whole || got.covers != h.covers || got.keys != 1 || got.salt != h.salt {
		t.Fatalf("read %+v, whole %v, %v", got, whole, err)
	}
	item, _, _ := nextItem(items)
	if key, value, put, ok := parseKeyed(item); string(key) != "uclock" || !bytes.Equal(value, []byte{1, 5}) || !put || !ok {
		t.Errorf("item %q %q %v %v", key, value, put, ok)
	}
}

// FuzzSnapshot: no bytes make a reader of snapshots fail, or give what was not
// written.
func FuzzSnapshot(f *testing.F) {
	h := snapshotHeader{covers: 42, keys: 2, run: 2}
	m := &byteFile{}
	writeSnapshot(m, &h, []KeyValue{{"clock", []byte{1, 5}}, {"other", nil}})
	f.Add(m.data)
	f.Fuzz(func(t *testing.T, data []byte) {
		keys := uint64(0)
		h, whole, _, err := readSnapshot(&byteFile{data}, func(p []byte) { keys += countItems(p) })
		if whole && (err != nil || keys != h.keys) {
			t.Errorf("whole with %d of %d keys, %v", keys, h.keys, err)
		}
	})
}

// byteFile is a file in memory that grows.
type byteFile struct{ data []byte }

func (f *byteFile) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(f.data).ReadAt(p, off)
}

func (f *byteFile) WriteAt(p []byte, off int64) (int, error) {
	if need := int(off) + len(p); need > len(f.data) {
		f.data = append(f.data, make([]byte, need-len(f.data))...)
	}
	return copy(f.data[off:], p), nil
}

func (f *byteFile) Sync() error          { return nil }
func (f *byteFile) Size() (int64, error) { return int64(len(f.data)), nil }
func (f *byteFile) Close() error         { return nil }
