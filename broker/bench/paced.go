package bench

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"weir/broker/packet"
)

// pacer sends messages at a steady rate.
type pacer struct {
	*publisher
	answered atomic.Uint64 // messages of QoS 1 that the broker has acknowledged
}

// paced is one publisher at a steady rate to one subscriber, and how long messages take.
func paced(qos byte) func(*run) error {
	return func(r *run) error {
		f, err := r.newFlow(qos, []string{"bench/paced"}, []string{"bench/paced"})
		if err != nil {
			return err
		}
		s, p := f.subscribers[0], &pacer{publisher: f.publishers[0]}
		var measuring atomic.Bool
		s.measuring = &measuring
		s.latencies = make([]time.Duration, 0, int(r.o.Size.For.Seconds()*float64(r.o.Size.Rate))*2+1000)
		r.start("subscriber", s.receive)
		listen := p.listen
		if qos > 0 {
			listen = p.listenForAcknowledgements
		}
		r.start("publisher", listen)
		if err := f.pace(p, &measuring); err != nil {
			return err
		}
		if qos > 0 {
			if err := r.untilAll(p.answered.Load, p.next, r.o.Size.Patience); err != nil {
				return err
			}
			if n := p.answered.Load(); n < p.next {
				return fmt.Errorf("%d messages were not acknowledged", p.next-n)
			}
		}
		return f.tellPaced(s, qos)
	}
}

// pace runs the publisher through warm-up and measurement.
func (f *flow) pace(p *pacer, measuring *atomic.Bool) error {
	r := f.r
	stop, left := make(chan struct{}), make(chan struct{})
	p.stop = stop
	r.start("publisher", func() error {
		defer close(left)
		return p.pace()
	})
	if err := r.wait(r.o.Size.WarmUp); err != nil {
		return err
	}
	measuring.Store(true)
	from := f.look()
	if err := r.waitFor(func() bool { return f.subscribers[0].measured.Load() > 0 }); err != nil {
		return err
	}
	f.compare(from, f.look())
	measuring.Store(false)
	close(stop)
	<-left // it ends with the context too
	return f.untilArrived()
}

// mostWaiting is how many messages a broker may leave unacknowledged at a steady rate.
const mostWaiting = 10_000

// pace sends one message each time one is due. What is late is sent at once.
func (p *pacer) pace() error {
	every := time.Second / time.Duration(p.c.r.o.Size.Rate)
	for due := time.Since(p.c.r.began); !p.stopped(); due += every {
		if early := due - time.Since(p.c.r.began); early > 0 {
			sleep(early)
		}
		if waiting := p.next - p.answered.Load(); p.qos > 0 && waiting >= uint64(min(p.c.receiveMaximum, mostWaiting)) {
			return fmt.Errorf("the broker does not keep up: %d messages are not acknowledged", waiting)
		}
		p.c.out = p.template.append(p.c.out, uint16(p.next%65_535+1), p.next, int64(time.Since(p.c.r.began)))
		p.next++
		p.sent.Store(p.next)
		if err := p.c.flush(); err != nil {
			return err
		}
	}
	return nil
}

// listenForAcknowledgements counts them; only the publisher writes.
func (p *pacer) listenForAcknowledgements() error {
	for {
		first, body, err := p.c.next()
		if err != nil {
			return err
		}
		if t := packet.Type(first >> 4); t != packet.TypePuback {
			return p.c.unexpected(t, body)
		}
		if _, err := acknowledgement(packet.TypePuback, body); err != nil {
			return err
		}
		p.answered.Add(1)
	}
}

// tellPaced says the figures. The subscriber takes no latencies any more: everything has arrived, or nothing comes.
func (f *flow) tellPaced(s *subscriber, qos byte) error {
	r, g := f.r, &f.figures
	all := s.latencies
	slices.Sort(all)
	at := func(share float64) float64 { return microseconds(all[int(share*float64(len(all)-1))]) }
	r.say("p50", "µs", at(0.50))
	r.say("p99", "µs", at(0.99))
	r.say("max", "µs", at(1))
	r.say("rate", "messages/s", g.rate)
	r.sayIf(g.cpuKnown, "cpu", "µs/message", g.cpu)
	r.sayIf(g.ownKnown, "own_cpu", "µs/message", g.own)
	r.say("lost", "messages", float64(g.lost))
	r.say("repeated", "messages", float64(g.repeated))
	r.say("disordered", "messages", float64(g.disordered))
	return g.broken(qos)
}
