package bench

import "strings"

// Scenario is one kind of load.
type Scenario struct {
	Name string
	Doc  string

	run   func(*run) error
	speed bool // the load generator may be what limits it
}

// Scenarios is the table of them all. Those that look at memory come first, while a broker that was not started here
// is as fresh as it gets.
var Scenarios = []Scenario{
	{Name: "empty", Doc: "no connection: memory, CPU, time to the first CONNACK", run: empty},
	{Name: "idle", Doc: "memory of a connection with one subscription", run: idle},
	{Name: "filters", Doc: "memory of a filter with wildcards, and what many of them do to a message", run: filters},
	{Name: "retained", Doc: "memory of a retained message, and all of them to one subscriber", run: retained},
	{Name: "fan-in-0", Doc: "many publishers to one subscriber, QoS 0", run: fanIn(0), speed: true},
	{Name: "fan-in-1", Doc: "the same, QoS 1", run: fanIn(1), speed: true},
	{Name: "fan-in-2", Doc: "the same, QoS 2", run: fanIn(2), speed: true},
	{Name: "fan-out", Doc: "one publisher to many subscribers, QoS 0", run: fanOut, speed: true},
	{Name: "paced-0", Doc: "latency at a steady rate, QoS 0", run: paced(0), speed: true},
	{Name: "paced-1", Doc: "the same, QoS 1", run: paced(1), speed: true},
}

// called tells whether name means this scenario: its own name, or that of its family.
func (s Scenario) called(name string) bool {
	family, _, _ := cutLast(s.Name, "-")
	return name == s.Name || name == family
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
