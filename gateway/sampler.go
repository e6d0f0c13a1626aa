package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/gateway/discovery"
	"weir/gateway/status"
	"weir/sensors"
)

// publisher takes messages without blocking and keeps none of their bytes; the broker's Publisher.
type publisher interface {
	Publish(batch []message.Message) error
}

// sampler reads one sensor on time and publishes what it gave. Made by the gateway, run by one goroutine; state may be
// asked by any. Once everything has been seen a reading costs no memory.
type sampler struct {
	name, driver string
	found        bool                 // it has no table of its own
	delivers     []discovery.Quantity // what the driver says it delivers, as it is published; not changed
	every        time.Duration
	phase        time.Duration // by which its slots lie behind those of others
	align        bool          // slots are at whole multiples of every once the clock is trusted
	limit        time.Duration // of one read
	open         func() (sensors.Device, error)
	judge        *judge  // the quality pipeline, and how each quantity is published
	object       *object // nil: values are published each alone
	stateTopic   string
	out          publisher
	published    func(batch []message.Message) // told of readings the broker took; may be nil
	stamp        func() message.Stamp
	log          *slog.Logger
	another      func() // told when replaced becomes true; must not block

	device sensors.Device
	sample sensors.Sample

	work    sync.Mutex // held while the outcome of a read is told; guards the fields below
	reading bool
	batch   []message.Message
	tell    []sensors.Reading // of the sample, as they are published
	outlets []*outlet         // of them
	telling stateSaid         // the state in the batch
	told    stateSaid         // the state as the broker last took it
	refused bool              // the broker's allowance is used up, and that was said

	mu       sync.Mutex // guards the fields below, and what outlets say of the newest value
	state    status.Sensor
	current  []*outlet // of the newest sample
	chip     string    // that answered first
	stranger int       // reads in a row that another chip answered
}

// run samples until ctx ends.
func (s *sampler) run(ctx context.Context) {
	defer s.close()
	slot, forget := newSlot(ctx)
	defer forget()
	defer slot.end()
	overdue := time.AfterFunc(time.Hour, s.tellOverdue)
	defer overdue.Stop()
	overdue.Stop()
	plan := s.schedule()
	next := plan.start
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		s.begins(true)
		overdue.Reset(s.limit + overdueAfter)
		err := s.read(slot.begin(s.limit))
		slot.end()
		overdue.Stop()
		s.begins(false)
		if ctx.Err() != nil {
			return
		}
		plan.done(err == nil)
		next = plan.next(next, time.Now())
		s.publish(err, plan.missed)
		timer.Reset(time.Until(next))
	}
}

func (s *sampler) schedule() schedule {
	plan := schedule{start: time.Now(), every: s.every, phase: s.phase}
	if s.align {
		plan.wall = s.wall
	}
	return plan
}

// wall is the Unix time in nanoseconds of a moment, if the clock is trusted.
func (s *sampler) wall(t time.Time) (int64, bool) {
	now := s.stamp().Wall
	return now + int64(time.Until(t)), now != 0
}

func (s *sampler) begins(reading bool) {
	s.work.Lock()
	s.reading = reading
	s.work.Unlock()
}

func (s *sampler) close() {
	if s.device != nil {
		if err := s.device.Close(); err != nil {
			s.log.Warn("sensor did not close", "sensor", s.name, "err", err)
		}
	}
}

// overdueAfter is how long after its limit a read may still go on before that is told: one on a serial port may take
// some seconds to be given up.
const overdueAfter = 5 * time.Second

// tellOverdue says that the sensor gives nothing: a call into the kernel may hang for as long as the hardware does. It
// leaves the sample to the read, which goes on.
func (s *sampler) tellOverdue() {
	s.work.Lock()
	defer s.work.Unlock()
	if !s.reading {
		return
	}
	err := sensors.Errorf(sensors.Stuck, "", "a read does not return after %v; look at the wiring, unplug the adapter", s.limit+overdueAfter)
	s.batch, s.telling.bad = s.batch[:0], s.telling.bad[:0]
	s.mu.Lock()
	s.note(err, "", time.Now())
	s.mu.Unlock()
	s.tellState(err, s.stamp())
	s.send()
}

