package bridge

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/message"
	"weir/broker/packet"
)

func benchRecord() *Record {
	r := &Record{Number: 10, Rule: 1, Message: message.Message{Stamp: message.Stamp{Boot: 1, Since: time.Second}}}
	r.Message.Topic, r.Message.Payload = []byte("/Home/Floor1/Room1/Temperature"), []byte("21.53")
	r.Message.QoS = 1
	r.Message.Props.User = []packet.UserProperty{{Key: keyUnit, Value: []byte("°C")}, {Key: keyQuality, Value: []byte("good")}}
	return r
}

func benchShaper(format Format, v5 bool) *shaper {
	return &shaper{
		rules: map[uint32]Rule{1: {Prefix: "sites/site-017", QoS: 1, Format: format}}, clock: newFakeClock(), maxHops: 3,
		v5: v5, maxQoS: 2, retain: true,
	}
}

// Making the PUBLISH of a record allocates nothing, whatever the format and version.
func TestShapeAllocations(t *testing.T) {
	for _, format := range []Format{Raw, JSON} {
		for _, v5 := range []bool{false, true} {
			s, r := benchShaper(format, v5), benchRecord()
			if n := testing.AllocsPerRun(1000, func() { s.shape(r) }); n > 0 {
				t.Errorf("format %d, 5.0 %v: %v allocations per record", format, v5, n)
			}
		}
	}
}

// Sending, acknowledging and joining ranges allocate nothing in steady state.
func TestWindowAllocations(t *testing.T) {
	var w window
	var ranges []Range
	next := uint64(0)
	if n := testing.AllocsPerRun(1000, func() {
		for range 100 {
			next++
			w.add(next, flying, epoch)
		}
		for i := next - 99; i <= next; i++ {
			w.finish(i, arrived)
		}
		ranges = w.ranges(ranges[:0])
	}); n > 0 {
		t.Errorf("%v allocations per hundred records", n)
	}
}

func BenchmarkShape(b *testing.B) {
	for name, s := range map[string]*shaper{"raw 3.1.1": benchShaper(Raw, false), "raw 5.0": benchShaper(Raw, true), "json 3.1.1": benchShaper(JSON, false)} {
		b.Run(name, func(b *testing.B) {
			r := benchRecord()
			b.ReportAllocs()
			for b.Loop() {
				if _, v, _ := s.shape(r); v != sendIt {
					b.Fatal(v)
				}
			}
		})
	}
}

// endless is a source of n records that costs next to nothing.
type endless struct {
	record Record
	next   uint64
	last   uint64
	acked  atomic.Uint64
	ready  chan struct{}
	done   chan struct{}
}

func (e *endless) Next(dst []Record) (n int, err error) {
	for n < len(dst) && e.next < e.last {
		e.next++
		dst[n] = e.record
		dst[n].Number = e.next
		n++
	}
	return n, nil
}

func (e *endless) Ready() <-chan struct{} { return e.ready }
func (e *endless) Ack(ranges []Range) {
	for _, r := range ranges {
		if e.acked.Add(r.Last-r.First+1) == e.last {
			close(e.done)
		}
	}
}
func (e *endless) Refuse(uint64, packet.Reason, message.Stamp) {}
func (e *endless) Rewind()                                     { e.next = e.acked.Load() }
func (e *endless) Live(bool)                                   {}
func (e *endless) Backlog() Backlog                            { return Backlog{Records: e.last - e.acked.Load()} }

// The whole forward path over a loopback socket: source, remapping, client, a server that acknowledges, and back.
// Allocations of the server are counted too.
func BenchmarkForward(b *testing.B) {
	for _, window := range []int{100, 1000} {
		b.Run(fmt.Sprintf("window %d", window), func(b *testing.B) {
			server, err := upstream.Listen(upstream.Options{Forget: true})
			if err != nil {
				b.Fatal(err)
			}
			defer server.Close()
			source := &endless{record: *benchRecord(), last: uint64(b.N), ready: make(chan struct{}), done: make(chan struct{})}
			cfg := Config{
				Name: "cloud", Gateway: "gw1", Connect: client.Options{URL: server.URL(), Version: packet.V311, ClientID: "gw1"},
				Forward: map[uint32]Rule{1: {Prefix: "sites/site-017", QoS: 1}}, Window: window,
			}
			bridge := New(cfg, source, newFakeSink(), newFakeClock(), quiet)
			b.ReportAllocs()
			b.ResetTimer()
			ended := make(chan error, 1)
			ctx := b.Context()
			go func() { ended <- bridge.Run(ctx) }()
			<-source.done
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// ackAll is a server that reads and acknowledges, and allocates nothing for a message.
func ackAll(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in, out := make([]byte, 0, 256<<10), make([]byte, 0, 64<<10)
		var p packet.Publish
		for {
			n, err := c.Read(in[len(in):cap(in)])
			if err != nil {
				return
			}
			in, out = in[:len(in)+n], out[:0]
			for used := 0; ; used += n {
				var f packet.Frame
				if f, n, err = packet.Next(in[used:], 0); err != nil || n == 0 {
					in = in[:copy(in, in[used:])]
					break
				}
				switch {
				case f.Type == packet.TypeConnect:
					out = append(out, 0x20, 2, 0, 0)
				case f.Type == packet.TypePublish && p.Decode(f, packet.V311) == nil && p.QoS > 0:
					out = append(out, 0x40, 2, byte(p.ID>>8), byte(p.ID))
				}
			}
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	}()
	return l.Addr().String()
}

// The whole forward path, socket and goroutines included: less than one allocation for a hundred records.
func TestForwardAllocations(t *testing.T) {
	const n = 50000
	source := &endless{record: *benchRecord(), last: n, ready: make(chan struct{}), done: make(chan struct{})}
	cfg := Config{
		Name: "cloud", Gateway: "gw1", Connect: client.Options{URL: ackAll(t), Version: packet.V311, ClientID: "gw1"},
		Forward: map[uint32]Rule{1: {Prefix: "sites/site-017", QoS: 1, Format: JSON}},
	}
	bridge := New(cfg, source, newFakeSink(), newFakeClock(), quiet)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	go func() { ended <- bridge.Run(ctx) }()
	select {
	case <-source.done:
	case <-time.After(30 * time.Second):
		t.Fatalf("%d of %d acknowledged", source.acked.Load(), n)
	}
	runtime.ReadMemStats(&after)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	per := float64(after.Mallocs-before.Mallocs) / n
	t.Logf("%.4f allocations, %.1f bytes per record", per, float64(after.TotalAlloc-before.TotalAlloc)/n)
	if per > 0.01 {
		t.Errorf("%.4f allocations per record", per)
	}
}
