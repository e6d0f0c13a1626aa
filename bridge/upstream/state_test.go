package upstream

import (
	"testing"

	"weir/broker/packet"
)

// join connects as a client whose session lasts.
func (p *peerOf) join(clean, present bool) *peerOf {
	p.t.Helper()
	c := &packet.Connect{Version: p.v, CleanStart: clean, ClientID: []byte("c")}
	if p.v == packet.V5 {
		c.Props.SetSessionExpiry(3600)
	}
	p.say(c)
	var ack packet.Connack
	if err := ack.Decode(p.expect(packet.TypeConnack), p.v); err != nil || ack.SessionPresent != present {
		p.t.Fatalf("CONNACK: %v, session present %t, want %t", err, ack.SessionPresent, present)
	}
	return p
}

func (p *peerOf) leave(s *Server) {
	p.t.Helper()
	p.c.Close()
	if err := s.WaitClients(within(p.t), 0); err != nil {
		p.t.Fatal(err)
	}
}

// A session outlives its connection: ids of both directions, subscriptions, and what came meanwhile.
func TestSessionsLast(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		s := serve(t, Options{})
		p := dial(t, s, v).join(false, false)
		m := &packet.Publish{Topic: []byte("t"), QoS: 2, ID: 1, Payload: []byte("x")}
		p.say(&packet.Subscribe{ID: 9, Filters: []packet.Subscription{{Filter: []byte("down"), QoS: 2}}}, m)
		p.expect(packet.TypeSuback)
		p.expect(packet.TypePubrec)
		s.Publish("down", []byte("first"), 2, false)
		p.expect(packet.TypePublish)
		p.leave(s)
		s.Publish("down", []byte("second"), 1, false)

		p = dial(t, s, v).join(false, true)
		var again packet.Publish
		if err := again.Decode(p.expect(packet.TypePublish), v); err != nil || !again.Dup || string(again.Payload) != "first" {
			t.Errorf("first again: %v, %+v", err, again)
		}
		if err := again.Decode(p.expect(packet.TypePublish), v); err != nil || again.Dup || string(again.Payload) != "second" {
			t.Errorf("second: %v, %+v", err, again)
		}
		m.Dup = true
		p.say(m)
		p.expect(packet.TypePubrec)
		p.say(&packet.Ack{Type: packet.TypePubrel, ID: 1}, &packet.Publish{Topic: []byte("t"), QoS: 2, ID: 2, Dup: true})
		p.expect(packet.TypePubcomp)
		p.expect(packet.TypePubrec)
		if n := s.Count(); n != 2 {
			t.Errorf("%d arrivals, want 2: one held, one whose first copy was lost", n)
		}
		p.leave(s)
		dial(t, s, v).join(true, false).leave(s)
		dial(t, s, v).join(false, v == packet.V5).leave(s) // 3.1.1: a clean session ends with its connection
		s.ForgetSessions()
		dial(t, s, v).join(false, false)
		if got := s.Violations(); len(got) > 0 {
			t.Errorf("%s: violations %q", v, got)
		}
	}
}
