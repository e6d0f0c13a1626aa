package buffer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// The tests of this file are named after ways in which the stores of other
// brokers and agents are known to lose or hold back data.

// numbered takes all that waits and gives the numbers in the payloads.
func numbered(t *testing.T, c *Consumer) (got []uint64) {
	t.Helper()
	for _, e := range drain(t, c) {
		got = append(got, binary.BigEndian.Uint64(e.Body))
		c.Ack([]Range{{e.Number, e.Number}})
	}
	return got
}

// A queue that has reached its cap goes on: the oldest go, counted, and once
// it is drained everything new comes through, also after a restart.
func TestField_QueueFullNeverWedges(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 6 * minSegment}
	l := open(t, o)
	c, err := l.Consumer("a")
	if err != nil {
		t.Fatal(err)
	}
	next := uint64(0)
	for round := range 4 {
		from := next
		for range 1500 { // several times the cap
			if _, n, err := l.Append([]Record{{Dests: []Dest{{Consumer: c.ID()}}, Payload: binary.BigEndian.AppendUint64(make([]byte, 0, 500), next)[:500]}}); err != nil || n != 1 {
				t.Fatal(n, err)
			}
			if next++; next%20 == 0 {
				commit(t, l)
			}
		}
		commit(t, l)
		got := numbered(t, c)
		dropped := l.Stats().Consumers[0].Backlog.Dropped
		if len(got) == 0 || got[0] <= from || got[len(got)-1] != next-1 {
			t.Fatalf("round %d: %d came of %d to %d: %v...", round, len(got), from, next-1, got[:min(3, len(got))])
		}
		for i := range got[1:] {
			if got[i+1] != got[i]+1 {
				t.Fatalf("round %d: %d after %d", round, got[i+1], got[i])
			}
		}
		if round == 0 && dropped != got[0] {
			t.Errorf("%d counted as dropped, %d were", dropped, got[0])
		}
		if round == 1 { // and with a restart between
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = open(t, o)
			if c, err = l.Consumer("a"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// What is delivered and committed is not delivered again by a start from an
// older state, and takes no room.
func TestField_DeliveredIsNotReplayed(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentSize: minSegment, MaxSize: 4 << 20}
	l := open(t, o)
	c, err := l.Consumer("a")
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(500) {
		put(t, l, string(binary.BigEndian.AppendUint64(nil, i))+strings.Repeat("x", 1000), Dest{Consumer: c.ID()})
		if i%20 == 0 {
			commit(t, l)
		}
	}
	commit(t, l)
	if got := numbered(t, c); len(got) != 500 {
		t.Fatalf("%d came", len(got))
	}
	commit(t, l)
	if s := l.Stats(); s.Segments > 2 {
		t.Errorf("%d segments are kept for nothing", s.Segments)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, o)
	defer l.Close()
	if c, err = l.Consumer("a"); err != nil {
		t.Fatal(err)
	}
	if got := numbered(t, c); len(got) > 0 {
		t.Errorf("came again: %v", got)
	}
}

// While a large state is being saved, records are taken, given out and
// acknowledged.
func TestField_SavingTheStateHoldsUpNobody(t *testing.T) {
	fs := &heldFS{FS: DirFS(t.TempDir()), begun: make(chan struct{}), held: make(chan struct{})}
	l := open(t, Options{FS: fs, SegmentSize: minSegment, MaxSize: 4 << 20})
	c, err := l.Consumer("a")
	if err != nil {
		t.Fatal(err)
	}
	saving := make(chan error, 1)
	go func() { // commits until one of them leads to a snapshot, which stands still
		for i := 0; ; i++ {
			select {
			case <-fs.begun:
				saving <- nil
				return
			default:
			}
			_, _, err := l.Append([]Record{{Dests: []Dest{{Consumer: c.ID()}}, Payload: make([]byte, 4000)}})
			err = errors.Join(err, l.Put(fmt.Sprintf("key%d", i%50), make([]byte, 200)), l.Commit())
			if err != nil || i > 2000 {
				saving <- fmt.Errorf("no snapshot after %d commits, %w", i, err)
				return
			}
		}
	}()
	<-fs.begun
	for i := range uint64(20) {
		put(t, l, string(binary.BigEndian.AppendUint64(nil, i)), Dest{Consumer: c.ID()})
	}
	if got := drain(t, c); len(got) < 20 {
		t.Errorf("%d records came while the state was saved, want those appended meanwhile too", len(got))
	}
	close(fs.held)
	if err := <-saving; err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// heldFS makes the first snapshot wait until held is closed.
type heldFS struct {
	FS
	begun, held chan struct{}
	once        bool // used by the log's one writer of snapshots only
}

func (h *heldFS) Create(name string) (File, error) {
	if strings.HasPrefix(name, newPrefix+"keys-") && !h.once {
		h.once = true
		close(h.begun)
		<-h.held
	}
	return h.FS.Create(name)
}