// read fills the sample, opening the device when needed.
func (s *sampler) read(ctx context.Context) error {
	s.sample.Reset()
	if s.device == nil {
		device, err := s.open()
		if err != nil {
			return err
		}
		s.device = device
	}
	return s.device.Read(ctx, &s.sample)
}

// publish sends the values of the sample that are worth it and, when it changed, the state.
func (s *sampler) publish(err error, missed uint64) {
	s.work.Lock()
	defer s.work.Unlock()
	failed := failedTries(err, &s.sample)
	if err != nil {
		s.sample.Reset()
		s.judge.lost()
	}
	now, m := s.moment()
	s.judge.apply(&s.sample, now)
	s.batch, s.telling.bad = s.batch[:0], s.telling.bad[:0]
	s.mu.Lock()
	s.values(now, &m)
	s.count(&failed, missed)
	s.note(err, s.sample.Chip, now)
	s.mu.Unlock()
	s.tellState(err, m.stamp)
	s.send()
}

// values adds the values that are worth it to the batch, and keeps all of them for the status. The caller holds mu.
func (s *sampler) values(now time.Time, m *moment) {
	if len(s.sample.Readings) == 0 {
		return
	}
	s.tell, s.outlets, s.current = s.tell[:0], s.outlets[:0], s.current[:0]
	worth := false
	for i := range s.sample.Readings {
		r := s.sample.Readings[i]
		o := s.judge.outlet(&r)
		o.keep(&r, now)
		s.current = append(s.current, o)
		pass := o.gate.Pass(now.Sub(s.judge.start), &r)
		worth = worth || pass
		s.tell, s.outlets = append(s.tell, r), append(s.outlets, o)
		switch {
		case r.Quality.Level == sensors.Bad:
			s.telling.bad = append(s.telling.bad, because{r.Quantity, r.Quality.Reason})
		case pass && len(o.shape.topic) > 0:
			s.batch = append(s.batch, o.message(&r, m))
		}
	}
	if s.object != nil && worth {
		if all, ok := s.object.message(s.tell, s.outlets, m); ok {
			s.batch = append(s.batch, all)
		}
	}
}

// keep remembers a value for the status. The caller holds sampler.mu.
func (o *outlet) keep(r *sensors.Reading, at time.Time) {
	o.text, o.unit, o.last, o.at = o.text[:0], "", r.Quality, at
	if r.Quality.Level != sensors.Bad {
		shown := o.shape.shown(r)
		o.text, o.unit = shown.append(o.text), shown.unit
	}
}

// message makes the message of a value alone.
func (o *outlet) message(r *sensors.Reading, m *moment) message.Message {
	o.payload = o.shape.appendPayload(o.payload[:0], r, m)
	if string(o.unitText) != string(o.unit) {
		o.unitText = []byte(o.unit)
	}
	msg := message.Message{Stamp: m.stamp, Publish: packet.Publish{QoS: o.shape.qos, Retain: o.shape.retain, Topic: o.shape.topic, Payload: o.payload}}
	o.shape.setProperties(&msg.Props, o.unitText, r.Quality, o.user[:])
	return msg
}

// moment is when the sample was measured: now, or when its line came.
func (s *sampler) moment() (time.Time, moment) {
	now, m := time.Now(), moment{stamp: s.stamp()}
	if s.sample.At.IsZero() {
		return now, m
	}
	m.age = now.Sub(s.sample.At)
	m.stamp.Since -= m.age
	if m.stamp.Wall != 0 {
		m.stamp.Wall -= int64(m.age)
	}
	return s.sample.At, m
}

// send publishes the batch. When the broker cannot take it, the readings are lost and that is said once.
func (s *sampler) send() {
	if len(s.batch) == 0 {
		return
	}
	err := s.out.Publish(s.batch)
	if err != nil {
		s.mu.Lock()
		s.state.Dropped += uint64(len(s.batch))
		s.mu.Unlock()
		if !s.refused {
			s.log.Error("readings dropped: the broker does not take them", "sensor", s.name, "err", err)
		}
	} else {
		s.told.set(&s.telling)
		if s.published != nil {
			s.published(s.batch)
		}
	}
	s.refused = err != nil
}
