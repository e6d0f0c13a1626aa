package buffer

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Dest is one destination of a record.
type Dest struct {
	Consumer uint32 // Consumer.ID
	Must     bool   // the record is committed even if it is acknowledged first
	Memory   bool   // the record is not written for it, and lost for it with the process; Must says nothing then
	Drop     bool   // it has no room for the record, by rules of its own: counted as dropped (DropLimit), not stored
	Data     []byte // opaque to the log, at most 64 KiB
}

// Record is what Append takes: body = Head || Payload, copied before Append
// returns. A record that names no living destination is settled at once and
// kept nowhere, unless it must be committed; one that names the same consumer
// twice has that destination once.
type Record struct {
	Boot    uint64 // which boot Since counts from
	Since   int64  // nanoseconds
	Dests   []Dest
	Head    []byte
	Payload []byte

	// Must: it is committed before it is settled, whoever acknowledges it.
	Must bool
	// Keys are put in the very block that holds the record, so that neither
	// can survive without the other. They imply Must. Get and Range see them
	// when the record is durable. A key that is tied to a record here must
	// not be changed in another way before that.
	Keys []KeyValue

	// Refused is set by Append: every destination refused the record by its
	// limits or those of the log. It has a number all the same, which is
	// settled when the counts of what was refused are durable; its keys are
	// not put.
	Refused bool
}

// KeyValue is a key put along with a record.
type KeyValue struct {
	Key   string
	Value []byte
}

// Log is the durable log of one data directory. All methods are safe for
// concurrent use; of each consumer, Next, Rewind and Ack have one user.
type Log struct {
	o   Options
	fs  FS
	log *slog.Logger

	unlock   func() error
	recovery Recovery

	joining atomic.Pointer[round] // next, while it is open to whoever comes

	mu        sync.Mutex // guards what follows, and the fields of consumers that say so; never held during I/O
	cond      *sync.Cond // on mu: a commit ended
	up        bool       // Open is done
	closed    bool
	run       uint64
	number    uint64 // of the next record
	tail      tail
	hungry    bool // an Append took less than it was given
	consumers map[uint32]*Consumer
	names     map[string]*Consumer
	last      uint32 // highest consumer number given out
	buried    []uint32
	keys      map[string][]byte
	keyBytes  int64
	nameBytes int64            // of consumers
	changed   map[string]prior // keys that the next commit writes
	segments  []*segment       // in order; the last one is being written, if active
	active    *segment
	freed     []freedSegment
	freedNew  bool // the list of freed segments changed
	spares    []string
	snapshots []snapshot       // oldest first
	snapping  string           // the file of one that is being written
	notBefore uint64           // the block before which it is not tried again
	files     map[string]int64 // every file of the directory, by size
	total     int64            // of them
	opened    int64            // the same when the log was opened
	given     int64            // bytes given back since the disk was full: the log may take as many again
	barrier   uint64           // the newest number that Barrier gave
	retry     bool             // the last commit failed, or none was made yet
	running   bool             // a commit runs
	round     *round           // the commit that runs, until its outcome is known
	next      *round           // the one after it, if somebody waits for it
	served    int64            // callers of Commit that the last one served
	took      time.Duration    // the last one
	outcome   error            // of the last finished commit
	covered   uint64           // records below are in the running commit
	stats     Stats
	limited   bool // a consumer has limits
	trimming  bool
	loose     int       // stored records acknowledged since the last commit
	making    bool      // a spare is being written
	choring   bool      // Chores runs
	densing   bool      // a segment is being rewritten
	counting  bool      // counts of what was dropped are in a commit that is not durable yet
	noSwap    bool      // the file system cannot exchange names
	refused   []refusal // by the record being appended
	admitted  Record    // what is left of it
	dests     []Dest
	parts     []Dest
	ranges    [][]Range // lent to callers of OnSettled
	reports   []report

	exchange sync.RWMutex // held, before mu, while a segment's file is replaced; by readers while they open one

	poolMu sync.Mutex
	pool   [][]byte // read buffers; guarded by poolMu

	c committer // of the goroutine that runs the commit
}

type freedSegment struct{ seq, records uint64 }

// report is a log line that waits until the lock is free.
type report struct {
	text string
	args []any
}

// settle notes a number as settled in a list lent by the log. l.mu is held.
func (l *Log) settle(done []Range, number uint64) []Range {
	if done == nil {
		if k := len(l.ranges); k > 0 {
			done, l.ranges = l.ranges[k-1][:0], l.ranges[:k-1]
		} else {
			done = make([]Range, 0, 64)
		}
	}
	if k := len(done); k > 0 && done[k-1].Last+1 == number {
		done[k-1].Last = number
		return done
	}
	return append(done, Range{number, number})
}

// roomNow reports, once, that an Append that was refused can be tried again.
// l.mu is held.
func (l *Log) roomNow() bool {
	if !l.hungry || l.tail.owed > 0 && l.tail.overFleeting(1) ||
		l.tail.charged+int64(l.tail.piece)+int64(l.tail.live)*tailRecordSize > l.tail.limit && l.tail.firm() > 0 {
		return false
	}
	l.hungry = false
	return true
}

// tell calls back. l.mu is not held.
func (l *Log) tell(done []Range, room bool) {
	if len(done) > 0 && l.o.OnSettled != nil {
		l.o.OnSettled(done)
	}
	if room && l.o.OnRoom != nil {
		l.o.OnRoom()
	}
	if cap(done) > 0 {
		l.mu.Lock()
		if len(l.ranges) < 8 && cap(done) <= 4096 {
			l.ranges = append(l.ranges, done)
		}
		l.mu.Unlock()
	}
}

// say emits log lines that were noted under the lock.
func (l *Log) say() {
	l.mu.Lock()
	rs := l.reports
	l.reports = nil
	l.mu.Unlock()
	for _, r := range rs {
		l.log.Warn(r.text, r.args...)
	}
}

func (l *Log) note(text string, args ...any) {
	if len(l.reports) < 64 {
		l.reports = append(l.reports, report{text, args})
	}
}

// Unsettled is what the tail holds: records that are neither durable nor
// acknowledged by all (those in a running commit included), and their bytes.
// Those that are kept in memory only are not among them.
func (l *Log) Unsettled() (records int, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tail.unsettled()
}

// Loose is how many stored records were acknowledged since the last commit:
// after a crash they would be given again.
func (l *Log) Loose() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.loose
}

// PositionsDirty reports whether anything but records waits for a commit:
// acknowledgements of stored records, marks, keys.
func (l *Log) PositionsDirty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stateDirty()
}

func (l *Log) stateDirty() bool {
	if l.retry || l.freedNew || len(l.changed) > 0 || len(l.buried) > 0 {
		return true
	}
	for _, c := range l.consumers {
		if c.fresh || c.dirty || c.marked || c.counted {
			return true
		}
	}
	return false
}

// Close commits what is unsettled and closes the log. What is kept in memory
// only is given up, counted. Appends and readers get
// ErrClosed from then on. The error is that of the last commit; the directory
// is released in any case.
func (l *Log) Close() error {
	l.discardFleeting()
	err := l.Commit()
	l.mu.Lock()
	for l.running || l.making || l.choring {
		l.cond.Wait()
	}
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.closed = true
	for _, c := range l.consumers {
		c.signal()
	}
	l.mu.Unlock()
	l.Consumers(func(c *Consumer) bool {
		c.read.Lock()
		c.leave()
		c.read.Unlock()
		return true
	})
	if l.c.file != nil {
		err = errors.Join(err, l.c.file.Close())
		l.c.file = nil
	}
	return errors.Join(err, l.unlock())
}
