package broker

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"weir/broker/packet"
	"weir/broker/topic"
)

// door is Users and Rights that can change. Every SUBSCRIBE is granted, and what may be delivered is judged.
type door struct {
	mu      sync.Mutex
	read    map[string][]topic.Filter // by user
	mute    map[string]bool           // users who may publish nothing
	version map[string]uint64         // of the user's password; 0: there is no such user
	asked   func()                    // called by Verify; may be nil
	closed  atomic.Bool               // to anonymous clients
}

type entry struct {
	read []topic.Filter
	mute bool
}

func (d *door) Verify(_ context.Context, _, user string, _ []byte) (bool, error) {
	if d.asked != nil {
		d.asked()
	}
	return d.Credential("", user) != 0, nil
}

func (d *door) Credential(_, user string) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.version[user]
}

func (d *door) rights(who Who) Rights {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &entry{read: d.read[who.User], mute: d.mute[who.User]}
}

// set changes what a user may read and the version of the password.
func (d *door) set(t testing.TB, user string, version uint64, read ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.read[user], d.version[user] = mustFilters(t, read...), version
}

// silence takes the right to publish from a user.
func (d *door) silence(user string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mute[user] = true
}

func (e *entry) MayPublish([]byte) bool         { return !e.mute }
func (e *entry) MaySubscribe(topic.Filter) bool { return true }
func (e *entry) MayReceive(name []byte) bool {
	return slices.ContainsFunc(e.read, func(f topic.Filter) bool { return f.Match(name) })
}
func (e *entry) ReceivesAll(f topic.Filter) bool {
	return slices.ContainsFunc(e.read, func(have topic.Filter) bool { return have.Covers(f) })
}

func newDoor(t *testing.T) *door {
	d := &door{read: map[string][]topic.Filter{}, mute: map[string]bool{}, version: map[string]uint64{}}
	d.set(t, "boss", 1, "#")
	d.set(t, "pump", 1, "plant/pump/#")
	return d
}

func (d *door) config() Config {
	return Config{Users: d, Rights: d.rights, Anonymous: func(string) bool { return !d.closed.Load() }}
}

// TestWithheldAtDelivery: SUBSCRIBE # is granted, and what comes is what the user may read, at each QoS, retained ones too.
func TestWithheldAtDelivery(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, newDoor(t).config())
		boss, _ := h.login(v, "boss", as("boss"))
		boss.send(retainedMessage("plant/secret", "old", 1, 1), retainedMessage("plant/pump/old", "kept", 1, 2), retainedMessage("other", "old", 0, 0))
		boss.expectAck(packet.TypePuback, 1)
		boss.expectAck(packet.TypePuback, 2)
		for _, keep := range [][]func(*packet.Connect){{as("pump")}, {as("pump"), keepSession}} {
			c, _ := h.login(v, "pump", keep...)
			if got := c.subscribe(2, "#"); got[0] != packet.GrantedQoS2 {
				t.Fatalf("SUBACK %s, want it granted", got[0])
			}
			c.finish(c.expectMessage("plant/pump/old", "kept"))
			for q := byte(0); q <= 2; q++ {
				id := uint16(q) * 10
				boss.publish("plant/secret", "no", q, id)
				boss.publish("plant/pump/x", "yes", q, id+min(id, 1))
				if q > 0 {
					boss.expectAck(packet.TypePuback+packet.Type(q-1), id)
					boss.expectAck(packet.TypePuback+packet.Type(q-1), id+1)
				}
				if q == 2 {
					boss.send(&packet.Ack{Type: packet.TypePubrel, ID: id}, &packet.Ack{Type: packet.TypePubrel, ID: id + 1})
					boss.expectAck(packet.TypePubcomp, id)
					boss.expectAck(packet.TypePubcomp, id+1)
				}
				if m := c.expectMessage("plant/pump/x", "yes"); q > 0 {
					c.finish(m)
				}
			}
			c.nothing()
			c.leave()
		}
		if s := h.b.Stats(); s.Withheld != 2*(3+2) || s.Denied != 0 {
			t.Errorf("withheld %d, denied %d, want 10, 0", s.Withheld, s.Denied)
		}
	})
}

