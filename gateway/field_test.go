package gateway

import (
	"fmt"
	"testing"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/packet"
)

// The tests of this file are named after ways in which other gateways are known to lose data or to stand still.

// With nothing configured but where to and what, an outage loses nothing: neither what was published at QoS 0, nor what is
// beyond a thousand messages, nor by a restart in the middle.
func TestField_OutageDataMissingWithDefaults(t *testing.T) {
	const each = 1500
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
			m := packet.Publish{QoS: q * byte(i%2), Topic: []byte("/Home/" + name), Payload: fmt.Append(nil, i)}
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
