package broker

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/broker/packet"
)

// raw gives the bytes of a packet: hex digits, the remaining length left out.
func raw(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil || len(b) > 128 {
		t.Fatalf("%q: %v", digits, err)
	}
	return append([]byte{b[0], byte(len(b) - 1)}, b[1:]...)
}

// asks are the logins that an Authenticator was asked about.
type asks chan [2]string

func (a asks) Verify(_ context.Context, _, user string, password []byte) (bool, error) {
	a <- [2]string{user, string(password)}
	return true, nil
}

func (a asks) Credential(_, _ string) uint64 { return 1 }

// TestConnectFields: a CONNECT built by hand with everything in it, each field in its place.
// [MQTT-3.1.3-1] [MQTT-3.1.3-3], v5 [MQTT-3.1.2-9] [MQTT-3.1.2-17] [MQTT-3.1.2-19],
// 3.1.1 [MQTT-3.1.2-9] [MQTT-3.1.2-19] [MQTT-3.1.2-21]
func TestConnectFields(t *testing.T) {
	for v, digits := range map[packet.Version]string{
		packet.V311: "10 0004 4D515454 04 EE 0000  0002 6964  0001 77 0002 6869  0001 75 0002 7077",
		packet.V5:   "10 0004 4D515454 05 EE 0000 00  0002 6964  00 0001 77 0002 6869  0001 75 0002 7077",
	} {
		t.Run(v.String(), func(t *testing.T) {
			logins := make(asks, 1)
			h := build(t, Config{Users: logins})
			watch, _ := h.login(v, "watch")
			watch.subscribe(2, "w")
			c := h.dial(v)
			c.write(raw(t, digits))
			if a := c.expect(packet.TypeConnack).(*packet.Connack); a.Reason != packet.Success {
				t.Fatalf("CONNACK %s", a.Reason)
			}
			if got := <-logins; got != [2]string{"u", "pw"} {
				t.Errorf("login %q", got)
			}
			if h.session("id") == nil {
				t.Error("no session of the client id")
			}
			c.nc.Close()
			if p := watch.expectMessage("w", "hi"); p.QoS != 1 {
				t.Errorf("will at QoS %d, want 1", p.QoS)
			}
		})
	}
}

// TestConnectFieldsWithoutTheirFlags: what no flag announces is not read, so it stands behind the end.
// v5 [MQTT-3.1.2-16] [MQTT-3.1.2-18], 3.1.1 [MQTT-3.1.2-11] [MQTT-3.1.2-18] [MQTT-3.1.2-20] [MQTT-3.1.4-1]
func TestConnectFieldsWithoutTheirFlags(t *testing.T) {
	for name, digits := range map[string]string{
		"3.1.1 will":      "10 0004 4D515454 04 02 0000 0002 6964 0001 77 0002 6869",
		"3.1.1 user name": "10 0004 4D515454 04 02 0000 0002 6964 0001 75",
		"3.1.1 password":  "10 0004 4D515454 04 82 0000 0002 6964 0001 75 0002 7077",
		"5.0 will":        "10 0004 4D515454 05 02 0000 00 0002 6964 00 0001 77 0002 6869",
		"5.0 user name":   "10 0004 4D515454 05 02 0000 00 0002 6964 0001 75",
		"5.0 password":    "10 0004 4D515454 05 82 0000 00 0002 6964 0001 75 0002 7077",
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t, Config{})
			c := h.dial(packet.V311)
			if strings.HasPrefix(name, "5.0") {
				c.v = packet.V5
			}
			c.write(raw(t, digits))
			if c.v == packet.V5 {
				if a := c.expect(packet.TypeConnack).(*packet.Connack); a.Reason != packet.MalformedPacket {
					t.Errorf("CONNACK %s, want malformed packet", a.Reason)
				}
			}
			c.expectEnd(packet.Success)
		})
	}
}

// TestWillIsOnlyWhatWasAsked: none without the flag, and retained only if asked for.
// 3.1.1 [MQTT-3.1.2-11] [MQTT-3.1.2-12] [MQTT-3.1.2-16], v5 [MQTT-3.1.2-14]
func TestWillIsOnlyWhatWasAsked(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		watch, _ := h.login(v, "watch")
		watch.subscribe(0, "#")
		c, _ := h.login(v, "c")
		h.vanish(c)
		watch.nothing()
		c, _ = h.login(v, "c", lastWill("will", "lost", 0))
		h.vanish(c)
		watch.expectMessage("will", "lost")
		late, _ := h.login(v, "late")
		late.subscribe(0, "will")
		late.nothing()
	})
}

