package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/bridge/upstream"
	"weir/broker/message"
	"weir/broker/packet"
)

func TestRefusedRecordsArePassed(t *testing.T) {
	r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{
		MaxPacket: 300,
		Verdict: func(a *upstream.Arrival) packet.Reason {
			if a.Topic == "p/no" {
				return packet.NotAuthorized
			}
			return packet.Success
		},
	}})
	r.cfg.Forward = map[uint32]Rule{1: {QoS: 1, Prefix: "p"}, 2: {QoS: 1, Strip: "a/b"}}
	want := map[uint64]packet.Reason{
		r.publish("no", "x"):                      packet.NotAuthorized,
		r.publish("big", fmt.Sprintf("%400d", 1)): packet.PacketTooLarge,
		r.source.add(2, message.Message{Publish: packet.Publish{Topic: []byte("a/b")}}): packet.TopicNameInvalid,
		r.source.add(9, message.Message{Publish: packet.Publish{Topic: []byte("x")}}):   packet.ImplementationSpecificError,
	}
	r.publish("yes", "1")
	r.publish("no", "y")
	r.publish("yes", "2")
	r.start()
	r.source.waitDrained(t)
	for n, why := range want {
		if r.source.refused[n] != why {
			t.Errorf("record %d: %v, want %v", n, r.source.refused[n], why)
		}
	}
	got := r.waitArrivals(2)
	if len(got) != 2 || string(got[0].Payload) != "1" || string(got[1].Payload) != "2" {
		t.Errorf("arrived %+v, want 1 and 2", got)
	}
	if st := r.bridge.Status(); st.Refused != 5 || st.Acked != 2 {
		t.Errorf("status %+v, want 5 refused, 2 acked", st)
	}
}

// 0x97 keeps the record and everything after it back; then it is sent again, in order.
func TestQuotaExceededIsRetriedInOrder(t *testing.T) {
	var mu sync.Mutex
	refusals := 0
	r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{Verdict: func(a *upstream.Arrival) packet.Reason {
		mu.Lock()
		defer mu.Unlock()
		if a.Topic != "t" {
			return packet.Success
		}
		if n := string(a.Payload); n != "0" && refusals < 3 {
			refusals++
			return packet.QuotaExceeded
		}
		return packet.Success
	}}})
	for i := range 4 {
		r.publish("t", fmt.Sprint(i))
	}
	r.start()
	r.waitWord(Throttled)
	r.source.waitDrained(t)
	for i, a := range r.waitArrivals(4) {
		if string(a.Payload) != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, a.Payload)
		}
	}
	if len(r.source.refused) != 0 {
		t.Errorf("refused: %v, want none", r.source.refused)
	}
}

// The server's Receive Maximum is kept to the letter, state messages counted: the server says so if not.
func TestReceiveMaximum(t *testing.T) {
	for _, most := range []uint16{1, 2, 7} {
		r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{ReceiveMaximum: most, AckDelay: 200 * time.Microsecond}})
		for i := range 100 {
			r.publish("t", fmt.Sprint(i))
		}
		r.start()
		r.source.waitDrained(t)
		r.waitWord(Connected)
		if st := r.bridge.Status(); st.Window != int(most) {
			t.Errorf("window %d, want %d", st.Window, most)
		}
		r.stop()
	}
}

// An upstream that is up but acknowledges nothing is left and sent everything again.
func TestStalledUpstream(t *testing.T) {
	r := newRig(t, upstream.Options{})
	r.cfg.StallAfter = 50 * time.Millisecond
	r.start()
	r.waitWord(Connected)
	r.publish("t", "0")
	r.source.waitDrained(t)
	r.mute(true)
	r.publish("t", "1")
	r.publish("t", "2")
	r.waitWord(Stalled)
	r.mute(false)
	r.source.waitDrained(t)
	if got := order(r.arrivals()); got != "0 1 2 1 2" && got != "0 1 2 1 2 1 2" {
		t.Errorf("arrived %s", got)
	}
	if st := r.bridge.Status(); st.Reconnects == 0 {
		t.Error("no reconnect")
	}
}

