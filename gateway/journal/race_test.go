package journal

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/bridge"
	"weir/broker"
	"weir/broker/message"
	"weir/broker/packet"
)

// TestManyAtOnce lets publishers append while two upstreams acknowledge, rewind, and come and go, and commits run. Every
// record must be settled in the end, and reach each upstream, for each publisher in the order it was sent in.
func TestManyAtOnce(t *testing.T) {
	const publishers, each = 8, 300
	r := open(t, t.TempDir(), func(c *Config) {
		c.Pace = Pace{SpillAfter: 5 * time.Millisecond, Gather: 2 * time.Millisecond, OwnGather: 4 * time.Millisecond, AckFlush: 10 * time.Millisecond}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	upstreams := []*Source{r.source("cloud"), r.source("other")}
	var all sync.WaitGroup
	for p := range publishers {
		all.Go(func() { publish(ctx, r, p, each, upstreams) })
	}
	arrived := make([]map[int][]int, len(upstreams))
	for i, s := range upstreams {
		all.Go(func() { arrived[i] = carry(ctx, r, s, uint64(i), publishers*each) })
	}
	all.Go(func() {
		for range 50 {
			if err := r.Commit(); err != nil {
				t.Errorf("commit: %v", err)
			}
		}
	})
	all.Wait()
	for i, came := range arrived {
		for p := range publishers {
			if got := came[p]; len(got) != each {
				t.Errorf("upstream %d has %d messages of publisher %d, want %d", i, len(got), p, each)
			}
			for at, n := range came[p] {
				if n != at {
					t.Fatalf("upstream %d, publisher %d: message %d at place %d", i, p, n, at)
				}
			}
		}
	}
	if records, _ := r.Log().Unsettled(); records != 0 {
		t.Errorf("%d records unsettled in the end, want none", records)
	}
	r.close()
}

// publish appends messages in batches, and waits at the end until the last is settled.
func publish(ctx context.Context, r *rig, p, count int, to []*Source) {
	random := rand.New(rand.NewPCG(uint64(p), 1))
	var numbers []uint64
	for len(numbers) < count {
		var batch []broker.Entry
		for i := len(numbers); i < min(count, len(numbers)+1+random.IntN(8)); i++ {
			batch = append(batch, entry(broker.Kind(i%5), fmt.Sprintf("%d/%d", p, i), to...))
		}
		first, n := r.Append(batch)
		for i := range n {
			numbers = append(numbers, first+uint64(i))
		}
		if n < len(batch) {
			r.t.Errorf("publisher %d: tail full", p)
			return
		}
		pause(ctx, time.Duration(random.IntN(500))*time.Microsecond)
	}
	for _, n := range numbers {
		for !r.Settled(n) {
			if !pause(ctx, time.Millisecond) {
				r.t.Errorf("publisher %d: record %#x never settled", p, n)
				return
			}
		}
	}
}

// carry acknowledges what there is in pieces, and now and then loses its connection. It gives the first arrivals.
func carry(ctx context.Context, r *rig, s *Source, seed uint64, want int) map[int][]int {
	random := rand.New(rand.NewPCG(seed, 2))
	came, seen, total := map[int][]int{}, map[uint64]bool{}, 0
	records := make([]bridge.Record, 32)
	s.Live(true)
	for total < want {
		n, err := s.Next(records[:1+random.IntN(32)])
		if err != nil {
			r.t.Errorf("next: %v", err)
			return came
		}
		if n == 0 {
			select {
			case <-s.Ready():
			case <-ctx.Done():
				r.t.Errorf("%d of %d records arrived: %v", total, want, ctx.Err())
				return came
			}
			continue
		}
		for i := range records[:n] {
			if seen[records[i].Number] {
				continue
			}
			seen[records[i].Number] = true
			p, k, _ := strings.Cut(string(records[i].Message.Payload), "/")
			publisher, _ := strconv.Atoi(p)
			number, _ := strconv.Atoi(k)
			came[publisher] = append(came[publisher], number)
			total++
		}
		if random.IntN(20) == 0 { // the connection is gone before the acknowledgements came
			s.Live(false)
			s.Rewind()
			pause(ctx, 3*time.Millisecond)
			s.Live(true)
			continue
		}
		for i := range n {
			s.Ack([]bridge.Range{{First: records[i].Number, Last: records[i].Number}})
		}
	}
	return came
}

// pause waits; false: the test is over.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// TestFirstNumberIsNotSettled: whoever gets the first number of a run, and whoever comes at the same moment, waits.
func TestFirstNumberIsNotSettled(t *testing.T) {
	for range 300 {
		j, err := OpenVolatile(Config{Pace: DefaultPace}, syscall.EROFS)
		if err != nil {
			t.Fatal(err)
		}
		q, err := j.Queue("q")
		if err != nil {
			t.Fatal(err)
		}
		e := broker.Entry{Message: &message.Message{Publish: packet.Publish{Topic: []byte("x"), QoS: 1}}, Kind: broker.KindQoS1,
			Sessions: []broker.SessionHit{{Queue: q.ID(), QoS: 1, Data: []byte{1}}}}
		var barrier, record uint64
		var g sync.WaitGroup
		g.Go(func() { barrier, _ = j.Barrier() })
		g.Go(func() { record, _ = j.Append([]broker.Entry{e}) })
		g.Wait()
		if j.Settled(barrier) || j.Settled(record) {
			t.Fatalf("of barrier %d and record %d one is settled, though nothing was written", barrier, record)
		}
		j.Close()
	}
}
