package upstream

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"weir/broker/packet"
)

// A publisher and a ledger at the two ends of a server that resets, and of nothing else: every message arrives, in order.
func TestPublisher(t *testing.T) {
	l := NewLedger([]string{"a", "b"}, nil)
	s, err := Listen(Options{Forget: true, OnArrival: l.Take, Behaviour: Behaviour{ResetAfter: 37}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := NewPublisher(PublisherOptions{Address: s.Address(), ClientID: "p", Topics: []string{"a", "b"}, PerSecond: 2000, Window: 10})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	if err := s.WaitCount(ctx, 200); err != nil {
		t.Fatal(err)
	}
	s.Behave(func(b *Behaviour) { b.ResetAfter = 0 })
	p.Finish()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := l.Wait(ctx, p.Acked()); err != nil {
		t.Error(err)
	}
	st, a := p.Stats(), l.Accounts()
	if st.Acknowledged != st.Sent || st.Connects < 2 || st.Sendings <= st.Sent || a["a"].Arrived+a["b"].Arrived > st.Sendings {
		t.Errorf("%+v, %+v: want all acknowledged and something sent again", st, a)
	}
	if f := append(l.Faults(), p.Violations()...); len(f) > 0 {
		t.Errorf("faults: %v", f)
	}
}

// A publisher at QoS 2 goes on where its session was.
func TestPublisherExact(t *testing.T) {
	l := NewLedger(nil, []string{"x"})
	s, err := Listen(Options{Forget: true, OnArrival: l.Take})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := NewPublisher(PublisherOptions{Address: s.Address(), ClientID: "p", Exact: []string{"x"}, PerSecond: 2000, Window: 10})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	if err := s.WaitCount(ctx, 100); err != nil {
		t.Fatal(err)
	}
	p.Finish()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	st := p.Stats()
	if n := p.Acked()["x"]; int(n) != st.Sent || l.Accounts()["x"].Arrived != st.Sent {
		t.Errorf("%+v, %d acknowledged, %+v", st, n, l.Accounts())
	}
	if f := append(append(l.Faults(), p.Violations()...), s.Violations()...); len(f) > 0 {
		t.Errorf("faults: %v", f)
	}
}

// A server that acknowledges out of order, or what it was not sent, is found out.
func TestPublisherHoldsTheServer(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	p := NewPublisher(PublisherOptions{ClientID: "p", Topics: []string{"a"}})
	p.live = near
	for range 3 {
		p.appendFresh(nil)
	}
	if err := p.take(near, packet.Ack{Type: packet.TypePuback, ID: 2}); err != nil {
		t.Error(err)
	}
	if err := p.take(near, packet.Ack{Type: packet.TypePuback, ID: 9}); err == nil {
		t.Error("an acknowledgement of nothing is taken")
	}
	if err := p.take(near, packet.Ack{Type: packet.TypePubcomp, ID: 1}); err == nil {
		t.Error("PUBCOMP at QoS 1 is taken")
	}
	if v := p.Violations(); len(v) != 4 {
		t.Errorf("%d violations, want 4: %v", len(v), v)
	}
	if p.Sever(); p.take(near, packet.Ack{Type: packet.TypePuback, ID: 1}) == nil {
		t.Error("an acknowledgement after Sever is taken")
	}
}

func TestLedger(t *testing.T) {
	for _, row := range []struct {
		name    string
		numbers []uint64
		exact   bool
		want    string // part of the only fault
		lost    bool   // of 6
	}{
		{"in order", []uint64{1, 2, 3, 4, 5, 6}, false, "", false},
		{"a run of resends", []uint64{1, 2, 3, 4, 3, 4, 5, 2, 3, 4, 5, 6}, false, "", false},
		{"the last again", []uint64{1, 2, 2, 3, 4, 5, 6, 6}, false, "", false},
		{"not all yet", []uint64{1, 2, 3, 4, 5}, false, "", true},
		{"one lost", []uint64{1, 2, 4, 5, 6}, false, "1 numbers between are late or lost", true},
		{"a run that leaves out what had come", []uint64{1, 2, 3, 4, 5, 1, 2, 4, 5, 6}, false, "", false},
		{"again at QoS 2", []uint64{1, 2, 3, 3, 4, 5, 6}, true, "want it once", false},
		{"once at QoS 2", []uint64{1, 2, 3, 4, 5, 6}, true, "", false},
	} {
		topics, exact := []string{"t"}, []string(nil)
		if row.exact {
			topics, exact = exact, topics
		}
		l := NewLedger(topics, exact)
		for _, n := range row.numbers {
			l.Take(Arrival{Topic: "t", Payload: binary.BigEndian.AppendUint64(nil, n)})
		}
		l.Take(Arrival{Topic: "other"})
		f := l.Faults()
		if row.want == "" && len(f) > 0 || row.want != "" && (len(f) != 1 || !strings.Contains(f[0], row.want)) {
			t.Errorf("%s: faults %v, want %q", row.name, f, row.want)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.Wait(ctx, map[string]uint64{"t": 6}); (err != nil) != row.lost {
			t.Errorf("%s: wait: %v", row.name, err)
		}
	}
	l := NewLedger([]string{"t"}, nil)
	for _, n := range []uint64{1, 3, 2} {
		l.Take(Arrival{Topic: "t", Payload: binary.BigEndian.AppendUint64(nil, n)})
	}
	if f := l.Faults(); len(f) != 2 || !strings.Contains(f[1], "2 came for the first time after 3") || l.Accounts()["t"].Missing != 0 {
		t.Errorf("late: %v, %+v", f, l.Accounts())
	}
}
