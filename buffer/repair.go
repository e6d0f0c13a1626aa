package buffer

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Repaired is what Repair did, or would do.
type Repaired struct {
	Before *Verification
	Done   []string      // each step, in order
	Left   []string      // what could not be done, and why; empty otherwise
	After  *Verification // nil if nothing was done
}

// Lost is how many stored records are missing for good.
func (r *Repaired) Lost() uint64 { return r.Before.Lost }

// Repair makes a damaged store one that Verify finds sound: a damaged copy of a
// header is written again from the other one; a segment with unreadable blocks
// is copied aside whole, and holes that say how many records are missing take
// the blocks' place; then the log is opened and closed, which sets aside what
// has no sound header and writes a new state. No file that holds unread data is
// removed, and no record that can be read is given up. With dry, nothing is
// changed and no lock is taken; Done says what would be.
//
// From before the first change on Recovery.Repaired is true, until AcceptRepair.
// A SegmentSize of 0 is that of the store. Errors: those of Open, an
// *InUseError among them, and of Verify.
func Repair(o Options, dry bool) (*Repaired, error) {
	asStored := o.SegmentSize == 0
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	if dry {
		v, err := Verify(o.FS)
		if err != nil {
			return nil, err
		}
		m := &mender{fs: readOnly{o.FS}, dry: true, out: &Repaired{Before: v}}
		m.mend()
		return m.out, nil
	}
	out, err := mendLocked(o)
	if err != nil || len(out.Before.Problems) == 0 {
		return out, err
	}
	if k := len(out.Before.View.Segments); asStored && k > 0 {
		if size := out.Before.View.r.sizes[out.Before.View.Segments[k-1].Sequence]; size >= minSegment && size <= maxSegment {
			o.SegmentSize = size
		}
	}
	// Nothing may be dropped for want of room here.
	o.MaxSize = max(o.MaxSize, min(out.Before.View.Bytes+8*o.SegmentSize, o.SegmentSize*(o.SegmentSize/16)))
	o.MinFree = 0
	r, err := inspect(o.FS, true, nil)
	if err != nil {
		return out, err
	}
	l, err := Open(o)
	if err != nil {
		return out, err
	}
	l.accept(r.between)
	if err := l.Close(); err != nil {
		return out, err
	}
	out.After, err = Verify(o.FS)
	return out, err
}

// accept notes, as of the next commit, the records of segments that are
// missing, as if they had been freed: they are told as lost once.
func (l *Log) accept(missing []Loss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range missing {
		seq, _ := segmentOf(x.File)
		s := l.bySeq(seq)
		if s == nil || l.bySeq(s.prevSeq) != nil {
			continue // it follows right behind one that is there
		}
		l.freed = append(l.freed, freedSegment{s.prevSeq, x.Records})
		l.freedNew = true
	}
	slices.SortFunc(l.freed, func(a, b freedSegment) int { return cmp.Compare(a.seq, b.seq) })
}

// mendLocked does what opening the log does not do.
func mendLocked(o Options) (out *Repaired, err error) {
	if _, err := o.FS.ReadDir(); err != nil {
		return nil, &OpenError{dirOf(o.FS), "list", err}
	}
	unlock, err := o.FS.Lock()
	if err != nil {
		if errors.Is(err, ErrInUse) {
			return nil, err
		}
		return nil, &OpenError{dirOf(o.FS), "lock", err}
	}
	defer func() { err = errors.Join(err, unlock()) }()
	v, err := Verify(o.FS)
	if err != nil {
		return nil, err
	}
	m := &mender{fs: o.FS, out: &Repaired{Before: v}}
	if len(v.Problems) > 0 {
		if err := m.mark(); err != nil {
			return m.out, &OpenError{dirOf(o.FS), "note that it is repaired", err}
		}
	}
	m.mend()
	return m.out, nil
}

// repairedName is an empty file: a repair was begun.
const repairedName = "repaired"

// mark notes, before anything is changed, that the store is not what it was. A repair that is cut short may have done away
// with the signs of it.
func (m *mender) mark() error {
	f, err := m.fs.Create(repairedName)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), m.fs.SyncDir())
}

