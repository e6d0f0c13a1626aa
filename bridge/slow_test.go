package bridge

import (
	"bytes"
	"context"
	"net"
	"testing"
	"time"

	"weir/bridge/upstream"
	"weir/broker/message"
	"weir/broker/packet"
)

// An upstream that reads but acknowledges nothing is stalled, also while messages at QoS 0 leave all the time: that they
// could be written says nothing about the others.
func TestStalledWhileQoS0Flows(t *testing.T) {
	r := newRig(t, upstream.Options{})
	r.cfg.Forward = map[uint32]Rule{1: {QoS: 1}, 2: {QoS: 0}}
	r.cfg.StallAfter, r.cfg.Connect.ConnectTimeout = 100*time.Millisecond, 200*time.Millisecond
	r.start()
	r.waitWord(Connected)
	r.mute(true)
	r.publish("t", "1")
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for r.bridge.Status().Reconnects == 0 {
		select {
		case <-tick.C:
			r.source.add(2, message.Message{Publish: packet.Publish{Topic: []byte("z"), Payload: []byte("0")}})
		case <-deadline:
			t.Fatal("not found to be stalled")
		}
		if r.bridge.Status().State == Stalled {
			r.mute(false)
		}
	}
	r.source.waitDrained(t)
}

// slowly is a connection to address through a relay that reads n bytes each time.
func slowly(t *testing.T, address string, n int, every time.Duration) func(context.Context, string, string) (net.Conn, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	relay := func(from, to net.Conn, pace time.Duration) {
		defer from.Close()
		defer to.Close()
		buf := make([]byte, n)
		for {
			k, err := from.Read(buf)
			if err != nil {
				return
			}
			time.Sleep(pace) // this is what is tested: real buffers of the kernel that empty slowly
			if _, err := to.Write(buf[:k]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			near.(*net.TCPConn).SetReadBuffer(6 * n)
			far, err := net.Dial("tcp", address)
			if err != nil {
				near.Close()
				continue
			}
			go relay(near, far, every)
			go relay(far, near, 0)
		}
	}()
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, l.Addr().String())
	}
}

// A message that takes far longer than StallAfter to reach the upstream is not sent again and again for ever: while its
// bytes move, the link is slow, not stalled. Where the machine itself stood still for so long, nothing was shown, and it is
// tried again with more time; a link that is taken for stalled is so at every speed.
func TestSlowLinkIsNotStalled(t *testing.T) {
	for _, stall := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second} {
		if carriedSlowly(t, stall) {
			return
		}
	}
	t.Error("whatever StallAfter is, a link that is slow is taken for stalled")
}

// carriedSlowly sends a message that takes more than four times as long as StallAfter, and reports whether it arrived on
// the first connection.
func carriedSlowly(t *testing.T, stall time.Duration) bool {
	r := newRig(t, upstream.Options{})
	r.cfg.StallAfter = stall
	r.cfg.Connect.Dial = slowly(t, r.server.Address(), 16<<10, stall*7/100)
	big := bytes.Repeat([]byte("x"), 1000<<10) // 63 times as much as the relay reads at once
	r.source.add(1, message.Message{Publish: packet.Publish{QoS: 1, Topic: []byte("big"), Payload: big}})
	r.publish("small", "1")
	start := time.Now()
	r.start()
	defer r.stop()
	look, deadline := time.NewTicker(10*time.Millisecond), time.After(10*4*stall)
	defer look.Stop()
	st := r.bridge.Status()
	for st.Reconnects == 0 && (st.Sent < 2 || st.Backlog.Records > 0) {
		select {
		case <-look.C:
			st = r.bridge.Status()
		case <-deadline:
			t.Fatalf("neither sent nor taken for stalled: %+v", st)
		}
	}
	if took := time.Since(start); st.Reconnects == 0 && took < 4*stall {
		t.Fatalf("it took %v, want a link that needs four times %v", took, stall)
	}
	t.Logf("StallAfter %v: %d reconnects after %v", stall, st.Reconnects, time.Since(start))
	return st.Reconnects == 0
}
