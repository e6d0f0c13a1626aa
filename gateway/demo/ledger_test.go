package demo

import (
	"fmt"
	"testing"

	"weir/bridge/upstream"
	"weir/broker/message"
	"weir/broker/packet"
)

const readingTopic = "/Home/Garden/Temperature"

// take notes values as taken.
func take(l *ledger, values ...string) {
	for _, v := range values {
		l.taken([]message.Message{{Publish: packet.Publish{Topic: []byte(readingTopic), Payload: []byte(v)}}})
	}
}

// come notes a value as arrived, taken at a second.
func come(l *ledger, second int, value string) {
	l.arrived(upstream.Arrival{Topic: prefix + readingTopic, Payload: fmt.Appendf(nil, `{"time":"2026-11-22T14:02:%02dZ","value":%s,"unit":"°C"}`, second, value)})
}

func TestLedger(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(l *ledger)
		want Result
	}{
		{"nothing", func(*ledger) {}, Result{}},
		{"all arrive", func(l *ledger) { take(l, "1.50", "2.50"); come(l, 1, "1.50"); come(l, 2, "2.50") }, Result{Taken: 2, Arrived: 2}},
		{"one is lost", func(l *ledger) { take(l, "1", "2", "3"); come(l, 1, "1"); come(l, 3, "3") }, Result{Taken: 3, Arrived: 2, Lost: 1}},
		{"the last is lost", func(l *ledger) { take(l, "1", "2"); come(l, 1, "1") }, Result{Taken: 2, Arrived: 1, Lost: 1}},
		{"one of equals is lost", func(l *ledger) { take(l, "1", "1", "1"); come(l, 1, "1"); come(l, 3, "1") }, Result{Taken: 3, Arrived: 2, Lost: 1}},
		{"a repeat", func(l *ledger) { take(l, "1", "2"); come(l, 1, "1"); come(l, 1, "1"); come(l, 2, "2") }, Result{Taken: 2, Arrived: 2, Repeated: 1}},
		{"a repeat does not stand for another", func(l *ledger) { take(l, "1", "1"); come(l, 1, "1"); come(l, 1, "1") },
			Result{Taken: 2, Arrived: 1, Repeated: 1, Lost: 1}},
		{"the wrong order", func(l *ledger) { take(l, "1", "2"); come(l, 2, "2"); come(l, 1, "1") }, Result{Taken: 2, Arrived: 2, Lost: 1}},
		{"a changed value", func(l *ledger) { take(l, "1", "2", "3"); come(l, 1, "1"); come(l, 2, "9"); come(l, 3, "3") }, Result{Taken: 3, Arrived: 3, Lost: 1}},
		{"a first value that changed", func(l *ledger) { take(l, "1", "2", "3"); come(l, 1, "3"); come(l, 2, "2"); come(l, 3, "3") },
			Result{Taken: 3, Arrived: 3, Lost: 1}},
		{"a value that cannot be read", func(l *ledger) {
			take(l, "1")
			l.arrived(upstream.Arrival{Topic: prefix + readingTopic, Payload: []byte("1")})
		}, Result{Taken: 1, Arrived: 1, Lost: 1}},
		{"under another topic", func(l *ledger) {
			take(l, "1")
			l.arrived(upstream.Arrival{Topic: prefix + "/Home/Garden/Pressure", Payload: []byte(`{"time":"a","value":1}`)})
		}, Result{Taken: 1, Arrived: 1, Lost: 1}},
		{"states are no readings", func(l *ledger) {
			l.taken([]message.Message{{Publish: packet.Publish{Topic: []byte("weir/demo/sensor/garden"), Payload: []byte("{}")}}})
			l.arrived(upstream.Arrival{Topic: "weir/demo/bridge/cloud", Payload: []byte("{}")})
		}, Result{}},
	} {
		l := newLedger()
		c.do(l)
		if got := l.result(); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
