package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"weir/bridge/client"
	"weir/broker/packet"
)

// TestKillWithSessions kills weir with -9 in the middle of what persistent publishers send at QoS 1 and 2 and a persistent
// subscriber takes, or misses because it is away. It gets whatever was acknowledged, in order, QoS 2 once; the retained
// topic is there.
func TestKillWithSessions(t *testing.T) {
	if testing.Short() {
		t.Skip("needs seconds of real time")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w := newRoomyWeir(t)
	w.start()
	sub := newStrictSubscriber(t, w.address, "sub", "plant/#")
	sub.connect()
	sub.wait(ctx, "SUBACK", func() bool { return sub.granted })
	sub.disconnect()
	retainOne(ctx, t, w.address)

	const rounds, each = 6, 400
	acked := map[string]bool{}
	for round := range rounds {
		if round%2 == 1 {
			sub.connect()
		}
		feedAndKill(ctx, t, w, round, each, acked)
		sub.disconnect()
		w.start()
	}
	sub.connect()
	sub.wait(ctx, "what was acknowledged", func() bool {
		for key := range acked {
			if sub.seen[key] == 0 {
				return false
			}
		}
		return true
	})
	sub.disconnect()
	repeats := 0
	for key, n := range sub.seen {
		if key[0] == '2' && n > 1 {
			t.Errorf("%s came %d times", key, n)
		}
		repeats += n - 1
	}
	fmt.Printf("kill with sessions: %d acknowledged, %d came, %d repeats at QoS 1, %d out of order\n", len(acked), len(sub.seen), repeats, sub.late)
	if sub.late > 0 {
		t.Errorf("%d messages came for the first time after a later one of their publisher", sub.late)
	}
	if len(acked) < rounds*each/2 {
		t.Errorf("only %d acknowledged: the test tests little", len(acked))
	}
	watch := newStrictSubscriber(t, w.address, "watch", "keep")
	watch.connect()
	watch.wait(ctx, "the retained message", func() bool { return watch.seen["kept"] == 1 })
	watch.disconnect()
	w.stop()
	if t.Failed() {
		t.Log(w.said())
	}
}

// newRoomyWeir is a weir with one listener, whose queues have room for whatever a test of kills leaves in them.
func newRoomyWeir(t *testing.T) *weir {
	return newKilledWeir(t, "[broker]\nqueue_messages = 100000\nqueue_bytes = \"64MiB\"\n")
}

// feedAndKill has publishers send at QoS 1 and 2, kills weir with -9 when half of each is acknowledged, and notes what was.
func feedAndKill(ctx context.Context, t *testing.T, w *weir, round, each int, acked map[string]bool) {
	var feeds, halves sync.WaitGroup
	halves.Add(2)
	var mu sync.Mutex
	for _, q := range []byte{1, 2} {
		feeds.Go(func() {
			for _, key := range feed(ctx, t, w.address, round, q, each, halves.Done) {
				mu.Lock()
				acked[key] = true
				mu.Unlock()
			}
		})
	}
	halves.Wait()
	w.kill()
	feeds.Wait()
}

// feed publishes numbered messages from a session of its own until the connection is lost, and gives those that were
// acknowledged. half is called when half of them are.
func feed(ctx context.Context, t *testing.T, address string, round int, q byte, n int, half func()) (acked []string) {
	var mu sync.Mutex
	half = sync.OnceFunc(half)
	defer half()
	conn, err := client.Connect(ctx, client.Options{
		URL: address, Version: packet.V5, ClientID: fmt.Sprintf("pub%d/%d", q, round), Resume: true, SessionExpiry: time.Hour, Window: 100,
		OnAcks: func(acks []client.Ack) {
			mu.Lock()
			defer mu.Unlock()
			for _, a := range acks {
				if acked = append(acked, fmt.Sprintf("%d/%d/%d", q, round, a.Ref)); len(acked) == n/2 {
					half()
				}
			}
		}})
	if err != nil {
		t.Error(err)
		return nil
	}
	for i, alive := 0, true; i < n && alive; {
		payload := fmt.Appendf(nil, "%d/%d/%d", q, round, i)
		if err := conn.Send(&packet.Publish{Topic: []byte("plant/line"), Payload: payload, QoS: q}, uint64(i)); err == nil {
			i++
			continue
		}
		conn.Flush()
		select { // the window is full
		case <-conn.Done():
			alive = false
		case <-time.After(time.Millisecond):
		}
	}
	conn.Flush()
	select {
	case <-conn.Done(): // killed
	case <-ctx.Done():
		t.Error("acknowledgements do not come")
	}
	mu.Lock()
	defer mu.Unlock()
	return acked
}

func retainOne(ctx context.Context, t *testing.T, address string) {
	t.Helper()
	conn, err := client.Connect(ctx, client.Options{URL: address})
	if err == nil {
		defer conn.Close()
		err = conn.Publish(ctx, packet.Publish{Topic: []byte("keep"), Payload: []byte("kept"), QoS: 1, Retain: true})
	}
	if err != nil {
		t.Fatal(err)
	}
}
