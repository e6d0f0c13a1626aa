package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/packet"
)

// TestExactlyOnce kills weir with -9 and cuts its link while a QoS 2 rule carries what a publisher sends that repeats
// nothing. The upstream keeps its session: every message whose PUBACK was seen arrives once, none twice, in order.
func TestExactlyOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("needs seconds of real time")
	}
	const messages, perSecond = 3000, 1000
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	target, arrived := startCloud(ctx, t, messages)
	proxy := startProxy(t, target)
	w := newKilledWeir(t, fmt.Sprintf(plantToCloud+"qos = 2\n", proxy.address()))
	w.start()
	p := &unrepeating{address: w.address, total: messages, perSecond: perSecond, acked: make([]bool, messages)}
	done := make(chan error, 1)
	go func() { done <- p.run(ctx) }()
	var steps sync.WaitGroup
	for i, at := range []time.Duration{300, 700, 1000, 1300, 1900, 2300, 2700} {
		steps.Add(1)
		time.AfterFunc(at*time.Millisecond, func() {
			defer steps.Done()
			if i%3 == 2 {
				proxy.cut()
				proxy.mend()
				return
			}
			w.killAndStart()
		})
	}
	err := <-done
	steps.Wait()
	if err != nil {
		t.Fatalf("publisher: %v; weir said:\n%s", err, w.said())
	}
	acked := numbersOf(&p.mu, p.acked)
	missing := arrived.waitFor(acked, 30*time.Second)
	fmt.Printf("exactly once: %d messages sent, %d acknowledged, %d arrived, %d repeats, %d acknowledged and missing, %d out of order\n",
		messages, len(acked), arrived.distinct(), arrived.repeats(), len(missing), arrived.disorder())
	if len(missing) > 0 {
		t.Errorf("acknowledged and lost: %d messages, the first is %d; weir said:\n%s", len(missing), missing[0], w.said())
	}
	if n := arrived.repeats(); n > 0 {
		t.Errorf("%d repeats; weir said:\n%s", n, w.said())
	}
	if n := arrived.disorder(); n > 0 {
		t.Errorf("%d messages arrived after a later one", n)
	}
	if len(acked) < messages/4 {
		t.Errorf("only %d of %d acknowledged: weir was not there", len(acked), messages)
	}
	w.stop()
}

// unrepeating sends each number once, at QoS 1, and notes which were acknowledged.
type unrepeating struct {
	address          string
	total, perSecond int

	mu    sync.Mutex // guards acked
	acked []bool
}

func (p *unrepeating) run(ctx context.Context) error {
	begin := time.Now()
	next := 0
	for next < p.total {
		conn, err := client.Connect(ctx, client.Options{
			URL: p.address, Version: packet.V311, ClientID: "once", Window: 2000,
			OnAcks: func(acks []client.Ack) {
				p.mu.Lock()
				defer p.mu.Unlock()
				for _, a := range acks {
					p.acked[a.Ref] = true
				}
			},
		})
		if err != nil {
			select {
			case <-ctx.Done():
				return errors.Join(ctx.Err(), err)
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		next = p.feed(ctx, conn, next, begin)
		conn.Close()
	}
	return ctx.Err()
}

// feed sends what is due until the connection ends or everything was sent and acknowledged; it returns what is next.
func (p *unrepeating) feed(ctx context.Context, conn *client.Conn, next int, begin time.Time) int {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		due := min(p.total, int(time.Since(begin).Seconds()*float64(p.perSecond)))
		for ; next < due; next++ {
			var payload [8]byte
			binary.BigEndian.PutUint64(payload[:], uint64(next))
			if conn.Send(&packet.Publish{Topic: []byte("plant/line"), Payload: payload[:], QoS: 1}, uint64(next)) != nil {
				break
			}
		}
		conn.Flush()
		if next == p.total && conn.InFlight() == 0 {
			return next
		}
		select {
		case <-ctx.Done():
			return p.total
		case <-conn.Done():
			return next
		case <-tick.C:
		}
	}
}

// TestExactlyOnceThrough sends messages at QoS 2 from one upstream to another through a weir that is killed with -9, and
// whose links are cut. Both upstreams keep their sessions: each message comes through once.
func TestExactlyOnceThrough(t *testing.T) {
	if testing.Short() {
		t.Skip("needs seconds of real time")
	}
	const messages = 1500
	arrived := newTally(messages)
	there, here := startUpstream(t, upstream.Options{Forget: true, OnArrival: arrived.take}), startUpstream(t, upstream.Options{})
	from, to := startProxy(t, here.Address()), startProxy(t, there.Address())
	w := newKilledWeir(t, fmt.Sprintf(`
[bridge.from]
url = "mqtt://%s"
version = "3.1.1"
[[bridge.from.receive]]
filter = "line"
prefix = "plant"
qos = 2
[bridge.to]
url = "mqtt://%s"
version = "3.1.1"
[[bridge.to.forward]]
filter = "plant/#"
prefix = "sites/{id}"
format = "raw"
qos = 2
`, from.address(), to.address()))
	w.start()
	if err := here.WaitSubscribed(t.Context(), "line"); err != nil {
		t.Fatal(err)
	}
	var steps sync.WaitGroup
	for i, at := range []time.Duration{300, 700, 1000, 1300, 1700, 2000} {
		steps.Add(1)
		time.AfterFunc(at*time.Millisecond, func() {
			defer steps.Done()
			switch i % 3 {
			case 1:
				from.cut()
				from.mend()
			case 2:
				to.cut()
				to.mend()
			default:
				w.killAndStart()
			}
		})
	}
	begin, numbers := time.Now(), []int{}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for next := 0; next < messages; <-tick.C {
		for due := min(messages, int(time.Since(begin).Seconds()*600)); next < due; next++ {
			here.Publish("line", binary.BigEndian.AppendUint64(nil, uint64(next)), 2, false)
			numbers = append(numbers, next)
		}
	}
	steps.Wait()
	missing := arrived.waitFor(numbers, 30*time.Second)
	fmt.Printf("exactly once through: %d messages sent, %d arrived, %d repeats, %d missing, %d out of order\n",
		messages, arrived.distinct(), arrived.repeats(), len(missing), arrived.disorder())
	if len(missing) > 0 || arrived.repeats() > 0 || arrived.disorder() > 0 {
		t.Errorf("%d missing, %d repeats, %d out of order; weir said:\n%s", len(missing), arrived.repeats(), arrived.disorder(), w.said())
	}
	w.stop()
}
