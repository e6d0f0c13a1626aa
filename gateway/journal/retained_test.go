package journal

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"weir/broker"
	"weir/broker/message"
	"weir/broker/packet"
)

// TestRetainedMemory: a retained message is in memory once, though both the broker and the log hold it, also when it
// came from the disk.
func TestRetainedMemory(t *testing.T) {
	const n = 20_000
	inUse := func() int64 {
		for range 3 { // pools let go of what they hold at the second
			runtime.GC()
		}
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	dir := t.TempDir()
	start := func() (*rig, *broker.Broker) {
		r := open(t, dir, func(c *Config) { c.Buffer.SegmentSize, c.Buffer.MaxSize = 4<<20, 256<<20 })
		return r, broker.New(broker.Config{Store: r.Journal}, r.Journal, func() message.Stamp { return message.Stamp{Boot: 7, Since: time.Second} }, r.cfg.Log)
	}
	check := func(what string, before int64, b *broker.Broker) {
		t.Helper()
		per := float64(inUse()-before) / n
		t.Logf("%s: %.0f bytes per retained message", what, per)
		if s := b.Stats(); s.Retained != n {
			t.Fatalf("%s: %d retained, want %d", what, s.Retained, n)
		}
		if per > 480 { // a second copy would make it more than 550
			t.Errorf("%s: %.0f bytes per retained message of 64 bytes, want at most 480", what, per)
		}
	}
	before := inUse()
	r, b := start()
	p := b.NewPublisher("", nil)
	for i := range n {
		m := message.Message{Stamp: message.Stamp{Boot: 7, Since: time.Second}, Origin: []byte("bench-retain")}
		m.Publish = packet.Publish{Topic: fmt.Appendf(nil, "bench/retained/%d/%d", i%100, i), Payload: make([]byte, 64), Retain: true}
		if err := p.Publish([]message.Message{m}); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 999 {
			if err := r.Log().Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	check("published", before, b)
	one, ok := r.Log().Get("retain/=bench/retained/7/7")
	if !ok || len(one) < 64 || len(one) > 160 {
		t.Errorf("stored as %d bytes, %v", len(one), ok)
	}
	r.close()
	r, b, p = nil, nil, nil
	before = inUse()
	r, b = start()
	check("restored", before, b)
	r.close()
}
