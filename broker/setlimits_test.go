package broker

import (
	"fmt"
	"testing"
	"time"

	"weir/broker/packet"
)

// TestSetLimits: new limits hold from then on, higher ones at once, and lower ones drop nobody who is inside the old ones.
func TestSetLimits(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{MaxConnections: 3, MaxSubscriptions: 3, MaxClientSubscriptions: 2, MaxRetained: 1})
		a, _ := h.login(v, "a")
		b, _ := h.login(v, "b")
		if r := a.subscribe(0, "1", "2", "3"); r[1].Failed() || !r[2].Failed() {
			t.Fatalf("SUBACK %v, want the third refused", r)
		}
		a.send(retainedMessage("kept/1", "x", 0, 0), retainedMessage("kept/2", "x", 0, 0))
		a.nothing()
		h.wantLimit("max_retained", 1, 1)

		h.b.SetLimits(Config{MaxConnections: 1, MaxSubscriptions: 10, MaxClientSubscriptions: 4, MaxRetained: 2})
		a.nothing()
		b.nothing()
		if l := h.limit("max_connections"); l.Now != 2 || l.Most != 1 {
			t.Errorf("max_connections is %+v, want 2 of 1", l)
		}
		h.refused(v, "c", refusal(v))
		if r := a.subscribe(0, "3", "4", "5"); r[1].Failed() || !r[2].Failed() {
			t.Errorf("SUBACK %v, want the fifth refused", r)
		}
		a.send(retainedMessage("kept/2", "x", 0, 0))
		a.nothing()
		h.wantLimit("max_retained", 2, 1)

		b.leave()
		h.wantLimit("max_connections", 1, 1)
		h.refused(v, "c", refusal(v))
		h.b.SetLimits(Config{MaxConnections: 2})
		h.login(v, "c")
	})
}

// TestSetLimitsOfListener: the limit of a listener is another one from then on, whether there was one before or not.
func TestSetLimitsOfListener(t *testing.T) {
	most := func(n int) Config { return Config{ListenerConnections: func(string) int { return n }} }
	h := build(t, most(0))
	h.login(packet.V5, "a")
	h.login(packet.V5, "b")
	h.b.SetLimits(most(2))
	h.refused(packet.V5, "c", packet.QuotaExceeded)
	h.b.SetLimits(most(3))
	h.login(packet.V5, "c")
	h.b.SetLimits(most(0))
	h.login(packet.V5, "d")
}

// TestSetLimitsOfClient: what a client was told holds for it until it connects again.
func TestSetLimitsOfClient(t *testing.T) {
	two, one := byte(2), byte(1)
	h := build(t, Config{MaxPacket: 1000, ReceiveMaximum: 10, TopicAliases: 5, MaxQoS: &two})
	pub, ack := h.login(packet.V5, "pub")
	if p := &ack.Props; p.MaximumPacketSize != 1000 || p.ReceiveMaximum != 10 || p.TopicAliasMaximum != 5 || p.Has(packet.PropMaximumQoS) {
		t.Fatalf("CONNACK %+v", ack.Props)
	}
	h.b.SetLimits(Config{MaxPacket: 100, ReceiveMaximum: 2, TopicAliases: 1, MaxQoS: &one, MaxKeepAlive: time.Minute, MaxSessionExpiry: time.Second})
	m := message1("x", string(make([]byte, 500)), 2, 1)
	m.Props.SetTopicAlias(5)
	pub.send(m)
	pub.expectAck(packet.TypePubrec, 1)
	for i := range 9 {
		pub.send(message1("x", "x", 2, uint16(i+2)))
		pub.expectAck(packet.TypePubrec, uint16(i+2))
	}
	pub.nothing()
	late, ack := h.login(packet.V5, "late", expiry(100))
	if p := &ack.Props; p.MaximumPacketSize != 100 || p.ReceiveMaximum != 2 || p.TopicAliasMaximum != 1 || p.MaximumQoS != 1 || p.ServerKeepAlive != 60 || p.SessionExpiry != 1 {
		t.Errorf("CONNACK %+v", ack.Props)
	}
	late.send(message1("x", string(make([]byte, 500)), 1, 1))
	late.expectEnd(packet.PacketTooLarge)
	h.b.SetLimits(Config{})
	_, ack = h.login(packet.V5, "usual")
	if p := &ack.Props; p.MaximumPacketSize != 1<<20 || p.ReceiveMaximum != 1024 {
		t.Errorf("CONNACK %+v", ack.Props)
	}
}

// TestSetLimitsOfQueues: a queue that is longer than it may be now keeps what it has, and takes nothing more.
func TestSetLimitsOfQueues(t *testing.T) {
	run := func(t *testing.T) {
		h := build(t, Config{QueueMessages: 10})
		sub, _ := h.login(packet.V5, "sub", keepSession)
		sub.subscribe(1, "x")
		sub.leave()
		pub, _ := h.login(packet.V5, "pub")
		publish := func(from, to int) {
			for i := from; i < to; i++ {
				pub.publish("x", fmt.Sprint(i), 1, 1)
				pub.expectAck(packet.TypePuback, 1)
			}
		}
		publish(0, 8)
		h.b.SetLimits(Config{QueueMessages: 5})
		publish(100, 103)
		h.until(func() bool { return h.b.Stats().DroppedQueue == 3 })
		h.b.SetLimits(Config{QueueMessages: 9})
		publish(8, 9)
		publish(103, 104)
		sub, _ = h.login(packet.V5, "sub", keepSession)
		for i := range 9 {
			sub.finish(sub.expectMessage("x", fmt.Sprint(i)))
		}
		sub.nothing()
	}
	t.Run("memory", run)
	t.Run("store"+stored, run)
}

// TestLoginsAreConfigured: how often logins may fail is a setting, which can change.
func TestLoginsAreConfigured(t *testing.T) {
	cfg := Config{Users: users{"pump": "secret"}, Anonymous: func(string) bool { return false }, Logins: Logins{Failures: 1, Wait: time.Hour, MaxWait: time.Hour}}
	h := build(t, cfg)
	login := func(password string) packet.Reason {
		c := h.dial(packet.V5)
		defer c.nc.Close()
		return c.connect("c", as("pump"), func(p *packet.Connect) { p.HasPassword, p.Password = true, []byte(password) }).Reason
	}
	for i, want := range []packet.Reason{packet.BadUserNameOrPassword, packet.BadUserNameOrPassword, packet.ConnectionRateExceeded} {
		if r := login("wrong"); r != want {
			t.Errorf("login %d: %s, want %s", i+1, r, want)
		}
	}
	var a attempts
	l, now := Logins{Failures: 1, Wait: 3 * time.Second, MaxWait: 10 * time.Second, Forget: time.Hour, AddressForget: time.Hour, AddressFailures: 100, AddressChecks: 1, Checks: 1}, time.Now()
	fail := func() bool {
		at, ok, _ := a.begin(&l, addressOf("192.0.2.7"), "u", now)
		if ok {
			a.end(&l, at, true, now)
		}
		return ok
	}
	for i, wait := range []time.Duration{0, 3, 6, 10, 10, 10} {
		if !fail() {
			t.Fatalf("failure %d was not looked at", i+1)
		}
		if now = now.Add(wait*time.Second - 1); wait > 0 && fail() {
			t.Fatalf("failure %d has not to wait %d s", i+1, wait)
		}
		now = now.Add(1)
	}
}
