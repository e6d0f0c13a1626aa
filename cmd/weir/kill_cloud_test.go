package main

import (
	"context"
	"encoding/binary"
	"fmt"
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

// startCloud runs what weir is a bridge to, until the test ends, and counts what arrives there.
func startCloud(ctx context.Context, t *testing.T, messages int) (address string, arrived *tally) {
	t.Helper()
	if *mosquitto != "" {
		address = startMosquitto(t, *mosquitto)
		return address, subscribeTally(ctx, t, address, messages)
	}
	arrived = newTally(messages)
	return startUpstream(t, upstream.Options{Forget: true, OnArrival: arrived.take}).Address(), arrived
}

// startUpstream runs an upstream until the test ends, which fails if that saw a violation of the protocol.
func startUpstream(t *testing.T, o upstream.Options) *upstream.Server {
	t.Helper()
	s, err := upstream.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, v := range s.Violations() {
			t.Errorf("protocol violation seen by an upstream: %s", v)
		}
		s.Close()
	})
	return s
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

func (c *tally) take(a upstream.Arrival) { c.add(a.Topic, a.Payload) }

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