// AcceptRepair is for the user of the log, when whatever must agree with it elsewhere is durably distrusted: from then on
// Recovery.Repaired is false. Safe for concurrent use.
func (l *Log) AcceptRepair() error {
	l.mu.Lock()
	_, there := l.files[repairedName]
	l.mu.Unlock()
	if !there {
		return nil
	}
	if err := errors.Join(l.fs.Remove(repairedName), l.fs.SyncDir()); err != nil {
		return err
	}
	l.mu.Lock()
	l.dropFile(repairedName)
	l.mu.Unlock()
	return nil
}

// mender repairs files while the lock is held.
type mender struct {
	fs  FS
	dry bool
	out *Repaired
}

func (m *mender) did(format string, a ...any) {
	m.out.Done = append(m.out.Done, fmt.Sprintf(format, a...))
}

// try does something, unless only asked what would be done.
func (m *mender) try(f func() error, format string, a ...any) {
	if !m.dry {
		if err := f(); err != nil {
			m.out.Left = append(m.out.Left, fmt.Sprintf(format, a...)+": "+err.Error())
			return
		}
	}
	m.did(format, a...)
}

func (m *mender) mend() {
	v := m.out.Before
	by := map[string][]Problem{}
	for _, p := range v.Problems {
		by[p.File] = append(by[p.File], p)
	}
	for _, name := range v.View.Unsound {
		m.did("%s: set aside as %s", name, strings.TrimSuffix(name, segmentSuffix)+badSuffix) // by opening
	}
	for _, s := range v.View.r.l.segments {
		m.segment(s, by[s.name])
	}
	for _, s := range v.View.Snapshots {
		bad := strings.TrimSuffix(s.Name, snapshotSuffix) + snapshotSuffix[1:] + badSuffix
		switch {
		case len(by[s.Name]) == 0:
		case s.Damaged: // opening takes what can be read of it, if there is no other
			m.did("%s: set aside as %s", s.Name, bad)
		default:
			m.try(func() error { return errors.Join(m.fs.Rename(s.Name, bad), m.fs.SyncDir()) }, "%s: set aside as %s", s.Name, bad)
		}
	}
	if n := v.View.Recovery.Orphans; n > 0 {
		m.did("consumers whose names are lost keep their records, as orphan-NUMBER: %d", n)
	}
}

// stretch is a part of a segment that holds no sound block, and the block to
// be put there.
type stretch struct {
	from, to int64
	number   uint64
	run      uint32
	written  uint64 // records of the log before what follows it
}

// segment puts a segment in order.
func (m *mender) segment(s *segment, problems []Problem) {
	has := func(kind problemKind) bool {
		return slices.ContainsFunc(problems, func(p Problem) bool { return p.kind == kind })
	}
	switch {
	case has(blockProblem):
		holes, ok := m.stretches(s)
		if !ok {
			m.out.Left = append(m.out.Left, fmt.Sprintf("%s: its unreadable part cannot be told from the blocks around it", s.name))
			return
		}
		aside := m.asideName(s)
		m.try(func() error { return m.rewrite(s, aside, holes) }, "%s: copied to %s, then %s of it turned into holes", s.name, aside, several(uint64(len(holes)), "unreadable place"))
	case has(headerProblem):
		m.try(func() error { return m.rewriteHeads(s) }, "%s: the damaged copy of the header is written again", s.name)
	}
}

// asideName is a name for the copy of a damaged segment that is not taken.
func (m *mender) asideName(s *segment) string {
	base := strings.TrimSuffix(s.name, segmentSuffix)
	name := base + badSuffix
	for i := 2; slices.ContainsFunc(m.out.Before.View.Files, func(f FileInfo) bool { return f.Name == name }); i++ {
		name = fmt.Sprintf("%s-%d%s", base, i, badSuffix)
	}
	return name
}

