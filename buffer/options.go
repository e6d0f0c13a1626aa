package buffer

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Range is a run of record numbers, both ends included.
type Range struct{ First, Last uint64 }

// Options says where the log lives and how much room it may take. The zero
// value of every field but Dir is usable.
type Options struct {
	// Dir is the data directory. It is made if it does not exist. Nothing
	// else should live in it; files of other names are left alone.
	Dir string
	// FS does the file operations; nil means the operating system.
	FS FS
	// SegmentSize is the size of each file in bytes, a multiple of 4096,
	// 64 KiB to 1 GiB; 0 means 4 MiB. Segments of another size that are
	// already there are read, and not recycled.
	SegmentSize int64
	// MaxSize caps the bytes of all files of the directory together; 0 means
	// 1 GiB. It is at least three segments and a page, and at most as many
	// segments as a segment has 16-byte pieces (at 4 MiB: a tebibyte).
	MaxSize int64
	// MaxKeys caps the bytes of keys and values together; 0 means a sixteenth
	// of MaxSize. Snapshots of them take up to three times as much, of MaxSize.
	MaxKeys int64
	// Newest makes a log that has reached MaxSize, or a disk that has no more
	// than MinFree left, refuse new records instead of giving up the oldest.
	Newest bool
	// Age tells how old a record is, by its boot and time; known is false if
	// nobody can say. Without it no record is too old.
	Age func(boot uint64, since int64) (age time.Duration, known bool)
	// MinFree is how many bytes of the file system must stay free for the log
	// to grow; 0 means no minimum.
	MinFree int64
	// TailSize caps the memory that holds records not yet settled; 0 means
	// 8 MiB; at least 64 KiB.
	TailSize int64
	// Compress stores blocks compressed where that saves a page of the disk,
	// in segments begun while it is set. Compressed blocks are always read.
	Compress bool
	// Log takes the few lines an operator acts on; nil discards them.
	Log *slog.Logger
	// OnSettled is told of records that are now settled: disjoint ranges,
	// valid during the call. It is called without locks held from inside
	// Append, Commit, Ack and RemoveConsumer, by several goroutines at once
	// if several call those.
	OnSettled func([]Range)
	// OnChores is called, as OnSettled is, and at the end of Open, when Chores
	// has something to do, which takes as long as writing or reading a segment. It must neither call
	// nor wait for it. Without OnChores a commit does so before the next can
	// begin; with it, what a commit finds that it cannot do without (a spare
	// segment) it sees to itself.
	OnChores func()
	// OnRoom is called when the tail has room again after an Append took
	// less than it was given.
	OnRoom func()
}

// Errors that callers test for with errors.Is.
var (
	// ErrInUse: another process holds the directory; an *InUseError says which.
	ErrInUse = errors.New("buffer: data directory in use")
	// ErrNewer: the directory was written by a newer format; nothing was touched.
	ErrNewer = errors.New("buffer: store of a newer format")
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("buffer: log closed")
	// ErrTooLarge: a record, key or value is beyond its limit.
	ErrTooLarge = errors.New("buffer: too large")
	// ErrUnknownConsumer: a destination names no consumer of this log.
	ErrUnknownConsumer = errors.New("buffer: no such consumer")
	// ErrRemoved: the consumer was removed.
	ErrRemoved = errors.New("buffer: consumer removed")
	// ErrOptions: an option is out of its range; the text says which.
	ErrOptions = errors.New("buffer: bad option")
)

// InUseError says which process holds the directory. It is ErrInUse.
type InUseError struct {
	Dir string
	PID int // 0 when the holder did not say
}

// Error names the directory and the process.
func (e *InUseError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("buffer: data directory %s is in use by another process", e.Dir)
	}
	return fmt.Sprintf("buffer: data directory %s is in use by process %d", e.Dir, e.PID)
}

// Is reports whether target is ErrInUse.
func (e *InUseError) Is(target error) bool { return target == ErrInUse }

// OpenError says why the directory could not be opened for writing: read-only,
// full, no permission, I/O error. Nothing is wrong with the stored data as far
// as was seen; a gateway may go on without the log and try again later.
type OpenError struct {
	Dir string
	Op  string // what was being done
	Err error
}

// Error says what was being done where, and what went wrong.
func (e *OpenError) Error() string {
	return fmt.Sprintf("buffer: open %s: %s: %v", e.Dir, e.Op, e.Err)
}

// Unwrap gives the cause, such as fs.ErrPermission or syscall.ENOSPC.
func (e *OpenError) Unwrap() error { return e.Err }

const (
	minSegment     = 64 << 10
	maxSegment     = 1 << 30
	minTail        = 64 << 10
	maxTail        = 1 << 30
	defaultSegment = 4 << 20
	defaultMax     = 1 << 30
	defaultTail    = 8 << 20
)

// Cap is the MaxSize that Open would take, in bytes.
func (o Options) Cap() int64 {
	if o.SegmentSize == 0 {
		o.SegmentSize = defaultSegment
	}
	if o.MaxSize == 0 {
		o.MaxSize = min(defaultMax, o.SegmentSize*(o.SegmentSize/16))
	}
	return o.MaxSize
}

// checked fills in what is not set and refuses what cannot work.
func (o Options) checked() (Options, error) {
	for _, d := range []struct {
		value *int64
		usual int64
	}{{&o.SegmentSize, defaultSegment}, {&o.TailSize, defaultTail}} {
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	o.MaxSize = o.Cap()
	if o.MaxKeys == 0 {
		o.MaxKeys = max(0, min(o.MaxSize/16, (o.MaxSize-3*o.SegmentSize)/4))
	}
	switch {
	case o.Dir == "" && o.FS == nil:
		return o, fmt.Errorf("%w: no directory", ErrOptions)
	case o.SegmentSize < minSegment || o.SegmentSize > maxSegment || o.SegmentSize%page != 0:
		return o, fmt.Errorf("%w: segment size %d, want a multiple of %d from %d to %d", ErrOptions, o.SegmentSize, page, minSegment, maxSegment)
	case o.TailSize < minTail || o.TailSize > maxTail:
		return o, fmt.Errorf("%w: tail size %d, want %d to %d", ErrOptions, o.TailSize, minTail, maxTail)
	case o.MaxSize < 4*o.SegmentSize:
		return o, fmt.Errorf("%w: max size %d, want at least %d: three segments of %d bytes (one being written, one before it, one spare), and as much for the keyed state", ErrOptions, o.MaxSize, 4*o.SegmentSize, o.SegmentSize)
	case o.MaxSize/o.SegmentSize > o.SegmentSize/16:
		return o, fmt.Errorf("%w: max size %d is more than %d segments of %d bytes, want larger segments", ErrOptions, o.MaxSize, o.SegmentSize/16, o.SegmentSize)
	case o.MaxKeys < 0 || 3*(o.MaxKeys+o.MaxKeys/8) > o.MaxSize-3*o.SegmentSize:
		return o, fmt.Errorf("%w: max keys %d, want at most %d with a max size of %d", ErrOptions, o.MaxKeys, (o.MaxSize-3*o.SegmentSize)/4, o.MaxSize)
	case o.MinFree < 0:
		return o, fmt.Errorf("%w: min free %d, want 0 or more", ErrOptions, o.MinFree)
	}
	if o.FS == nil {
		o.FS = DirFS(o.Dir)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// features are those of the segments that are begun.
func (o *Options) features() uint64 {
	if o.Compress {
		return featurePacked | featureLike
	}
	return featureLike
}
