package journal

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"weir/bridge"
	"weir/broker/message"
	"weir/broker/packet"
	"weir/buffer"
)

// Source reads the records of one upstream for its bridge. It implements bridge.Source. Next, Ack, Refuse,
// Rewind and Live are for one goroutine at a time.
type Source struct {
	j        *Journal
	c        *buffer.Consumer
	entries  []buffer.Entry
	ranges   []buffer.Range
	dead     *dead
	draining bool // the link came up with a backlog, whose end has not been reached

	durable    chan struct{} // capacity 1: a barrier that was awaited is durable
	generation atomic.Uint32 // of the session's token
	mu         sync.Mutex    // guards the field below
	awaited    []uint64      // barriers that are not durable yet, a few
}

// Source makes the consumer of an upstream, named for it, if it does not exist yet.
func (j *Journal) Source(upstream string) (*Source, error) {
	c, err := j.log.Consumer("bridge/" + upstream)
	if err != nil {
		return nil, err
	}
	s := &Source{j: j, c: c, durable: make(chan struct{}, 1)}
	generation, _ := s.token()
	s.generation.Store(generation)
	if s.dead, err = j.dead(upstream, c); err != nil {
		return nil, err
	}
	j.sources.Store(upstream, s)
	if err := s.dead.reclaim(); err != nil {
		return nil, err
	}
	return s, nil
}

// SetLimits bounds what may wait for this upstream.
func (s *Source) SetLimits(x buffer.Limits) { s.c.SetLimits(x) }

// ID is the number by which records name this upstream.
func (s *Source) ID() uint32 { return s.c.ID() }

// Next fills dst with records in order, as many as there are, and does not block. They are valid until the next call of
// Next or Rewind.
func (s *Source) Next(dst []bridge.Record) (int, error) {
	if cap(s.entries) < len(dst) {
		s.entries = make([]buffer.Entry, len(dst))
	}
	for {
		got, err := s.c.Next(s.entries[:len(dst)])
		n := 0
		for i := range s.entries[:got] {
			if s.decode(&s.entries[i], &dst[n]) {
				n++
			}
		}
		if n > 0 || got == 0 || err != nil {
			return n, err
		}
	}
}

// decode reads one record. One that cannot be read is set aside: sound on disk, but not ours to understand.
func (s *Source) decode(e *buffer.Entry, r *bridge.Record) bool {
	err := errNoRule
	if len(e.Data) >= 4 {
		err = r.Message.Decode(e.Body)
	}
	if err != nil {
		s.c.SetAside(e.Number)
		s.j.cfg.Log.Warn("stored message cannot be read, set aside", "record", e.Number, "err", err)
		return false
	}
	r.Number, r.Rule = e.Number, binary.LittleEndian.Uint32(e.Data)
	r.Message.Stamp.Boot, r.Message.Stamp.Since = e.Boot, time.Duration(e.Since)
	return true
}

var errNoRule = errors.New("its destination names no rule")

// Ready is signalled when Next may have more.
func (s *Source) Ready() <-chan struct{} { return s.c.Ready() }

// Ack says that the upstream has the records.
func (s *Source) Ack(ranges []bridge.Range) {
	if len(ranges) == 0 {
		return
	}
	s.ranges = s.ranges[:0]
	var last uint64
	for _, r := range ranges {
		s.ranges = append(s.ranges, buffer.Range(r))
		last = max(last, r.Last)
	}
	s.c.Ack(s.ranges)
	now := s.j.cfg.Now()
	s.j.mu.Lock()
	s.j.pace.acked(s.c.ID(), last, now)
	s.j.mu.Unlock()
	s.positions(now)
}

// positions asks for a commit of changed positions: soon when a backlog is drained, otherwise lazily.
func (s *Source) positions(now time.Time) {
	if !s.j.log.PositionsDirty() {
		return
	}
	drained := s.draining && s.c.Backlog().Records == 0
	s.draining = s.draining && !drained
	loose := s.j.log.Loose()
	s.j.mu.Lock()
	s.j.pace.positionsChanged(drained, loose, now)
	s.j.hurry()
	s.j.mu.Unlock()
}

// Refuse moves a record that the upstream does not take to the dead letters; later records pass it. Until that is committed it
// is set aside.
func (s *Source) Refuse(number uint64, why packet.Reason, at message.Stamp) {
	s.c.SetAside(number)
	now := s.j.cfg.Now()
	s.j.mu.Lock()
	s.j.pace.appended(mark{first: number, last: number, at: now}, mustWrite, false)
	s.j.pace.acked(s.c.ID(), number, now)
	s.j.hurry()
	s.j.mu.Unlock()
	s.j.cfg.Log.Warn("message refused by the upstream, moved to the dead letters", "record", number, "reason", why.String())
	s.dead.take(number, why, at)
}

// Rewind lets Next begin again at the first record that is not acknowledged.
func (s *Source) Rewind() { s.c.Rewind() }

// Live says whether the link can take records now.
func (s *Source) Live(up bool) {
	backlog := s.c.Backlog().Records > 0
	s.draining = up && backlog
	s.j.mu.Lock()
	s.j.pace.setUp(s.c.ID(), up, backlog, s.j.cfg.Now())
	s.j.hurry()
	s.j.mu.Unlock()
}

// Backlog is what waits for this upstream.
func (s *Source) Backlog() bridge.Backlog {
	b := s.c.Backlog()
	out := bridge.Backlog{
		Records: b.Records, Bytes: b.Bytes, Aside: b.Aside, Dropped: b.Dropped,
		OldestBoot: b.OldestBoot, OldestSince: time.Duration(b.OldestSince),
	}
	s.dead.backlog(&out)
	return out
}
