package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"weir/bridge"
	"weir/broker/message"
	"weir/broker/packet"
	"weir/buffer"
)

// Letters as they are stored; see doc.go.
const (
	deadPrefix  = "dead/"
	deadVersion = 1
	deadLen     = 1 + 1 + 4 + 8 + 3*8
	deadShare   = 16
)

// DeadLetter is a message that an upstream refused, or that made it disconnect.
type DeadLetter struct {
	Number  uint64 // by which it is replayed or dropped
	Record  uint64 // number of the record it was
	Rule    uint32
	Reason  packet.Reason
	Refused message.Stamp // when
	Size    int           // bytes, as stored
	Message message.Message
}

// dead keeps the dead letters of one upstream. Safe for concurrent use.
type dead struct {
	j    *Journal
	name string
	of   *buffer.Consumer // the upstream's own
	c    *buffer.Consumer

	mu     sync.Mutex // guards the field below
	moving []move

	reading sync.Mutex // one reader of c at a time
}

// move is a record on its way to the dead letters.
type move struct {
	record, letter uint64 // letter 0: not appended yet
	reason         packet.Reason
	at             message.Stamp
}

func (j *Journal) dead(upstream string, of *buffer.Consumer) (*dead, error) {
	c, err := j.log.Consumer(deadPrefix + upstream)
	if err != nil {
		return nil, err
	}
	c.SetLimits(buffer.Limits{MaxBytes: j.log.Stats().MaxSize / deadShare})
	return &dead{j: j, name: upstream, of: of, c: c}, nil
}

// reclaim moves what was set aside when the process ended. What is a letter already is acknowledged.
func (d *dead) reclaim() error {
	aside := d.of.Aside()
	if len(aside) == 0 {
		return nil
	}
	done := map[uint64]bool{}
	if err := d.each(func(l DeadLetter) bool { done[l.Record] = true; return true }); err != nil {
		return err
	}
	for _, number := range aside {
		if done[number] {
			d.of.Ack([]buffer.Range{{First: number, Last: number}})
			continue
		}
		d.take(number, packet.UnspecifiedError, message.Stamp{})
	}
	return nil
}

// take moves a record that is set aside.
func (d *dead) take(number uint64, why packet.Reason, at message.Stamp) {
	d.mu.Lock()
	d.moving = append(d.moving, move{record: number, reason: why, at: at})
	d.mu.Unlock()
	d.look()
}

// look goes on with what is being moved: letters that are durable let their records go, and what found no room is tried
// again.
func (d *dead) look() {
	var done []buffer.Range
	d.mu.Lock()
	d.moving = slices.DeleteFunc(d.moving, func(m move) bool {
		if m.letter == 0 || !d.j.Settled(m.letter) {
			return false
		}
		done = append(done, buffer.Range{First: m.record, Last: m.record})
		return true
	})
	for i := range d.moving {
		if m := &d.moving[i]; m.letter == 0 && !d.write(m) {
			break
		}
	}
	d.moving = slices.DeleteFunc(d.moving, func(m move) bool { return m.record == 0 })
	d.mu.Unlock()
	if len(done) > 0 {
		d.of.Ack(done)
	}
}

// bury goes on with the dead letters of all upstreams. It is not called from inside the log, whose callbacks hold locks.
func (j *Journal) bury() {
	j.sources.Range(func(_, value any) bool {
		value.(*Source).dead.look()
		return true
	})
}

// write appends the letter of a move; false: there is no room now. A record that is gone, or cannot be read, is not moved.
// The caller holds mu.
func (d *dead) write(m *move) bool {
	e, err := d.of.Find(m.record)
	if err != nil || len(e.Data) < 4 {
		if err != nil && !errors.Is(err, buffer.ErrNoRecord) {
			d.j.cfg.Log.Error("a refused message cannot be read; it stays set aside", "record", m.record, "err", err)
		}
		m.record = 0
		return true
	}
	data := make([]byte, 0, deadLen)
	data = append(data, deadVersion, byte(m.reason))
	data = append(data, e.Data[:4]...)
	data = binary.LittleEndian.AppendUint64(data, m.record)
	data = binary.LittleEndian.AppendUint64(data, m.at.Boot)
	data = binary.LittleEndian.AppendUint64(data, uint64(m.at.Since))
	data = binary.LittleEndian.AppendUint64(data, uint64(m.at.Wall))
	number, err := d.j.appendOne(buffer.Record{
		Boot: e.Boot, Since: e.Since, Payload: e.Body, Dests: []buffer.Dest{{Consumer: d.c.ID(), Must: true, Data: data}},
	})
	if (err != nil || number == 0) && !errors.Is(err, errRefused) {
		return false
	}
	m.letter = number // refused, its record goes when the count of that is durable
	return true
}

// errRefused: the limit of a queue, or of the whole log, has it that nothing new is taken. That was counted.
var errRefused = errors.New("the queue is full and refuses what is new")

// appendOne appends a record of the journal's own that must be committed; number 0: there is no room now.
func (j *Journal) appendOne(r buffer.Record) (number uint64, err error) {
	now := j.cfg.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	batch := [1]buffer.Record{r}
	number, n, err := j.log.Append(batch[:])
	if err != nil || n == 0 {
		return 0, err
	}
	if !j.started {
		j.started = true
		j.settled.start(number)
	}
	j.pace.appended(mark{first: number, last: number, at: now}, mustWrite, false)
	j.hurry()
	if batch[0].Refused {
		return number, errRefused
	}
	return number, nil
}