// TestWithheldFromMembers: a message for a shared subscription goes to a member that may have it, and one that no member
// who is there may have is in nobody's way.
func TestWithheldFromMembers(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		for q := byte(0); q <= 1; q++ {
			h := build(t, newDoor(t).config())
			pump, _ := h.login(v, "pump", as("pump"), keepSession)
			pump.subscribe(q, "$share/g/#")
			boss, _ := h.login(v, "boss", as("boss"))
			boss.subscribe(q, "$share/g/#")
			pub, _ := h.login(v, "pub")
			publish := func(name string, id uint16) {
				pub.publish(name, "1", q, id*uint16(q))
				if q > 0 {
					pub.expectAck(packet.TypePuback, id)
				}
			}
			receive := func(c *client, name string) {
				if m := c.expectMessage(name, "1"); q > 0 {
					c.finish(m)
				}
			}
			for i := range uint16(4) {
				publish("plant/secret", 10+i)
				receive(boss, "plant/secret")
			}
			boss.leave()
			publish("plant/secret", 20)
			publish("plant/pump/x", 21)
			receive(pump, "plant/pump/x")
			pump.nothing()
			if s := h.b.Stats(); q > 0 && s.Withheld != 1 {
				t.Errorf("withheld %d, want 1", s.Withheld)
			}
		}
	})
}

// TestWithheldWhatWaited: what was queued for a client that was away is judged by what it may read when it is sent.
func TestWithheldWhatWaited(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		d := newDoor(t)
		d.set(t, "pump", 1, "#")
		h := build(t, d.config())
		c, _ := h.login(v, "pump", as("pump"), keepSession)
		c.subscribe(2, "#")
		pub, _ := h.login(v, "pub")
		pub.publish("plant/begun", "1", 2, 1) // sent, and neither confirmed
		pub.expectAck(packet.TypePubrec, 1)
		begun := c.expectMessage("plant/begun", "1")
		h.vanish(c)
		pub.publish("plant/secret", "2", 1, 2)
		pub.expectAck(packet.TypePuback, 2)
		pub.publish("plant/pump/x", "3", 1, 3)
		pub.expectAck(packet.TypePuback, 3)
		d.set(t, "pump", 1, "plant/pump/#")
		if gone := h.b.Reauthorize(); gone != 0 {
			t.Errorf("%d clients had to go, want none", gone)
		}
		pub.publish("plant/secret", "4", 1, 4)
		pub.expectAck(packet.TypePuback, 4)
		c, ack := h.login(v, "pump", as("pump"), keepSession, resume)
		if !ack.SessionPresent {
			t.Fatal("the session is gone")
		}
		c.expectAck(packet.TypePubrel, begun.ID) // the handshake that was begun goes on without the message
		c.send(&packet.Ack{Type: packet.TypePubcomp, ID: begun.ID})
		c.finish(c.expectMessage("plant/pump/x", "3"))
		c.nothing()
		h.until(func() bool { return h.b.Stats().Withheld == 3 }) // counted once it is sent
	})
}

// TestReauthorize: who may stay stays, with the rights of now.
func TestReauthorize(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		d := newDoor(t)
		d.set(t, "leaver", 1, "#")
		h := build(t, d.config())
		pump, _ := h.login(v, "pump", as("pump"))
		pump.subscribe(0, "#")
		leaver, _ := h.login(v, "leaver", as("leaver"), lastWill("plant/pump/will", "gone", 0))
		changer, _ := h.login(v, "changer", as("boss"))
		nobody, _ := h.login(v, "nobody")
		nobody.publish("plant/other", "no", 0, 0)
		nobody.publish("plant/pump/a", "1", 0, 0)
		pump.expectMessage("plant/pump/a", "1")

		d.set(t, "pump", 1, "plant/other")
		if gone := h.b.Reauthorize(); gone != 0 {
			t.Fatalf("%d clients had to go, want none", gone)
		}
		nobody.publish("plant/pump/a", "no", 0, 0)
		nobody.publish("plant/other", "2", 0, 0)
		pump.expectMessage("plant/other", "2")

		d.set(t, "pump", 1, "#")
		d.set(t, "leaver", 0)
		d.set(t, "boss", 2, "#") // another password
		if gone := h.b.Reauthorize(); gone != 2 {
			t.Fatalf("%d clients had to go, want 2", gone)
		}
		leaver.expectEnd(packet.AdministrativeAction)
		changer.expectEnd(packet.AdministrativeAction)
		pump.expectMessage("plant/pump/will", "gone")

		d.closed.Store(true)
		if gone := h.b.Reauthorize(); gone != 1 {
			t.Fatalf("%d clients had to go, want the anonymous one", gone)
		}
		nobody.expectEnd(packet.AdministrativeAction)
		pump.send(&packet.Pingreq{})
		pump.expect(packet.TypePingresp)
		if s := h.b.Stats(); s.Revoked != 3 {
			t.Errorf("revoked %d, want 3", s.Revoked)
		}
	})
}

