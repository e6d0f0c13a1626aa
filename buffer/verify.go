package buffer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Problem is one place at which a store is not what it was written to be.
type Problem struct {
	File    string
	Offset  int64
	Seen    string // what stands there
	Want    string // what should
	Records uint64 // stored records that are missing for it, delivered ones included
	kind    problemKind
}

// problemKind is what Repair does about a problem.
type problemKind uint8

const (
	otherProblem  problemKind = iota
	headerProblem             // a copy of the header is damaged
	blockProblem              // a stretch of a segment holds no sound block, or the file is cut off
)

// String is the problem in one line, the place first.
func (p Problem) String() string {
	text := fmt.Sprintf("%s:%d: %s, want %s", p.File, p.Offset, p.Seen, p.Want)
	if p.Records > 0 {
		text += " (" + several(p.Records, "record") + " lost)"
	}
	return text
}

// several is such as "1 record" or "2 records".
func several(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Verification is what Verify found. The store is sound when there are no
// problems.
type Verification struct {
	View     *View // of the same moment; backlogs leave out what is lost
	Problems []Problem
	Notes    []string // what is no damage and may be wondered at
	Lost     uint64   // stored records that are missing: the sum over the problems
	Known    uint64   // of those that were lost before: a repair has noted them, they are no problem any more
	Files    int      // that were read
	Bytes    int64
	Blocks   uint64
	Records  uint64
}

// Verify reads every byte of every file of a data directory and compares all
// that has a checksum, a count or a number with what it should be. It changes
// nothing and takes no lock; what a running log frees meanwhile is left out.
// What stands behind the last whole commit is no damage: it was never
// acknowledged. Errors are those of Inspect.
func Verify(fsys FS) (*Verification, error) {
	var v *verifier
	r, err := inspect(fsys, true, func(r *recovery) {
		v = &verifier{r: r, walks: map[*segment]*walk{}}
		r.watch = v.block
	})
	if err != nil {
		return nil, err
	}
	v.out.View = r.view()
	for _, s := range r.l.segments {
		v.segment(s)
	}
	for _, name := range r.unsound {
		v.problem(Problem{File: name, Seen: "no sound header in the first two pages", Want: "the header of a segment"})
	}
	v.gaps()
	if err := v.snapshots(); err != nil {
		return nil, err
	}
	v.state()
	v.rest()
	if err := v.settle(); err != nil {
		return nil, err
	}
	return &v.out, nil
}

// verifier collects what is wrong.
type verifier struct {
	r     *recovery
	out   Verification
	walks map[*segment]*walk
}

// walk is how far the blocks of a segment were followed.
type walk struct {
	at     int64  // the next block is expected here
	number uint64 // and has this number
	seen   uint64 // records written to the log before it
	open   int    // the problem, plus one, whose lost records the next block tells
	holes  uint64 // records that holes stand for
}

func (v *verifier) problem(p Problem) { v.out.Problems = append(v.out.Problems, p) }

func (v *verifier) note(format string, a ...any) {
	v.out.Notes = append(v.out.Notes, fmt.Sprintf(format, a...))
}

// block follows the blocks of a segment, in order.
func (v *verifier) block(s *segment, b *block) {
	w := v.walks[s]
	if w == nil {
		w = &walk{at: dataStart, number: s.firstBlock, seen: s.written}
		v.walks[s] = w
	}
	v.out.Blocks++
	if b.off > w.at {
		v.unreadable(s, w, b.off)
	}
	if b.flags&flagHole != 0 {
		if b.written > w.seen {
			v.out.Known += b.written - w.seen
			w.holes += b.written - w.seen
			w.seen = b.written
		}
	} else if b.count > 0 {
		v.contents(s, w, b)
	}
	w.at, w.number = b.off+b.room(), b.number+1
}

// unreadable notes a stretch without a sound block.
func (v *verifier) unreadable(s *segment, w *walk, end int64) {
	seen, want := v.describe(s, w.at, end, w.number)
	v.problem(Problem{File: s.name, Offset: w.at, Seen: seen, Want: want, kind: blockProblem})
	w.open = len(v.out.Problems)
}

// contents compares the records of a block with its header, and its header
// with those before.
func (v *verifier) contents(s *segment, w *walk, b *block) {
	if b.written > w.seen {
		if w.open == 0 {
			v.problem(Problem{File: s.name, Offset: b.off, Seen: fmt.Sprintf("a block behind record %d of the log", b.written), Want: fmt.Sprintf("behind record %d", w.seen)})
			w.open = len(v.out.Problems)
		}
		v.out.Problems[w.open-1].Records += b.written - w.seen
	}
	w.open = 0
	var n uint32
	var first, last uint64
	it := b.items()
	for r, ok := it.record(); ok; r, ok = it.record() {
		if n == 0 {
			first = r.number
		}
		n, last = n+1, r.number
	}
	if n != b.count || first != b.first || last != b.last() {
		v.problem(Problem{File: s.name, Offset: b.off, Seen: fmt.Sprintf("%d records from %#x to %#x in block %d", n, first, last, b.number),
			Want: fmt.Sprintf("%d records from %#x to %#x", b.count, b.first, b.last())})
	}
	v.out.Records += uint64(n)
	w.seen = max(w.seen, b.written+uint64(b.count))
}

// describe says what stands where block number want should, and what was
// expected of it.
func (v *verifier) describe(s *segment, off, end int64, number uint64) (seen, want string) {
	stretch := fmt.Sprintf(" and no sound block for %d bytes", end-off)
	if end-off <= page {
		stretch = ""
	}
	want = fmt.Sprintf("block %d", number)
	f, err := v.r.l.fs.Open(s.name, false)
	if err != nil {
		return err.Error(), want
	}
	defer f.Close()
	var p [page]byte
	n, err := f.ReadAt(p[:], off)
	if n < len(p) && err != nil && !errors.Is(err, io.EOF) {
		return err.Error() + stretch, want
	}
	sd := s.seed()
	b, ok := decodeBlockHeader(p[:n], sd, off, s.size-off)
	body := make([]byte, b.length)
	if ok {
		f.ReadAt(body, off+blockHeadLen)
	}
	switch {
	case ok && b.sound(sd, off, body):
		return fmt.Sprintf("block %d of %d bytes with %s, whose sound bytes are not packed as they say", b.number, b.length, several(uint64(b.count), "record")) + stretch, want
	case ok:
		return fmt.Sprintf("block %d of %d bytes with %s, whose bytes do not have its checksum", b.number, b.length, several(uint64(b.count), "record")) + stretch,
			fmt.Sprintf("checksum %08x", b.bodyCRC)
	case n >= blockHeadLen && [4]byte(p[:4]) == blockMagic:
		return fmt.Sprintf("a block header with checksum %08x", le.Uint32(p[4:])) + stretch,
			fmt.Sprintf("checksum %08x, or what it belongs to: block %d", crcOfHead(sd, off, p[:]), number)
	case p == zeros:
		return "zeros" + stretch, want
	}
	return fmt.Sprintf("% x", p[:8]) + stretch, want
}

// segment checks what the blocks do not: both headers, the size, the end, the
// summary.
func (v *verifier) segment(s *segment) {
	w := v.walks[s]
	if w == nil {
		w = &walk{at: dataStart, number: s.firstBlock, seen: s.written}
	}
	if w.at < s.end {
		v.unreadable(s, w, s.end) // the records of it are missed before the next segment
	}
	v.headers(s)
	said := v.r.summaries[s]
	if said == nil && s != v.r.l.segments[len(v.r.l.segments)-1] {
		v.note("%s has no sound summary: a start reads it in full", s.name)
	}
	if said == nil || slices.ContainsFunc(v.out.Problems, func(p Problem) bool { return p.File == s.name && p.Offset >= dataStart }) {
		return
	}
	if said.records != s.records+w.holes || w.holes == 0 && !sameShares(said, s) {
		v.problem(Problem{File: s.name, Offset: s.size - page, Seen: fmt.Sprintf("a summary of %d records, %d bytes, %d consumers", said.records, said.bytes, len(said.shares)),
			Want: fmt.Sprintf("what the blocks hold: %d records, %d bytes, %d consumers", s.records, s.bytes, len(s.shares))})
	}
}

// sameShares compares what a summary says with what the blocks hold.
func sameShares(a, b *segment) bool {
	return a.first == b.first && a.last == b.last && a.bytes == b.bytes &&
		slices.EqualFunc(a.shares, b.shares, func(x, y share) bool {
			return x.id == y.id && x.first == y.first && x.last == y.last && x.count == y.count && x.bytes == y.bytes
		})
}

// headers wants both copies of a header to be sound and the same.
func (v *verifier) headers(s *segment) {
	f, err := v.r.l.fs.Open(s.name, false)
	if err != nil {
		return // gone: settle takes out what was said of it
	}
	defer f.Close()
	size := v.r.l.files[s.name]
	for i := range 2 {
		var p [page]byte
		off := int64(i) * page
		n, _ := f.ReadAt(p[:], off)
		switch h, ok, _ := decodeSegmentHeader(p[:n]); {
		case !ok:
			v.problem(Problem{File: s.name, Offset: off, Seen: "no sound header", Want: "the same header as in the other one of the first two pages", kind: headerProblem})
		case h.seq != s.seq || h.seed() != s.seed():
			v.problem(Problem{File: s.name, Offset: off, Seen: fmt.Sprintf("the header of segment %d", h.seq), Want: fmt.Sprintf("that of segment %d", s.seq)})
		case size < h.size:
			v.problem(Problem{File: s.name, Offset: size, Seen: "the end of the file", Want: fmt.Sprintf("%d bytes", h.size), kind: blockProblem})
			size = h.size // once
		}
	}
}

// gaps tells what is missing between the segments.
func (v *verifier) gaps() {
	for _, x := range v.r.between {
		want := "the records in between"
		if x.Records == 0 {
			want = "the segment in between, which may have changed keys"
		}
		v.problem(Problem{File: x.File, Seen: fmt.Sprintf("a segment that follows record %#x", x.Above), Want: want, Records: x.Records})
	}
	for _, x := range v.r.l.recovery.Lost {
		v.out.Lost += x.Records
	}
	if v.r.l.recovery.Torn {
		v.note("the last commit was not whole and does not count; nothing of it was acknowledged (%d bytes)", v.r.l.recovery.TornBytes)
	}
	if v.out.Known > 0 {
		v.note("%s lost to damage before, as an earlier repair has noted", several(v.out.Known, "record"))
	}
}

// snapshots reads all of them, whichever a start would take.
func (v *verifier) snapshots() error {
	for _, s := range v.out.View.Snapshots {
		f, err := v.r.l.fs.Open(s.Name, false)
		if err != nil {
			continue // removed meanwhile, or told by rest
		}
		keys := uint64(0)
		h, whole, off, err := readSnapshot(f, func(items []byte) { keys += countItems(items) })
		f.Close()
		switch {
		case errors.Is(err, ErrNewer):
			return fmt.Errorf("%s: %w", s.Name, err)
		case err != nil:
			v.problem(Problem{File: s.Name, Seen: err.Error(), Want: "a snapshot of the keys"})
		case off == 0:
			v.problem(Problem{File: s.Name, Seen: "no sound header", Want: "that of a snapshot"})
		case !whole && keys != h.keys:
			v.problem(Problem{File: s.Name, Offset: off, Seen: fmt.Sprintf("no sound piece, after %d keys", keys), Want: fmt.Sprintf("%d keys", h.keys)})
		case !whole || h.covers != s.Covers:
			v.problem(Problem{File: s.Name, Offset: off, Seen: fmt.Sprintf("a snapshot as of block %d", h.covers), Want: fmt.Sprintf("block %d, as its name says", s.Covers)})
		}
	}
	return nil
}

// state checks what the log keeps for itself.
func (v *verifier) state() {
	l, r := v.r.l, v.r
	if len(l.segments) > 0 && r.holder < 0 {
		v.problem(Problem{File: l.segments[len(l.segments)-1].name, Offset: dataStart, Seen: "no segment that begins with the state of the consumers", Want: "one at least"})
	}
	if n := l.recovery.Orphans; n > 0 {
		v.problem(Problem{File: l.segments[len(l.segments)-1].name, Offset: dataStart, Seen: fmt.Sprintf("records of %d consumers without a name", n), Want: "their names"})
	}
	for k, value := range r.state {
		if k[0] == spacePosition && len(value) > 0 {
			if _, n := binary.Uvarint([]byte(value)); n <= 0 {
				v.problem(Problem{File: l.segments[len(l.segments)-1].name, Offset: dataStart, Seen: fmt.Sprintf("the position % x", value), Want: "a record number"})
			}
		}
	}
}

// rest reads every file from end to end: a place that cannot be read is told,
// whatever was to stand there.
func (v *verifier) rest() {
	buf := make([]byte, blockLimit)
	for _, file := range v.out.View.Files {
		f, err := v.r.l.fs.Open(file.Name, false)
		if err != nil {
			continue // gone
		}
		v.out.Files++
		for off := int64(0); off < file.Size; off += int64(len(buf)) {
			n, err := f.ReadAt(buf[:min(int64(len(buf)), file.Size-off)], off)
			v.out.Bytes += int64(n)
			if err != nil && !errors.Is(err, io.EOF) {
				v.problem(Problem{File: file.Name, Offset: off + int64(n), Seen: err.Error(), Want: "to read it"})
			}
		}
		f.Close()
	}
}

// settle takes out what was said of files that are gone or others by now, and
// puts the rest in order.
func (v *verifier) settle() error {
	gone, err := v.r.moved()
	if err != nil && !errors.Is(err, errMoved) {
		return err
	}
	files, err := v.r.l.fs.ReadDir()
	if err != nil {
		return &OpenError{v.r.l.o.Dir, "list", err}
	}
	v.out.Problems = slices.DeleteFunc(v.out.Problems, func(p Problem) bool {
		if !slices.ContainsFunc(files, func(f FileInfo) bool { return f.Name == p.File }) ||
			slices.ContainsFunc(gone, func(s *segment) bool { return s.name == p.File }) {
			v.out.Lost -= min(v.out.Lost, p.Records)
			return true
		}
		return false
	})
	slices.SortStableFunc(v.out.Problems, func(a, b Problem) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return int(min(1, max(-1, a.Offset-b.Offset)))
	})
	return nil
}