func order(all []upstream.Arrival) (s string) {
	for i, a := range all {
		if i > 0 {
			s += " "
		}
		s += string(a.Payload)
	}
	return s
}

func TestQoSOfRules(t *testing.T) {
	r := newRig(t, upstream.Options{})
	r.cfg.Forward = map[uint32]Rule{1: {QoS: 0}, 2: {QoS: 1}, 3: {QoS: 2}, 4: {QoS: AsPublished}}
	add := func(rule uint32, q byte) {
		r.source.add(rule, message.Message{Publish: packet.Publish{QoS: q, Topic: []byte(fmt.Sprintf("%d/%d", rule, q))}})
	}
	want := map[string]byte{"1/1": 0, "2/0": 1, "3/1": 1, "4/0": 0, "4/1": 1, "4/2": 1}
	for name := range want {
		add(uint32(name[0]-'0'), name[2]-'0')
	}
	r.start()
	r.source.waitDrained(t)
	for _, a := range r.waitArrivals(len(want)) {
		if a.QoS != want[a.Topic] {
			t.Errorf("rule/published %s arrived at QoS %d, want %d", a.Topic, a.QoS, want[a.Topic])
		}
	}
}

func TestServerLimits(t *testing.T) {
	zero := byte(0)
	r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{MaxQoS: &zero, NoRetain: true, Verdict: nil}})
	r.source.add(1, message.Message{Publish: packet.Publish{QoS: 1, Retain: true, Topic: []byte("t")}})
	r.start()
	r.source.waitDrained(t)
	if a := r.waitArrivals(1)[0]; a.QoS != 0 || a.Retain {
		t.Errorf("arrived %+v, want QoS 0, not retained", a)
	}
	r.waitWord(Connected)
}

func TestRetain(t *testing.T) {
	r := newRig(t, upstream.Options{})
	r.cfg.Forward = map[uint32]Rule{1: {QoS: 1}, 2: {QoS: 1, Retain: StripRetain}, 3: {QoS: 1, Format: JSON}}
	for rule := uint32(1); rule <= 3; rule++ {
		r.source.add(rule, message.Message{Publish: packet.Publish{Retain: true, Topic: []byte(fmt.Sprint(rule))}})
	}
	r.start()
	got := r.waitArrivals(3)
	if !got[0].Retain || got[1].Retain || !got[2].Retain {
		t.Errorf("arrived %+v, want retained, not, retained", got)
	}
	if len(got[2].Payload) != 0 {
		t.Errorf("a deletion became %s", got[2].Payload)
	}
}

