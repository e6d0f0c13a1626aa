package bench

import (
	"fmt"
	"sync/atomic"
	"time"

	"weir/broker/packet"
)

// publisher sends messages as fast as its subscribers and its window let it.
type publisher struct {
	c        *conn
	template template
	qos      byte
	cells    []*cell // one of each subscriber
	share    uint64  // how far it may be ahead of the slowest of them
	window   int     // QoS 1 and 2
	limit    uint64  // it stops by itself after that many; 0: when it is told to
	stop     <-chan struct{}

	sent     atomic.Uint64
	next     uint64 // what sent is going to be
	forgiven uint64 // messages that are no longer waited for
	free     []uint16
	inFlight int
	timer    *time.Timer
}

// Limits of one write, and how long a message that does not arrive holds up its publisher.
const (
	largestWrite = 64 << 10
	forgiveAfter = 500 * time.Millisecond
)

// newPublisher logs in.
func (r *run) newPublisher(number int, topic string, qos byte) (*publisher, error) {
	t, err := r.newTemplate(topic, qos, false, number, r.o.Size.Payload)
	if err != nil {
		return nil, err
	}
	c, err := r.dial(fmt.Sprintf("bench-pub%d", number))
	if err != nil {
		return nil, err
	}
	p := &publisher{c: c, template: t, qos: qos, window: min(r.o.Size.Window, c.receiveMaximum)}
	for id := p.window; id > 0; id-- {
		p.free = append(p.free, uint16(id))
	}
	p.timer = time.NewTimer(time.Hour)
	p.timer.Stop()
	return p, nil
}

// publish sends until it is told to stop or has reached its limit, and everything at QoS 1 and 2 is acknowledged.
func (p *publisher) publish() error {
	if p.qos == 0 {
		return p.publishUnacknowledged()
	}
	for {
		going := !p.stopped()
		if going {
			p.fillWindow()
		}
		if err := p.c.flush(); err != nil {
			return err
		}
		p.sent.Store(p.next)
		switch {
		case p.inFlight > 0:
			if err := p.acknowledgements(); err != nil {
				return err
			}
		case !going:
			return nil
		default:
			p.waitForRoom()
		}
	}
}

// stopped tells whether no new message is to be sent.
func (p *publisher) stopped() bool {
	if p.limit > 0 && p.next >= p.limit {
		return true
	}
	select {
	case <-p.stop:
		return true
	case <-p.c.r.ctx.Done():
		return true
	default:
		return false
	}
}

// publishUnacknowledged is publish at QoS 0.
func (p *publisher) publishUnacknowledged() error {
	for !p.stopped() {
		n := min(p.room(), uint64(max(1, largestWrite/len(p.template.bytes))))
		if n == 0 {
			p.waitForRoom()
			continue
		}
		if p.limit > 0 {
			n = min(n, p.limit-p.next)
		}
		for range n {
			p.c.out = p.template.append(p.c.out, 0, p.next, 0)
			p.next++
		}
		p.sent.Store(p.next) // before the subscriber can have it
		if err := p.c.flush(); err != nil {
			return err
		}
	}
	return nil
}

// listen reads from a broker that has nothing to say, if only that it closes.
func (p *publisher) listen() error {
	first, body, err := p.c.next()
	if err != nil {
		return err
	}
	return p.c.unexpected(packet.Type(first>>4), body)
}

// room is how many messages may be sent now: at least half the share, or none.
func (p *publisher) room() uint64 {
	if p.share == 0 {
		return largestWrite
	}
	seen := p.next
	for _, c := range p.cells {
		seen = min(seen, c.seen.Load())
	}
	seen = max(seen, p.forgiven)
	if room := seen + p.share - p.next; room >= (p.share+1)/2 {
		return room
	}
	return 0
}

// waitForRoom returns when there is room, nothing has arrived for too long, or the publisher is to stop.
func (p *publisher) waitForRoom() {
	need := p.next + (p.share+1)/2 - p.share // room is half the share then; next is at least half of it, or there were room
	for _, c := range p.cells {
		for c.seen.Load() < need {
			c.need.Store(need)
			if c.seen.Load() >= need {
				c.need.Store(0)
				break
			}
			p.timer.Reset(forgiveAfter)
			select { // the timer is left running: the next Reset clears it
			case <-c.wake:
			case <-p.timer.C:
				p.forgiven = p.next
				return
			case <-p.stop:
				return
			case <-p.c.r.ctx.Done():
				return
			}
		}
	}
}

// fillWindow gathers messages when half of the window is free and there is room.
func (p *publisher) fillWindow() {
	free := uint64(p.window - p.inFlight)
	if free < uint64(p.window+1)/2 {
		return
	}
	n := min(free, p.room())
	if p.limit > 0 {
		n = min(n, p.limit-p.next)
	}
	for range n {
		id := p.free[len(p.free)-1]
		p.free = p.free[:len(p.free)-1]
		p.c.out = p.template.append(p.c.out, id, p.next, 0)
		p.next++
		p.inFlight++
	}
	p.sent.Store(p.next)
}

// acknowledgements reads once and takes what there is.
func (p *publisher) acknowledgements() error {
	c := p.c
	if err := c.fill(); err != nil {
		return err
	}
	for {
		b := c.buf[c.start:c.end]
		head, size, err := measureFrame(b)
		if err != nil || size == 0 {
			return err
		}
		c.start += size
		if err := p.acknowledged(packet.Type(b[0]>>4), b[head:size]); err != nil {
			return err
		}
	}
}

func (p *publisher) acknowledged(t packet.Type, body []byte) error {
	last := packet.TypePuback
	if p.qos == 2 {
		last = packet.TypePubcomp
	}
	if t != last && (t != packet.TypePubrec || p.qos != 2) {
		return p.c.unexpected(t, body)
	}
	id, err := acknowledgement(t, body)
	if err != nil {
		return err
	}
	if id == 0 || int(id) > p.window || p.inFlight == 0 {
		return fmt.Errorf("the broker has sent %v for packet id %d, which is not in flight", t, id)
	}
	if t == packet.TypePubrec {
		p.c.acknowledge(packet.TypePubrel, body)
		return nil
	}
	p.free = append(p.free, id)
	p.inFlight--
	return nil
}
