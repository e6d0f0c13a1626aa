package buffer

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
)

// Nothing is allocated per append, per read or per acknowledgement, in memory
// and from the disk.
func TestNoAllocation(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	defer l.Close()
	c, _ := l.Consumer("a")
	batch := make([]Record, 20)
	payload := make([]byte, 100)
	dests := []Dest{{Consumer: c.ID(), Data: []byte{1, 2, 3}}}
	for i := range batch {
		batch[i] = Record{Boot: 1, Dests: dests, Head: payload[:20], Payload: payload}
	}
	dst := make([]Entry, 32)
	ack := make([]Range, 1)
	take := func() int {
		n, err := c.Next(dst)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			ack[0] = Range{dst[0].Number, dst[n-1].Number}
			c.Ack(ack)
		}
		return n
	}
	live := func() {
		if _, n, err := l.Append(batch); n != len(batch) || err != nil {
			t.Fatal(n, err)
		}
		for take() > 0 {
		}
	}
	live()
	if n := testing.AllocsPerRun(200, live); n > 1 { // a new chunk now and then
		t.Errorf("append, read and acknowledge 20 records in memory: %v allocations", n)
	}
	for range 600 {
		l.Append(batch)
	}
	commit(t, l)
	take()
	if n := testing.AllocsPerRun(300, func() { take() }); n > 0.2 { // a block buffer, once
		t.Errorf("read and acknowledge 32 records from the disk: %v allocations", n)
	}
	for take() > 0 {
	}
	commit(t, l)
	if n := testing.AllocsPerRun(50, func() {
		l.Append(batch)
		commit(t, l)
	}); n > 5 {
		t.Errorf("append 20 records and commit: %v allocations", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	l := open(b, Options{Dir: b.TempDir(), TailSize: 1 << 30, SegmentSize: 4 << 20})
	defer l.Close()
	c, _ := l.Consumer("a")
	batch := make([]Record, 16)
	for i := range batch {
		batch[i] = Record{Boot: 1, Dests: []Dest{{Consumer: c.ID()}}, Payload: make([]byte, 100)}
	}
	dst := make([]Entry, 16)
	b.ReportAllocs()
	b.SetBytes(100)
	for i := 0; i < b.N; i += len(batch) {
		l.Append(batch)
		n, _ := c.Next(dst)
		c.Ack([]Range{{dst[0].Number, dst[n-1].Number}})
	}
}

// Producers that each wait until their record is durable.
func BenchmarkDurable(b *testing.B) {
	for _, producers := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("producers=%d", producers), func(b *testing.B) {
			l := open(b, Options{Dir: benchDir(b), MaxSize: 4 << 30})
			defer l.Close()
			c, _ := l.Consumer("a")
			b.ReportAllocs()
			before := l.Stats()
			var left atomic.Int64
			left.Store(int64(b.N))
			var g sync.WaitGroup
			b.ResetTimer()
			for range producers {
				g.Go(func() {
					r := []Record{{Boot: 1, Dests: []Dest{{Consumer: c.ID()}}, Payload: make([]byte, 100)}}
					for left.Add(-1) >= 0 {
						l.Append(r)
						if err := l.Commit(); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			g.Wait()
			b.StopTimer()
			s := l.Stats()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(s.Syncs-before.Syncs)/b.Elapsed().Seconds(), "syncs/s")
			b.ReportMetric(float64(s.Written-before.Written)/float64(b.N), "B-written/op")
		})
	}
}

// The limit of the machine: the same with nothing but a write and a sync.
func BenchmarkBareSync(b *testing.B) {
	f, err := os.Create(benchDir(b) + "/bare")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, page)
	f.Write(make([]byte, 4<<20))
	f.Sync()
	b.ResetTimer()
	for i := range b.N {
		f.WriteAt(p, int64(i%1024)*page)
		if err := syncData(f); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "syncs/s")
}

// benchDir is WEIR_BENCH_DIR, where a disk of interest is mounted, or a
// temporary directory.
func benchDir(b testing.TB) string {
	if dir := os.Getenv("WEIR_BENCH_DIR"); dir != "" {
		dir, err := os.MkdirTemp(dir, "buffer")
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return b.TempDir()
}

func fill(b testing.TB, l *Log, c *Consumer, n int, tick func(done int)) {
	batch := make([]Record, 1000)
	for i := range batch {
		batch[i] = Record{Boot: 1, Since: int64(i), Dests: []Dest{{Consumer: c.ID(), Data: []byte{1}}},
			Payload: fmt.Appendf(nil, `{"time":"2026-11-22T14:02:11.%03dZ","value":%d.%02d,"unit":"C","quality":"good","battery":%06d}        `, i, 15+i*7%13, i*31%97, i*7919%1000003)}
	}
	for i := 0; i < n; i += len(batch) {
		if _, k, err := l.Append(batch[:min(len(batch), n-i)]); err != nil || k == 0 {
			b.Fatal(k, err)
		}
		if i%10000 == 0 {
			if err := l.Commit(); err != nil {
				b.Fatal(err)
			}
		}
		if tick != nil {
			tick(i)
		}
	}
	if err := l.Commit(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkDrain(b *testing.B) {
	l := open(b, Options{Dir: benchDir(b), MaxSize: 8 << 30})
	defer l.Close()
	c, _ := l.Consumer("a")
	fill(b, l, c, b.N, nil)
	dst := make([]Entry, 256)
	ack := make([]Range, 1)
	b.ReportAllocs()
	b.ResetTimer()
	got := 0
	for {
		n, err := c.Next(dst)
		if err != nil {
			b.Fatal(err)
		}
		if n == 0 {
			break
		}
		got += n
		ack[0] = Range{dst[0].Number, dst[n-1].Number}
		c.Ack(ack)
	}
	if got != b.N {
		b.Fatalf("%d of %d came", got, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
