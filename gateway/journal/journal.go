package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math"
	"sync"
	"time"

	"weir/broker"
	"weir/buffer"
)

// Durability says what a forward rule asks of the disk.
type Durability uint8

const (
	Auto            Durability = iota // written when the upstream is down, not answering, or late
	DiskAlways                        // always written before it is acknowledged; rules that send at QoS 2 need it
	MemoryOnly                        // never written; lost with the process
	AutoAsPublished                   // Auto for a rule that sends at the QoS of the publisher: at QoS 2 always written
)

// Config of a journal.
type Config struct {
	Pace   Pace
	Buffer buffer.Options   // OnSettled and OnRoom are set by the journal
	Now    func() time.Time // nil: the system's clock
	Log    *slog.Logger     // nil: nothing is logged
}

// Journal implements broker.Journal and broker.Store over a buffer.Log. Safe for concurrent use.
type Journal struct {
	log     *buffer.Log
	cfg     Config
	settled settled
	wake    chan struct{} // capacity 1: the due time may have become earlier
	news    chan struct{} // capacity 1: something was settled, or there is room
	sources sync.Map      // *Source by name of the upstream
	chores  chan struct{} // capacity 1: the log has something to do that no commit should wait for

	mu         sync.Mutex // guards everything below; never held during I/O
	pace       *pacer
	durability map[ruleKey]Durability
	known      time.Time // the due time that Run waits for; zero: none
	started    bool      // the first number of this run is known
	scratch    scratch
	commitErr  error
	failedAt   time.Time
	volatile   bool      // there is no data directory behind it
	heldTold   time.Time // when it was last logged that the flash budget is used up
}

type ruleKey struct{ upstream, rule uint32 }

// scratch holds what one Append builds, reused from call to call.
type scratch struct {
	records []buffer.Record
	dests   []buffer.Dest
	bytes   []byte
	levels  []urgency
}

// Open opens the log in cfg.Buffer.Dir and recovers it. The caller runs Run and, after it, Close.
func Open(cfg Config) (*Journal, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	j := &Journal{cfg: cfg, wake: make(chan struct{}, 1), news: make(chan struct{}, 1), chores: make(chan struct{}, 1), durability: map[ruleKey]Durability{}}
	j.pace = newPacer(cfg.Pace, j.settled.covers)
	o := cfg.Buffer
	o.OnSettled = func(r []buffer.Range) {
		j.settled.add(r)
		j.settledNow()
		poke(j.news)
	}
	o.OnRoom = func() { poke(j.news) }
	o.OnChores = func() { poke(j.chores) }
	log, err := buffer.Open(o)
	if err != nil {
		return nil, err
	}
	j.log = log
	if err := j.distrust(log.Recovery()); err != nil {
		cfg.Log.Error("that the sessions upstream are begun anew cannot be written yet", "err", err)
	}
	j.sweepPairs()
	return j, nil
}

// Log is the buffer below, for statistics and keyed state.
func (j *Journal) Log() *buffer.Log { return j.log }

