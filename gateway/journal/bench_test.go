package journal

import (
	"fmt"
	"testing"

	"weir/bridge"
	"weir/broker"
	"weir/broker/packet"
)

// round is what a message costs while its link is healthy: taken, read, acknowledged, settled.
type round struct {
	*rig
	batch   []broker.Entry
	records []bridge.Record
	acks    [1]bridge.Range
	cloud   *Source
}

func newRound(t testing.TB, batch int) *round {
	r := &round{rig: open(t, t.TempDir(), nil), records: make([]bridge.Record, batch)}
	r.cloud = r.source("cloud")
	r.settle()
	r.cloud.Live(true)
	for i := range batch {
		e := entry(broker.KindQoS1, fmt.Sprint("21.", i), r.cloud)
		e.Message.Props.User = []packet.UserProperty{{Key: []byte("unit"), Value: []byte("°C")}}
		e.Publisher = 1
		r.batch = append(r.batch, e)
	}
	return r
}

func (r *round) turn(t testing.TB) {
	first, n := r.Append(r.batch)
	if n != len(r.batch) {
		t.Fatalf("took %d of %d", n, len(r.batch))
	}
	for got := 0; got < n; {
		k, err := r.cloud.Next(r.records)
		if err != nil || k == 0 {
			t.Fatalf("next: %d, %v", k, err)
		}
		got += k
	}
	r.acks[0] = bridge.Range{First: first, Last: first + uint64(n) - 1}
	r.cloud.Ack(r.acks[:])
	if !r.Settled(first) {
		t.Fatal("not settled")
	}
}

func BenchmarkRound(b *testing.B) {
	for _, size := range []int{1, 32} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			r := newRound(b, size)
			defer r.close()
			b.ReportAllocs()
			for b.Loop() {
				r.turn(b)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/message")
		})
	}
}

// TestRoundAllocates: nothing per message, a little per batch for telling what is settled.
func TestRoundAllocates(t *testing.T) {
	for _, size := range []int{1, 32} {
		r := newRound(t, size)
		for range 1000 {
			r.turn(t)
		}
		if got := testing.AllocsPerRun(1000, func() { r.turn(t) }); got > allocationsPerBatch {
			t.Errorf("%v allocations for a batch of %d, want at most %d", got, size, allocationsPerBatch)
		}
		r.close()
	}
}

const allocationsPerBatch = 1
