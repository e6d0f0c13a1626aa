package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/bridge/upstream"
	"weir/gateway/config"
	"weir/gateway/journal"
	"weir/gateway/status"
)

// BenchmarkHealthy runs a gateway whose upstream is up, 20 ms away, while a client publishes 200 messages a second at
// QoS 1, in real time: -benchtime 10m. It prints what the disk saw; no message may cause a write (promise P7).
func BenchmarkHealthy(b *testing.B) {
	cloud, err := upstream.Listen(upstream.Options{Behaviour: upstream.Behaviour{AckDelay: 20 * time.Millisecond}, Forget: true})
	if err != nil {
		b.Fatal(err)
	}
	defer cloud.Close()
	dir := b.TempDir()
	text := strings.NewReplacer("CLOUD", cloud.URL(), "DIR", dir).Replace(head + noSensors +
		"[bridge.cloud]\nurl = \"CLOUD\"\n[[bridge.cloud.forward]]\nfilter = \"up/#\"\n[listener.local]\naddress = \"127.0.0.1:0\"\n")
	cfg, problems, err := config.Parse("bench.toml", []byte(text), config.Options{})
	if err != nil {
		b.Fatalf("%v\n%s", err, config.Report(problems))
	}
	ready := make(chan []string, 1)
	g, err := New(cfg, Options{Log: slog.New(slog.DiscardHandler), Version: "bench", Root: dir, Ready: func(a []string) { ready <- a }})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	address := (<-ready)[0]
	wait := func(what string, ok func(s *status.Snapshot) bool) status.Snapshot {
		s := g.Status()
		if !within(limit, func() bool { s = g.Status(); return ok(&s) }) {
			b.Fatalf("%s: never; the status is %+v", what, s)
		}
		return s
	}
	wait("the link", func(s *status.Snapshot) bool { return s.Bridges[0].State == "connected" })

	var stopped atomic.Bool
	pump := newSender(b, address, "pump", 0, 5*time.Millisecond, &stopped)
	var work waits
	work.Go(pump.read)
	work.Go(func() {
		if err := pump.write(); err != nil {
			b.Error(err)
		}
	})
	// A link that has just come up has to prove itself, and the value of its state topic is kept within retain_flush: that
	// costs a few writes, which are not the messages'. Counting begins when it has been up for longer than that.
	settled := uint64((cfg.Buffer.RetainFlush + 10*time.Second) / (5 * time.Millisecond))
	if !within(2*time.Minute, func() bool { return g.Status().Bridges[0].Acked >= settled }) {
		b.Fatalf("after two minutes the status is %+v", g.Status())
	}
	before := g.Status()
	device := writtenToDevice(b)
	var stall time.Duration // the longest that this machine let a sleep of 1 ms take
	for b.Loop() {
		slept := time.Now()
		time.Sleep(time.Millisecond)
		stall = max(stall, time.Since(slept))
	}
	after, device := g.Status(), writtenToDevice(b)-device
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(b.Elapsed().Seconds(), "seconds")
	b.ReportMetric(float64(after.Bridges[0].Acked-before.Bridges[0].Acked), "messages")
	b.ReportMetric(float64(after.Store.Syncs-before.Store.Syncs), "syncs")
	b.ReportMetric(float64(after.Store.Written-before.Store.Written), "log-bytes")
	b.ReportMetric(float64(device), "write_bytes")
	stopped.Store(true)
	work.Wait()
	slices.Sort(pump.took)
	late, _ := slices.BinarySearch(pump.took, journal.DefaultPace.SpillAfter)
	late = len(pump.took) - late
	b.ReportMetric(float64(pump.took[len(pump.took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(late), "late")
	b.ReportMetric(float64(stall.Microseconds())/1000, "stall-ms")
	if after.Store.Syncs != before.Store.Syncs || after.Store.Written != before.Store.Written {
		b.Errorf("%d syncs and %d bytes although the upstream was healthy; %d of %d acknowledgements came after spill_after, the longest after %v; this machine stalled for up to %v",
			after.Store.Syncs-before.Store.Syncs, after.Store.Written-before.Store.Written, late, len(pump.took), pump.took[len(pump.took)-1], stall)
	}
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}

// writtenToDevice is how many bytes this process has caused to be written to block devices; 0 where that is not told.
func writtenToDevice(b *testing.B) (n int64) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Logf("bytes written to the device are not known: %v", err)
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "\nwrite_bytes: ")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		b.Fatalf("/proc/self/io: %v", err)
	}
	return n
}
