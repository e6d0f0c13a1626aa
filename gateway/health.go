package gateway

import (
	"encoding/json"
	"slices"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/gateway/status"
	"weir/sensors"
)

// stateSaid is what a state message says. Counters are told along with it.
type stateSaid struct {
	known   bool
	failing bool
	err     string
	bad     []because // in the order of the sample
	faults  uint64    // all that were counted
	at      time.Time
}

// because is why a quantity has no number.
type because struct {
	quantity sensors.Quantity
	reason   sensors.Reason
}

// faultsEvery is how often a state is told anew for the sake of its counters alone.
const faultsEvery = time.Minute

// news tells whether t says something that o did not.
func (t *stateSaid) news(o *stateSaid) bool {
	return !o.known || t.failing != o.failing || t.err != o.err || !slices.Equal(t.bad, o.bad) ||
		t.faults != o.faults && t.at.Sub(o.at) >= faultsEvery
}

// set makes t say what o says, with memory of its own.
func (t *stateSaid) set(o *stateSaid) {
	if !o.known {
		return
	}
	bad := append(t.bad[:0], o.bad...)
	*t = *o
	t.bad = bad
}

// failedTries is what went wrong in a read: what its device counted or, if it does not count, its error.
func failedTries(err error, sample *sensors.Sample) sensors.Tally {
	t := sample.Failed
	if t == (sensors.Tally{}) {
		t.Count(err)
	}
	return t
}

// faults are those of a tally as the status shows them.
func faults(t *sensors.Tally) status.Faults {
	f := status.Faults{
		NotAnswering: t[sensors.NotAnswering], Timeout: t[sensors.Timeout] + t[sensors.Stuck],
		Garbage: t[sensors.Garbage] + t[sensors.WrongChip], Tries: t.Sum(),
	}
	f.Other = f.Tries - f.NotAnswering - f.Timeout - f.Garbage
	return f
}

// count adds the faults of a read. The caller holds mu.
func (s *sampler) count(failed *sensors.Tally, missed uint64) {
	f := &s.state.Faults
	f.Add(faults(failed))
	for i := range s.sample.Readings {
		switch s.sample.Readings[i].Quality.Reason {
		case sensors.OutsideChip, sensors.OutsideUser, sensors.TooFast, sensors.Frozen, sensors.NotANumber:
			f.Refused++
		}
	}
	s.state.Missed = missed
}

// note keeps the state for the snapshot and logs its changes. The caller holds mu.
func (s *sampler) note(err error, chip string, now time.Time) {
	s.noteChip(err, chip)
	st := &s.state
	st.Reads++
	before, text := st.State, ""
	if err == nil {
		st.State, st.LastGood, st.Chip = "ok", now, chip
	} else {
		text = err.Error()
		st.State = "failing"
		st.Failures++
	}
	st.Err = text
	if st.State != before {
		st.Since = now
	}
	s.telling.known, s.telling.failing, s.telling.err, s.telling.at = true, err != nil, text, now
	s.telling.faults = st.Faults.Sum() + st.Missed
	switch {
	case st.State == before: // what is wrong with it now stands in the status
	case err != nil:
		s.log.Warn("sensor failing", "sensor", s.name, "err", err)
	default:
		s.log.Info("sensor ok", "sensor", s.name, "chip", chip)
	}
}

// strangers is how many reads in a row make another chip certain: one may be a bit that flipped.
const strangers = 2

// noteChip counts reads that another chip than the first has answered. The caller holds mu.
func (s *sampler) noteChip(err error, chip string) {
	switch {
	case sensors.FaultOf(err) == sensors.WrongChip, err == nil && s.chip != "" && chip != s.chip:
		if s.stranger++; s.stranger == strangers {
			s.another()
		}
	case err == nil:
		s.chip, s.stranger = chip, 0
	}
}

// replaced tells whether another kind of chip is where the sensor's was.
func (s *sampler) replaced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stranger >= strangers
}

// stateMessage is what stands, retained, in the state topic of a sensor.
type stateMessage struct {
	State    string                              `json:"state"` // ok or failing
	Error    string                              `json:"error,omitempty"`
	Bad      map[sensors.Quantity]sensors.Reason `json:"bad,omitempty"`
	Since    string                              `json:"since,omitempty"` // of what stands above
	Chip     string                              `json:"chip,omitempty"`
	LastGood string                              `json:"last_good,omitempty"` // when it failed
	Faults   *stateFaults                        `json:"faults,omitempty"`    // since the start of the gateway
}

type stateFaults struct {
	NotAnswering uint64 `json:"not_answering,omitempty"`
	Timeout      uint64 `json:"timeout,omitempty"`
	Garbage      uint64 `json:"garbage,omitempty"`
	Other        uint64 `json:"other,omitempty"`
	Refused      uint64 `json:"refused,omitempty"`
	Tries        uint64 `json:"failed_tries,omitempty"`
	Missed       uint64 `json:"missed,omitempty"`
}

// tellState adds the state message to the batch if it says something new. The caller holds work.
func (s *sampler) tellState(err error, stamp message.Stamp) {
	if !s.telling.news(&s.told) {
		s.telling.known = false // what was told stays as it is
		return
	}
	st := s.snapshot()
	state := stateMessage{State: "ok", Chip: st.Chip, Bad: map[sensors.Quantity]sensors.Reason{}}
	for _, b := range s.telling.bad {
		state.Bad[b.quantity] = b.reason
	}
	if err != nil {
		state.State, state.Error = "failing", s.telling.err
	}
	if stamp.Wall != 0 {
		state.Since = string(appendTime(nil, stamp.Wall))
		if err != nil && !st.LastGood.IsZero() {
			state.LastGood = string(appendTime(nil, stamp.Wall-int64(s.telling.at.Sub(st.LastGood))))
		}
	}
	if f := st.Faults; f.Sum()+st.Missed > 0 {
		state.Faults = &stateFaults{f.NotAnswering, f.Timeout, f.Garbage, f.Other, f.Refused, f.Tries, st.Missed}
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

// snapshot is the state now.
func (s *sampler) snapshot() status.Sensor {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state
	st.Values = make([]status.Value, 0, len(s.current))
	for _, o := range s.current {
		st.Values = append(st.Values, status.Value{
			Quantity: string(o.quantity), Topic: string(o.shape.topic), Text: string(o.text), Unit: string(o.unit),
			Quality: o.last.Level.String(), Reason: string(o.last.Reason), At: o.at,
		})
	}
	return st
}
