package gateway

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker"
	"weir/broker/message"
	"weir/gateway/config"
	"weir/sensors"
)

// stub is a sensor and a broker under a sampler.
type stub struct {
	mu                           sync.Mutex // guards everything below
	readErr, openErr, publishErr error
	opened, closed               int
	topics                       []string
	payloads                     []string
	at                           []time.Duration // of reads, since the start
	start                        time.Time
	slow                         time.Duration
	age                          time.Duration // of what is read
	stamps                       []message.Stamp
	give                         func(n int, sample *sensors.Sample) // what the nth read gives; nil: 21.5 °C
	untrusted                    bool                                // the clock
}

func (s *stub) Read(ctx context.Context, sample *sensors.Sample) error {
	s.mu.Lock()
	s.at = append(s.at, time.Since(s.start))
	s.mu.Unlock()
	time.Sleep(s.slow)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readErr != nil {
		return s.readErr
	}
	if s.age > 0 {
		sample.At = time.Now().Add(-s.age)
	}
	if s.give != nil {
		s.give(len(s.at)-1, sample)
		return nil
	}
	sample.Readings = append(sample.Readings, sensors.Reading{Quantity: sensors.Temperature, Unit: sensors.Celsius, Value: 21.5, Resolution: 0.01,
		Quality: sensors.Quality{Level: sensors.Good}})
	return nil
}

func (s *stub) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	return nil
}

func (s *stub) Publish(batch []message.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publishErr != nil {
		return s.publishErr
	}
	for _, m := range batch {
		s.topics = append(s.topics, string(m.Topic))
		s.payloads = append(s.payloads, string(m.Payload))
		s.stamps = append(s.stamps, m.Stamp)
	}
	return nil
}

// sampled runs a sampler over a stub in a bubble of its own time.
func sampled(t *testing.T, s *stub, f func(s *stub, sampler *sampler)) {
	t.Helper()
	sampledAs(t, s, config.Sensor{}, f)
}

