package gateway

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/gateway/status"
)

const durabilityRules = `
[bridge.cloud]
url = "CLOUD"
[[bridge.cloud.forward]]
filter = "fast/#"
durability = "memory"
[[bridge.cloud.forward]]
filter = "safe/#"
durability = "disk"
[[bridge.cloud.forward]]
filter = "usual/#"
`

// TestDurability: where there is no disk, a rule with durability "memory" asks nobody, one with "auto" the upstream, and
// one with "disk" acknowledges nothing until there is a disk.
func TestDurability(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "300000") // so that the gateway looks around often
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	s := newSite(t, upstream.Options{})
	if err := os.WriteFile(s.dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.cloud.Down()
	s.start(head + noSensors + durabilityRules)
	pump := func() *local {
		l, err := s.connect(client.Options{ClientID: "pump"})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	p := pump()
	say := func(topic string) <-chan error {
		acknowledged := make(chan error, 1)
		go func() { acknowledged <- p.publish(topic, "75") }()
		return acknowledged
	}
	if err := p.publish("fast/x", "75"); err != nil {
		t.Errorf(`"memory": %v`, err)
	}
	usual := say("usual/x")
	s.want("the message for the upstream", func(st *status.Snapshot) bool { return st.Bridges[0].Backlog == 2 })
	select {
	case err := <-usual:
		t.Errorf(`"auto": acknowledged (%v) although nobody has it`, err)
	default:
	}
	if err := s.cloud.Up(); err != nil {
		t.Fatal(err)
	}
	s.arrived("usual/x")
	if err := <-usual; err != nil {
		t.Errorf(`"auto": %v`, err)
	}
	safe := say("safe/x")
	s.arrived("safe/x")
	s.want("its acknowledgement", func(st *status.Snapshot) bool { return st.Bridges[0].Acked == 3 })
	if err := os.Remove(s.dir); err != nil {
		t.Fatal(err)
	}
	if err := s.end(); !errors.Is(err, ErrStoreBack) {
		t.Fatalf("run ended with %v, want %v", err, ErrStoreBack)
	}
	if !strings.Contains(s.said.String(), "are given up") {
		t.Error("nothing was said of a message that was given up")
	}
	if err := <-safe; err == nil {
		t.Error(`"disk": acknowledged without a disk`)
	}
	p.conn.Abort()

	s.cloud.Down()
	s.start(head + noSensors + durabilityRules)
	p = pump()
	defer p.close()
	if err := p.publish("safe/x", "75"); err != nil {
		t.Errorf(`"disk", with one: %v`, err)
	}
}
