package bench

import (
	"context"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/broker/packet"
)

// A meddler stands between the load generator and a broker, and changes what the broker sends. It is given each packet, and how
// many of its type there were before, on all connections; it gives what to send instead.
type meddler func(t packet.Type, n int64, frame []byte) (instead []byte, close, hang bool)

// serveMeddled puts a meddler before Bare, and gives the URL.
func serveMeddled(t *testing.T, m meddler) string {
	t.Helper()
	far := serveBare(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var crew sync.WaitGroup
	var counts [16]atomic.Int64
	crew.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			c, err := net.Dial("tcp", far)
			if err != nil {
				near.Close()
				continue
			}
			context.AfterFunc(ctx, func() { near.Close(); c.Close() })
			crew.Go(func() { relay(c, near, nil, &counts, ctx) })
			crew.Go(func() { relay(near, c, m, &counts, ctx) })
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		crew.Wait()
	})
	return "mqtt://" + l.Addr().String()
}

// relay copies packets one by one, through the meddler if there is one, and then closes both ends.
func relay(to, from net.Conn, m meddler, counts *[16]atomic.Int64, ctx context.Context) {
	defer to.Close()
	defer from.Close()
	var held []byte
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		held = append(held, buf[:n]...)
		var out []byte
		for {
			_, size, err := measureFrame(held)
			if err != nil {
				return
			}
			if size == 0 {
				break
			}
			frame, end, hang := held[:size:size], false, false
			held = held[size:]
			if m != nil {
				t := packet.Type(frame[0] >> 4)
				frame, end, hang = m(t, counts[t].Add(1)-1, frame)
			}
			out = append(out, frame...)
			if hang {
				<-ctx.Done()
			}
			if end {
				return
			}
		}
		if _, err := to.Write(out); err != nil {
			return
		}
	}
}

// nth meddles with the n-th packet of a type, counted from 0.
func nth(want packet.Type, n int64, m func(frame []byte) (instead []byte, close, hang bool)) meddler {
	return func(t packet.Type, i int64, frame []byte) ([]byte, bool, bool) {
		if t == want && i == n {
			return m(frame)
		}
		return frame, false, false
	}
}

func instead(b ...byte) func([]byte) ([]byte, bool, bool) {
	return func([]byte) ([]byte, bool, bool) { return b, false, false }
}

func closes([]byte) ([]byte, bool, bool) { return nil, true, false }
func hangs([]byte) ([]byte, bool, bool)  { return nil, false, true }
func twice(frame []byte) ([]byte, bool, bool) {
	return append(frame, frame...), false, false
}

// swap sends a message behind the one that follows it on its connection.
func swap() meddler {
	var mu sync.Mutex
	var held []byte
	return func(t packet.Type, n int64, frame []byte) ([]byte, bool, bool) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case t != packet.TypePublish:
			return frame, false, false
		case n == 40:
			held = append([]byte(nil), frame...)
			return nil, false, false
		case held != nil && string(frame[:13]) == string(held[:13]): // head and topic: of the same publisher
			frame, held = append(frame, held...), nil
		}
		return frame, false, false
	}
}

