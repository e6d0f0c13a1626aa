package buffer

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// ErrMoving: the directory changed so quickly that no moment of it could be
// read whole. Trying again helps.
var ErrMoving = errors.New("buffer: the data directory changes faster than it can be read")

const lookTries = 20 // of a moment at which no file goes away while it is read

// View is what a start would find in a data directory, without its lock and
// without anything being changed. What a running log holds only in memory is
// not in it. Its methods are for one goroutine at a time.
type View struct {
	Format    uint32         // the highest format version among the segments, 0 if there is none
	Files     []FileInfo     // every file of the log
	Bytes     int64          // of all of them
	Spares    int            // files that wait to become a segment
	SetAside  []FileInfo     // damaged files that were set aside
	Unsound   []string       // segments without a sound header
	Segments  []SegmentView  // in order
	Snapshots []SnapshotView // of the keys, oldest first
	Consumers []ConsumerStats
	Keys      int   // that were put
	KeyBytes  int64 // of them
	Recovery  Recovery
	l         *Log
	r         *recovery
}

// SegmentView is one segment.
type SegmentView struct {
	Name        string
	Sequence    uint64
	Size        int64
	First, Last uint64 // record numbers; 0 if it holds none
	Records     uint64
	Bytes       int64  // of the records
	Open        uint64 // records times consumers that wait or are set aside
	Done        uint64 // records times consumers that were acknowledged or dropped
	State       SegmentState
}

// SegmentState says what is the matter with a segment.
type SegmentState uint8

const (
	SegmentSealed  SegmentState = iota // nothing is added any more
	SegmentActive                      // the last one, which is written or will be
	SegmentFreed                       // given up: the file goes with the next start at the latest
	SegmentDamaged                     // something of it cannot be read
)

