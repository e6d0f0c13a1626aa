package buffer

import (
	"errors"
	"testing"
	"time"
)

// openedFS calls back once when a segment is opened for reading.
type openedFS struct {
	FS
	then func()
}

func (o *openedFS) Open(name string, write bool) (File, error) {
	f, err := o.FS.Open(name, write)
	if then := o.then; then != nil && !write {
		o.then = nil
		then()
	}
	return f, err
}

// While Trim reads the segment that is being written, a commit adds records to
// it, for this consumer and for new ones, and all that was read is
// acknowledged: nothing of that is taken for lost or counted elsewhere.
func TestTrimWhileTheSegmentGrows(t *testing.T) {
	disk := &openedFS{FS: DirFS(t.TempDir())}
	now := int64(0)
	l := open(t, Options{Dir: "opened", FS: disk, SegmentSize: minSegment, MaxSize: 4 << 20,
		Age: func(boot uint64, since int64) (time.Duration, bool) { return time.Duration(now - since), true }})
	defer l.Close()
	var cs []*Consumer
	for _, name := range []string{"a", "b", "c", "d"} {
		c, _ := l.Consumer(name)
		cs = append(cs, c)
	}
	c := cs[3]
	c.SetLimits(Limits{MaxAge: 30})
	fillFor(t, l, 3, 100, c)
	got := drain(t, c)
	disk.then = func() {
		c.Ack([]Range{{got[0].Number, got[2].Number}})
		fillFor(t, l, 2, 100, cs[0], cs[1], cs[2])
		l.Append([]Record{{Boot: 1, Since: 90, Dests: []Dest{{Consumer: c.ID()}}}, {Boot: 1, Since: 91, Dests: []Dest{{Consumer: c.ID()}}}})
		commit(t, l)
	}
	now = 100
	l.Trim()
	if disk.then != nil {
		t.Fatal("no segment was read")
	}
	if b := c.Backlog(); b.Records != 2 || b.Dropped != 0 {
		t.Errorf("%+v, want the two new ones: %v", b, l.Stats().Consumers[3].Drops)
	}
	if got := drain(t, c); len(got) != 2 {
		t.Errorf("%d records come, want 2", len(got))
	}
	for _, c := range cs[:3] {
		if got := drain(t, c); len(got) != 2 || c.Backlog().Records != 2 {
			t.Errorf("%s: %d records come, %+v, want 2", c.Name(), len(got), c.Backlog())
		}
	}
}

// A record set aside is not part of the bytes that are limited: it stays where
// it is, in memory and on the disk, and its marks add up.
func TestLimitLeavesWhatIsSetAside(t *testing.T) {
	for _, stored := range []bool{false, true} {
		l := open(t, Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 4 << 20})
		c, _ := l.Consumer("c")
		other, _ := l.Consumer("other")
		commit(t, l)
		c.SetLimits(Limits{MaxBytes: 3000})
		first := put(t, l, "aside", Dest{Consumer: c.ID()}, Dest{Consumer: other.ID()})
		if stored {
			commit(t, l)
		}
		drain(t, c)
		c.SetAside(first)
		for range 5 {
			put(t, l, string(make([]byte, 1000)), Dest{Consumer: c.ID()})
			if stored {
				commit(t, l)
			}
		}
		l.Trim()
		b := c.Backlog()
		if b.Records != 2 || b.Dropped != 3 || b.Aside != 1 || b.Bytes > 3000 || b.Bytes < 2000 {
			t.Errorf("stored %v: %+v, want 2 that wait, 3 dropped, 1 aside", stored, b)
		}
		drain(t, other)
		other.Ack([]Range{{first, first}})
		c.Ack([]Range{{first, first}})
		commit(t, l)
		for _, e := range drain(t, c) {
			c.Ack([]Range{{e.Number, e.Number}})
		}
		if b := c.Backlog(); b.Records != 0 || b.Bytes != 0 || b.Aside != 0 {
			t.Errorf("stored %v: %+v is left over", stored, b)
		}
		l.mu.Lock()
		for _, s := range l.segments {
			if s.open != 0 {
				t.Errorf("stored %v: %d are open in %s", stored, s.open, s.name)
			}
		}
		l.mu.Unlock()
		l.Close()
	}
}

