package broker

import (
	"testing"

	"weir/broker/packet"
)

// TestInnerWildcard: with Config.InnerWildcard a # before the last level stands for any number of levels wherever a filter can
// be: for live and for retained messages, in shared subscriptions, in sessions that outlive their connection.
func TestInnerWildcard(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{InnerWildcard: true})
		pub, _ := h.login(v, "pub")
		names := []string{"/Home/Temperature", "/Home/Floor1/Room1/Temperature", "/Home/Floor1/Pressure", "/Home/Temperature/raw", "Home/Temperature"}
		for _, name := range names {
			pub.send(retainedMessage(name, "old", 0, 0))
		}
		pub.nothing()
		sub, _ := h.login(v, "sub", keepSession)
		sub.subscribe(1, "/Home/#/Temperature")
		came := map[string]bool{}
		for range 2 {
			p := sub.expect(packet.TypePublish).(*packet.Publish)
			came[string(p.Topic)] = p.Retain
		}
		if !came[names[0]] || !came[names[1]] {
			t.Errorf("retained messages of %v, want the two temperatures", came)
		}
		publish := func() {
			for i, name := range names {
				pub.publish(name, "new", 1, uint16(i+1))
				pub.expectAck(packet.TypePuback, uint16(i+1))
			}
		}
		take := func(c *client) {
			t.Helper()
			for _, name := range names[:2] {
				c.finish(c.expectMessage(name, "new"))
			}
			c.nothing()
		}
		h.vanish(sub)
		publish()
		sub, _ = h.login(v, "sub", resume, keepSession)
		take(sub)
		member, _ := h.login(v, "member")
		member.subscribe(1, "$share/g//Home/#/Temperature")
		sub.send(&packet.Unsubscribe{ID: 1, Filters: [][]byte{[]byte("/Home/#/Temperature")}})
		sub.expect(packet.TypeUnsuback)
		publish()
		take(member)
		sub.nothing()
	})
}

// TestInnerWildcardStays: what was granted stays with a stored session through a restart, also of a broker that does not grant
// it any more. It grants no new one.
func TestInnerWildcardStays(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		l := buildLasting(t, Config{InnerWildcard: true})
		l.quick()
		sub, _ := l.stay(v, "sub")
		if got := sub.subscribe(1, "/Home/#/Temperature"); got[0].Failed() {
			t.Fatalf("SUBACK %v", got)
		}
		l.again(Config{})
		l.quick()
		pub, _ := l.login(v, "pub")
		pub.publish("/Home/Floor1/Temperature", "75", 1, 1)
		pub.expectAck(packet.TypePuback, 1)
		sub, _ = l.stay(v, "sub")
		sub.finish(sub.expectMessage("/Home/Floor1/Temperature", "75"))
		if got := sub.subscribe(1, "/Home/#/Pressure"); !got[0].Failed() {
			t.Errorf("SUBACK %v, want a refusal", got)
		}
	})
}
