package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"

	"weir/bridge/client"
	"weir/broker/packet"
)

var mosquitto = flag.String("mosquitto", "", "path of a mosquitto broker: run the kill test at full size against it")

// killPlan is one run of the kill test. Times count from the first message.
type killPlan struct {
	messages   int
	perSecond  int
	cut, mend  time.Duration   // the link to the upstream is cut between them
	kills      []time.Duration // weir is killed with -9 and started again
	drainLimit time.Duration
}

var (
	smallPlan = killPlan{2_400, 800, 500 * time.Millisecond, 1500 * time.Millisecond, []time.Duration{time.Second, 2 * time.Second}, 30 * time.Second}
	fullPlan  = killPlan{60_000, 2_000, 5 * time.Second, 15 * time.Second, []time.Duration{8 * time.Second, 20 * time.Second}, 2 * time.Minute}
)

// TestKill proves the order in which weir does things: it is killed with -9 while a strict publisher sends, with the
// upstream there, away and coming back. Every message whose PUBACK was seen arrives, and first arrivals are in order.
// (That a kill loses nothing says nothing about a power cut: the page cache survives it.)
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("needs seconds of real time")
	}
	plan := smallPlan
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if *mosquitto != "" {
		plan = fullPlan
	}
	target, arrived := startCloud(ctx, t, plan.messages)
	proxy := startProxy(t, target)
	w := newKilledWeir(t, fmt.Sprintf(plantToCloud, proxy.address()))
	w.start()

	p := &strictPublisher{address: w.address, total: plan.messages, perSecond: plan.perSecond}
	done := make(chan error, 1)
	go func() { done <- p.run(ctx) }()
	begin := p.began()
	at := func(d time.Duration, what func()) { time.AfterFunc(time.Until(begin.Add(d)), what) }
	var steps sync.WaitGroup
	steps.Add(2)
	var away struct{ ackedFirst, arrivedFirst, acked, arrived int }
	at(plan.cut, func() {
		proxy.cut()
		away.ackedFirst, away.arrivedFirst = p.ackedCount(), arrived.distinct()
		steps.Done()
	})
	at(plan.mend, func() {
		away.acked, away.arrived = p.ackedCount()-away.ackedFirst, arrived.distinct()-away.arrivedFirst
		proxy.mend()
		steps.Done()
	})
	for _, k := range plan.kills {
		steps.Add(1)
		at(k, func() { w.killAndStart(); steps.Done() })
	}
	if err := <-done; err != nil {
		t.Fatalf("publisher: %v; weir said:\n%s", err, w.said())
	}
	steps.Wait()
	// Were nothing kept here, the publisher would merely wait for the upstream, and nothing acknowledged could be lost.
	due := int((plan.mend - plan.cut).Seconds() * float64(plan.perSecond))
	if away.acked < due/2 || away.arrived > due/10 {
		t.Errorf("while the link was cut %d messages were acknowledged and %d arrived, want about %d and none", away.acked, away.arrived, due)
	}
	acked := numbersOf(&p.mu, p.acked)
	missing := arrived.waitFor(acked, plan.drainLimit)
	fmt.Printf("kill: %d messages sent, %d sendings in all, %d acknowledged, %d of them while the link was cut, %d arrived, %d repeats, %d acknowledged and missing, %d out of order\n",
		plan.messages, p.sendings, len(acked), away.acked, arrived.distinct(), arrived.repeats(), len(missing), arrived.disorder())
	if len(missing) > 0 {
		t.Errorf("acknowledged and lost: %d messages, the first is %d; weir said:\n%s", len(missing), missing[0], w.said())
	}
	if n := arrived.disorder(); n > 0 {
		t.Errorf("%d messages arrived for the first time after a later one", n)
	}
	if len(acked) != plan.messages {
		t.Errorf("%d acknowledged, want all %d", len(acked), plan.messages)
	}
	w.stop()
}

// numbersOf lists the numbers of what is true, which mu guards.
func numbersOf(mu *sync.Mutex, acked []bool) (all []int) {
	mu.Lock()
	defer mu.Unlock()
	for n, ok := range acked {
		if ok {
			all = append(all, n)
		}
	}
	return all
}

// newKilledWeir is a weir with the id "killed" and one listener, and the rest of its configuration.
func newKilledWeir(t *testing.T, rest string) *weir {
	t.Helper()
	return newWeir(t, fmt.Sprintf("[gateway]\nid = \"killed\"\n[listener.test]\naddress = \"127.0.0.1:%d\"\n[sensors]\nauto = false\n", freePort(t))+rest)
}

const plantToCloud = `
[bridge.cloud]
url = "mqtt://%s"
[[bridge.cloud.forward]]
filter = "plant/#"
prefix = "sites/{id}"
`

// strictPublisher sends numbered messages at a pace and keeps each until its PUBACK, sending it again, with DUP, on
// every new connection.
type strictPublisher struct {
	address          string
	total, perSecond int
	sendings         int

	mu    sync.Mutex
	start chan struct{}
	begin time.Time
	acked []bool
	left  int
}

func (p *strictPublisher) began() time.Time {
	p.init()
	<-p.start
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begin
}

func (p *strictPublisher) init() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.start == nil {
		p.start, p.acked, p.left = make(chan struct{}), make([]bool, p.total), p.total
	}
}

func (p *strictPublisher) run(ctx context.Context) error {
	p.init()
	sent := 0 // numbers below were sent at least once
	for {
		conn, err := p.connect(ctx)
		if err != nil {
			return err
		}
		p.mu.Lock()
		if p.begin.IsZero() {
			p.begin = time.Now()
			close(p.start)
		}
		p.mu.Unlock()
		over, err := p.feed(ctx, conn, &sent)
		conn.Close()
		if over || err != nil {
			return err
		}
	}
}

func (p *strictPublisher) connect(ctx context.Context) (*client.Conn, error) {
	for {
		conn, err := client.Connect(ctx, client.Options{
			URL: p.address, Version: packet.V311, ClientID: "strict", Window: 2000,
			OnAcks: func(acks []client.Ack) {
				p.mu.Lock()
				defer p.mu.Unlock()
				for _, a := range acks {
					if !p.acked[a.Ref] {
						p.acked[a.Ref] = true
						p.left--
					}
				}
			},
		})
		if err == nil {
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// feed sends until everything is acknowledged (over) or the connection ends.
func (p *strictPublisher) feed(ctx context.Context, conn *client.Conn, sent *int) (over bool, err error) {
	again, upTo := 0, *sent
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		for ; again < upTo; again++ { // what was sent before and not acknowledged
			if !p.isAcked(again) && !p.send(conn, again, true) {
				break
			}
		}
		due := min(p.total, int(time.Since(p.begin).Seconds()*float64(p.perSecond)))
		for again == upTo && *sent < due && p.send(conn, *sent, false) {
			*sent++
		}
		conn.Flush()
		p.mu.Lock()
		left := p.left
		p.mu.Unlock()
		if left == 0 {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("%d of %d not acknowledged: %w", left, p.total, ctx.Err())
		case <-conn.Done():
			return false, nil
		case <-tick.C:
		}
	}
}

func (p *strictPublisher) isAcked(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acked[n]
}

func (p *strictPublisher) send(conn *client.Conn, n int, dup bool) bool {
	var payload [8]byte
	binary.BigEndian.PutUint64(payload[:], uint64(n))
	err := conn.Send(&packet.Publish{Topic: []byte("plant/line"), Payload: payload[:], QoS: 1, Dup: dup}, uint64(n))
	if err == nil {
		p.sendings++
	}
	return err == nil
}

func (p *strictPublisher) ackedCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total - p.left
}
