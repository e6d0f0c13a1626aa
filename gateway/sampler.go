package gateway

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/gateway/discovery"
	"weir/gateway/status"
	"weir/sensors"
)

// publisher takes messages without blocking; the broker's Publisher.
type publisher interface {
	Publish(batch []message.Message) error
}

// sampler reads one sensor on time and publishes what it gave. Made by the gateway, run by one goroutine; state may be
// asked by any.
type sampler struct {
	name, driver string
	found        bool                 // it has no table of its own
	delivers     []discovery.Quantity // what the driver says it delivers, as it is published; not changed
	every        time.Duration
	limit        time.Duration // of one read
	open         func() (sensors.Device, error)
	judge        func(s *sensors.Sample, at time.Time) // the quality pipeline
	shape        func(q sensors.Quantity) shape
	stateTopic   string
	out          publisher
	published    func(batch []message.Message) // told of readings the broker took; may be nil
	stamp        func() message.Stamp
	log          *slog.Logger
	another      func() // told when replaced becomes true; must not block

	device  sensors.Device
	sample  sensors.Sample
	batch   []message.Message
	telling string // the state in the batch
	told    string // the state as the broker last took it
	refused bool   // the broker's allowance is used up, and that was said

	mu       sync.Mutex // guards the fields below
	state    status.Sensor
	chip     string // that answered first
	stranger int    // reads in a row that another chip answered
}

// run samples until ctx ends.
func (s *sampler) run(ctx context.Context) {
	defer s.close()
	plan := schedule{start: time.Now(), every: s.every}
	slot := plan.start
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		err := s.watched(ctx)
		if ctx.Err() != nil {
			return
		}
		plan.done(err == nil)
		slot = plan.next(slot, time.Now())
		s.publish(err, plan.missed)
		timer.Reset(time.Until(slot))
	}
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

// watched reads, and tells when that does not come back: a call into the kernel may hang for as long as the hardware
// does.
func (s *sampler) watched(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- s.read(ctx) }()
	overdue := time.NewTimer(s.limit + overdueAfter)
	defer overdue.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-overdue.C:
			s.tellOverdue()
		}
	}
}

// tellOverdue says that the sensor gives nothing. It leaves the sample to the read.
func (s *sampler) tellOverdue() {
	err := sensors.Errorf(sensors.Stuck, "", "a read does not return after %v; look at the wiring, unplug the adapter", s.limit+overdueAfter)
	s.batch = s.batch[:0]
	s.note(err, nil, s.snapshot().Missed, time.Now())
	s.tellState(err, nil, s.stamp())
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
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	return s.device.Read(ctx, &s.sample)
}

// publish sends the values of the sample and, when it changed, the state.
func (s *sampler) publish(err error, missed uint64) {
	if err != nil {
		s.sample.Reset()
	}
	now, stamp := s.moment()
	s.judge(&s.sample, now)
	s.batch = s.batch[:0]
	values, bad := []status.Value(nil), map[sensors.Quantity]sensors.Reason{}
	for i := range s.sample.Readings {
		r := &s.sample.Readings[i]
		sh := s.shape(r.Quantity)
		v := status.Value{
			Quantity: string(r.Quantity), Topic: sh.topic, Quality: r.Quality.Level.String(), Reason: string(r.Quality.Reason), At: now,
		}
		if r.Quality.Level == sensors.Bad {
			bad[r.Quantity] = r.Quality.Reason
		} else {
			shown := sh.convert(r)
			v.Text, v.Unit = shown.text, string(shown.unit)
			s.batch = append(s.batch, message.Message{Stamp: stamp, Publish: packet.Publish{
				QoS: sh.qos, Retain: sh.retain, Topic: []byte(sh.topic),
				Payload: sh.payload(shown, r.Quality, stamp.Wall), Props: sh.properties(shown, r.Quality),
			}})
		}
		values = append(values, v)
	}
	s.note(err, values, missed, now)
	s.tellState(err, bad, stamp)
	s.send()
}

// moment is when the sample was measured: now, or when its line came.
func (s *sampler) moment() (time.Time, message.Stamp) {
	now, stamp := time.Now(), s.stamp()
	if s.sample.At.IsZero() {
		return now, stamp
	}
	age := now.Sub(s.sample.At)
	stamp.Since -= age
	if stamp.Wall != 0 {
		stamp.Wall -= int64(age)
	}
	return s.sample.At, stamp
}

// note keeps the state for the snapshot and logs its changes.
func (s *sampler) note(err error, values []status.Value, missed uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteChip(err)
	st := &s.state
	st.Reads++
	st.Missed = missed
	before, text := st.State, ""
	if err == nil {
		st.State, st.LastGood, st.Values = "ok", now, values
	} else {
		text = err.Error()
		st.State = "failing"
		st.Failures++
	}
	st.Err = text
	if st.State != before {
		st.Since = now
	}
	switch {
	case st.State == before: // what is wrong with it now stands in the status
	case err != nil:
		s.log.Warn("sensor failing", "sensor", s.name, "err", err)
	default:
		s.log.Info("sensor ok", "sensor", s.name, "chip", s.sample.Chip)
	}
}

// strangers is how many reads in a row make another chip certain: one may be a bit that flipped.
const strangers = 2

// noteChip counts reads that another chip than the first has answered. The caller holds mu.
func (s *sampler) noteChip(err error) {
	switch {
	case sensors.FaultOf(err) == sensors.WrongChip, err == nil && s.chip != "" && s.sample.Chip != s.chip:
		if s.stranger++; s.stranger == strangers {
			s.another()
		}
	case err == nil:
		s.chip, s.stranger = s.sample.Chip, 0
	}
}

// replaced tells whether another kind of chip is where the sensor's was.
func (s *sampler) replaced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stranger >= strangers
}

// tellState adds the state message to the batch if it says something new.
func (s *sampler) tellState(err error, bad map[sensors.Quantity]sensors.Reason, stamp message.Stamp) {
	state := struct {
		State string                              `json:"state"`
		Error string                              `json:"error,omitempty"`
		Bad   map[sensors.Quantity]sensors.Reason `json:"bad,omitempty"`
		Since string                              `json:"since,omitempty"`
	}{State: "ok", Bad: bad}
	if err != nil {
		state.State, state.Error = "failing", err.Error()
	}
	key := state.State + state.Error
	for _, q := range slices.Sorted(maps.Keys(bad)) {
		key += string(q) + string(bad[q])
	}
	if s.telling = key; key == s.told {
		return
	}
	if stamp.Wall != 0 {
		state.Since = timeText(stamp.Wall)
	}
	text, jsonErr := json.Marshal(state)
	if jsonErr != nil {
		s.log.Error("sensor state cannot be written", "sensor", s.name, "err", jsonErr)
		return
	}
	s.batch = append(s.batch, message.Message{Stamp: stamp, Publish: packet.Publish{
		QoS: 1, Retain: true, Topic: []byte(s.stateTopic), Payload: text,
	}})
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
		s.told = s.telling
		if s.published != nil {
			s.published(s.batch)
		}
	}
	s.refused = err != nil
}

// snapshot is the state now.
func (s *sampler) snapshot() status.Sensor {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state
	st.Values = slices.Clone(st.Values)
	return st
}
