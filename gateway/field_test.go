package gateway

import (
	"fmt"
	"testing"
	"time"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/packet"
)

// The tests of this file are named after ways in which other gateways are known to lose data or to stand still.

// With nothing configured but where to and what, an outage loses nothing: neither what was published at QoS 0, nor what is
// beyond a thousand messages, nor by a restart in the middle.
func TestField_OutageDataMissingWithDefaults(t *testing.T) {
	const each = 1200
	s := newSite(t, upstream.Options{})
	s.cloud.Down()
	text := head + noSensors + toCloud
	s.start(text)
	publish := func(name string, q byte) {
		p, err := s.connect(client.Options{ClientID: name})
		if err != nil {
			t.Fatal(err)
		}
		defer p.close()
		for i := range each {
			m := packet.Publish{QoS: q * byte(i%10/9), Topic: []byte("/Home/" + name), Payload: fmt.Append(nil, i)}
			if i == each-1 {
				m.QoS = 1 // acknowledged: with it everything before it is taken
			}
			if err := p.conn.Publish(s.ctx, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish("before", 1)
	s.stop()
	s.start(text)
	publish("zero", 0)
	if err := s.cloud.Up(); err != nil {
		t.Fatal(err)
	}
	next := map[string]int{}
	err := s.cloud.Wait(s.ctx, func(all []upstream.Arrival) bool {
		clear(next)
		for _, a := range all {
			next[a.Topic]++
		}
		return next["sites/g1/Home/before"] >= each && next["sites/g1/Home/zero"] >= each
	})
	if err != nil {
		t.Errorf("%v: %v", err, next)
	}
}

// An upstream that takes the connection and says nothing holds up no local client: not its messages, not its
// acknowledgements.
func TestField_HangingUpstreamStallsNoLocalClient(t *testing.T) {
	s := newSite(t, upstream.Options{Behaviour: upstream.Behaviour{Hang: true}})
	s.start(head + noSensors + toCloud)
	reader := s.subscribe("/Home/joystick")
	defer reader.close()
	writer, err := s.connect(client.Options{ClientID: "writer"})
	if err != nil {
		t.Fatal(err)
	}
	defer writer.close()
	for i := range 40 { // one after the other; the connection to the upstream takes longer to fail than this test may take
		want := fmt.Sprint(i)
		if err := writer.publish("/Home/joystick", want); err != nil {
			t.Fatal(err)
		}
		reader.wait("message "+want, func(_, payload string, _ bool) bool { return payload == want })
	}
}

// What was sent between the death of a link and its detection is not lost: here the upstream stops reading, nobody knows,
// and what lies in the sockets goes when it is reset.
func TestField_LostBetweenLinkDeathAndDetection(t *testing.T) {
	const n = 300
	s := newSite(t, upstream.Options{})
	s.start(head + noSensors + toCloud)
	writer, err := s.connect(client.Options{ClientID: "writer"})
	if err != nil {
		t.Fatal(err)
	}
	defer writer.close()
	if err := writer.publish("/Home/x", "0"); err != nil {
		t.Fatal(err)
	}
	s.arrived("sites/g1/Home/x")
	s.cloud.Behave(func(b *upstream.Behaviour) { b.Hang = true })
	for i := range n {
		q := byte(0)
		if i%30 == 29 {
			q = 1 // acknowledged: with it everything before it is taken
		}
		if err := writer.conn.Publish(s.ctx, packet.Publish{QoS: q, Topic: []byte("/Home/y"), Payload: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	s.cloud.Down()
	s.cloud.Behave(func(b *upstream.Behaviour) { b.Hang = false })
	if err := s.cloud.Up(); err != nil {
		t.Fatal(err)
	}
	if err := s.cloud.Wait(s.ctx, func(all []upstream.Arrival) bool {
		came := map[string]bool{}
		for _, a := range all {
			if a.Topic == "sites/g1/Home/y" {
				came[string(a.Payload)] = true
			}
		}
		return len(came) == n
	}); err != nil {
		t.Error(err)
	}
}

// While a big backlog drains, local clients are served, and their messages acknowledged.
func TestField_DrainingServesLocalClients(t *testing.T) {
	const backlog = 2000
	s := newSite(t, upstream.Options{Behaviour: upstream.Behaviour{AckDelay: 50 * time.Millisecond}})
	s.cloud.Down()
	s.start(head + noSensors + toCloud)
	writer, err := s.connect(client.Options{ClientID: "writer"})
	if err != nil {
		t.Fatal(err)
	}
	defer writer.close()
	for i := range backlog {
		if err := writer.conn.Publish(s.ctx, packet.Publish{QoS: byte(i / (backlog - 1)), Topic: []byte("/Home/old"), Payload: make([]byte, 100)}); err != nil {
			t.Fatal(err)
		}
	}
	reader := s.subscribe("/Home/new")
	defer reader.close()
	if err := s.cloud.Up(); err != nil {
		t.Fatal(err)
	}
	if err := s.cloud.WaitCount(s.ctx, 10); err != nil { // it drains
		t.Fatal(err)
	}
	for i := range 5 {
		want := fmt.Sprint(i)
		if err := writer.publish("/Home/new", want); err != nil {
			t.Fatal(err)
		}
		reader.wait("message "+want, func(_, payload string, _ bool) bool { return payload == want })
	}
	if n := s.cloud.Count(); n >= backlog {
		t.Errorf("all %d were drained before the local messages came", n)
	}
	if err := s.cloud.WaitCount(s.ctx, backlog+5); err != nil {
		t.Error(err)
	}
}
