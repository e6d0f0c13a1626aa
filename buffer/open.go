package buffer

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Open takes the directory for this process, reads what is there, and begins
// a new run: from then on numbers are above all that were ever given out.
// Damage never makes it fail; Recovery says what was found. Errors: one that
// is ErrOptions; an *InUseError (ErrInUse); one that is ErrNewer, nothing but
// the lock having been touched; an *OpenError when the directory cannot be
// used now. It starts no goroutine. Close ends it.
func Open(o Options) (*Log, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	l := empty(o)
	if err := l.fs.MakeDir(); err != nil {
		return nil, &OpenError{o.Dir, "make the directory", err}
	}
	if l.unlock, err = l.fs.Lock(); err != nil {
		if errors.Is(err, ErrInUse) {
			return nil, err
		}
		return nil, &OpenError{o.Dir, "lock", err}
	}
	if err := l.open(); err != nil {
		if l.c.file != nil {
			l.c.file.Close()
		}
		return nil, errors.Join(err, l.unlock())
	}
	l.up = true
	l.recovery.Run, l.recovery.Took = uint32(l.run), time.Since(begun)
	l.tellRecovery()
	if o.OnChores != nil && l.wantsChores() { // nobody uses it yet: l.mu guards nothing
		o.OnChores()
	}
	return l, nil
}

// empty is a log of which nothing is known yet.
func empty(o Options) *Log {
	l := &Log{o: o, fs: o.FS, log: o.Log, consumers: map[uint32]*Consumer{}, names: map[string]*Consumer{},
		keys: map[string][]byte{}, changed: map[string]prior{}, files: map[string]int64{}}
	l.cond = sync.NewCond(&l.mu)
	l.tail.init(o.TailSize)
	return l
}

func (l *Log) open() error {
	r := &recovery{l: l}
	defer r.close()
	if err := r.look(); err != nil {
		return err
	}
	if err := r.sweep(); err != nil {
		return err
	}
	l.opened = l.total
	r.extents()
	r.keyed()
	r.records()
	r.gaps()
	r.positions()
	if err := r.continueLast(); err != nil {
		return err
	}
	return l.beginRun(r.run)
}

// look lists what is there and reads what must be known before anything is
// changed: snapshots and headers.
func (r *recovery) look() error {
	if err := r.list(); err != nil {
		return err
	}
	if err := r.snapshots(); err != nil {
		return err
	}
	return r.headers()
}

// beginRun makes the new run durable: its first block carries it.
func (l *Log) beginRun(last uint32) error {
	if last >= maxRun {
		return &OpenError{l.o.Dir, "begin a run", fmt.Errorf("run %d is the last one", last)}
	}
	l.run = uint64(last) + 1
	l.number = l.run<<counterBits | 1
	l.retry = true
	err := l.Commit()
	if err != nil && l.active == nil {
		err = l.Commit() // the segment that was continued is bad: once more, in a new one
	}
	if err != nil {
		return &OpenError{l.o.Dir, "write", err}
	}
	return nil
}

func (l *Log) tellRecovery() {
	r := &l.recovery
	if r.Torn {
		l.log.Info("the last commit was not whole and was cut", "bytes", r.TornBytes)
	}
	for _, x := range r.Lost {
		l.log.Warn("stored records are missing", "records", x.Records, "above", x.Above, "below", x.Below, "file", x.File)
	}
	if r.BadSnapshots > 0 {
		l.log.Warn("snapshots of the keyed state are damaged; what is not in the log since is lost", "snapshots", r.BadSnapshots, "kept", len(l.snapshots))
	}
	if r.KeysLost {
		l.log.Warn("damage took a part of the keyed state: some of it may be as it was before")
	}
	if r.Orphans > 0 {
		l.log.Warn("the names of consumers are lost", "consumers", r.Orphans)
	}
	l.say()
}

// recovery is what Open works with.
type recovery struct {
	l            *Log
	files        []FileInfo
	scan         scanner
	run          uint32            // highest seen
	state        map[string]string // what the log keeps for itself, as stored
	badSnapshots []string          // to be set aside
	oldSnapshots []string          // to be removed
	unsound      []string          // segments without a sound header, to be set aside
	needed       []bool            // segments whose records must be read one by one
	tornBytes    int64
	version      uint32 // highest format version seen
	holder       int    // the segment whose state of the log itself counts, -1 for none

	// Only for looking at a directory that nobody is kept from changing.
	full      bool                       // read every block, in spite of summaries
	summaries map[*segment]*segment      // then: what the summaries say
	watch     func(s *segment, b *block) // then: is told of every block
	gone      map[uint64]uint64          // records of segments that were freed meanwhile, by sequence
	sizes     map[uint64]int64           // what headers say of the size of each segment
	between   []Loss                     // found between segments, not in one
	noKeys    []Loss                     // segments that are missing and may have held keys: the file is the one behind
}

func (r *recovery) close() { r.scan = scanner{} }

// list reads the directory.
func (r *recovery) list() (err error) {
	if r.files, err = r.l.fs.ReadDir(); err != nil {
		return &OpenError{r.l.o.Dir, "list", err}
	}
	for _, f := range r.files {
		if !ours(f.Name) {
			continue
		}
		r.l.addFile(f.Name, f.Size)
		r.l.recovery.Repaired = r.l.recovery.Repaired || f.Name == repairedName
		if seq, ok := segmentOf(f.Name); ok {
			r.l.c.seq = max(r.l.c.seq, seq+1)
		}
		for _, prefix := range []string{sparePrefix, newPrefix} {
			if hex, ok := strings.CutPrefix(f.Name, prefix); ok {
				if n, err := strconv.ParseUint(hex, 16, 64); err == nil {
					r.l.c.spare = max(r.l.c.spare, n+1)
				}
			}
		}
	}
	r.l.c.seq = max(r.l.c.seq, 1)
	return nil
}