// A consumer that is removed while Trim reads for it takes nothing from others.
func TestRemovedWhileTrimReads(t *testing.T) {
	disk := &openedFS{FS: DirFS(t.TempDir())}
	l := open(t, Options{Dir: "opened", FS: disk, SegmentSize: minSegment, MaxSize: 4 << 20})
	defer l.Close()
	a, _ := l.Consumer("a")
	b, _ := l.Consumer("b")
	fillFor(t, l, 3, 1000, a, b)
	n := put(t, l, "in memory", Dest{Consumer: a.ID()}, Dest{Consumer: b.ID()})
	a.SetLimits(Limits{MaxBytes: 1000})
	disk.then = func() { l.RemoveConsumer("a") }
	l.Trim()
	if _, err := a.Next(make([]Entry, 1)); !errors.Is(err, ErrRemoved) {
		t.Fatalf("%v, want it removed", err)
	}
	l.mu.Lock()
	if r := l.tail.find(n); r == nil || r.open != 1 || r.must {
		t.Errorf("the record in memory is %+v, want it open for one", r)
	}
	l.mu.Unlock()
	if got := drain(t, b); len(got) != 4 {
		t.Errorf("%d records come, want 4", len(got))
	}
}

// The first of a segment is old and done with, as after a restart: that is found
// out once, not at every commit.
func TestTrimReadsASegmentOnce(t *testing.T) {
	disk := &openedFS{FS: DirFS(t.TempDir())}
	now := int64(0)
	o := Options{Dir: "opened", FS: disk, SegmentSize: minSegment, MaxSize: 4 << 20,
		Age: func(boot uint64, since int64) (time.Duration, bool) { return time.Duration(now - since), true }}
	l := open(t, o)
	c, _ := l.Consumer("c")
	fillFor(t, l, 10, 100, c)
	e := drain(t, c)
	c.Ack([]Range{{e[0].Number, e[4].Number}})
	l.Close()
	l = open(t, o)
	defer l.Close()
	c, _ = l.Consumer("c")
	c.SetLimits(Limits{MaxAge: 30})
	now = 34
	reads := 0
	for range 5 {
		disk.then = func() { reads++ }
		l.Trim()
	}
	if b := c.Backlog(); reads > 1 || b.Records != 5 || b.OldestSince != 5 {
		t.Errorf("%d reads, %+v, want one, and 5 records from 5 on", reads, b)
	}
	now = 36
	l.Trim()
	if b := c.Backlog(); b.Records != 4 || b.Dropped != 1 {
		t.Errorf("%+v, want 4 records and 1 dropped", b)
	}
}

// A record set aside whose age nobody knows keeps no other from being dropped.
func TestAgeGoesOnBehindWhatIsSetAside(t *testing.T) {
	now := int64(0)
	l := open(t, Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 4 << 20,
		Age: func(boot uint64, since int64) (time.Duration, bool) { return time.Duration(now - since), boot == 1 }})
	defer l.Close()
	c, _ := l.Consumer("c")
	c.SetLimits(Limits{MaxAge: 30})
	first, _, err := l.Append([]Record{{Boot: 7, Dests: []Dest{{Consumer: c.ID()}}}})
	if err != nil {
		t.Fatal(err)
	}
	drain(t, c)
	c.SetAside(first)
	fillFor(t, l, 30, 3000, c) // more than one segment
	drain(t, c)
	now = 50
	l.Trim()
	if b := c.Backlog(); b.Aside != 1 || b.Records != 10 || b.Dropped != 20 {
		t.Errorf("%+v, want one aside, 10 that wait and 20 dropped", b)
	}
}

// A record that names a consumer twice is refused by it once; that a record of
// an earlier batch was refused is not said of this one.
func TestRefusedOnce(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 4 << 20})
	defer l.Close()
	c, _ := l.Consumer("c")
	c.SetLimits(Limits{MaxBytes: 10, Newest: true})
	batch := []Record{{Boot: 1, Dests: []Dest{{Consumer: c.ID()}, {Consumer: c.ID()}}, Payload: make([]byte, 100)}}
	if _, _, err := l.Append(batch); err != nil || !batch[0].Refused {
		t.Fatal(err, batch[0].Refused)
	}
	if b := c.Backlog(); b.Dropped != 1 {
		t.Errorf("%+v, want 1 dropped", b)
	}
	l.RemoveConsumer("c")
	if _, _, err := l.Append(batch); err != nil || batch[0].Refused {
		t.Errorf("refused %v by nobody, %v", batch[0].Refused, err)
	}
}
