package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"weir/bridge/client"
	"weir/bridge/upstream"
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
	var arrived *tally
	var target string
	if *mosquitto != "" {
		plan = fullPlan
		target = startMosquitto(t, *mosquitto)
		arrived = subscribeTally(ctx, t, target, plan.messages)
	} else {
		arrived = newTally(plan.messages)
		server, err := upstream.Listen(upstream.Options{Forget: true, OnArrival: func(a upstream.Arrival) { arrived.add(a.Topic, a.Payload) }})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		defer func() {
			for _, v := range server.Violations() {
				t.Errorf("protocol violation seen by the upstream: %s", v)
			}
		}()
		target = server.Address()
	}
	proxy := startProxy(t, target)
	w := newWeir(t, fmt.Sprintf(`
[gateway]
id = "killed"
[listener.test]
address = "127.0.0.1:%d"
[sensors]
auto = false
[bridge.cloud]
url = "mqtt://%s"
[[bridge.cloud.forward]]
filter = "plant/#"
prefix = "sites/{id}"
`, freePort(t), proxy.address()))
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
	acked := p.ackedNumbers()
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

func (p *strictPublisher) ackedNumbers() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []int
	for n, ok := range p.acked {
		if ok {
			all = append(all, n)
		}
	}
	return all
}

// tally counts what arrives upstream.
type tally struct {
	mu      sync.Mutex
	seen    []int
	highest int
	late    int // first arrivals after a later number
	news    chan struct{}
}

func newTally(n int) *tally {
	return &tally{seen: make([]int, n), highest: -1, news: make(chan struct{}, 1)}
}

func (c *tally) add(topic string, payload []byte) {
	if topic != "sites/killed/plant/line" || len(payload) != 8 {
		return // the state of the link
	}
	n := int(binary.BigEndian.Uint64(payload))
	c.mu.Lock()
	if c.seen[n] == 0 && n < c.highest {
		c.late++
	}
	c.seen[n]++
	c.highest = max(c.highest, n)
	c.mu.Unlock()
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// waitFor waits until all of the numbers have arrived, and returns those that have not within the limit.
func (c *tally) waitFor(numbers []int, limit time.Duration) []int {
	over := time.After(limit)
	for {
		var missing []int
		c.mu.Lock()
		for _, n := range numbers {
			if c.seen[n] == 0 {
				missing = append(missing, n)
			}
		}
		c.mu.Unlock()
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-c.news:
		case <-over:
			return missing
		}
	}
}

func (c *tally) distinct() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, times := range c.seen {
		n += min(times, 1)
	}
	return n
}

func (c *tally) repeats() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, times := range c.seen {
		n += max(times-1, 0)
	}
	return n
}

func (c *tally) disorder() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.late
}

// startMosquitto runs a mosquitto with an unlimited queue and returns its address.
func startMosquitto(t *testing.T, program string) string {
	port := freePort(t)
	file := filepath.Join(t.TempDir(), "mosquitto.conf")
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\nuser root\n", port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-c", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	address := fmt.Sprintf("127.0.0.1:%d", port)
	waitListening(t, address)
	return address
}

// subscribeTally counts through a persistent session on a broker that is not ours.
func subscribeTally(ctx context.Context, t *testing.T, address string, n int) *tally {
	c := newTally(n)
	conn, err := client.Connect(ctx, client.Options{
		URL: address, Version: packet.V311, ClientID: "receiver", Resume: true,
		OnMessages: func(messages []packet.Publish) {
			for i := range messages {
				c.add(string(messages[i].Topic), messages[i].Payload)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := conn.Subscribe(ctx, packet.Subscription{Filter: []byte("sites/#"), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	return c
}

// proxy passes bytes between weir and its upstream until it is cut.
type proxy struct {
	t      *testing.T
	target string
	listen net.Listener

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
}

func startProxy(t *testing.T, target string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, target: target, listen: l, conns: map[net.Conn]bool{}}
	go p.accept()
	t.Cleanup(func() { l.Close(); p.cut() })
	return p
}

func (p *proxy) address() string { return p.listen.Addr().String() }

func (p *proxy) accept() {
	for {
		near, err := p.listen.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", p.target)
		if err != nil {
			near.Close()
			continue
		}
		if !p.keep(near, far) {
			continue
		}
		go p.pass(near, far)
		go p.pass(far, near)
	}
}

// keep remembers a pair of connections, or closes it while the link is cut.
func (p *proxy) keep(pair ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range pair {
		if p.down {
			c.Close()
		} else {
			p.conns[c] = true
		}
	}
	return !p.down
}

func (p *proxy) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = true
	for c := range p.conns {
		c.Close()
	}
	clear(p.conns)
}

func (p *proxy) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = false
}