// String is one word for a listing.
func (s SegmentState) String() string {
	switch s {
	case SegmentSealed:
		return "sealed"
	case SegmentActive:
		return "active"
	case SegmentFreed:
		return "freed"
	case SegmentDamaged:
		return "damaged"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// SnapshotView is one snapshot of the keys.
type SnapshotView struct {
	Name    string
	Size    int64
	Covers  uint64 // the block up to which it has their changes
	Damaged bool   // found to be, while looking for the newest that is whole
}

// Inspect looks into a data directory, whether or not a log is open on it. It
// opens files for reading only. Errors: one that is fs.ErrNotExist when there
// is no such directory, one that is ErrNewer, ErrMoving, an *OpenError when it
// cannot be read. Damage is no error.
func Inspect(fsys FS) (*View, error) {
	r, err := inspect(fsys, false, nil)
	if err != nil {
		return nil, err
	}
	return r.view(), nil
}

// dirOf is the path of a directory, for messages.
func dirOf(fsys FS) string {
	if o, ok := fsys.(*osFS); ok {
		return o.dir
	}
	return "the data directory"
}

// errMoved: something went away at a moment at which it was needed.
var errMoved = errors.New("moved")

// inspect reads the directory as a start does, again and again until nothing
// that counts went away meanwhile. begin is called before each try.
func inspect(fsys FS, full bool, begin func(r *recovery)) (*recovery, error) {
	dir := dirOf(fsys)
	if _, err := fsys.ReadDir(); err != nil {
		return nil, &OpenError{dir, "list", err}
	}
	for try := range lookTries {
		o, err := Options{Dir: dir, FS: readOnly{fsys}, MaxSize: 1 << 40, SegmentSize: maxSegment}.checked()
		if err != nil {
			return nil, err
		}
		r := &recovery{l: empty(o), full: full, summaries: map[*segment]*segment{}, gone: map[uint64]uint64{}, sizes: map[uint64]int64{}}
		if begin != nil {
			begin(r)
		}
		if err := r.lookOn(full || try >= lookTries/2); !errors.Is(err, errMoved) {
			return r, err
		}
	}
	return nil, ErrMoving
}

// lookOn is what Open does, less all that changes something. With without,
// segments that were freed meanwhile are left out, rather than being a reason to
// begin again: then those that wait may be counted as of a moment later than
// those that were dropped.
func (r *recovery) lookOn(without bool) error {
	if err := r.look(); err != nil {
		if errors.Is(err, fs.ErrNotExist) { // it was there when the directory was listed
			return errMoved
		}
		return err
	}
	r.extents()
	r.keyed()
	r.records()
	gone, err := r.moved()
	if err != nil {
		return err
	}
	for _, s := range gone {
		if !without || !r.without(s) {
			return errMoved
		}
	}
	r.l.recovery.Segments = len(r.l.segments)
	within := len(r.l.recovery.Lost)
	r.gaps()
	r.between = r.l.recovery.Lost[within:]
	for _, x := range r.noKeys {
		if !slices.ContainsFunc(r.between, func(y Loss) bool { return y.File == x.File }) {
			r.between = append(r.between[:len(r.between):len(r.between)], x)
		}
	}
	r.positions()
	if r.full {
		return nil // how far the consumers are is not asked then
	}
	if gone, err = r.moved(); err == nil && len(gone) > 0 {
		return errMoved
	}
	return err
}

// moved lists the segments that are gone, or other files, by now. A segment
// that has come among those that were read was missed, and one that was rewritten
// before its header was read is younger than the list: errMoved, with those that
// are gone all the same.
func (r *recovery) moved() (gone []*segment, err error) {
	files, err := r.l.fs.ReadDir()
	if err != nil {
		return nil, &OpenError{r.l.o.Dir, "list", err}
	}
	listed := map[string]int64{}
	for _, f := range r.files {
		listed[f.Name] = f.Size
	}
	there := map[string]FileInfo{}
	for _, f := range files {
		seq, ok := segmentOf(f.Name)
		if k := len(r.l.segments); ok && k > 0 && seq < r.l.segments[k-1].seq && !slices.ContainsFunc(r.files, func(o FileInfo) bool { return o.Name == f.Name }) {
			return nil, errMoved
		}
		there[f.Name] = f
	}
	for _, s := range r.l.segments {
		f, ok := there[s.name]
		if ok && r.still(s, f) {
			if f.Size != listed[s.name] { // rewritten before its header was read: what the others were then is not known
				err = errMoved
			}
			continue
		}
		if ok && !r.full {
			return nil, errMoved // it was rewritten, and holds what somebody waits for
		}
		gone = append(gone, s)
	}
	for _, name := range r.unsound { // its header may have been read while it was made into another's
		f, ok := there[name]
		if h, sound, failed := r.header(f); !ok || failed == nil && sound && r.l.bySeq(h.seq) == nil {
			err = errMoved
		}
	}
	return gone, err
}

// still reports whether a file is the segment that was read.
func (r *recovery) still(s *segment, f FileInfo) bool {
	h, ok, err := r.header(f)
	return err == nil && ok && h.seq == s.seq && h.incarnation == s.incarnation && h.salt == s.salt
}

// without takes out a segment that was freed while it was read, with what was
// found in it. It is false if more than its records may be missing then.
func (r *recovery) without(s *segment) bool {
	l := r.l
	i := slices.Index(l.segments, s)
	if i == len(l.segments)-1 || i >= r.holder || !s.summed || s.keyed > l.inSnapshot() {
		return false
	}
	r.holder--
	r.gone[s.seq] = l.segments[i+1].written - s.written
	l.segments = slices.Delete(l.segments, i, i+1)
	l.dropFile(s.name)
	l.recovery.Records -= s.records
	l.recovery.Lost = slices.DeleteFunc(l.recovery.Lost, func(x Loss) bool { return x.File == s.name })
	return true
}

// view tells what was found.
func (r *recovery) view() *View {
	l := r.l
	v := &View{Format: r.version, Bytes: l.total, Unsound: r.unsound, Keys: len(l.keys), KeyBytes: l.keyBytes, Recovery: l.recovery, l: l, r: r}
	for _, f := range r.files {
		if _, ok := l.files[f.Name]; !ok {
			continue
		}
		v.Files = append(v.Files, f)
		covers, isSnapshot := coversOf(f.Name)
		switch {
		case isSnapshot:
			v.Snapshots = append(v.Snapshots, SnapshotView{f.Name, f.Size, covers, slices.Contains(r.badSnapshots, f.Name)})
		case strings.HasPrefix(f.Name, sparePrefix):
			v.Spares++
		case strings.HasSuffix(f.Name, badSuffix):
			v.SetAside = append(v.SetAside, f)
		}
	}
	slices.SortFunc(v.Snapshots, func(a, b SnapshotView) int { return strings.Compare(a.Name, b.Name) })
	for i, s := range l.segments {
		v.Segments = append(v.Segments, s.view(l.files[s.name], i == len(l.segments)-1))
	}
	l.Consumers(func(c *Consumer) bool {
		v.Consumers = append(v.Consumers, ConsumerStats{ID: c.id, Name: c.name, Backlog: c.Backlog(), Drops: c.drops})
		return true
	})
	return v
}

func (s *segment) view(size int64, last bool) SegmentView {
	v := SegmentView{Name: s.name, Sequence: s.seq, Size: size, First: s.first, Last: s.last, Records: s.records, Bytes: s.bytes, Open: s.open}
	for i := range s.shares {
		v.Done += s.shares[i].done
	}
	switch {
	case s.damaged || s.unread:
		v.State = SegmentDamaged
	case s.doomed:
		v.State = SegmentFreed
	case last:
		v.State = SegmentActive
	}
	return v
}

// Range calls f for the keys that begin with prefix, as of the last commit that
// was found, in order, until f says false.
func (v *View) Range(prefix string, f func(key string, value []byte) bool) { v.l.Range(prefix, f) }

// readOnly is a file system that cannot be changed.
type readOnly struct{ FS }

var errReadOnly = fmt.Errorf("buffer: looked at only: %w", fs.ErrPermission)

func (readOnly) MakeDir() error                         { return errReadOnly }
func (readOnly) Lock() (unlock func() error, err error) { return nil, errReadOnly }
func (readOnly) Create(string) (File, error)            { return nil, errReadOnly }
func (readOnly) Rename(from, to string) error           { return errReadOnly }
func (readOnly) Exchange(a, b string) error             { return errReadOnly }
func (readOnly) Remove(string) error                    { return errReadOnly }
func (readOnly) SyncDir() error                         { return errReadOnly }

func (r readOnly) Open(name string, write bool) (File, error) {
	if write {
		return nil, errReadOnly
	}
	return r.FS.Open(name, false)
}
