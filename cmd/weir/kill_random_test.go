package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/bridge/upstream"
	"weir/broker/packet"
)

var (
	killTimes = flag.Int("kills", 4, "how often TestKillAtRandom kills weir")
	killSeed  = flag.Uint64("killseed", 1, "which random moments TestKillAtRandom takes")
	killExact = flag.Bool("exact", true, "TestKillAtRandom publishes at QoS 2 as well, from persistent sessions, under a rule with qos = 2")
)

// mood is something the upstream does for a while.
type mood struct {
	name   string
	outage bool // nothing is acknowledged by it
	set    func(b *upstream.Behaviour)
	cut    bool // connections that are there are reset as it begins
	down   bool
}

var moods = []mood{
	{name: "kind", set: func(*upstream.Behaviour) {}},
	{name: "kind", set: func(*upstream.Behaviour) {}, cut: true},
	{name: "slow", set: func(b *upstream.Behaviour) { b.AckDelay = 150 * time.Millisecond }},
	{name: "slower than spill_after", set: func(b *upstream.Behaviour) { b.AckDelay = 400 * time.Millisecond }},
	{name: "resetting", set: func(b *upstream.Behaviour) { b.ResetAfter = 40 }},
	{name: "refusing", set: func(b *upstream.Behaviour) { b.Refuse = packet.ServerUnavailable }, cut: true, outage: true},
	{name: "hanging", set: func(b *upstream.Behaviour) { b.Hang = true }, outage: true},
	{name: "hanging from the start", set: func(b *upstream.Behaviour) { b.Hang = true }, cut: true, outage: true},
	{name: "mute", set: func(b *upstream.Behaviour) { b.Mute = true }, outage: true},
	{name: "down", set: func(*upstream.Behaviour) {}, down: true, outage: true},
}

// TestKillAtRandom kills weir with -9 at random moments, also while it starts, while strict publishers send and the
// upstream is kind, slow, refusing, hanging, mute, resetting or away. Nothing acknowledged is lost, each topic keeps its
// order, what comes again at QoS 1 comes as a rising run of resends, nothing comes again at QoS 2, and neither end sees an
// offence against the protocol. (A kill leaves the page cache alone: .ci/powercut is for what it does not show.)
func TestKillAtRandom(t *testing.T) {
	if testing.Short() {
		t.Skip("needs seconds of real time")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(*killTimes)*5*time.Second+2*time.Minute)
	defer cancel()
	random := rand.New(rand.NewPCG(*killSeed, 9))
	k := newKillWorld(t)
	k.w.start()
	var publishing sync.WaitGroup
	for _, p := range k.publishers {
		publishing.Go(func() {
			if err := p.Run(ctx); err != nil {
				t.Errorf("%v; weir said:\n%s", err, k.w.said())
			}
		})
	}
	over := make(chan struct{})
	var moody sync.WaitGroup
	moody.Go(func() { k.changeMoods(rand.New(rand.NewPCG(*killSeed, 10)), over) })
	for range *killTimes {
		life := time.Duration(100+random.IntN(1600)) * time.Millisecond
		if random.IntN(4) == 0 {
			life = time.Duration(random.IntN(100)) * time.Millisecond // while it starts
		}
		time.Sleep(life) // the moment of the kill is what this test is about
		k.w.killAndStart()
	}
	close(over)
	moody.Wait()
	for _, p := range k.publishers {
		p.Finish()
	}
	publishing.Wait()
	k.judge(ctx)
}

// killWorld is one run of the test: publishers, weir, upstream and ledger.
type killWorld struct {
	t          *testing.T
	w          *weir
	server     *upstream.Server
	ledger     *upstream.Ledger
	publishers []*upstream.Publisher

	changes, inOutage int // moods, and messages acknowledged in those of them that acknowledge nothing
}

func newKillWorld(t *testing.T) *killWorld {
	k := &killWorld{t: t}
	var options []upstream.PublisherOptions
	var topics, exact []string
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	for i, name := range []string{"a", "b", "c"} {
		o := upstream.PublisherOptions{Address: address, ClientID: "strict-" + name, PerSecond: 200, Window: 50 << i, Size: 100,
			Topics: []string{"plant/" + name + "/1", "plant/" + name + "/2"}}
		if *killExact {
			o.Exact = []string{"exact/" + name + "/1", "exact/" + name + "/2"}
		}
		topics, exact = append(topics, o.Topics...), append(exact, o.Exact...)
		options = append(options, o)
	}
	k.ledger = upstream.NewLedger(remote(topics), remote(exact))
	server, err := upstream.Listen(upstream.Options{Forget: true, OnArrival: k.ledger.Take})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	k.server = server
	config := fmt.Sprintf(`
[gateway]
id = "killed"
[listener.test]
address = "%s"
[sensors]
auto = false
[broker]
max_packet = "64KiB"
[buffer]
segment = "256KiB"  # lives are short: segments and positions are to change in each
ack_flush = "200ms"
[bridge.cloud]
url = "%s"
[[bridge.cloud.forward]]
filter = "plant/#"
prefix = "sites/{id}"
`, address, server.URL())
	if *killExact {
		config += "[[bridge.cloud.forward]]\nfilter = \"exact/#\"\nprefix = \"sites/{id}\"\nqos = 2\n"
		config = strings.Replace(config, "[bridge.cloud]\n", "[bridge.cloud]\nclean = false\n", 1)
	}
	k.w = newWeir(t, config)
	for _, o := range options {
		k.publishers = append(k.publishers, upstream.NewPublisher(o))
	}
	return k
}

