package buffer

import (
	"bytes"
	"fmt"
	"testing"
)

func open(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func drain(t testing.TB, c *Consumer) (got []Entry) {
	t.Helper()
	dst := make([]Entry, 16)
	for {
		n, err := c.Next(dst)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return got
		}
		for _, e := range dst[:n] {
			e.Body, e.Data = bytes.Clone(e.Body), bytes.Clone(e.Data)
			got = append(got, e)
		}
	}
}

func TestThinPath(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, SegmentSize: 64 << 10, MaxSize: 16 << 20, TailSize: 64 << 10}
	l := open(t, o)
	c, _ := l.Consumer("cloud")
	var want []string
	for i := range 300 {
		body := fmt.Sprintf("%d:%s", i, bytes.Repeat([]byte{'x'}, i*7))
		first, n, err := l.Append([]Record{{Boot: 7, Since: int64(i), Dests: []Dest{{Consumer: c.ID(), Data: []byte("d")}}, Head: []byte(body[:1]), Payload: []byte(body[1:])}})
		if err != nil || n != 1 || first == 0 {
			t.Fatal(first, n, err)
		}
		want = append(want, body)
		if i%10 == 9 {
			if err := l.Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(l *Log, c *Consumer, want []string) []Entry {
		t.Helper()
		got := drain(t, c)
		if len(got) != len(want) {
			t.Fatalf("got %d records, want %d: %+v", len(got), len(want), l.Stats())
		}
		for i, e := range got {
			if string(e.Body) != want[i] || string(e.Data) != "d" || e.Boot != 7 {
				t.Fatalf("record %d: got %q", i, e.Body)
			}
		}
		return got
	}
	got := check(l, c, want)
	l.Put("k", []byte("v"))
	c.Ack([]Range{{got[0].Number, got[99].Number}, {got[150].Number, got[159].Number}})
	if b := c.Backlog(); b.Records != 190 {
		t.Fatalf("backlog %+v", b)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, o)
	c, _ = l.Consumer("cloud")
	if b := c.Backlog(); b.Records != 190 {
		t.Fatalf("backlog after reopening %+v", b)
	}
	check(l, c, append(append([]string{}, want[100:150]...), want[160:]...))
	c.Rewind()
	got = check(l, c, append(append([]string{}, want[100:150]...), want[160:]...))
	if v, ok := l.Get("k"); !ok || string(v) != "v" {
		t.Fatal("key lost")
	}
	c.Ack([]Range{{got[0].Number, got[len(got)-1].Number}})
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	if b := c.Backlog(); b.Records != 0 || b.Bytes != 0 {
		t.Fatalf("backlog %+v", b)
	}
	s := l.Stats()
	if s.Segments > 2 || s.Freed < 8 { // the commit that frees may itself begin a segment
		t.Fatalf("stats %+v", s)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
