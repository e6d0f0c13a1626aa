package bench

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"weir/broker/packet"
)

// Options say which broker is measured, and how.
type Options struct {
	URL      string         // mqtt://HOST[:PORT]
	Version  packet.Version // 0: 3.1.1, which every broker speaks
	Username string         // "": none
	Password []byte         // used with a Username only

	// Exec, if it is not empty, is the program of the broker and its arguments. It is started anew for each scenario, and ended
	// after it.
	Exec []string
	// PID is the process of the broker; 0: the one at the other end of a connection, if it can be found.
	PID int

	Scenarios []string // names, or what stands before their last "-"; none: all
	Size      Size     // zero fields: those of Full

	// Limit is the program, with its arguments, that serves Bare, and prints the address it listens on as its first line. Empty: the
	// limit of the load generator is not measured.
	Limit []string
}

// Size is how much is done, and how long it is looked at.
type Size struct {
	Payload     int           // bytes of each message, at least 24
	Publishers  int           // of fan-in
	Subscribers int           // of fan-out
	Window      int           // messages of QoS 1 and 2 that a publisher has unacknowledged
	Ahead       int           // messages that all publishers together are ahead of the slowest subscriber, at QoS 0
	AheadQueued int           // the same at QoS 1 and 2, where brokers have queues
	Rate        int           // messages per second, paced
	Idle        int           // connections
	Filters     int           // filters with wildcards
	Retained    int           // retained messages
	For         time.Duration // what rates, latency and CPU are measured over
	EmptyFor    time.Duration // what the CPU of an idle broker is measured over
	WarmUp      time.Duration // full load before that
	Settle      time.Duration // rest before memory is looked at
	Patience    time.Duration // how long nothing may come from the broker
}

// Full is the size of which results are told.
func Full() Size {
	return Size{Payload: 64, Publishers: 20, Subscribers: 100, Window: 20, Ahead: 3000, AheadQueued: 600, Rate: 1000, Idle: 5000, Filters: 100_000,
		Retained: 100_000, For: 5 * time.Second, EmptyFor: 10 * time.Second, WarmUp: time.Second, Settle: 2 * time.Second,
		Patience: 10 * time.Second}
}

// Small is a glance: the figures are rough.
func Small() Size {
	s := Full()
	s.Idle, s.Filters, s.Retained = 1000, 10_000, 10_000
	s.For, s.EmptyFor = time.Second, 2*time.Second
	s.WarmUp, s.Settle = 200*time.Millisecond, 500*time.Millisecond
	return s
}

// largestPayload keeps a message within what brokers take by default.
const largestPayload = 60_000

func (s *Size) check() error {
	full := Full()
	for _, f := range []struct {
		name      string
		value     *int
		otherwise int
		least     int
	}{
		{"payload", &s.Payload, full.Payload, payloadHead}, {"publishers", &s.Publishers, full.Publishers, 1},
		{"subscribers", &s.Subscribers, full.Subscribers, 1}, {"window", &s.Window, full.Window, 1},
		{"ahead", &s.Ahead, full.Ahead, 1}, {"ahead", &s.AheadQueued, full.AheadQueued, 1}, {"rate", &s.Rate, full.Rate, 1}, {"idle", &s.Idle, full.Idle, 1},
		{"filters", &s.Filters, full.Filters, 1}, {"retained", &s.Retained, full.Retained, 1},
	} {
		if *f.value == 0 {
			*f.value = f.otherwise
		}
		if *f.value < f.least {
			return fmt.Errorf("%s: got %d, want at least %d", f.name, *f.value, f.least)
		}
	}
	for _, f := range []struct{ value, otherwise *time.Duration }{
		{&s.For, &full.For}, {&s.EmptyFor, &full.EmptyFor}, {&s.WarmUp, &full.WarmUp}, {&s.Settle, &full.Settle}, {&s.Patience, &full.Patience},
	} {
		if *f.value == 0 {
			*f.value = *f.otherwise
		}
	}
	switch {
	case s.Payload > largestPayload:
		return fmt.Errorf("payload: got %d, want at most %d bytes", s.Payload, largestPayload)
	case s.Window > 65_535:
		return fmt.Errorf("window: got %d, want at most 65535, the number of packet ids", s.Window)
	case min(s.Ahead, s.AheadQueued) < 2*s.Publishers:
		return fmt.Errorf("ahead: got %d, want at least 2 for each of %d publishers", min(s.Ahead, s.AheadQueued), s.Publishers)
	case s.Rate > 100_000:
		return fmt.Errorf("rate: got %d, want at most 100000 messages/s", s.Rate)
	}
	return nil
}

// ahead is how far publishers may be ahead at a QoS.
func (s *Size) ahead(qos byte) int {
	if qos == 0 {
		return s.Ahead
	}
	return s.AheadQueued
}

// check fills in what is zero, and tells what cannot be. It gives the broker's host and port, and the scenarios.
func (o *Options) check() (address string, chosen []Scenario, err error) {
	if o.Version == 0 {
		o.Version = packet.V311
	}
	if o.Version != packet.V311 && o.Version != packet.V5 {
		return "", nil, fmt.Errorf("version %d, want 3.1.1 or 5.0", o.Version)
	}
	if len(o.Password) > 0 && o.Username == "" {
		return "", nil, errors.New("a password needs a user name")
	}
	if address, err = hostPort(o.URL); err != nil {
		return "", nil, err
	}
	if chosen, err = choose(o.Scenarios); err != nil {
		return "", nil, err
	}
	return address, chosen, o.Size.check()
}

// hostPort is the address in a URL.
func hostPort(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "mqtt" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Path != "" && u.Path != "/" {
		return "", fmt.Errorf("url %q: want mqtt://HOST or mqtt://HOST:PORT", text)
	}
	port := u.Port()
	if port == "" {
		port = "1883"
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// choose finds scenarios by name, in the order of the table.
func choose(names []string) ([]Scenario, error) {
	if len(names) == 0 {
		return Scenarios, nil
	}
	var chosen []Scenario
	for _, s := range Scenarios {
		if slices.ContainsFunc(names, s.called) {
			chosen = append(chosen, s)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(Scenarios, func(s Scenario) bool { return s.called(name) }) {
			return nil, fmt.Errorf("there is no scenario %q, want one of %s", name, strings.Join(Names(), ", "))
		}
	}
	return chosen, nil
}

// Names are the names of all scenarios, in the order in which they run.
func Names() (all []string) {
	for _, s := range Scenarios {
		all = append(all, s.Name)
	}
	return all
}
