package buffer

import "time"

// Stats is a snapshot of the log. Counters count from Open, unless said
// otherwise.
type Stats struct {
	Run      uint32
	Segments int
	Spares   int
	Bytes    int64 // of all files of the directory
	MaxSize  int64
	Full     bool // the file system has no room to grow; the log recycles its own segments

	Unsettled      int   // records in memory that are to be written or acknowledged
	UnsettledBytes int64 // of them
	InMemory       int   // records for destinations in memory only: they are never written
	InMemoryBytes  int64 // of them
	TailBytes      int64 // memory of the tail in use

	Appended  uint64 // records taken
	Stored    uint64 // records written and synced
	Spared    uint64 // records settled by acknowledgement
	Commits   uint64 // parts written; one for each commit but very large ones
	Rewritten uint64 // segments that were made smaller
	Snapshots uint64 // of the keyed state, written
	Syncs     uint64 // fdatasync calls on files of the log
	Written   int64  // bytes given to the file system, headers, padding and spares included
	Padding   int64  // of them: bytes that filled the last page of a block
	Prepared  int64  // of Written, what only made room: spares, written once so that commits into them are cheap
	Rewriting int64  // of Written, what made segments smaller
	Saved     int64  // bytes that compression, and what records have in common, kept from being written, in whole pages
	Failed    uint64 // commits that failed
	Freed     uint64 // segments that were freed
	Dropped   uint64 // records times consumers, given up
	Lost      uint64 // records times consumers, lost to damage found while reading
	Damaged   uint64 // places that could not be read, found while reading

	Consumers []ConsumerStats // by number
}

// ConsumerStats is what waits for one consumer, and what it lost.
type ConsumerStats struct {
	ID      uint32
	Name    string
	Backlog Backlog
	Drops   [dropReasons]uint64 // by DropReason, since the consumer was made
}

// Stats gives the counters. It walks the consumers, and is meant for a status
// page, not for every message.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	s := l.stats
	s.Run, s.Segments, s.Spares = uint32(l.run), len(l.segments), len(l.spares)
	s.Bytes, s.MaxSize = l.total, l.o.MaxSize
	s.Unsettled, s.UnsettledBytes = l.tail.unsettled()
	s.InMemory, s.InMemoryBytes, s.TailBytes = l.tail.fleeting.len(), l.tail.fleetingBytes, l.tail.charged
	l.mu.Unlock()
	l.Consumers(func(c *Consumer) bool {
		b := c.Backlog()
		l.mu.Lock()
		s.Consumers = append(s.Consumers, ConsumerStats{ID: c.id, Name: c.name, Backlog: b, Drops: c.drops})
		l.mu.Unlock()
		return true
	})
	return s
}

// Padding is Stats().Padding without its walk over the consumers.
func (l *Log) Padding() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats.Padding
}

// Recovery is what Open found.
type Recovery struct {
	Run          uint32 // of this opening
	Segments     int
	Scanned      int    // segments read in full
	Records      uint64 // stored records found, acknowledged ones of live segments included
	Torn         bool   // the last commit was not whole, and was cut; nothing of it was acknowledged unless the disk is damaged
	TornBytes    int64
	Lost         []Loss // damage
	BadSnapshots int    // of the keyed state, damaged and set aside
	KeysLost     bool   // damage took a block that may have changed keys: some are as they were before it
	Repaired     bool   // Repair has begun to change it since AcceptRepair: what it lost is not told above any more
	Orphans      int    // consumers whose name was lost; they are called orphan-NUMBER
	Took         time.Duration
}

// Loss is a gap in the log that no policy made.
type Loss struct {
	Records uint64 // exactly this many stored records are missing
	Above   uint64 // their numbers are above this one
	Below   uint64 // and below this one
	File    string // the first segment behind the gap, or the one it is in
}

// LostRecords is the sum over all gaps.
func (r *Recovery) LostRecords() (n uint64) {
	for _, x := range r.Lost {
		n += x.Records
	}
	return n
}

// Recovery says what Open found. It does not change afterwards.
func (l *Log) Recovery() Recovery { return l.recovery }
