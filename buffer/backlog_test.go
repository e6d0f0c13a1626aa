package buffer

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestLongBacklog stores a long outage (WEIR_LONG_RECORDS records of 100 bytes; a few by default), starts again with it,
// and drains it. Memory, said every 100,000 records, does not follow the backlog; every record comes, once and in order;
// and start reads no more than the ends of the segments and the last of them.
func TestLongBacklog(t *testing.T) {
	n := 200_000
	if v := os.Getenv("WEIR_LONG_RECORDS"); v != "" {
		fmt.Sscan(v, &n)
	}
	t.Run("raw", func(t *testing.T) { longBacklog(t, n, false) })
	t.Run("packed", func(t *testing.T) { longBacklog(t, n, true) })
}

func longBacklog(t *testing.T, n int, compress bool) {
	fs := &countingFS{FS: DirFS(benchDir(t))}
	const segment = 4 << 20
	o := Options{FS: fs, MaxSize: 8 << 30, SegmentSize: segment, Compress: compress}
	l := open(t, o)
	c, err := l.Consumer("a")
	if err != nil {
		t.Fatal(err)
	}
	w := watch{t: t, step: min(100_000, n/4), begun: time.Now()}
	quiet := func(int) {}
	storeNumbered(t, l, c, 20_000, quiet) // whatever memory a commit and a read keep is there now
	drainNumbered(t, l, c, 20_000, quiet)
	w.look("empty", 0)
	storeNumbered(t, l, c, n, func(done int) { w.look("stored", done) })
	stored := time.Since(w.begun)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	before := fs.read.Load()
	begun := time.Now()
	l = open(t, o)
	took, read := time.Since(begun), fs.read.Load()-before
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := l.Stats()
	t.Logf("start with %d records in %d segments, %d MiB: %v, %d KiB read", n, s.Segments, s.Bytes>>20, took, read>>10)
	// For each segment some pages of header and summary; the segments a position or the state lies in and the last one are
	// read in full, which does not depend on the backlog. Time follows from that, and is not judged.
	if most := int64(s.Segments)*8*page + 6*segment; read > most {
		t.Errorf("%d bytes read at start, want at most %d", read, most)
	}
	if c, err = l.Consumer("a"); err != nil {
		t.Fatal(err)
	}
	if b := c.Backlog(); b.Records != uint64(n) {
		t.Fatalf("backlog %+v, want %d records", b, n)
	}
	begun = time.Now()
	drainNumbered(t, l, c, n, func(done int) { w.look("drained", done) })
	t.Logf("%d records stored in %v, drained in %v; at most %.1f MiB resident and %.1f MiB of heap more than empty",
		n, stored, time.Since(begun), w.most, w.mostHeap)
	if w.mostHeap > 8e6/(1<<20) {
		t.Errorf("%.1f MiB of heap more than empty, want at most 8 MB", w.mostHeap)
	}
	if w.most > 32 { // loose: under the race detector, or beside other tests, a process has memory that is not the log's
		t.Errorf("%.1f MiB more resident than empty, want at most 32", w.most)
	}
}

// storeNumbered appends n numbered records of 100 bytes, as an outage does: a commit for every few thousand.
func storeNumbered(t *testing.T, l *Log, c *Consumer, n int, each func(done int)) {
	batch := make([]Record, 500)
	for i := range batch {
		batch[i] = Record{Boot: 1, Dests: []Dest{{Consumer: c.ID(), Data: []byte{1}}}, Payload: make([]byte, 100)}
	}
	for done := 0; done < n; {
		k := min(len(batch), n-done)
		for i := range k {
			batch[i].Since = int64(done + i)
			reading(batch[i].Payload, done+i)
		}
		if _, taken, err := l.Append(batch[:k]); err != nil || taken != k {
			t.Fatalf("record %d: %d of %d taken, %v", done, taken, k, err)
		}
		if done += k; done%5000 == 0 || done == n {
			commit(t, l)
		}
		each(done)
	}
}

// reading makes a payload: a number, and a text much like a reading in JSON.
func reading(p []byte, number int) {
	binary.BigEndian.PutUint64(p, uint64(number))
	text := fmt.Appendf(p[:8], `{"time":"2026-11-22T%02d:%02d:%02d.%03dZ","value":%.3f,"unit":"°C","quality":"good"}`,
		number/3600000%24, number/60000%60, number/1000%60, number%1000, 20+float64(number*7919%3000)/1000)
	clear(p[len(text):])
}

// drainNumbered takes n numbered records, and commits positions now and then.
func drainNumbered(t *testing.T, l *Log, c *Consumer, n int, each func(done int)) {
	dst := make([]Entry, 250)
	for done := 0; done < n; {
		k, err := c.Next(dst)
		if err != nil || k == 0 {
			t.Fatalf("%d of %d came, %v", done, n, err)
		}
		for i, e := range dst[:k] {
			if got := binary.BigEndian.Uint64(e.Body); got != uint64(done+i) || len(e.Body) != 100 {
				t.Fatalf("record %d of %d bytes came, want %d of 100", got, len(e.Body), done+i)
			}
		}
		c.Ack([]Range{{dst[0].Number, dst[k-1].Number}})
		done += k
		if done%50_000 == 0 {
			commit(t, l)
		}
		each(done)
	}
	if k, err := c.Next(dst); k > 0 || err != nil {
		t.Fatalf("%d more came, %v", k, err)
	}
	commit(t, l)
}

// watch looks at the memory of this process every so many records.
type watch struct {
	t              *testing.T
	step           int
	begun          time.Time
	empty, heap    float64 // MiB, before there was anything
	most, mostHeap float64 // above that
}

func (w *watch) look(what string, done int) {
	if done%w.step != 0 {
		return
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	heap, resident := float64(m.HeapAlloc)/(1<<20), residentMiB()
	if done == 0 {
		w.empty, w.heap = resident, heap
	}
	w.most, w.mostHeap = max(w.most, resident-w.empty), max(w.mostHeap, heap-w.heap)
	w.t.Logf("%-7s %8d: %5.1f MiB resident, %4.1f MiB of heap, after %v", what, done, resident, heap, time.Since(w.begun).Round(time.Millisecond))
}

// residentMiB is the resident memory of this process; 0 where the system does not say.
func residentMiB() float64 {
	text, _ := os.ReadFile("/proc/self/status")
	kib := 0.0
	if _, rest, ok := strings.Cut(string(text), "VmRSS:"); ok {
		fmt.Sscan(rest, &kib)
	}
	return kib / 1024
}

// countingFS counts what is read.
type countingFS struct {
	FS
	read atomic.Int64
}

func (c *countingFS) Open(name string, write bool) (File, error) {
	f, err := c.FS.Open(name, write)
	if err != nil {
		return nil, err
	}
	return &countingFile{File: f, read: &c.read}, nil
}

type countingFile struct {
	File
	read *atomic.Int64
}

func (c *countingFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.File.ReadAt(p, off)
	c.read.Add(int64(n))
	return n, err
}