// each calls f for the letters, oldest first, until it says false. What a letter points to is valid during the call. The caller
// holds reading, or nobody else knows d.
func (d *dead) each(f func(l DeadLetter) bool) error {
	entries := make([]buffer.Entry, 16)
	d.c.Rewind()
	for {
		n, err := d.c.Next(entries)
		if err != nil || n == 0 {
			return err
		}
		for i := range entries[:n] {
			l, err := letter(&entries[i])
			if err != nil {
				d.j.cfg.Log.Warn("dead letter cannot be read", "bridge", d.name, "number", entries[i].Number, "err", err)
				continue
			}
			if !f(l) {
				return nil
			}
		}
	}
}

func letter(e *buffer.Entry) (l DeadLetter, err error) {
	p := e.Data
	if len(p) < deadLen || p[0] != deadVersion {
		return l, fmt.Errorf("destination data of %d bytes, want %d of version %d", len(p), deadLen, deadVersion)
	}
	l.Number, l.Size, l.Reason = e.Number, len(e.Body), packet.Reason(p[1])
	l.Rule, l.Record = binary.LittleEndian.Uint32(p[2:]), binary.LittleEndian.Uint64(p[6:])
	l.Refused.Boot, l.Refused.Since = binary.LittleEndian.Uint64(p[14:]), time.Duration(binary.LittleEndian.Uint64(p[22:]))
	l.Refused.Wall = int64(binary.LittleEndian.Uint64(p[30:]))
	if err := l.Message.Decode(e.Body); err != nil {
		return l, err
	}
	l.Message.Stamp.Boot, l.Message.Stamp.Since = e.Boot, time.Duration(e.Since)
	return l, nil
}

// ErrNoUpstream: nothing was ever kept for an upstream of that name.
var ErrNoUpstream = errors.New("no upstream")

// deadOf finds the dead letters of an upstream, whose source was made or whose consumer is in the store.
func (j *Journal) deadOf(upstream string) (*dead, error) {
	if s, ok := j.sources.Load(upstream); ok {
		return s.(*Source).dead, nil
	}
	found := false
	j.log.Consumers(func(c *buffer.Consumer) bool {
		found = c.Name() == deadPrefix+upstream
		return !found
	})
	if !found {
		return nil, fmt.Errorf("%w %q in the store", ErrNoUpstream, upstream)
	}
	s, err := j.Source(upstream)
	if err != nil {
		return nil, err
	}
	return s.dead, nil
}

// DeadLetters calls f for the dead letters of an upstream, oldest first, until it says false. What a letter points to is valid
// during the call; f must not call the journal. Safe for concurrent use, as are Replay and Drop.
func (j *Journal) DeadLetters(upstream string, f func(l DeadLetter) bool) error {
	d, err := j.deadOf(upstream)
	if err != nil {
		return err
	}
	d.reading.Lock()
	defer d.reading.Unlock()
	return d.each(f)
}

// Replay puts dead letters, by number, back into the queue of their upstream, behind what waits there, to be sent as their
// rule said. It returns how many it has put there, durably; no number names all. A crash before it returns may leave a
// letter in both places.
func (j *Journal) Replay(upstream string, numbers ...uint64) (n int, err error) {
	return j.clear(upstream, numbers, func(d *dead, e *buffer.Entry) (uint64, error) {
		number, err := j.appendOne(buffer.Record{
			Boot: e.Boot, Since: e.Since, Payload: e.Body, Dests: []buffer.Dest{{Consumer: d.of.ID(), Must: true, Data: e.Data[2:6]}},
		})
		if err == nil && number == 0 {
			err = errors.New("the log has no room now, try again")
		}
		return number, err
	})
}

// Drop forgets dead letters, by number; no number names all. It returns how many, durably.
func (j *Journal) Drop(upstream string, numbers ...uint64) (n int, err error) {
	return j.clear(upstream, numbers, func(*dead, *buffer.Entry) (uint64, error) { return 0, nil })
}

// clear takes letters out after put has put each elsewhere, and that is durable.
func (j *Journal) clear(upstream string, numbers []uint64, put func(d *dead, e *buffer.Entry) (uint64, error)) (n int, err error) {
	d, err := j.deadOf(upstream)
	if err != nil {
		return 0, err
	}
	d.reading.Lock()
	defer d.reading.Unlock()
	var taken []buffer.Range
	eachErr := d.each(func(l DeadLetter) bool {
		if len(numbers) > 0 && !slices.Contains(numbers, l.Number) {
			return true
		}
		e, findErr := d.c.Find(l.Number)
		if findErr == nil {
			_, findErr = put(d, &e)
		}
		if err = findErr; err == nil {
			taken = append(taken, buffer.Range{First: l.Number, Last: l.Number})
		}
		return err == nil
	})
	err = errors.Join(err, eachErr)
	if len(taken) == 0 {
		return 0, err
	}
	if commitErr := j.Commit(); commitErr != nil {
		return 0, errors.Join(err, commitErr)
	}
	d.c.Ack(taken)
	return len(taken), errors.Join(err, j.Commit())
}

// backlog adds the dead letters to what is told of an upstream.
func (d *dead) backlog(b *bridge.Backlog) {
	letters := d.c.Backlog()
	b.Dead, b.DeadDropped = letters.Records, letters.Dropped
}