// sampledAs is sampled with settings; what is left out there is as it is by default, and each second.
func sampledAs(t *testing.T, s *stub, c config.Sensor, f func(s *stub, sampler *sampler)) {
	t.Helper()
	if c.Every == 0 {
		c.Every = time.Second
	}
	if c.Topic == "" && c.Object == "" {
		c.Topic = "{quantity}"
	}
	synctest.Test(t, func(t *testing.T) {
		s.start = time.Now()
		sampler := &sampler{
			name: "a", every: c.Every, align: c.Align, limit: readLimit, out: s, log: slog.New(slog.DiscardHandler), stateTopic: "state", another: func() {},
			open: func() (sensors.Device, error) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.opened++
				if s.openErr != nil {
					return nil, s.openErr
				}
				return s, nil
			},
			judge: newJudge(&c, nil), object: objectOf(&c),
			stamp: func() message.Stamp {
				stamp := message.Stamp{Boot: 1, Since: time.Since(s.start) + time.Hour}
				if !s.untrusted {
					stamp.Wall = time.Now().UnixNano()
				}
				return stamp
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { sampler.run(ctx); close(ended) }()
		f(s, sampler)
		cancel()
		<-ended
		if s.opened > 0 && s.openErr == nil && s.closed != 1 {
			t.Errorf("closed %d times, want once", s.closed)
		}
	})
}

// pass lets time go by and everything happen that is due. What the test read and set before comes before it.
func (s *stub) pass(d time.Duration) {
	s.mu.Lock()
	s.mu.Unlock()
	time.Sleep(d)
	synctest.Wait()
}

func TestSamplerTellsItsStateOnce(t *testing.T) {
	sampled(t, &stub{}, func(s *stub, _ *sampler) {
		s.pass(3500 * time.Millisecond)
		want := []string{"temperature", "state", "temperature", "temperature", "temperature"}
		if !slices.Equal(s.topics, want) {
			t.Errorf("published %v, want %v", s.topics, want)
		}
		if s.payloads[0] != "21.5" || !strings.HasPrefix(s.payloads[1], `{"state":"ok","since":"`) {
			t.Errorf("published %q", s.payloads[:2])
		}
	})
}

// TestSamplerTellsItsStateAfterAFullBroker: a state that the broker did not take is not forgotten.
func TestSamplerTellsItsStateAfterAFullBroker(t *testing.T) {
	sampled(t, &stub{publishErr: broker.ErrFull}, func(s *stub, sampler *sampler) {
		s.pass(2500 * time.Millisecond)
		if st := sampler.snapshot(); st.Dropped != 6 || st.State != "ok" {
			t.Errorf("%d dropped, state %s, want three readings and states dropped, ok", st.Dropped, st.State)
		}
		s.publishErr = nil
		s.pass(time.Second)
		if want := []string{"temperature", "state"}; !slices.Equal(s.topics, want) {
			t.Errorf("published %v, want %v", s.topics, want)
		}
	})
}

func TestSamplerBacksOffAndComesBack(t *testing.T) {
	sampled(t, &stub{readErr: errors.New("no answer")}, func(s *stub, sampler *sampler) {
		s.pass(30500 * time.Millisecond)
		want := []time.Duration{0, 1, 3, 7, 15, 23}
		if len(s.at) != len(want) {
			t.Fatalf("read at %v, want seconds %v", s.at, want)
		}
		for i := range want {
			if s.at[i] != want[i]*time.Second {
				t.Fatalf("read at %v, want seconds %v", s.at, want)
			}
		}
		st := sampler.snapshot()
		if st.State != "failing" || st.Err != "no answer" || st.Failures != 6 || !st.LastGood.IsZero() || st.Since != s.start {
			t.Errorf("status %+v", st)
		}
		if want := []string{"state"}; !slices.Equal(s.topics, want) {
			t.Errorf("published %v, want the state alone, once", s.topics)
		}
		s.readErr = nil
		s.pass(2 * time.Second)
		if got := s.topics[1:]; !slices.Equal(got, []string{"temperature", "state", "temperature"}) {
			t.Errorf("after coming back: %v", got)
		}
		if st := sampler.snapshot(); st.State != "ok" || st.Err != "" || st.Since != s.start.Add(31*time.Second) {
			t.Errorf("status %+v, want ok since the second 31", st)
		}
	})
}

// TestSamplerOpensAgain: a device that cannot be opened is tried again; an open one stays open.
func TestSamplerOpensAgain(t *testing.T) {
	sampled(t, &stub{openErr: errors.New("no such bus")}, func(s *stub, sampler *sampler) {
		s.pass(500 * time.Millisecond)
		if st := sampler.snapshot(); st.State != "failing" || st.Err != "no such bus" {
			t.Errorf("status %+v", st)
		}
		s.openErr = nil
		s.pass(5 * time.Second)
		if st := sampler.snapshot(); st.State != "ok" || s.opened != 2 {
			t.Errorf("status %+v, opened %d times, want ok at the second", st, s.opened)
		}
	})
}

// TestSamplerSkipsSlots: a read that takes longer than the interval costs slots, which are counted.
func TestSamplerSkipsSlots(t *testing.T) {
	sampled(t, &stub{slow: 1500 * time.Millisecond}, func(s *stub, sampler *sampler) {
		s.pass(7900 * time.Millisecond)
		for i, at := range s.at {
			if at != time.Duration(2*i)*time.Second {
				t.Fatalf("read at %v, want every second slot", s.at)
			}
		}
		if st := sampler.snapshot(); st.Missed != 4 || st.Reads != 4 {
			t.Errorf("%d reads, %d missed, want 4 and 4", st.Reads, st.Missed)
		}
	})
}

// TestSamplerTellsOfAReadThatHangs: a call that does not come back is told, not kept as the last good state.
func TestSamplerTellsOfAReadThatHangs(t *testing.T) {
	sampled(t, &stub{}, func(s *stub, sampler *sampler) {
		s.pass(500 * time.Millisecond)
		s.slow = time.Hour
		s.pass(readLimit + overdueAfter + time.Second)
		if st := sampler.snapshot(); st.State != "failing" || !strings.Contains(st.Err, "stuck: a read does not return after 20s") {
			t.Errorf("status %+v", st)
		}
		if want := []string{"temperature", "state", "state"}; !slices.Equal(s.topics, want) || !strings.HasPrefix(s.payloads[2], `{"state":"failing"`) {
			t.Errorf("published %v %v", s.topics, s.payloads)
		}
		s.slow = 0
		s.pass(time.Hour)
		if st := sampler.snapshot(); st.State != "ok" {
			t.Errorf("after it came back: %+v", st)
		}
	})
}

// TestSamplerStampsWhenItWasMeasured: what waited for the read does not get the time of the read.
func TestSamplerStampsWhenItWasMeasured(t *testing.T) {
	sampled(t, &stub{age: 7 * time.Second}, func(s *stub, sampler *sampler) {
		s.pass(500 * time.Millisecond)
		want := message.Stamp{Boot: 1, Since: time.Hour - 7*time.Second, Wall: s.start.Add(-7 * time.Second).UnixNano()}
		if len(s.stamps) == 0 || s.stamps[0] != want {
			t.Errorf("stamps %+v, want %+v", s.stamps, want)
		}
		if st := sampler.snapshot(); !st.Values[0].At.Equal(s.start.Add(-7 * time.Second)) {
			t.Errorf("status says %v", st.Values[0].At)
		}
	})
}
