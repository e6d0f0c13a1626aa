package bridge

import (
	"fmt"
	"testing"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/packet"
)

func TestOpening(t *testing.T) {
	for _, test := range []struct {
		kept, wanted           string
		resume, withdraw       bool
		beginNew, beginPresent bool
	}{
		{"", "", false, false, false, false},
		{"", "a", false, true, true, true}, // withdrawn again: that it was may not be durable
		{"a", "a", true, false, true, false},
		{"b", "a", false, true, true, true},
		{"b", "", false, true, false, false},
	} {
		o := open(test.kept, test.wanted)
		if o.resume != test.resume || o.withdraw != test.withdraw || o.begins(false) != test.beginNew || o.begins(true) != test.beginPresent {
			t.Errorf("kept %q, wanted %q: %+v, begins %t and %t", test.kept, test.wanted, o, o.begins(false), o.begins(true))
		}
	}
}

// Server, client id and protocol each make a token of their own; the servers of a cluster share theirs.
func TestTokens(t *testing.T) {
	c := Config{Servers: []string{"mqtt://a", "mqtt://b"}, Connect: client.Options{ClientID: "one"}}
	other := c
	other.Connect.ClientID = "two"
	all := map[string]bool{}
	for _, x := range []string{c.tokenOf(0, packet.V5), c.tokenOf(1, packet.V5), c.tokenOf(0, packet.V311), other.tokenOf(0, packet.V5)} {
		all[x] = true
	}
	if len(all) != 4 {
		t.Errorf("tokens %v, want four", all)
	}
	if s, v, ok := c.recall(c.tokenOf(1, packet.V311)); s != 1 || v != packet.V311 || !ok {
		t.Errorf("recalled server %d, %s, %t", s, v, ok)
	}
	if _, _, ok := c.recall(other.tokenOf(0, packet.V5)); ok {
		t.Error("recalled the token of another client")
	}
	c.Cluster = true
	turned := c
	turned.Servers = []string{"mqtt://b", "mqtt://a"}
	if c.tokenOf(0, packet.V5) != c.tokenOf(1, packet.V5) || c.tokenOf(0, packet.V5) != turned.tokenOf(0, packet.V5) {
		t.Error("the servers of a cluster have tokens of their own")
	}
}

// Fail-over to a server that knows nothing of the session: what was on its way is sent there as new, and counted; back again it
// is a new session too.
func TestFailOver(t *testing.T) {
	r := newRig(t, upstream.Options{})
	k := lasting(r)
	second, err := upstream.Listen(upstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	r.cfg.Servers = []string{r.server.URL(), second.URL()}
	r.start()
	r.waitRetained(Connected)
	first := k.Session().Token
	r.onItsWay(3)
	r.server.Down()
	r.source.waitDrained(t)
	if n := second.Count(); n < 3 {
		t.Errorf("%d arrivals at the second server", n)
	}
	if st := r.bridge.Status(); st.Repeats != 3 {
		t.Errorf("%d repeats counted, want 3", st.Repeats)
	}
	if now := k.Session().Token; now == first || now == "" {
		t.Errorf("the token is %q, was %q", now, first)
	}
	r.mute(false)
	if err := r.server.Up(); err != nil {
		t.Fatal(err)
	}
	second.Down()
	r.publish("t", "3")
	r.source.waitDrained(t)
	if got := r.waitArrivals(4); len(got) != 4 || string(got[3].Payload) != "3" {
		t.Errorf("%d arrivals at the first server, want 4", len(got))
	}
	for _, v := range second.Violations() {
		t.Errorf("protocol violation: %s", v)
	}
}

// 0x97 to a message at QoS 2: it is sent again under a new pair, in order, once.
func TestQuotaAtQoS2(t *testing.T) {
	refusals := 0 // guarded by the server's lock
	r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{Verdict: func(a *upstream.Arrival) packet.Reason {
		if a.Topic == "t" && string(a.Payload) != "0" && refusals < 2 {
			refusals++
			return packet.QuotaExceeded
		}
		return packet.Success
	}}})
	k := lasting(r)
	for i := range 5 {
		r.publish("t", fmt.Sprint(i))
	}
	r.start()
	r.source.waitDrained(t)
	var got []string
	for _, a := range r.waitArrivals(5) {
		got = append(got, string(a.Payload))
	}
	if len(got) != 5 || got[0] != "0" {
		t.Errorf("arrived %v, want each once", got)
	}
	r.waitStatus("rid of the pairs", func(Status) bool { return len(k.Session().Pairs) == 0 })
	if n := len(r.source.refused); n > 0 {
		t.Errorf("%d dead letters", n)
	}
}
