package buffer

import "testing"

// Records acknowledged before Next came to them are counted once, also if their
// segment is rewritten in between: the next one still comes, and the backlog
// comes down to nothing.
func TestRewritingCountsEarlyAcknowledgementsOnce(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 8 * minSegment}
	l := open(t, o)
	defer l.Close()
	slow, _ := l.Consumer("slow")
	other, _ := l.Consumer("other")
	commit(t, l)
	var numbers []uint64
	for l.Stats().Segments < 3 { // padding makes up most of them
		numbers = append(numbers, put(t, l, "small", Dest{Consumer: slow.ID()}, Dest{Consumer: other.ID()}))
		commit(t, l)
	}
	// Nobody waits for the first, only the other one for the second and third.
	slow.Ack([]Range{{numbers[0], numbers[2]}})
	other.Ack([]Range{{numbers[0], numbers[0]}})
	commit(t, l)
	for i := 0; l.Stats().Rewritten == 0; i++ {
		if i > 1000 {
			t.Fatalf("nothing is rewritten: %+v", l.Stats())
		}
		numbers = append(numbers, put(t, l, "small", Dest{Consumer: slow.ID()}, Dest{Consumer: other.ID()}))
		commit(t, l)
	}
	want := uint64(len(numbers))
	for _, x := range []struct {
		c    *Consumer
		done uint64
	}{{slow, 3}, {other, 1}} {
		got := drain(t, x.c)
		b := x.c.Backlog()
		if n := uint64(len(got)); n+b.Dropped+x.done != want || b.Records != n {
			t.Errorf("%s: %d records come, %+v, want %d of %d", x.c.Name(), n, b, want-x.done, want)
		}
		for _, e := range got {
			x.c.Ack([]Range{{e.Number, e.Number}})
		}
		if b := x.c.Backlog(); b.Records != 0 || b.Bytes != 0 {
			t.Errorf("%s: %+v is left over", x.c.Name(), b)
		}
	}
}
