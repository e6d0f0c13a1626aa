package status

import (
	"testing"
	"time"
)

func TestVerdict(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		s    Snapshot
		want string
		ok   bool
	}{
		{"empty", Snapshot{Taken: now, Clock: Clock{Trusted: true}}, "No sensors.", true},
		{"refused", Snapshot{Taken: now, Clock: Clock{Trusted: true}, Config: Config{Refused: "weir.toml:1:1: wrong\nweir.toml:2:1: too"}},
			"No sensors. The configuration was refused, the one before holds: weir.toml:1:1: wrong (and more).", false},
		{"restart", Snapshot{Taken: now, Clock: Clock{Trusted: true}, Config: Config{Restart: []string{"gateway.id", "broker.max_packet"}}},
			"No sensors. Waiting for a restart: gateway.id, broker.max_packet.", true},
		{"good", Snapshot{
			Taken: now, Clock: Clock{Trusted: true}, Sensors: []Sensor{{Name: "a", State: "ok"}, {Name: "b", State: "ok"}},
			Bridges: []Bridge{{Name: "cloud", State: "connected"}},
		}, "All 2 sensors answer. cloud: connected, nothing waiting.", true},
		{"full", Snapshot{Taken: now, Clock: Clock{Trusted: true}, Store: Store{Full: true}},
			"No sensors. The disk is full: the store makes do with the room it has.", false},
		{"held", Snapshot{Taken: now, Clock: Clock{Trusted: true}, Store: Store{FlashHeld: true}},
			"No sensors. The flash budget of this hour is used up: publishers wait longer.", true},
		{"not kept", Snapshot{Taken: now, Clock: Clock{Trusted: true}, Broker: Broker{NotKept: 3}},
			"No sensors. 3 times something of a local session could not be stored: it lives in memory.", true},
		{"listeners", Snapshot{Taken: now, Clock: Clock{Trusted: true}, Listeners: []Listener{
			{Name: "lan", Err: "cannot assign requested address"}, {Name: "tls", Expires: now.Add(time.Hour), Warnings: []string{"the certificate expires soon"}}}},
			"No sensors. Listener lan cannot be opened: cannot assign requested address. Listener tls: the certificate expires soon.", false},
		{"expiring", Snapshot{Taken: now, Clock: Clock{Trusted: true}, Listeners: []Listener{{Name: "tls", Expires: now.Add(time.Hour)}}}, "No sensors.", true},
		{"expired", Snapshot{Taken: now, Clock: Clock{Trusted: true}, Listeners: []Listener{{Name: "tls", Expires: now.Add(-time.Hour)}}}, "No sensors.", false},
		{"outage", Snapshot{
			Taken: now, Sensors: []Sensor{{Name: "a", State: "failing"}},
			Bridges: []Bridge{{Name: "cloud", State: "offline", Since: now.Add(-90 * time.Second), Err: "connection refused", Backlog: 8040, Aside: 1, Dropped: 2}},
			Store:   Store{Err: "no space left on device", Damage: "3 records lost"},
		}, "1 of 1 sensors failing: a. cloud: offline for 1m30s, 8040 messages waiting. Connection refused. 1 refused by it and kept." +
			" 2 dropped: no room, too many, or too old. The store takes no writes: no space left on device. At start: 3 records lost. The clock is not set yet.", false},
	} {
		if got := c.s.Verdict(); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
		if got := c.s.OK(); got != c.ok {
			t.Errorf("%s: OK %v, want %v", c.name, got, c.ok)
		}
	}
}
