package buffer

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Everything at once on a small log: appending, committing, reading, rewinding,
// acknowledging, setting aside, keys, barriers, Trim, Chores, Stats, Inspect,
// consumers that come and go. Records of a consumer come in order and once, what
// came and what was dropped add up, keys are as they were put last, and the cap
// holds; after a start it is all the same.
func TestEverythingAtOnce(t *testing.T) {
	dir := t.TempDir()
	var clock atomic.Int64
	o := Options{Dir: dir, SegmentSize: minSegment, MaxSize: 12 * minSegment, TailSize: minTail,
		Age: func(boot uint64, since int64) (time.Duration, bool) { return time.Duration(clock.Load() - since), true }}
	o.OnChores = func() {}
	l := open(t, o)
	var consumers []*Consumer
	for i, limits := range []Limits{{}, {MaxBytes: 60_000}, {MaxAge: 400}, {MaxBytes: 50_000, Newest: true}} {
		c, err := l.Consumer(fmt.Sprint("c", i))
		if err != nil {
			t.Fatal(err)
		}
		c.SetLimits(limits)
		consumers = append(consumers, c)
	}
	n := 1500
	if testing.Short() {
		n = 700
	}
	tick := make(chan struct{}) // now and then, for what goes on beside
	stop := make(chan struct{})
	var work, beside sync.WaitGroup
	var came [4]atomic.Uint64
	for i, c := range consumers {
		beside.Go(func() { came[i].Store(takeAll(t, c, i, stop)) })
	}
	for _, f := range []func(i int){
		func(int) { l.Trim() },
		func(int) { l.Chores() },
		func(int) {
			if s := l.Stats(); s.Bytes > s.MaxSize {
				t.Errorf("%d bytes, at most %d", s.Bytes, s.MaxSize)
			}
		},
		func(int) {
			if _, err := Inspect(DirFS(dir)); err != nil {
				t.Error(err)
			}
		},
		func(i int) {
			c, err := l.Consumer(fmt.Sprint("passing", i%3))
			if err == nil {
				_, _, err = l.Append([]Record{{Boot: 1, Since: clock.Load(), Dests: []Dest{{Consumer: c.ID()}}, Payload: make([]byte, 200)}})
			}
			if err != nil {
				t.Error(err)
			}
			l.RemoveConsumer(c.Name())
		},
	} {
		beside.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-tick:
					f(i)
				}
			}
		})
	}
	for p := range 2 {
		work.Go(func() { putAll(t, l, p, n, consumers, &clock, tick) })
	}
	work.Wait()
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	close(stop)
	beside.Wait()
	check := func(when string) {
		t.Helper()
		for i, c := range consumers {
			wantAddsUp(t, when, c, came[i].Load(), n)
		}
		wantLastKeys(t, when, l, n)
	}
	check("at the end")
	s := l.Stats()
	t.Logf("%d snapshots, %d rewritten, %d freed, %d dropped", s.Snapshots, s.Rewritten, s.Freed, s.Dropped)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, o)
	defer l.Close()
	if r := l.Recovery(); r.LostRecords() > 0 || r.KeysLost || r.BadSnapshots > 0 || r.Orphans > 0 {
		t.Errorf("%+v", r)
	}
	for i, c := range consumers {
		consumers[i], _ = l.Consumer(c.Name())
	}
	check("after a start")
}

// putAll is a producer of n records for all consumers, with keys, barriers and commits between them.
func putAll(t *testing.T, l *Log, p, n int, consumers []*Consumer, clock *atomic.Int64, tick chan struct{}) {
	for i := 0; i < n; {
		r := Record{Boot: 1, Since: clock.Add(1), Payload: make([]byte, 8+i*37%900)}
		binary.LittleEndian.PutUint64(r.Payload, uint64(i))
		for _, c := range consumers {
			r.Dests = append(r.Dests, Dest{Consumer: c.ID(), Data: []byte{byte(p)}})
		}
		if i%50 == 0 {
			r.Keys = []KeyValue{{fmt.Sprint("tied", p, i%200), []byte("x")}}
		}
		_, k, err := l.Append([]Record{r})
		if err == nil {
			err = l.Put(fmt.Sprint("key", p, i%7), fmt.Append(nil, i))
		}
		if err == nil && i%9 == 0 {
			_, err = l.Barrier()
		}
		if err == nil && (i%5 == 0 || k == 0) {
			err = l.Commit()
		}
		if err != nil {
			t.Error(err)
			return
		}
		i += k
		select {
		case tick <- struct{}{}:
		default:
		}
	}
}

// wantAddsUp compares what came to a consumer, is left for it and was dropped with the n records of each of two producers.
func wantAddsUp(t *testing.T, when string, c *Consumer, came uint64, n int) {
	t.Helper()
	c.Rewind()
	b := c.Backlog()
	left := uint64(len(drain(t, c)))
	if b.Records != left {
		t.Errorf("%s: %s: %d records come, %+v", when, c.Name(), left, b)
	}
	if b.Dropped+left+came+b.Aside < uint64(2*n) {
		t.Errorf("%s: %s: %d came, %d are left, %+v, of %d", when, c.Name(), came, left, b, 2*n)
	}
}

// wantLastKeys wants the keys as putAll put them last, and nothing lost.
func wantLastKeys(t *testing.T, when string, l *Log, n int) {
	t.Helper()
	for p := range 2 {
		for k := range 7 {
			want := fmt.Sprint(n - 1 - (n-1-k)%7)
			if v, _ := l.Get(fmt.Sprint("key", p, k)); string(v) != want {
				t.Errorf("%s: key %d %d is %q, want %s", when, p, k, v, want)
			}
		}
	}
	if s := l.Stats(); s.Lost > 0 || s.Damaged > 0 || s.Failed > 0 {
		t.Errorf("%s: %+v", when, s)
	}
}

// takeAll reads for a consumer until stop and says how many it acknowledged: the
// first takes little, so that the log fills.
func takeAll(t *testing.T, c *Consumer, which int, stop chan struct{}) (acked uint64) {
	dst := make([]Entry, 20)
	var last uint64
	done := map[uint64]bool{}
	for turn := 0; ; turn++ {
		select {
		case <-stop:
			return acked
		default:
		}
		k, err := c.Next(dst)
		if err != nil {
			t.Error(err)
			return acked
		}
		if k == 0 {
			select {
			case <-stop:
				return acked
			case <-c.Ready():
			}
		}
		for _, e := range dst[:k] {
			if e.Number <= last || done[e.Number] {
				t.Errorf("%s: record %#x after %#x, acknowledged before: %v", c.Name(), e.Number, last, done[e.Number])
			}
			last = e.Number
		}
		switch {
		case k > 0 && turn%11 == 3:
			c.SetAside(dst[0].Number)
		case turn%13 == 7:
			c.Rewind()
			last = 0
		case k > 0 && (which > 0 || turn%4 == 0):
			var ranges []Range // what was set aside between them stays so
			for _, e := range dst[:k/2] {
				done[e.Number] = true
				acked++
				ranges = append(ranges, Range{e.Number, e.Number})
			}
			c.Ack(ranges)
		}
	}
}