// v5 [MQTT-3.1.3-10] [MQTT-3.1.2-9]
func TestWillProperties(t *testing.T) {
	h := build(t, Config{})
	watch, _ := h.login(packet.V5, "watch")
	watch.subscribe(0, "will")
	c, _ := h.login(packet.V5, "c", lastWill("will", "x", 0), func(p *packet.Connect) {
		w := &p.Will.Props
		for i := range 20 {
			w.AddUser(fmt.Append(nil, "key", 7*i%4), fmt.Append(nil, i))
		}
		w.SetContentType([]byte("text/plain"))
		w.SetResponseTopic([]byte("answer"))
		w.SetCorrelationData([]byte{0, 1})
		w.SetPayloadFormat(1)
		w.SetWillDelay(0)
	})
	c.nc.Close()
	p := watch.expectMessage("will", "x")
	var got, want []string
	for i, u := range p.Props.User {
		got = append(got, fmt.Sprintf("%s=%s", u.Key, u.Value))
		want = append(want, fmt.Sprint("key", 7*i%4, "=", i))
	}
	if len(got) != 20 || !slices.Equal(got, want) {
		t.Errorf("user properties %v", got)
	}
	if w := &p.Props; string(w.ContentType) != "text/plain" || string(w.ResponseTopic) != "answer" || string(w.CorrelationData) != "\x00\x01" ||
		w.PayloadFormat != 1 || w.Has(packet.PropWillDelay) {
		t.Errorf("properties %+v", w)
	}
}

// TestEveryClientID: ids of 1 to 23 letters and digits, as the standard asks, and any other there may be. Each is a session of
// its own. [MQTT-3.1.3-2] [MQTT-3.1.3-5], v5 [MQTT-3.1.3-8]
func TestEveryClientID(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		const all = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		ids := []string{"#/+$ ", "ä\uFEFF", strings.Repeat("long", 16000)}
		for i := range len(all) {
			ids = append(ids, all[i:min(i+1+i%23, len(all))])
		}
		for round, present := range []bool{false, true} {
			for _, id := range ids {
				c, ack := h.login(v, id, resume, keepSession)
				if ack.SessionPresent != present || len(ack.Props.AssignedClientID) > 0 {
					t.Fatalf("round %d, %.30q: session present %t, assigned %q", round, id, ack.SessionPresent, ack.Props.AssignedClientID)
				}
				if round == 0 {
					c.subscribe(1, "to/"+fmt.Sprint(len(id))+"/x")
				}
				c.leave()
			}
		}
		h.until(func() bool { return h.b.Stats().Sessions == len(ids) })
	})
}

// TestConnackIsFirstAndOnce: what waits for a session comes behind it, and a second CONNECT gets none.
// [MQTT-3.2.0-1] [MQTT-3.1.0-2], v5 [MQTT-3.2.0-2] [MQTT-3.1.4-4] [MQTT-3.1.4-5], 3.1.1 [MQTT-3.1.4-3] [MQTT-3.1.4-4]
func TestConnackIsFirstAndOnce(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		pub, _ := h.login(v, "pub")
		sub, _ := h.login(v, "sub", keepSession)
		sub.subscribe(1, "x")
		sub.leave()
		pub.publish("x", "waits", 1, 1)
		pub.expectAck(packet.TypePuback, 1)
		sub, ack := h.login(v, "sub", resume, keepSession) // reads CONNACK first
		if !ack.SessionPresent {
			t.Error("no session present")
		}
		sub.expectMessage("x", "waits")
		sub.send(&packet.Connect{ClientID: []byte("sub")})
		sub.expectEnd(packet.ProtocolError)
		sub, ack = h.login(v, "sub") // clean
		if ack.SessionPresent {
			t.Error("a session present after a clean start")
		}
		sub.nothing()
	})
}

// TestRetainedIsNoSession: it stays when the session of its publisher, or of a subscriber, ends. 3.1.1 [MQTT-3.1.2-7]
func TestRetainedIsNoSession(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		for _, name := range []string{"clean", "kept"} {
			tweak := func(*packet.Connect) {}
			if name == "kept" {
				tweak = keepSession
			}
			c, _ := h.login(v, name, tweak)
			c.send(retainedMessage("r/"+name, "x", 1, 1))
			c.expectAck(packet.TypePuback, 1)
			c.subscribe(0, "r/"+name)
			c.expectMessage("r/"+name, "x")
			c.leave()
			c, _ = h.login(v, name) // the session before is discarded, and this one ends
			c.leave()
		}
		h.until(func() bool { return h.b.Stats().Sessions == 0 })
		late, _ := h.login(v, "late")
		late.subscribe(0, "r/#")
		late.nothingBut(packet.TypePublish, 2)
	})
}