// remote says what topics are called upstream.
func remote(topics []string) []string {
	all := make([]string, len(topics))
	for i, topic := range topics {
		all[i] = "sites/killed/" + topic
	}
	return all
}

// changeMoods changes what the upstream does at random moments, and leaves it kind.
func (k *killWorld) changeMoods(random *rand.Rand, over chan struct{}) {
	for running := true; running; {
		m := moods[random.IntN(len(moods))]
		before := k.acknowledged()
		k.server.Behave(func(b *upstream.Behaviour) { *b = upstream.Behaviour{}; m.set(b) })
		if m.down {
			k.server.Down()
		} else if m.cut {
			k.server.Cut()
		}
		select {
		case <-time.After(time.Duration(100+random.IntN(1200)) * time.Millisecond):
		case <-over:
			running = false
		}
		k.changes++
		if m.outage {
			k.inOutage += k.acknowledged() - before
		}
		if err := k.server.Up(); err != nil {
			k.t.Error(err)
		}
	}
	k.server.Behave(func(b *upstream.Behaviour) { *b = upstream.Behaviour{} })
}

func (k *killWorld) acknowledged() (n int) {
	for _, p := range k.publishers {
		n += p.Stats().Acknowledged
	}
	return n
}

// judge waits for everything acknowledged and says what was wrong.
func (k *killWorld) judge(ctx context.Context) {
	t := k.t
	want := map[string]uint64{}
	var all upstream.PublisherStats
	for _, p := range k.publishers {
		for topic, n := range p.Acked() {
			want[remote([]string{topic})[0]] = n
		}
		s := p.Stats()
		all.Sent, all.Sendings, all.Acknowledged = all.Sent+s.Sent, all.Sendings+s.Sendings, all.Acknowledged+s.Acknowledged
		all.Connects, all.SessionsLost = all.Connects+s.Connects, all.SessionsLost+s.SessionsLost
		for _, v := range p.Violations() {
			t.Errorf("protocol violation seen by a publisher: %s", v)
		}
	}
	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := k.ledger.Wait(waiting, want); err != nil {
		t.Errorf("%v; weir said:\n%s", err, k.w.said())
	}
	k.w.stop()
	for i, fault := range k.ledger.Faults() {
		if i == 10 {
			t.Errorf("and %d more", len(k.ledger.Faults())-i)
			break
		}
		t.Error(fault)
	}
	for _, v := range k.server.Violations() {
		t.Errorf("protocol violation seen by the upstream: %s", v)
	}
	arrived, repeats, runs := 0, 0, 0
	accounts := k.ledger.Accounts()
	for _, topic := range slices.Sorted(maps.Keys(accounts)) {
		a := accounts[topic]
		arrived, repeats, runs = arrived+a.Arrived, repeats+a.Repeats, runs+a.Runs
		// The line goes back when weir or the link starts again, and when the publisher does: never by itself.
		if most := *killTimes + k.server.Connects() + all.Connects; a.Runs > most {
			t.Errorf("%s: came again %d times, with %d restarts and connections", topic, a.Runs, most)
		}
	}
	fmt.Printf("kill at random: seed %d, %d kills, %d moods of the upstream, %d messages sent, %d sendings, %d acknowledged, %d of them in outages, %d arrived, %d repeats in %d runs, %d publisher and %d upstream connections, %d sessions lost\n",
		*killSeed, *killTimes, k.changes, all.Sent, all.Sendings, all.Acknowledged, k.inOutage, arrived, repeats, runs, all.Connects, k.server.Connects(), all.SessionsLost)
	if all.SessionsLost > 0 {
		t.Errorf("%d sessions were lost", all.SessionsLost)
	}
	// Were nothing kept here, publishers would merely wait for the upstream, and nothing acknowledged could be lost.
	if *killTimes >= 20 && k.inOutage < all.Acknowledged/20 {
		t.Errorf("%d of %d messages were acknowledged in outages, want at least a twentieth", k.inOutage, all.Acknowledged)
	}
}
