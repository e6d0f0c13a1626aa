package bench

import (
	"context"
	"fmt"
	"os"
	"time"
)

// flow is publishers that send as fast as they may, and their subscribers, each of which gets everything.
type flow struct {
	r           *run
	publishers  []*publisher
	subscribers []*subscriber
	started     bool
	figures     flowFigures
}

// flowFigures are what a flow is measured by.
type flowFigures struct {
	rate       float64 // deliveries per second
	cpu        float64 // of the broker, microseconds per delivery
	cores      float64 // of the broker: CPU seconds per second
	cpuKnown   bool
	own        float64 // of the load generator, microseconds per delivery
	ownKnown   bool
	delivered  uint64
	lost       uint64
	repeated   uint64
	disordered uint64
}

// newFlow has one subscriber for each of filters at this QoS, and one publisher for each topic.
func (r *run) newFlow(qos byte, filters, topics []string) (*flow, error) {
	f := &flow{r: r}
	for i, filter := range filters {
		s, err := r.newSubscriber(fmt.Sprintf("bench-sub%d", i), qos, len(topics))
		if err == nil {
			err = s.c.subscribe(filter, qos)
		}
		if err != nil {
			return nil, fmt.Errorf("subscriber: %w", plain(err))
		}
		s.c.room(largeBuffer)
		s.cells = newCells(len(topics))
		f.subscribers = append(f.subscribers, s)
	}
	for i, topic := range topics {
		p, err := r.newPublisher(i, topic, qos)
		if err != nil {
			return nil, fmt.Errorf("publisher: %w", plain(err))
		}
		p.share = uint64(r.o.Size.ahead(qos) / len(topics))
		for _, s := range f.subscribers {
			p.cells = append(p.cells, &s.cells[i])
		}
		f.publishers = append(f.publishers, p)
	}
	return f, nil
}

// listen starts everybody who reads.
func (f *flow) listen() {
	f.started = true
	for _, s := range f.subscribers {
		f.r.start("subscriber", s.receive)
	}
	for _, p := range f.publishers {
		if p.qos == 0 { // at the others it reads acknowledgements itself
			f.r.start("publisher", p.listen)
		}
	}
}

// measure runs the load from its beginning to the last message. It can be called again: then loss, repeats and disorder are
// those of all calls together.
func (f *flow) measure() error {
	r := f.r
	if !f.started {
		f.listen()
	}
	stop, left := make(chan struct{}), make(chan struct{}, len(f.publishers))
	for _, p := range f.publishers {
		p.stop = stop
		r.start("publisher", func() error {
			defer func() { left <- struct{}{} }()
			return p.publish()
		})
	}
	if err := r.wait(r.o.Size.WarmUp); err != nil {
		return err
	}
	from := f.look()
	if err := r.waitFor(func() bool { return f.delivered() > from.delivered }); err != nil {
		return err
	}
	f.compare(from, f.look())
	close(stop)
	for range f.publishers {
		select {
		case <-left:
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		}
	}
	return f.untilArrived()
}

// waitFor lets the time pass that is measured over, and more while there is nothing at all to measure: on a busy machine that
// says nothing, until patience ends. The watch does not see it if publishers are still answered.
func (r *run) waitFor(something func() bool) error {
	err := r.wait(r.o.Size.For)
	for since := time.Now(); err == nil && !something(); {
		if time.Since(since) > r.o.Size.Patience {
			return fmt.Errorf("no message has reached the subscriber for %v", r.o.Size.Patience)
		}
		err = r.wait(time.Millisecond)
	}
	return err
}

// moment is the state of the counters at one time.
type moment struct {
	at        time.Time
	delivered uint64
	broker    time.Duration
	own       time.Duration
	known     bool
	ownKnown  bool
}

func (f *flow) look() moment {
	m := moment{at: time.Now(), delivered: f.delivered()}
	m.broker, m.known = cpuOf(f.r.process.PID)
	m.own, m.ownKnown = cpuOf(os.Getpid())
	return m
}

func (f *flow) delivered() (n uint64) {
	for _, s := range f.subscribers {
		n += s.received.Load()
	}
	return n
}

// compare makes figures of two moments.
func (f *flow) compare(from, to moment) {
	g, span, n := &f.figures, to.at.Sub(from.at), float64(to.delivered-from.delivered)
	g.rate = n / span.Seconds()
	g.cpuKnown = from.known && to.known && n > 0
	g.ownKnown = from.ownKnown && to.ownKnown && n > 0
	if g.cpuKnown {
		g.cpu = microseconds(to.broker-from.broker) / n
		g.cores = (to.broker - from.broker).Seconds() / span.Seconds()
	}
	if g.ownKnown {
		g.own = microseconds(to.own-from.own) / n
	}
}

// quietFor is how long nothing arrives before what is missing is lost; at QoS 1 and 2 the broker has time to repeat.
func (f *flow) quietFor() time.Duration {
	if f.publishers[0].qos == 0 {
		return min(2*time.Second, f.r.o.Size.Patience)
	}
	return f.r.o.Size.Patience
}

// untilArrived waits until every subscriber has everything, or nothing comes any more, and counts.
func (f *flow) untilArrived() error {
	sent := uint64(0)
	for _, p := range f.publishers {
		sent += p.sent.Load()
	}
	want := sent * uint64(len(f.subscribers))
	if err := f.r.untilAll(f.delivered, want, f.quietFor()); err != nil {
		return err
	}
	g := &f.figures
	g.delivered, g.repeated, g.disordered = f.delivered(), 0, 0
	for _, s := range f.subscribers {
		g.repeated += s.repeated.Load()
		g.disordered += s.disordered.Load()
	}
	g.lost = want - min(want, g.delivered)
	return nil
}

// untilAll waits until count has reached want, or has not risen for so long.
func (r *run) untilAll(count func() uint64, want uint64, quiet time.Duration) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	last, since := count(), time.Now()
	for last < want && time.Since(since) < quiet {
		select {
		case <-tick.C:
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		}
		r.progress.Add(1) // this wait has its own end
		if n := count(); n != last {
			last, since = n, time.Now()
		}
	}
	return nil
}

// broken says which promise of MQTT the figures show broken, if any.
func (g *flowFigures) broken(qos byte) error {
	switch {
	case qos > 0 && g.lost > 0:
		return fmt.Errorf("%d messages of QoS %d did not arrive", g.lost, qos)
	case qos == 2 && g.repeated > 0:
		return fmt.Errorf("%d messages of QoS 2 came twice", g.repeated)
	case g.disordered > 0:
		return fmt.Errorf("%d messages came out of order", g.disordered)
	}
	return nil
}
