package bench

import (
	"fmt"
	"time"

	"weir/broker/packet"
)

// retainedWindow is how many retained messages are on their way to the broker.
const retainedWindow = 100

// retainedTopic is the i-th of the topics that get a retained message.
func retainedTopic(i int) string { return fmt.Sprintf("bench/retained/%d/%d", i%100, i) }

// retained sets retained messages, has them all sent to a new subscription, and removes them again.
func retained(r *run) error {
	c, err := r.dial("bench-retain")
	if err != nil {
		return plain(err)
	}
	if err := r.rest(r.o.Size.Settle); err != nil {
		return err
	}
	n := r.o.Size.Retained
	size, sizeKnown := residentOf(r.process.PID)
	began := time.Now()
	if err := c.retain(n, r.o.Size.Payload); err != nil {
		return fmt.Errorf("publisher: %w", plain(err))
	}
	r.say("set_rate", "messages/s", float64(n)/time.Since(began).Seconds())
	if err := r.rest(r.o.Size.Settle); err != nil {
		return err
	}
	grown, grownKnown := residentOf(r.process.PID)
	r.sayIf(sizeKnown && grownKnown, "resident", "bytes/message", float64(grown-size)/float64(n))
	wrong := r.replay(n)
	if err := c.retain(n, 0); err != nil {
		return fmt.Errorf("publisher: %w", plain(err))
	}
	return wrong
}

// replay subscribes, and counts what comes.
func (r *run) replay(n int) error {
	s, err := r.newSubscriber("bench-replay", 0, 1)
	if err != nil {
		return plain(err)
	}
	s.granted = 1
	s.c.room(largeBuffer)
	p := packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("bench/retained/#")}}}
	if s.c.out, err = p.Append(nil, r.o.Version); err != nil {
		return err
	}
	s.last.Store(int64(time.Since(r.began)))
	cpu, cpuKnown := cpuOf(r.process.PID)
	began := time.Since(r.began)
	if err := s.c.flush(); err != nil {
		return plain(err)
	}
	r.start("subscriber", s.receive)
	if err := r.untilAll(s.received.Load, uint64(n), r.o.Size.Patience); err != nil {
		return err
	}
	used, usedKnown := cpuOf(r.process.PID)
	got := s.received.Load()
	if span := time.Duration(s.last.Load()) - began; got > 0 {
		r.say("rate", "messages/s", float64(got)/span.Seconds())
		r.sayIf(cpuKnown && usedKnown, "cpu", "µs/message", microseconds(used-cpu)/float64(got))
	}
	r.say("delivered", "messages", float64(got))
	r.say("lost", "messages", float64(n)-float64(got))
	r.say("repeated", "messages", float64(s.repeated.Load()))
	if got < uint64(n) {
		return fmt.Errorf("%d of %d retained messages did not come", uint64(n)-got, n)
	}
	return nil
}

// retain publishes retained messages at QoS 1 and waits for their acknowledgements. payload 0 removes them.
func (c *conn) retain(n, payload int) error {
	window := min(retainedWindow, c.receiveMaximum)
	for sent, answered := 0, 0; answered < n; {
		for ; sent < n && sent-answered < window; sent++ {
			t, err := c.r.newTemplate(retainedTopic(sent), 1, true, 0, payload)
			if err != nil {
				return err
			}
			id := uint16(sent%65_535 + 1)
			if payload > 0 {
				c.out = t.append(c.out, id, uint64(sent), 0)
			} else {
				c.out = t.appendEmpty(c.out, id)
			}
		}
		if err := c.flush(); err != nil {
			return err
		}
		first, body, err := c.next()
		if err != nil {
			return err
		}
		if t := packet.Type(first >> 4); t != packet.TypePuback {
			return c.unexpected(t, body)
		}
		if _, err := acknowledgement(packet.TypePuback, body); err != nil {
			return err
		}
		answered++
	}
	return nil
}
