package journal

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"weir/broker"
	"weir/buffer"
)

// scratch holds what one Append builds, reused from call to call.
type scratch struct {
	records []buffer.Record
	dests   []buffer.Dest
	bytes   []byte
	levels  []urgency
}

// Append takes the messages of one read batch, in order, and returns the number of the first; the others follow it.
// n less than len(batch) means that the tail is full: Notify is called when there is room again.
func (j *Journal) Append(batch []broker.Entry) (first uint64, n int) {
	now := j.cfg.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	records := j.build(batch)
	first, n, err := j.log.Append(records)
	if errors.Is(err, buffer.ErrTooLarge) {
		first, n, err = j.appendEach(records)
	}
	if n < len(batch) && err == nil { // whatever the tail holds can go to disk
		j.pace.full(now)
		j.hurry()
	}
	if err != nil || n == 0 {
		return 0, 0
	}
	if !j.started { // the run's first number
		j.started = true
		j.settled.start(first)
	}
	for i := range batch[:n] {
		batch[i].Refused = records[i].Refused
	}
	j.note(batch[:n], first, now)
	j.hurry()
	return first, n
}

// hurry wakes Run if something is due before the time that it knows of. The caller holds mu.
func (j *Journal) hurry() {
	if due := sooner(j.pace.due(), j.pace.pubs.due); !due.IsZero() && (j.known.IsZero() || due.Before(j.known)) {
		j.known = due
		poke(j.wake)
	}
}

// appendEach appends records one by one, among which are some that the log can never take: those are dropped, each
// leaving its number behind, so that its publisher does not send it again for ever. The caller holds mu.
func (j *Journal) appendEach(records []buffer.Record) (first uint64, n int, err error) {
	for i := range records {
		number, taken, err := j.log.Append(records[i : i+1])
		if errors.Is(err, buffer.ErrTooLarge) {
			number, taken, err = j.appendLess(&records[i], err)
		}
		if i == 0 {
			first = number
		}
		if err != nil || taken == 0 {
			return first, i, err
		}
	}
	return first, len(records), nil
}

// appendLess appends what can be taken of a record that is too large: without its keys if it is those that the log has no
// room for, since a message is rather repeated after a crash than lost; else only its number.
func (j *Journal) appendLess(r *buffer.Record, cause error) (number uint64, n int, err error) {
	if len(r.Keys) > 0 {
		r.Keys, r.Must = nil, true
		number, n, err = j.log.Append([]buffer.Record{*r})
		if !errors.Is(err, buffer.ErrTooLarge) {
			j.cfg.Log.Error("the store has no room for a packet id: a message of QoS 2 may be taken twice after a restart", "err", cause)
			return number, n, err
		}
	}
	j.cfg.Log.Error("message dropped: too large for the store; set broker.max_packet below half of buffer.segment and of buffer.tail", "err", cause)
	*r = buffer.Record{}
	return j.log.Append([]buffer.Record{*r})
}

// build turns entries into records whose bytes lie in the scratch or in the entries' messages.
func (j *Journal) build(batch []broker.Entry) []buffer.Record {
	s := &j.scratch
	s.records, s.dests, s.bytes, s.levels = s.records[:0], s.dests[:0], s.bytes[:0], s.levels[:0]
	need := 0
	for i := range batch {
		need += 4*len(batch[i].Routes) + headRoom(&batch[i])
		for k := range batch[i].Sessions {
			need += len(batch[i].Sessions[k].Data)
		}
	}
	if cap(s.bytes) < need { // one size for the whole batch: slices into it must stay where they are
		s.bytes = make([]byte, 0, need)
	}
	for i := range batch {
		s.records = append(s.records, j.record(&batch[i]))
	}
	j.placeDests(batch)
	return s.records
}

// headRoom is a bound on the bytes of the record head of a message.
func headRoom(e *broker.Entry) int {
	m := e.Message
	n := 64 + len(m.Topic) + len(m.Origin)
	p := &m.Props
	n += len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData) + 32
	for _, u := range p.User {
		n += 5 + len(u.Key) + len(u.Value)
	}
	return n
}