// What a message looks like upstream, by version, format and clock.
func TestFormats(t *testing.T) {
	for _, test := range []struct {
		name    string
		version packet.Version
		rule    Rule
		origin  string
		trusted bool
		user    [][2]string // of the message
		payload string
		want    [][2]string
	}{
		{"raw, 3.1.1", packet.V311, Rule{}, "px", true, nil, "75", nil},
		{"raw, 5.0", packet.V5, Rule{}, "px", true, nil, "75", [][2]string{{"time", "2026-11-22T14:02:11.250Z"}, {"weir-hops", "1"}}},
		{"raw, 5.0, clock not sure", packet.V5, Rule{}, "px", false, nil, "75",
			[][2]string{{"time", "2026-11-22T14:02:11.250Z"}, {"time_quality", "uncertain"}, {"weir-hops", "1"}}},
		{"raw, the publisher's own time stays", packet.V5, Rule{}, "px", true, [][2]string{{"time", "early"}, {"weir-hops", "9"}}, "75", [][2]string{{"time", "early"}, {"weir-hops", "1"}}},
		{"json, own reading", packet.V311, Rule{Format: JSON}, "", true, [][2]string{{"unit", "°C"}, {"quality", "good"}},
			`{"time":"2026-11-22T14:02:11.250Z","value":75,"unit":"°C","quality":"good"}`, nil},
		{"json, someone else's", packet.V5, Rule{Format: JSON}, "px", true, [][2]string{{"unit", "°C"}},
			`{"time":"2026-11-22T14:02:11.250Z","value":75}`, [][2]string{{"unit", "°C"}, {"weir-hops", "1"}}},
		{"json, clock not sure", packet.V311, Rule{Format: JSON}, "px", false, nil,
			`{"time":"2026-11-22T14:02:11.250Z","time_quality":"uncertain","value":75}`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, upstream.Options{})
			r.cfg.Connect.Version = test.version
			r.cfg.Forward = map[uint32]Rule{1: test.rule}
			r.clock.trust(test.trusted)
			m := message.Message{Origin: []byte(test.origin), Publish: packet.Publish{Topic: []byte("t"), Payload: []byte("75")}}
			m.Stamp = message.Stamp{Boot: 1, Since: 11250 * time.Millisecond}
			for _, u := range test.user {
				m.Props.User = append(m.Props.User, packet.UserProperty{Key: []byte(u[0]), Value: []byte(u[1])})
			}
			r.source.add(1, m)
			r.start()
			a := r.waitArrivals(1)[0]
			if string(a.Payload) != test.payload || fmt.Sprint(a.User) != fmt.Sprint(test.want) {
				t.Errorf("payload %s, user properties %v\nwant    %s, %v", a.Payload, a.User, test.payload, test.want)
			}
		})
	}
}

func TestExpiredAndRoundAndRound(t *testing.T) {
	r := newRig(t, upstream.Options{})
	old := message.Message{Stamp: message.Stamp{Boot: 1, Since: -time.Minute}, Publish: packet.Publish{Topic: []byte("old"), QoS: 1}}
	old.Props.SetMessageExpiry(30)
	young := old.Clone()
	young.Topic = []byte("young")
	young.Props.SetMessageExpiry(3600)
	other := old.Clone() // from another boot, with no certain time: powered-off time does not count
	other.Topic, other.Stamp.Boot = []byte("other boot"), 2
	round := message.Message{Hops: 3, Publish: packet.Publish{Topic: []byte("round"), QoS: 1}}
	for _, m := range []message.Message{old, young, other, round} {
		r.source.add(1, m)
	}
	r.start()
	r.source.waitDrained(t)
	got := r.waitArrivals(2)
	if len(got) != 2 || got[0].Topic != "young" || got[1].Topic != "other boot" {
		t.Errorf("arrived %+v", got)
	}
	if st := r.bridge.Status(); st.Expired != 1 || st.Looped != 1 || st.Refused != 0 {
		t.Errorf("status %+v, want 1 expired, 1 looped", st)
	}
}

// A link that is cut again and again, at any byte, in the middle of packets: nothing is lost and the order is kept; what
// is repeated is repeated from where the acknowledgements ended. The upstream of all these tests notes what a client must
// not do: 3.1.1 [MQTT-7.0.0-1].
func TestCutAnywhere(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		t.Run(v.String(), func(t *testing.T) {
			r := newRig(t, upstream.Options{})
			p := newProxy(t, r.server.Address(), 60, 0)
			r.cfg.Connect.URL, r.cfg.Connect.Version = "mqtt://"+p.address, v
			r.cfg.StallAfter = 500 * time.Millisecond
			const n = 3000
			for i := range n {
				r.publish("t", fmt.Sprint(i))
			}
			r.start()
			r.source.waitDrained(t)
			next := 0
			for i, a := range r.arrivals() {
				var k int
				if _, err := fmt.Sscan(string(a.Payload), &k); err != nil || k > next {
					t.Fatalf("arrival %d is %s, %d has not come before", i, a.Payload, next)
				}
				next = max(next, k+1)
			}
			if next != n {
				t.Fatalf("%d of %d arrived", next, n)
			}
			if st := r.bridge.Status(); st.Reconnects < 10 {
				t.Errorf("only %d reconnects: the test cuts too little", st.Reconnects)
			}
		})
	}
}