// TestAllQoSAndRetain: everything is supported, so nothing is announced and nothing refused.
// v5 [MQTT-3.2.2-9] [MQTT-3.2.2-10] [MQTT-3.2.2-12] [MQTT-3.2.2-13], 3.1.1 [MQTT-3.8.3-2]
func TestAllQoSAndRetain(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		c, ack := h.login(v, "c", lastWill("will", "x", 2), func(p *packet.Connect) { p.Will.Retain = true })
		for _, p := range []packet.Property{packet.PropMaximumQoS, packet.PropRetainAvailable, packet.PropWildcardAvailable,
			packet.PropSubscriptionIDAvailable, packet.PropSharedAvailable} {
			if ack.Props.Has(p) {
				t.Errorf("CONNACK has %s", p)
			}
		}
		for q := range byte(3) {
			if got := c.subscribe(q, "a/+", "b/#", "$share/g/+/#"); !slices.Equal(got, []packet.Reason{packet.Reason(q), packet.Reason(q), packet.Reason(q)}) {
				t.Errorf("granted %v, want QoS %d", got, q)
			}
		}
	})
}

// TestReasonsInWords: a refused CONNECT, a refused filter and one that is not there say why, unless the client does not want it or takes no packet
// so large. v5 [MQTT-3.1.2-29] [MQTT-3.2.2-19] [MQTT-3.9.2-1] [MQTT-3.11.2-1] [MQTT-3.1.2-24]
func TestReasonsInWords(t *testing.T) {
	h := build(t, Config{})
	method := func(p *packet.Connect) { p.Props.SetAuthMethod([]byte("x")) }
	for _, tt := range []struct {
		name          string
		tweak         func(*packet.Connect)
		connack, some bool // whether CONNACK and SUBACK have one
	}{
		{"wanted", func(p *packet.Connect) { p.Props.SetRequestProblemInfo(true) }, true, true},
		{"as by default", func(*packet.Connect) {}, true, true},
		{"not wanted", func(p *packet.Connect) { p.Props.SetRequestProblemInfo(false) }, true, false},
		{"too large", func(p *packet.Connect) { p.Props.SetMaximumPacketSize(30) }, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			c := h.dial(packet.V5)
			ack := c.connect("c", method, tt.tweak)
			if ack.Reason != packet.BadAuthenticationMethod || ack.Props.Has(packet.PropReasonString) != tt.connack {
				t.Errorf("CONNACK %s %q", ack.Reason, ack.Props.ReasonString)
			}
			c.expectEnd(packet.Success)
			c, _ = h.login(packet.V5, "c", tt.tweak)
			c.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("a")}, {Filter: []byte("#/b")}}})
			s := c.expect(packet.TypeSuback).(*packet.Suback)
			if s.Props.Has(packet.PropReasonString) != tt.some || !slices.Equal(s.Reasons, []packet.Reason{0, packet.TopicFilterInvalid}) {
				t.Errorf("SUBACK %v %q", s.Reasons, s.Props.ReasonString)
			}
			c.send(&packet.Unsubscribe{ID: 1, Filters: [][]byte{[]byte("a"), []byte("none"), []byte("nor")}})
			u := c.expect(packet.TypeUnsuback).(*packet.Unsuback)
			if u.Props.Has(packet.PropReasonString) != tt.some || tt.some && string(u.Props.ReasonString) != `"none": there was no such subscription` {
				t.Errorf("UNSUBACK %v %q", u.Reasons, u.Props.ReasonString)
			}
		})
	}
	h.t = t
	for _, user := range []string{"", "broken", "pump"} { // who may not come in is told no more than that
		h := build(t, Config{Users: users{"pump": "secret"}, Anonymous: func(string) bool { return false }})
		c := h.dial(packet.V5)
		ack := c.connect("c", func(p *packet.Connect) { p.HasUsername, p.Username = user != "", []byte(user) })
		if !ack.Reason.Failed() || ack.Props.Has(packet.PropReasonString) {
			t.Errorf("%q: CONNACK %s %q", user, ack.Reason, ack.Props.ReasonString)
		}
	}
}

// v5 [MQTT-3.1.2-28] [MQTT-3.2.2-20]: there is no response information, and no user property, whatever is asked for.
func TestNoResponseInformation(t *testing.T) {
	h := build(t, Config{})
	for name, tweak := range map[string]func(*packet.Connect){
		"by default": func(*packet.Connect) {}, "no": func(p *packet.Connect) { p.Props.SetRequestResponseInfo(false) },
		"yes": func(p *packet.Connect) { p.Props.SetRequestResponseInfo(true) },
	} {
		if _, ack := h.login(packet.V5, "c", tweak); ack.Props.Has(packet.PropResponseInfo) || len(ack.Props.User) > 0 {
			t.Errorf("asked %s: CONNACK with %+v", name, ack.Props)
		}
	}
}
