package client

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker/packet"
)

// pipe is a connection whose other end is a script, for tests on a fake clock.
func pipe(t *testing.T, script func(server net.Conn)) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			script(theirs)
			theirs.Close()
		}()
		return ours, nil
	}
}

// expectPacket reads one packet of a type.
func expectPacket(t *testing.T, r io.Reader, want packet.Type) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || packet.Type(head[0]>>4) != want {
		t.Errorf("got % x, %v, want %s", head, err, want)
		return
	}
	io.CopyN(io.Discard, r, int64(head[1]))
}

// On a fake clock: pings keep a quiet connection up, and a peer that stops answering is found out within three quarters
// of the keep alive and PingTimeout.
func TestDeadPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		dial := pipe(t, func(s net.Conn) {
			expectPacket(t, s, packet.TypeConnect)
			s.Write([]byte{0x20, 3, 0, 0, 0})
			for range 3 {
				expectPacket(t, s, packet.TypePingreq)
				s.Write([]byte{0xD0, 0})
			}
			io.Copy(io.Discard, s) // reads on, answers nothing more
		})
		c, err := Connect(t.Context(), Options{URL: "mqtt://x", Dial: dial, KeepAlive: 60 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		<-c.Done()
		if up := time.Since(start); up != 4*45*time.Second+10*time.Second {
			t.Errorf("given up after %s", up)
		}
		if kindOf(c.Err()) != Silent {
			t.Errorf("%v", c.Err())
		}
		c.Close()
	})
}

// On a fake clock: a peer that takes no bytes is found out by the write deadline, though nothing else times out.
func TestDeafPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		dial := pipe(t, func(s net.Conn) {
			expectPacket(t, s, packet.TypeConnect)
			s.Write([]byte{0x20, 3, 0, 0, 0})
			<-hold
		})
		c, err := Connect(t.Context(), Options{URL: "mqtt://x", Dial: dial, KeepAlive: -1})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := c.Publish(t.Context(), packet.Publish{Topic: []byte("t"), QoS: 1}); kindOf(err) != Silent {
			t.Errorf("publish: %v", err)
		}
		if d := time.Since(start); d != DefaultWriteTimeout {
			t.Errorf("given up after %s", d)
		}
		// The write buffer is bounded meanwhile.
		c2, err := Connect(t.Context(), Options{URL: "mqtt://x", Dial: dial, KeepAlive: -1, Window: 65535})
		if err != nil {
			t.Fatal(err)
		}
		p := packet.Publish{Topic: []byte("t"), QoS: 1, Payload: make([]byte, 10000)}
		n := 0
		for err = c2.Send(&p, 1); err == nil; err = c2.Send(&p, 1) {
			n++
		}
		if err != ErrBusy || n*10000 > 2*maxOut+20000 {
			t.Errorf("%v after %d messages", err, n)
		}
		c.Close()
		c2.Close()
		close(hold)
		synctest.Wait()
	})
}

// On a fake clock: a server that wants a short keep alive is pinged within it each time, not only when the patience with
// the ping before is at its end. v5 [MQTT-3.1.2-20], v3 [MQTT-3.1.2-23]
func TestShortKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pings = 5
		var at []time.Duration
		start, done := time.Now(), make(chan struct{})
		dial := pipe(t, func(s net.Conn) {
			defer close(done)
			expectPacket(t, s, packet.TypeConnect)
			s.Write([]byte{0x20, 6, 0, 0, 3, 0x13, 0, 2}) // Server Keep Alive 2
			for range pings {
				expectPacket(t, s, packet.TypePingreq)
				at = append(at, time.Since(start))
				time.Sleep(10 * time.Millisecond)
				s.Write([]byte{0xD0, 0})
			}
		})
		c, err := Connect(t.Context(), Options{URL: "mqtt://x", Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		<-done
		c.Close()
		for i, before := 0, time.Duration(0); i < len(at); i, before = i+1, at[i] {
			if at[i]-before > 2*time.Second {
				t.Errorf("pings at %v, want one within every 2s", at)
				break
			}
		}
	})
}