func (j *Journal) record(e *broker.Entry) buffer.Record {
	s := &j.scratch
	r := buffer.Record{Boot: e.Message.Stamp.Boot, Since: int64(e.Message.Stamp.Since), Must: e.Must}
	level := memoryOnly
	if e.Must || e.Key != "" {
		level = mustWrite
	}
	if e.Key != "" {
		r.Keys = []buffer.KeyValue{{Key: e.Key}}
	}
	if len(e.Routes)+len(e.Sessions) == 0 { // a reason for a commit: nobody reads it
		s.levels = append(s.levels, level)
		return r
	}
	at := len(s.bytes)
	if head, err := e.Message.AppendHead(s.bytes); err == nil { // the broker lets no message in that has no record form
		s.bytes = head
	}
	headEnd := len(s.bytes)
	for _, hit := range e.Routes {
		d := j.durability[ruleKey{hit.Upstream, hit.Rule}]
		from := len(s.bytes)
		s.bytes = binary.LittleEndian.AppendUint32(s.bytes, hit.Rule)
		must := d.must(e)
		s.dests = append(s.dests, buffer.Dest{Consumer: hit.Upstream, Must: must, Memory: d == MemoryOnly, Data: s.bytes[from:len(s.bytes):len(s.bytes)]})
		level = max(level, j.level(hit.Upstream, d, must))
	}
	for k := range e.Sessions {
		hit := &e.Sessions[k]
		from := len(s.bytes)
		s.bytes = append(s.bytes, hit.Data...)
		must := hit.QoS == 2 || e.Kind == broker.KindQoS2Persistent
		s.dests = append(s.dests, buffer.Dest{Consumer: hit.Queue, Must: must, Drop: hit.Drop, Data: s.bytes[from:len(s.bytes):len(s.bytes)]})
		level = max(level, j.level(hit.Queue, Auto, must))
	}
	s.levels = append(s.levels, level)
	r.Head, r.Payload = s.bytes[at:headEnd:headEnd], e.Message.Payload
	return r
}

// must tells whether the record of a message is to be written however soon it is acknowledged.
func (d Durability) must(e *broker.Entry) bool {
	switch d {
	case DiskAlways:
		return true
	case MemoryOnly:
		return false
	}
	return e.Kind == broker.KindQoS2Persistent || d == AutoAsPublished && e.Message.QoS == 2
}

func (j *Journal) level(upstream uint32, d Durability, must bool) urgency {
	switch {
	case d == MemoryOnly:
		return memoryOnly
	case must:
		return mustWrite
	}
	return j.pace.toward(upstream)
}

// placeDests gives each record its part of the destinations, now that their slice no longer moves.
func (j *Journal) placeDests(batch []broker.Entry) {
	at := 0
	for i := range batch {
		n := len(batch[i].Routes) + len(batch[i].Sessions)
		j.scratch.records[i].Dests = j.scratch.dests[at : at+n : at+n]
		at += n
	}
}

// note tells the pace of records first.. that the log has taken.
func (j *Journal) note(batch []broker.Entry, first uint64, now time.Time) {
	owed, gathered := mark{first: math.MaxUint64, at: now}, uint64(0)
	for i := range batch {
		m := mark{first: first + uint64(i), last: first + uint64(i), at: now}
		if j.scratch.levels[i] == memoryOnly { // nothing was promised: the log has settled it
			continue
		}
		j.pace.appended(m, j.scratch.levels[i], batch[i].Kind == broker.KindLocal)
		if batch[i].Kind != broker.KindQoS0 {
			owed.first, owed.last = min(owed.first, m.first), m.last
			if j.scratch.levels[i] == mustWrite {
				gathered = m.last
			}
		}
		dests := j.scratch.records[i].Dests // of the routes, then of the sessions; none if it was too large
		for k, hit := range batch[i].Routes {
			if k < len(dests) && !dests[k].Memory { // nobody waits for one in memory
				j.pace.handed(hit.Upstream, m)
			}
		}
		for k := range batch[i].Sessions {
			if !batch[i].Sessions[k].Drop {
				j.pace.handed(batch[i].Sessions[k].Queue, m)
			}
		}
	}
	if len(batch) > 0 && batch[0].Publisher != 0 && owed.last != 0 {
		j.pace.pubs.sent(batch[0].Publisher, owed, gathered)
	}
}