func TestWhatBrokersDoWrong(t *testing.T) {
	publish, short := packet.TypePublish, time.Second
	for _, c := range []struct {
		name     string
		scenario string
		version  packet.Version
		patience time.Duration
		m        meddler
		want     string // what the error matches; "": there is none
		figure   string // what must be 1 then
	}{
		{"loses at QoS 0", "fan-in-0", packet.V311, short, nth(publish, 50, instead()), "", "lost"},
		{"loses at QoS 1", "fan-in-1", packet.V311, short, nth(publish, 50, instead()), "1 messages of QoS 1 did not arrive", "lost"},
		{"loses at QoS 2", "fan-in-2", packet.V5, short, nth(publish, 50, instead()), "1 messages of QoS 2 did not arrive", "lost"},
		{"loses a delivery", "fan-out", packet.V311, short, nth(publish, 50, instead()), "", "lost"},
		{"loses a paced message", "paced-1", packet.V311, short, nth(publish, 10, instead()), "1 messages of QoS 1 did not arrive", "lost"},
		{"repeats at QoS 1", "fan-in-1", packet.V311, 0, nth(publish, 50, twice), "", "repeated"},
		{"repeats at QoS 2", "fan-in-2", packet.V311, 0, nth(publish, 50, twice), "1 messages of QoS 2 came twice", "repeated"},
		{"changes the order", "fan-in-0", packet.V5, 0, swap(), "1 messages came out of order", "disordered"},
		{"hangs under load", "fan-in-2", packet.V311, short, nth(publish, 50, hangs), "messages of QoS 2 did not arrive|has sent nothing for|no message has reached the subscriber for 1s", ""},
		{"hangs when a window is full", "fan-in-1", packet.V311, short, func(t packet.Type, n int64, f []byte) ([]byte, bool, bool) {
			return f, false, t == packet.TypePuback || t == publish
		}, "the broker has sent nothing for 1s|no message has reached the subscriber for 1s", ""},
		{"closes a subscriber", "fan-out", packet.V311, 0, nth(publish, 50, closes), "subscriber: the broker has closed the connection", ""},
		{"closes a publisher", "fan-in-1", packet.V311, 0, nth(packet.TypePuback, 50, closes), "publisher: the broker has closed the connection", ""},
		{"closes while it is asked", "idle", packet.V311, 0, nth(packet.TypeConnack, 7, closes), "the broker has closed the connection", ""},
		{"does not answer CONNECT", "idle", packet.V311, short, nth(packet.TypeConnack, 0, hangs), "CONNECT: the broker does not answer|has sent nothing for", ""},
		{"does not answer SUBSCRIBE", "filters", packet.V311, short, nth(packet.TypeSuback, 0, hangs), "the broker does not answer|has sent nothing for", ""},
		{"does not answer one of many", "filters", packet.V311, short, nth(packet.TypeSuback, 2, hangs), "the broker has sent nothing for", ""},
		{"is gone when it is pinged", "idle", packet.V311, short, nth(packet.TypePingresp, 3, hangs), "the broker does not answer|has sent nothing for", ""},
		{"refuses CONNECT", "paced-0", packet.V311, 0, nth(packet.TypeConnack, 0, instead(0x20, 2, 0, 5)), "refused by the broker: not authorized", ""},
		{"refuses a filter", "paced-0", packet.V311, 0, nth(packet.TypeSuback, 0, instead(0x90, 3, 0, 1, 0x80)), "granted unspecified error, want QoS 0", ""},
		{"refuses a message", "fan-in-1", packet.V5, 0, nth(packet.TypePuback, 20, instead(0x40, 3, 0, 1, 0x97)), "answered a message with PUBACK: quota exceeded", ""},
		{"says goodbye", "fan-in-0", packet.V5, 0, nth(publish, 20, instead(0xE0, 2, 0x8B, 0)), "ended the connection: server shutting down", ""},
		{"acknowledges what was not sent", "fan-in-1", packet.V311, 0, nth(packet.TypePuback, 20, instead(0x40, 2, 0x70, 0)), "packet id 28672, which is not in flight", ""},
		{"sends bytes that are no MQTT", "fan-in-0", packet.V311, 0, nth(publish, 20, instead(0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1)), "no MQTT", ""},
		{"sends what does not belong here", "fan-in-0", packet.V311, 0, nth(publish, 20, instead(0x20, 2, 0, 0)), "has sent CONNACK", ""},
		{"keeps no retained message", "retained", packet.V311, short, nth(publish, 1<<40, nil), "300 of 300 retained messages did not come", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			o := Options{URL: serveMeddled(t, c.m), Version: c.version, Size: tiny(), Scenarios: []string{c.scenario}}
			if c.patience > 0 {
				o.Size.Patience = c.patience
			}
			r := runOne(t, o).Results[0]
			if c.want == "" && r.Error != "" || !regexp.MustCompile("(?i)"+c.want).MatchString(r.Error) {
				t.Errorf("got error %q, want %q", r.Error, c.want)
			}
			if got, known := r.Figure(c.figure); c.figure != "" && (!known || got != 1) {
				t.Errorf("%s %v, want 1", c.figure, got)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	o := Options{URL: "mqtt://" + freeAddress(t), Size: tiny(), Scenarios: []string{"empty", "fan-in-0"}}
	for _, r := range runOne(t, o).Results {
		if !strings.Contains(r.Error, "connection refused") {
			t.Errorf("%s: %q", r.Scenario, r.Error)
		}
	}
}

// TestInterrupted: the context ends everything, whatever it waits for.
func TestInterrupted(t *testing.T) {
	for _, s := range Scenarios {
		ctx, cancel := context.WithCancel(t.Context())
		o := Options{URL: serveMeddled(t, func(kind packet.Type, n int64, frame []byte) ([]byte, bool, bool) {
			if n == 10 || kind == packet.TypeConnack && n == 3 {
				cancel()
			}
			return frame, false, false
		}), Size: tiny(), Scenarios: []string{s.Name}}
		o.Size.For, o.Size.EmptyFor = time.Hour, time.Hour
		if s.Name == "empty" {
			o.Size.EmptyFor = time.Millisecond
		}
		report, err := Run(ctx, o, func(Result) {})
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Results[0].Error; got != "interrupted" && s.Name != "empty" { // which has no more than one connection
			t.Errorf("%s: got %q", s.Name, got)
		}
		cancel()
	}
}

// freeAddress is an address nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