// ours reports whether a file belongs to the log. Others are neither counted
// nor touched.
func ours(name string) bool {
	return strings.HasSuffix(name, segmentSuffix) || strings.HasSuffix(name, badSuffix) ||
		strings.HasSuffix(name, snapshotSuffix) || strings.HasPrefix(name, sparePrefix) || strings.HasPrefix(name, newPrefix) ||
		name == lockName || name == repairedName
}

// headers reads the headers of all segments before anything is changed.
func (r *recovery) headers() error {
	l := r.l
	for _, f := range r.files {
		if _, ok := segmentOf(f.Name); !ok {
			continue
		}
		h, ok, err := r.header(f)
		if err != nil {
			if errors.Is(err, ErrNewer) {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
			return &OpenError{l.o.Dir, "read " + f.Name, err}
		}
		if !ok || l.bySeq(h.seq) != nil {
			r.unsound = append(r.unsound, f.Name)
			l.recovery.KeysLost = l.recovery.KeysLost || !ok
			continue
		}
		s := &segment{segmentHeader: h, name: f.Name, end: dataStart, sealed: true}
		if r.sizes != nil {
			r.sizes[h.seq] = h.size
		}
		s.size = min(h.size, f.Size&^(page-1))
		s.damaged = s.size != h.size
		l.insert(s)
		r.run = max(r.run, h.run)
		l.c.seq = max(l.c.seq, h.seq+1)
	}
	return nil
}

func (r *recovery) header(f FileInfo) (h segmentHeader, ok bool, err error) {
	file, err := r.l.fs.Open(f.Name, false)
	if err != nil {
		return h, false, err
	}
	defer file.Close()
	var p [2][page]byte
	var found [2]segmentHeader
	var sound [2]bool
	for i := range p {
		file.ReadAt(p[i][:], int64(i)*page) // what cannot be read is no sound header
		if found[i], sound[i], err = decodeSegmentHeader(p[i][:]); err != nil {
			return h, false, err
		}
		if sound[i] {
			r.version = max(r.version, le.Uint32(p[i][8:]))
		}
	}
	// Both sound and not the same: the file was being made into another
	// segment. The later one is meant.
	if sound[0] && (!sound[1] || found[0].seq >= found[1].seq) {
		return found[0], true, nil
	}
	return found[1], sound[1], nil
}

func (l *Log) bySeq(seq uint64) *segment {
	for _, s := range l.segments {
		if s.seq == seq {
			return s
		}
	}
	return nil
}

func (l *Log) insert(s *segment) {
	i := len(l.segments)
	for i > 0 && l.segments[i-1].seq > s.seq {
		i--
	}
	l.segments = append(l.segments, nil)
	copy(l.segments[i+1:], l.segments[i:])
	l.segments[i] = s
}

// sweep sets damaged files aside, removes files that were being made, and
// takes the spares.
func (r *recovery) sweep() error {
	l := r.l
	for _, name := range r.unsound {
		l.log.Warn("a segment has no sound header and is set aside", "file", name)
		bad := strings.TrimSuffix(name, segmentSuffix) + badSuffix
		if l.fs.Rename(name, bad) == nil {
			l.moveFile(name, bad)
		}
	}
	for _, name := range r.badSnapshots {
		bad := strings.TrimSuffix(name, snapshotSuffix) + snapshotSuffix[1:] + badSuffix
		if l.fs.Rename(name, bad) == nil {
			l.moveFile(name, bad)
		}
	}
	for _, f := range r.files {
		spare := strings.HasPrefix(f.Name, sparePrefix)
		old := slices.Contains(r.oldSnapshots, f.Name)
		if spare && f.Size == l.o.SegmentSize && (len(l.spares) == 0 || len(l.spares) < l.spareLimit() && l.total <= l.o.MaxSize) {
			l.spares = append(l.spares, f.Name)
			continue
		}
		if !spare && !old && !strings.HasPrefix(f.Name, newPrefix) && !(strings.HasSuffix(f.Name, badSuffix) && l.total > l.o.MaxSize) {
			continue
		}
		if err := l.fs.Remove(f.Name); err != nil {
			return &OpenError{l.o.Dir, "remove " + f.Name, err}
		}
		l.dropFile(f.Name)
	}
	return nil
}

// continueLast makes the last segment the one being written, if it can be.
func (r *recovery) continueLast() error {
	l := r.l
	k := len(l.segments)
	if k == 0 {
		return nil
	}
	s := l.segments[k-1]
	if s.features&featureLike == 0 { // by an earlier version, which would not understand what this one adds
		return nil
	}
	if s.damaged || s.unread || s.doomed || s.size != l.o.SegmentSize || s.end+page > s.size-page {
		return nil
	}
	f, err := l.fs.Open(s.name, true)
	if err != nil {
		return &OpenError{l.o.Dir, "open " + s.name, err}
	}
	s.sealed, s.summed = false, false
	l.active, l.c.file = s, f
	return nil
}
