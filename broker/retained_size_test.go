package broker

import (
	"fmt"
	"runtime"
	"testing"

	"weir/broker/packet"
)

// manyRetained has a broker without a store keep n messages of 64 bytes.
func manyRetained(tb testing.TB, n int, q byte) *Broker {
	b := New(Config{}, newJournal(), stampNow, quietLog())
	payload := string(make([]byte, 64))
	for i := 0; i < n; i += 100 {
		r := b.newReading()
		for k := range 100 {
			m := r.message()
			m.Publish = *retainedMessage(fmt.Sprintf("bench/retained/%d/%d", i%100, i+k), payload, q, 0)
			m.Stamp, m.Origin = r.stamp, []byte("bench-retain")
			r.publish(m, source{}, KindQoS0, "")
		}
		r.finish()
	}
	if got := b.Stats().Retained; got != n {
		tb.Fatalf("%d retained, want %d", got, n)
	}
	return b
}

func heapInUse() int64 {
	for range 3 { // pools let go of what they hold at the second
		runtime.GC()
	}
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

func TestRetainedMemory(t *testing.T) {
	const n = 20_000
	before := heapInUse()
	b := manyRetained(t, n, 0)
	per := float64(heapInUse()-before) / n
	t.Logf("%.0f bytes per retained message, %.0f of them said", per, float64(b.Stats().RetainedBytes)/n)
	if per > 280 {
		t.Errorf("%.0f bytes per retained message of 64 bytes, want at most 280", per)
	}
}

// replayAll sends all retained messages to a new subscriber without a socket, and says how many bytes those were.
func replayAll(b *Broker, s *session, sub *subscription) (sent int) {
	b.replayRetained(s, sub, false, nil)
	for {
		s.out.fill(b)
		n := len(s.out.pending)
		if n == 0 {
			return sent
		}
		sent += n
		s.out.pending = s.out.pending[:0]
	}
}

func replaySession(tb testing.TB, b *Broker) (*session, *subscription) {
	s := b.newSession("sub", "")
	s.out.conn, s.out.version = &connection{}, packet.V5
	return s, s.subscribe(mustFilter(tb, "#"), packOptions(&packet.Subscription{}, 7), false)
}

// TestReplayAllocates: what a replay costs is its list, not something for each message, with subscription identifiers too.
func TestReplayAllocates(t *testing.T) {
	const n = 2000
	b := manyRetained(t, n, 0)
	s, sub := replaySession(t, b)
	if got, least := replayAll(b, s, sub), n*(64+len("bench/retained/0/0")); got < least {
		t.Fatalf("%d bytes, want at least %d", got, least)
	}
	if per := testing.AllocsPerRun(10, func() { replayAll(b, s, sub) }) / n; countAllocations && per > 0.02 {
		t.Errorf("%.3f allocations per message", per)
	}
}

// BenchmarkReplay: an operation is all of 100,000 retained messages for a new subscriber.
func BenchmarkReplay(b *testing.B) {
	const n = 100_000
	br := manyRetained(b, n, 0)
	s, sub := replaySession(b, br)
	b.ReportAllocs()
	for b.Loop() {
		replayAll(br, s, sub)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/message")
}

// BenchmarkRetain sets new values of topics that have one.
func BenchmarkRetain(b *testing.B) {
	br := manyRetained(b, 10_000, 0)
	payload := make([]byte, 64)
	var names [][]byte
	for i := range 10_000 {
		names = append(names, fmt.Appendf(nil, "bench/retained/%d/%d", i/100*100%100, i))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		r := br.newReading()
		m := r.message()
		m.Publish = packet.Publish{Topic: names[i%len(names)], Payload: payload, Retain: true}
		m.Stamp = r.stamp
		r.publish(m, source{}, KindQoS0, "")
		r.finish()
	}
}

// TestRetainedKeepsAll: a retained message is kept with all it had, for both versions.
// v5 [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
func TestRetainedKeepsAll(t *testing.T) {
	h := build(t, Config{})
	pub, _ := h.login(packet.V5, "pub")
	m := retainedMessage("r", "payload", 2, 1)
	m.Props.SetPayloadFormat(1)
	m.Props.SetMessageExpiry(1000)
	m.Props.SetContentType([]byte("text/plain"))
	m.Props.SetResponseTopic([]byte("answers/here"))
	m.Props.SetCorrelationData([]byte{0, 1, 255})
	m.Props.User = []packet.UserProperty{{Key: []byte("b"), Value: []byte("1")}, {Key: []byte("a"), Value: []byte("2")}, {Key: []byte("b"), Value: []byte("3")}}
	pub.send(m)
	pub.expectAck(packet.TypePubrec, 1)
	for i, q := range []byte{0, 1, 2} {
		sub, _ := h.login(packet.V5, fmt.Sprint("sub", i))
		sub.subscribeWith(&packet.Subscribe{ID: 1, Props: packet.Properties{SubscriptionIDs: []uint32{9}},
			Filters: []packet.Subscription{{Filter: []byte("r"), QoS: q}}})
		p := sub.expectMessage("r", "payload")
		if left := p.Props.MessageExpiry; p.QoS != q || !p.Retain || left > 1000 || left < 900 || p.Props.PayloadFormat != 1 ||
			string(p.Props.ContentType) != "text/plain" || string(p.Props.ResponseTopic) != "answers/here" ||
			string(p.Props.CorrelationData) != "\x00\x01\xff" || fmt.Sprintf("%s", p.Props.User) != "[{b 1} {a 2} {b 3}]" ||
			fmt.Sprint(p.Props.SubscriptionIDs) != "[9]" {
			t.Errorf("QoS %d: %+v", q, p)
		}
		old, _ := h.login(packet.V311, fmt.Sprint("old", i))
		old.subscribe(q, "r")
		if p := old.expectMessage("r", "payload"); p.QoS != q || !p.Retain {
			t.Errorf("QoS %d on 3.1.1: %+v", q, p)
		}
	}
}

// TestRetainedInFlightReplaced: a retained message that is in flight is sent again as it was, though it is
// replaced, and another removed, meanwhile. v5 [MQTT-4.4.0-1], 3.1.1 [MQTT-4.4.0-1]
func TestRetainedInFlightReplaced(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{})
		pub, _ := h.login(packet.V5, "pub")
		pub.send(retainedMessage("r/1", "old", 1, 1))
		pub.expectAck(packet.TypePuback, 1)
		sub, _ := h.login(v, "sub", keepSession)
		sub.subscribe(1, "r/1")
		first := sub.expectMessage("r/1", "old")
		sub.nc.Close()
		pub.send(retainedMessage("r/1", "new", 1, 2), retainedMessage("r/1", "", 1, 3))
		pub.expectAck(packet.TypePuback, 2)
		pub.expectAck(packet.TypePuback, 3)
		sub, _ = h.login(v, "sub", keepSession)
		again := sub.expectMessage("r/1", "old")
		if !again.Dup || !again.Retain || again.ID != first.ID {
			t.Errorf("sent again as %+v, was %+v", again, first)
		}
		sub.send(&packet.Ack{Type: packet.TypePuback, ID: again.ID})
		sub.expectMessage("r/1", "new")
		sub.expectMessage("r/1", "")
	})
}
