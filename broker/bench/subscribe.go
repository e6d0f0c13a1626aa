package bench

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"weir/broker/packet"
)

// A cell is how far one subscriber is with the messages of one publisher: the only thing the two share.
type cell struct {
	seen atomic.Uint64 // messages that have arrived, or were passed by later ones
	need atomic.Uint64 // the publisher waits until that many are seen; 0: it does not wait
	wake chan struct{} // capacity 1; a token may be left over
	_    [40]byte      // the cells of others are on other cache lines
}

func newCells(n int) []cell {
	cells := make([]cell, n)
	for i := range cells {
		cells[i].wake = make(chan struct{}, 1)
	}
	return cells
}

// advance tells the publisher, if it waits for that.
func (c *cell) advance(seen uint64) {
	c.seen.Store(seen)
	if need := c.need.Load(); need > 0 && seen >= need && c.need.CompareAndSwap(need, 0) {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// source is what a subscriber knows of one publisher.
type source struct {
	next    uint64              // the sequence that should come next
	told    uint64              // what the cell knows
	count   uint64              // messages that came, each once
	missing map[uint64]struct{} // passed by later ones
}

// maxMissing bounds the memory for what is missing. Beyond it a late message is taken for a repeated one.
const maxMissing = 1 << 20

// place tells what a message is that is not the next one.
type place int

const (
	inOrder    place = iota // later ones may come, but it does not follow the one before
	repeated                // it was there
	disordered              // a later one was there before it
)

// take counts a message that is not the next one.
func (s *source) take(sequence uint64) place {
	if sequence >= s.next {
		if s.missing == nil {
			s.missing = map[uint64]struct{}{}
		}
		for ; s.next < sequence && len(s.missing) < maxMissing; s.next++ {
			s.missing[s.next] = struct{}{}
		}
		s.next = sequence + 1
		s.count++
		return inOrder
	}
	if _, missed := s.missing[sequence]; missed {
		delete(s.missing, sequence)
		s.count++
		return disordered
	}
	return repeated
}

// subscriber receives the messages of a run, acknowledges them, and keeps count.
type subscriber struct {
	c                              *conn
	sources                        []source // by publisher
	cells                          []cell   // by publisher; nil: nobody wants to know
	received, repeated, disordered atomic.Uint64

	last atomic.Int64 // when the last bytes came, since the run began

	latencies []time.Duration // nil: not measured; its capacity bounds it
	measuring *atomic.Bool    // whether latencies are taken now
	measured  atomic.Uint64   // how many there are
	granted   int             // filters that SUBACK is to grant, if it is received here
	qos       byte
}

// newSubscriber logs in.
func (r *run) newSubscriber(id string, qos byte, publishers int) (*subscriber, error) {
	c, err := r.dial(id)
	if err != nil {
		return nil, err
	}
	return &subscriber{c: c, qos: qos, sources: make([]source, publishers)}, nil
}

// receive reads until the connection is closed. Messages are counted, and told to the publishers, once for each read.
func (s *subscriber) receive() error {
	for {
		if err := s.c.fill(); err != nil {
			return err
		}
		now := int64(time.Since(s.c.r.began))
		s.last.Store(now)
		if s.latencies == nil || !s.measuring.Load() {
			now = 0
		}
		if err := s.packets(now); err != nil {
			return err
		}
		if err := s.c.flush(); err != nil {
			return err
		}
		s.tell()
	}
}

// packets takes every whole packet in the buffer.
func (s *subscriber) packets(now int64) error {
	c := s.c
	for {
		b := c.buf[c.start:c.end]
		head, size, err := measureFrame(b)
		if err != nil || size == 0 {
			return err
		}
		c.start += size
		if packet.Type(b[0]>>4) == packet.TypePublish {
			err = s.publish(b[0], b[head:size], now)
		} else {
			err = s.other(packet.Type(b[0]>>4), b[head:size])
		}
		if err != nil {
			return err
		}
	}
}

// publish takes one PUBLISH: the topic is not looked at, the payload says whose it is.
func (s *subscriber) publish(first byte, body []byte, now int64) error {
	if len(body) < 2 {
		return errFrame
	}
	at := 2 + int(binary.BigEndian.Uint16(body))
	if qos := first >> 1 & 3; qos > 0 {
		if at+2 > len(body) {
			return errFrame
		}
		answer := packet.TypePuback
		if qos == 2 {
			answer = packet.TypePubrec
		}
		s.c.acknowledge(answer, body[at:at+2])
		at += 2
	}
	if s.c.r.o.Version == packet.V5 {
		length, n := binary.Uvarint(body[min(at, len(body)):]) // the same bytes as a variable byte integer, 5.0 section 1.5.5
		if n <= 0 || length > uint64(len(body)) {
			return errFrame
		}
		at += n + int(length)
	}
	if at+payloadHead > len(body) {
		return nil // not ours
	}
	m := markOf(body[at:])
	if m.run != s.c.r.number || int(m.publisher) >= len(s.sources) {
		return nil
	}
	if from := &s.sources[m.publisher]; m.sequence == from.next {
		from.next++
		from.count++
	} else {
		switch from.take(m.sequence) {
		case repeated:
			s.repeated.Add(1)
		case disordered:
			s.disordered.Add(1)
		}
	}
	if now > 0 && len(s.latencies) < cap(s.latencies) {
		s.latencies = append(s.latencies, time.Duration(now-m.stamp))
		s.measured.Store(uint64(len(s.latencies)))
	}
	return nil
}

// other takes whatever is no PUBLISH.
func (s *subscriber) other(t packet.Type, body []byte) error {
	switch t {
	case packet.TypePubrel:
		if len(body) < 2 {
			return errFrame
		}
		s.c.acknowledge(packet.TypePubcomp, body)
		return nil
	case packet.TypeSuback:
		if s.granted > 0 {
			return s.c.granted(body, s.granted, s.qos)
		}
	}
	return s.c.unexpected(t, body)
}

// tell publishes the counts.
func (s *subscriber) tell() {
	count := uint64(0)
	for i := range s.sources {
		from := &s.sources[i]
		count += from.count
		if s.cells != nil && from.next != from.told {
			from.told = from.next
			s.cells[i].advance(from.next)
		}
	}
	s.received.Store(count)
}