// TestWillJudgedAgain: a will is judged by the rights of when it is published, whether its client is there, is away, or is turned
// out because its login does not hold any more.
func TestWillJudgedAgain(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		d := newDoor(t)
		for _, user := range []string{"there", "away", "leaver", "stays"} {
			d.set(t, user, 1)
		}
		h := build(t, d.config())
		h.route("#")
		watch, _ := h.login(v, "watch", as("boss"))
		watch.subscribe(0, "#")
		there, _ := h.login(v, "there", as("there"), lastWill("will/there", "no", 1))
		stays, _ := h.login(v, "stays", as("stays"), lastWill("will/stays", "yes", 1))
		leaver, _ := h.login(v, "leaver", as("leaver"), lastWill("will/leaver", "no", 1))
		want := 2
		if v == packet.V5 {
			away, _ := h.login(v, "away", as("away"), keepSession, lastWill("will/away", "no", 1), func(p *packet.Connect) { p.Will.Props.SetWillDelay(1000) })
			h.vanish(away)
			want++
		}
		for _, user := range []string{"there", "away", "leaver"} {
			d.silence(user)
		}
		d.set(t, "leaver", 0)
		if gone := h.b.Reauthorize(); gone != 1 {
			t.Fatalf("%d clients had to go, want 1", gone)
		}
		leaver.expectEnd(packet.AdministrativeAction)
		h.vanish(there)
		if v == packet.V5 {
			h.login(v, "away", as("away")) // Clean Start: the session ends, and its will is due
		}
		h.until(func() bool { return h.b.Stats().Denied == uint64(want) })
		h.vanish(stays)
		watch.expectMessage("will/stays", "yes")
		watch.nothing()
		if n := len(h.journal.wait(t, 1)); n != 1 {
			t.Errorf("%d records for upstreams, want 1", n)
		}
		if n := h.b.Stats().WillsSent; n != 1 {
			t.Errorf("%d wills counted, want 1", n)
		}
	})
}

// TestStoredWillJudged: so is the will of a session that was stored, though it is not known any more by which listener it came.
func TestStoredWillJudged(t *testing.T) {
	d := newDoor(t)
	d.set(t, "gone", 1)
	d.set(t, "stays", 1)
	l := buildLasting(t, d.config())
	watch, _ := l.stay(packet.V5, "watch", as("boss"))
	watch.subscribe(1, "#")
	_, _ = l.stay(packet.V5, "gone", as("gone"), lastWill("will/gone", "no", 1))
	_, _ = l.stay(packet.V5, "stays", as("stays"), lastWill("will/stays", "yes", 1))
	d.silence("gone")
	l.again(d.config())
	watch, _ = l.stay(packet.V5, "watch", as("boss"))
	watch.finish(watch.expectMessage("will/stays", "yes"))
	l.until(func() bool { return l.b.Stats().Denied == 1 })
	watch.nothing()
}

// TestReauthorizeDuringLogin: a login that was checked by what held before does not outlive a change.
func TestReauthorizeDuringLogin(t *testing.T) {
	d := newDoor(t)
	h := build(t, d.config())
	d.asked = func() {
		d.asked = nil
		d.set(t, "pump", 2, "#")
		h.b.Reauthorize()
	}
	c := h.dial(packet.V5)
	if ack := c.connect("pump", as("pump")); ack.Reason != packet.Success {
		t.Fatalf("CONNACK %s", ack.Reason)
	}
	c.expectEnd(packet.AdministrativeAction)
}

// TestJudgingAllocatesNothing: delivery to a subscription each message of which is judged.
func TestJudgingAllocatesNothing(t *testing.T) {
	s := &session{}
	s.out.granted.Store(&granted{rights: &entry{read: mustFilters(t, "a/b", "home/+/temperature")}})
	some, all := &subscription{session: s, filter: mustFilter(t, "#")}, &subscription{session: s, filter: mustFilter(t, "a/b")}
	yes, no := []byte("home/room/temperature"), []byte("home/room/humidity")
	if n := testing.AllocsPerRun(1000, func() {
		if !some.takes(yes) || some.takes(no) || !all.takes(no) { // what all takes is judged by its filter alone
			t.Fatal("wrong")
		}
	}); countAllocations && n != 0 {
		t.Errorf("%.2f allocations, want none", n)
	}
}

func BenchmarkTakes(b *testing.B) {
	s := &session{}
	s.out.granted.Store(&granted{rights: &entry{read: mustFilters(b, "a/b", "c/#", "home/+/temperature", "plant/+/cmd/#")}})
	name := []byte("plant/pump7/cmd/start")
	for filter, what := range map[string]string{"#": "judged", "plant/+/cmd/start": "covered"} {
		sub := &subscription{session: s, filter: mustFilter(b, filter)}
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sub.takes(name)
			}
		})
	}
}
