package demo

import (
	"encoding/json"
	"strings"
	"sync"

	"weir/bridge/upstream"
	"weir/broker/message"
)

// ledger holds what was taken against what arrived. Safe for concurrent use.
//
// A reading is known by its topic and the time in its payload: the same reading sent twice carries the same time. The
// values of a topic must arrive in the order in which they were taken.
type ledger struct {
	mu     sync.Mutex
	topics map[string]*account
}

// account is one topic.
type account struct {
	taken    []string        // values in order
	came     []string        // values in order of their first arrival
	times    map[string]bool // of arrivals
	repeated int
}

func newLedger() *ledger { return &ledger{topics: map[string]*account{}} }

func (l *ledger) account(topic string) *account {
	a := l.topics[topic]
	if a == nil {
		a = &account{times: map[string]bool{}}
		l.topics[topic] = a
	}
	return a
}

// prefix is what the demo's forward rule puts before each topic.
const prefix = "sites/demo"

// isReading tells readings from the states of sensors and links.
func isReading(topic string) bool { return strings.HasPrefix(topic, "/Home/") }

// taken notes readings that the broker took.
func (l *ledger) taken(batch []message.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range batch {
		if topic := string(batch[i].Topic); isReading(topic) {
			a := l.account(topic)
			a.taken = append(a.taken, string(batch[i].Payload))
		}
	}
}

// arrived notes a message at the upstream.
func (l *ledger) arrived(m upstream.Arrival) {
	topic := strings.TrimPrefix(m.Topic, prefix)
	if !isReading(topic) {
		return
	}
	var reading struct {
		Time  string      `json:"time"`
		Value json.Number `json:"value"`
	}
	err := json.Unmarshal(m.Payload, &reading)
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(topic)
	switch {
	case err != nil:
		a.came = append(a.came, "not readable: "+string(m.Payload))
	case a.times[reading.Time]:
		a.repeated++
	default:
		a.times[reading.Time] = true
		a.came = append(a.came, reading.Value.String())
	}
}

// result compares the two sides.
func (l *ledger) result() (r Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.topics {
		r.Taken += len(a.taken)
		r.Arrived += len(a.came)
		r.Repeated += a.repeated
		r.Lost += a.lost()
	}
	return r
}

// lost counts the values taken that have no arrival in their order.
func (a *account) lost() int {
	found, at := 0, 0
	for _, value := range a.taken {
		for i := at; i < len(a.came); i++ {
			if a.came[i] == value {
				found, at = found+1, i+1
				break
			}
		}
	}
	return len(a.taken) - found
}