// proxy passes bytes on and cuts each of its first connections after a random number of bytes, at least least.
type proxy struct {
	address string
	to      string
	mu      sync.Mutex // guards the fields below
	rng     *rand.Rand
	cuts    int
	least   int64 // bytes that pass before a cut
	open    map[net.Conn]bool
	closed  bool
}

func newProxy(t *testing.T, to string, cuts int, least int64) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: l.Addr().String(), to: to, rng: rand.New(rand.NewPCG(3, 4)), cuts: cuts, least: least, open: map[net.Conn]bool{}}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() { p.pass(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		p.closed = true
		for c := range p.open {
			c.Close()
		}
		p.mu.Unlock()
		group.Wait()
	})
	return p
}

func (p *proxy) pass(down net.Conn) {
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		down.Close()
		return
	}
	p.mu.Lock()
	if p.closed {
		up.Close()
	}
	p.open[up] = true
	there, back := int64(1<<40), int64(1<<40)
	if p.cuts > 0 {
		p.cuts--
		there, back = p.least+1+p.rng.Int64N(4000), p.least+1+p.rng.Int64N(1000)
	}
	p.mu.Unlock()
	var both sync.WaitGroup
	shut := func() { up.Close(); down.Close() }
	both.Go(func() { io.CopyN(up, down, there); shut() })
	both.Go(func() { io.CopyN(down, up, back); shut() })
	both.Wait()
	p.mu.Lock()
	delete(p.open, up)
	p.mu.Unlock()
}

// The upstream resets at its nth PUBLISH, which it has taken: only that may come twice.
func TestResetAfterPublish(t *testing.T) {
	r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{ResetAfter: 5}})
	for i := range 20 {
		r.publish("t", fmt.Sprint(i))
	}
	r.start()
	r.waitArrivals(8)
	r.server.Behave(func(b *upstream.Behaviour) { b.ResetAfter = 0 })
	r.source.waitDrained(t)
	seen := map[string]bool{}
	for _, a := range r.arrivals() {
		seen[string(a.Payload)] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d of 20 arrived", len(seen))
	}
}

// A source that cannot be read ends Run with the reason, and the upstream is told.
// A source that cannot be read for a while stops neither the bridge nor, with it, the gateway.
func TestSourceError(t *testing.T) {
	r := newRig(t, upstream.Options{})
	broken := &brokenSource{fakeSource: r.source}
	broken.left.Store(2)
	r.bridge = New(r.cfg, broken, r.sink, r.clock, quiet)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.bridge.Run(ctx) }()
	deadline := time.Now().Add(20 * time.Second)
	for broken.left.Load() >= 0 { // it was read once more after the last failure
		select {
		case err := <-done:
			t.Fatalf("Run ended: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("not read again: %+v", r.bridge.Status())
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v, want nil", err)
	}
}

// brokenSource fails as often as left says.
type brokenSource struct {
	*fakeSource
	left atomic.Int32
}

func (s *brokenSource) Next(dst []Record) (int, error) {
	if s.left.Add(-1) >= 0 {
		return 0, errors.New("input/output error")
	}
	return s.fakeSource.Next(dst)
}

// A record set aside long ago stays aside, though its neighbours are acknowledged now.
func TestAsideStaysAside(t *testing.T) {
	r := newRig(t, upstream.Options{})
	for i := range 5 {
		n := r.publish("t", fmt.Sprint(i))
		if i == 2 {
			r.source.Refuse(n, packet.NotAuthorized, message.Stamp{}) // before this bridge began
		}
	}
	r.start()
	r.source.waitDrained(t)
	if got := order(r.waitArrivals(4)); got != "0 1 3 4" {
		t.Errorf("arrived %s", got)
	}
}