// stretches finds what holds no sound block, up to where the blocks of the
// segment end or should.
func (m *mender) stretches(s *segment) (all []stretch, ok bool) {
	r := m.out.Before.View.r
	at, number, run, ok := int64(dataStart), s.firstBlock, s.run, true
	r.blocks(s, s.end, func(b *block) {
		if b.off > at {
			ok = ok && b.number > number
			all = append(all, stretch{at, b.off, number, run, b.written})
		}
		at, number, run = b.off+b.room(), b.number+1, b.run
	})
	end, written := s.end, uint64(0)
	if next := m.after(s); next != nil {
		if size := r.sizes[s.seq]; next.prevEnd <= size-page {
			end = max(end, next.prevEnd) // a part was cut off
		}
		written = next.written - s.omitted
	}
	if at < end {
		all = append(all, stretch{at, end, number, run, written})
	}
	return all, ok
}

// after is the segment that was begun right behind s.
func (m *mender) after(s *segment) *segment {
	for _, n := range m.out.Before.View.r.l.segments {
		if n.prevSeq == s.seq {
			return n
		}
	}
	return nil
}

// rewrite makes the same file anew with holes in it, and puts it in the place
// of the old one, of which a copy is set aside before.
func (m *mender) rewrite(s *segment, aside string, holes []stretch) error {
	old, err := m.fs.Open(s.name, false)
	if err != nil {
		return err
	}
	defer old.Close()
	size := m.out.Before.View.r.sizes[s.seq]
	name := newPrefix + "repaired" + s.name
	err = m.copy(old, name, size, func(File) error { return nil })
	if err == nil { // a part of one never has its name
		err = errors.Join(m.fs.Rename(name, aside), m.fs.SyncDir())
	}
	if err != nil {
		return fmt.Errorf("set a copy aside: %w", err)
	}
	err = m.copy(old, name, size, func(f File) error {
		if err := m.writeHeads(f, s); err != nil {
			return err
		}
		for i := range holes {
			if err := writeHole(f, s.seed(), &holes[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		m.fs.Remove(name)
		return err
	}
	return errors.Join(m.fs.Rename(name, s.name), m.fs.SyncDir())
}

// copy makes a file of the bytes of another one, those that cannot be read
// being zeros, changes it and syncs it.
func (m *mender) copy(from File, name string, size int64, change func(File) error) error {
	f, err := m.fs.Create(name)
	if err != nil {
		return err
	}
	err = copyPages(f, from, size)
	if err == nil {
		err = change(f)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		m.fs.Remove(name)
		return err
	}
	return m.fs.SyncDir()
}

func copyPages(to, from File, size int64) error {
	var p [page]byte
	for off := int64(0); off < size; off += page {
		n, err := from.ReadAt(p[:], off)
		if err != nil && !errors.Is(err, io.EOF) {
			n = 0
		}
		clear(p[n:])
		if err := writeAt(to, p[:], off); err != nil {
			return err
		}
	}
	return nil
}

func (m *mender) writeHeads(f File, s *segment) error {
	h := s.segmentHeader
	h.size = m.out.Before.View.r.sizes[s.seq]
	return writeAt(f, h.append(h.append(nil)), 0)
}

// rewriteHeads writes a damaged copy of the header again; the other one is
// sound meanwhile.
func (m *mender) rewriteHeads(s *segment) error {
	f, err := m.fs.Open(s.name, true)
	if err != nil {
		return err
	}
	h := s.segmentHeader
	h.size = m.out.Before.View.r.sizes[s.seq]
	whole := h.append(nil)
	for i := range int64(2) {
		var p [page]byte
		n, _ := f.ReadAt(p[:], i*page)
		if _, ok, _ := decodeSegmentHeader(p[:n]); ok {
			continue
		}
		if err = errors.Join(err, writeAt(f, whole, i*page)); err == nil {
			err = f.Sync()
		}
	}
	return errors.Join(err, f.Close())
}

// writeHole puts a block without records over a stretch.
func writeHole(f File, sd seed, h *stretch) error {
	b := blockHeader{length: uint32(h.to - h.from - blockHeadLen), number: h.number, written: h.written, run: h.run, flags: flagFirst | flagLast | flagHole}
	p := make([]byte, h.to-h.from)
	b.encode(p, sd, h.from)
	return writeAt(f, p, h.from)
}