// SetDurability says what a rule of an upstream asks of the disk. Call it before the first Append that names it.
func (j *Journal) SetDurability(upstream, rule uint32, d Durability) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.durability[ruleKey{upstream, rule}] = d
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
		s.dests = append(s.dests, buffer.Dest{Consumer: hit.Upstream, Must: must, Data: s.bytes[from:len(s.bytes):len(s.bytes)]})
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
		if j.scratch.levels[i] == memoryOnly { // nothing was promised
			j.settled.add([]buffer.Range{{First: m.first, Last: m.last}})
			poke(j.news)
			continue
		}
		j.pace.appended(m, j.scratch.levels[i], batch[i].Kind == broker.KindLocal)
		if batch[i].Kind != broker.KindQoS0 {
			owed.first, owed.last = min(owed.first, m.first), m.last
			if j.scratch.levels[i] == mustWrite {
				gathered = m.last
			}
		}
		for _, hit := range batch[i].Routes {
			j.pace.handed(hit.Upstream, m)
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

// Settled tells whether the record is kept, or acknowledged by everyone who wants it. Cheap.
func (j *Journal) Settled(number uint64) bool { return j.settled.covers(number, number) }

// Err is why the last commit failed, and since when; nil while commits succeed.
func (j *Journal) Err() (error, time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.commitErr, j.failedAt
}

// poke leaves a signal unless one is waiting already.
func poke(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

const (
	retryFirst = 250 * time.Millisecond
	retryMax   = 10 * time.Second
)

// Run commits when a commit is due, and calls notify, the broker's, after records were settled or when there is room in
// the tail again, until ctx ends. What is settled while notify runs is told in one more call.
func (j *Journal) Run(ctx context.Context, notify func()) error {
	var g sync.WaitGroup
	g.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-j.news:
				j.bury()
				notify()
			}
		}
	})
	g.Go(func() { j.trim(ctx) })
	g.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-j.chores:
				j.log.Chores()
			}
		}
	})
	j.commits(ctx)
	g.Wait()
	j.bury()
	notify() // whatever the last commit settled
	return nil
}

// trimEvery is how often records are looked for that are older than they may be. A commit trims by itself.
const trimEvery = 10 * time.Second

// trim drops what has become too old while nothing was written.
func (j *Journal) trim(ctx context.Context) {
	if j.cfg.Buffer.Age == nil {
		return
	}
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			j.log.Trim()
		}
	}
}

func (j *Journal) commits(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var hold time.Time // after a failed commit: not before this
	back := retryFirst
	for {
		now := j.cfg.Now()
		j.mu.Lock()
		due := j.pace.dueAt(now)
		j.known = due
		j.mu.Unlock()
		if due.Before(hold) && !due.IsZero() {
			due = hold
		}
		if !due.IsZero() && !due.After(now) {
			if err := j.Commit(); err != nil {
				hold, back = now.Add(back), min(2*back, retryMax)
			} else {
				hold, back = time.Time{}, retryFirst
			}
			continue
		}
		wait := time.Hour
		if !due.IsZero() {
			wait = due.Sub(now)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-j.wake:
		case <-timer.C:
		}
	}
}

// Commit writes the whole tail now.
func (j *Journal) Commit() error {
	j.mu.Lock()
	j.pace.commit(j.cfg.Now())
	j.mu.Unlock()
	padding := j.log.Padding()
	err := j.log.Commit()
	padding = j.log.Padding() - padding
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.cfg.Now()
	j.pace.committed(err == nil, padding, now)
	j.remember(err)
	if j.pace.pubs.budget.limit > 0 && !j.pace.pubs.budget.left(now) && (j.heldTold.IsZero() || now.Sub(j.heldTold) >= time.Hour) {
		j.heldTold = now
		j.cfg.Log.Warn("flash budget used up: publishers that wait for acknowledgements wait for gather", "bytes", j.pace.pubs.budget.limit)
	}
	return err
}

// remember keeps the state of the store and tells changes of it. The caller holds mu.
func (j *Journal) remember(err error) {
	switch {
	case err != nil && j.commitErr == nil:
		j.failedAt = j.cfg.Now()
		j.cfg.Log.Error("the store does not take writes: messages that need it are not acknowledged until it does", "err", err)
	case err == nil && j.volatile: // there was nothing to write; the disk is no better
		return
	case err == nil && j.commitErr != nil:
		j.cfg.Log.Info("the store takes writes again", "after", j.cfg.Now().Sub(j.failedAt).Round(time.Millisecond))
	}
	j.commitErr = err
}

// Close commits what is left and closes the log. The broker and the bridges must have stopped.
func (j *Journal) Close() error {
	err := j.log.Close()
	if j.Volatile() { // that there is no disk is known
		return nil
	}
	return err
}
