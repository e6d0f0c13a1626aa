package buffer

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// fillFor appends records for consumers, a commit for each, with rising times.
func fillFor(t *testing.T, l *Log, n, size int, consumers ...*Consumer) {
	t.Helper()
	for i := range n {
		r := Record{Boot: 1, Since: int64(i), Payload: make([]byte, size)}
		for _, c := range consumers {
			r.Dests = append(r.Dests, Dest{Consumer: c.ID()})
		}
		if _, k, err := l.Append([]Record{r}); err != nil || k != 1 {
			t.Fatal(k, err)
		}
		commit(t, l)
	}
}

func TestLimitDropsTheOldestOfOneConsumer(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, SegmentSize: minSegment, MaxSize: 4 << 20}
	l := open(t, o)
	small, _ := l.Consumer("small")
	all, _ := l.Consumer("all")
	small.SetLimits(Limits{MaxBytes: 10_000})
	fillFor(t, l, 100, 1000, small, all)
	b := small.Backlog()
	if b.Bytes > 10_000 || b.Bytes < 8_000 || b.Records+b.Dropped != 100 {
		t.Errorf("the small one has %+v, want at most 10000 bytes, and 100 records with those dropped", b)
	}
	if b := all.Backlog(); b.Records != 100 || b.Dropped != 0 {
		t.Errorf("the other one has %+v, want all", b)
	}
	got := drain(t, small)
	if uint64(len(got)) != b.Records || got[len(got)-1].Since != 99 {
		t.Errorf("%d records come, the last of time %d; want %d and 99", len(got), got[len(got)-1].Since, b.Records)
	}
	if d := l.Stats().Consumers[0].Drops; d[DropLimit] != b.Dropped {
		t.Errorf("drops by reason %v, want %d of %s", d, b.Dropped, DropLimit)
	}
	l.Close()
	l = open(t, o)
	defer l.Close()
	again, _ := l.Consumer("small")
	if a := again.Backlog(); a.Records != b.Records || a.Dropped != b.Dropped {
		t.Errorf("after opening again %+v, want %+v", a, b)
	}
}

func TestLimitRefusesTheNewest(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 4 << 20})
	defer l.Close()
	small, _ := l.Consumer("small")
	all, _ := l.Consumer("all")
	small.SetLimits(Limits{MaxBytes: 10_000, Newest: true})
	fillFor(t, l, 100, 1000, small, all)
	b := small.Backlog()
	if b.Bytes > 10_000 || b.Records != 9 || b.Dropped != 91 {
		t.Errorf("the small one has %+v, want 9 records and 91 dropped", b)
	}
	if b := all.Backlog(); b.Records != 100 || b.Dropped != 0 {
		t.Errorf("the other one has %+v, want all", b)
	}
	if got := drain(t, small); len(got) != 9 || got[8].Since != 8 {
		t.Errorf("%d records come, the last of time %d; want the first 9", len(got), got[len(got)-1].Since)
	}
	var settled []Range
	l.o.OnSettled = func(rs []Range) { settled = append(settled, rs...) }
	batch := []Record{{Boot: 1, Dests: []Dest{{Consumer: small.ID()}}, Payload: make([]byte, 1000)}}
	n, _, err := l.Append(batch)
	if err != nil || !batch[0].Refused {
		t.Fatalf("a record nobody takes: refused %v, %v", batch[0].Refused, err)
	}
	if len(settled) > 0 {
		t.Error("settled before its count is durable")
	}
	commit(t, l)
	if !slices.Contains(settled, Range{n, n}) {
		t.Errorf("settled %v, want %d", settled, n)
	}
}

func TestAgeDropsTheOldest(t *testing.T) {
	now := int64(0)
	l := open(t, Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 4 << 20,
		Age: func(boot uint64, since int64) (time.Duration, bool) { return time.Duration(now - since), boot == 1 }})
	defer l.Close()
	c, _ := l.Consumer("c")
	c.SetLimits(Limits{MaxAge: 30})
	fillFor(t, l, 100, 2000, c)
	l.Trim()
	if b := c.Backlog(); b.Dropped != 0 {
		t.Fatalf("dropped before anything is too old: %+v", b)
	}
	now = 100
	l.Trim()
	b := c.Backlog()
	if b.Records != 30 || b.Dropped != 70 || l.Stats().Consumers[0].Drops[DropAge] != 70 {
		t.Errorf("%+v, want 30 records and 70 dropped", b)
	}
	if got := drain(t, c); len(got) != 30 || got[0].Since != 70 {
		t.Errorf("%d records come, the first of time %d; want 30 from 70 on", len(got), got[0].Since)
	}
	now = 1000
	l.Trim()
	if b := c.Backlog(); b.Records != 0 || b.Dropped != 100 {
		t.Errorf("in the window: %+v, want none and 100 dropped", b)
	}
}

// A log that refuses the newest keeps what it has, counts what it refuses for
// as long as it takes, and goes on when there is room.
func TestNewestIsRefusedWhenTheLogIsFull(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 10 * minSegment, Newest: true}
	l := open(t, o)
	defer l.Close()
	c, _ := l.Consumer("c")
	taken := 0
	for i := range 2000 {
		batch := []Record{{Boot: 1, Since: int64(i), Dests: []Dest{{Consumer: c.ID()}}, Payload: make([]byte, 1000)}}
		if _, k, err := l.Append(batch); err != nil || k != 1 {
			t.Fatal(k, err)
		}
		if !batch[0].Refused {
			taken++
		}
		commit(t, l)
	}
	b := c.Backlog()
	if int(b.Records) != taken || b.Records+b.Dropped != 2000 || taken < 50 {
		t.Fatalf("%+v with %d taken", b, taken)
	}
	if s := l.Stats(); s.Bytes > o.MaxSize || s.Failed > 0 {
		t.Fatalf("%+v", s)
	}
	got := drain(t, c)
	for i, e := range got { // a little room may show when a file is begun
		if i < taken/2 && e.Since != int64(i) || i > 0 && e.Since <= got[i-1].Since {
			t.Fatalf("record %d is of time %d: the oldest are not all there", i, e.Since)
		}
	}
	for _, e := range got {
		c.Ack([]Range{{e.Number, e.Number}})
	}
	commit(t, l)
	commit(t, l)
	batch := []Record{{Boot: 1, Dests: []Dest{{Consumer: c.ID()}}, Payload: make([]byte, 1000)}}
	if _, _, err := l.Append(batch); err != nil || batch[0].Refused {
		t.Errorf("refused %v with an empty log, %v: %s", batch[0].Refused, err, fmt.Sprint(l.Stats()))
	}
}
