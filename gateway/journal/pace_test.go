package journal

import (
	"testing"
	"time"

	"weir/buffer"
)

// stage is a pacer with a clock of its own and a record of what is settled.
type stage struct {
	*testing.T
	p    *pacer
	done settled
	now  time.Time
	next uint64
}

var testPace = Pace{SpillAfter: 200 * time.Millisecond, Gather: 100 * time.Millisecond, OwnGather: 2 * time.Second, AckFlush: 5 * time.Second, FlashBudget: 64 << 20}

func newStage(t *testing.T) *stage {
	s := &stage{T: t, now: time.Unix(1_000_000, 0), next: 101}
	s.done.start(101)
	s.p = newPacer(testPace, s.done.covers)
	return s
}

// record enters one record for the links and returns its number.
func (s *stage) record(own bool, links ...uint32) uint64 {
	n := s.next
	s.next++
	m := mark{first: n, last: n, at: s.now}
	level := memoryOnly
	for _, id := range links {
		level = max(level, s.p.toward(id))
	}
	s.p.appended(m, level, own)
	for _, id := range links {
		s.p.handed(id, m)
	}
	return n
}

func (s *stage) ack(link uint32, n uint64) {
	s.done.add([]buffer.Range{{First: n, Last: n}})
	s.p.acked(link, n, s.now)
}

func (s *stage) pass(d time.Duration) { s.now = s.now.Add(d) }

func (s *stage) wantDue(in time.Duration) {
	s.Helper()
	due := s.p.due()
	switch {
	case in < 0 && !due.IsZero():
		s.Fatalf("due in %v, want never", due.Sub(s.now))
	case in >= 0 && (due.IsZero() || due.Sub(s.now) != in):
		s.Fatalf("due %v (zero %v), want in %v", due.Sub(s.now), due.IsZero(), in)
	}
}

const never = time.Duration(-1)

func TestPaceNothingIsDueAtFirst(t *testing.T) { newStage(t).wantDue(never) }

func TestPaceDownLinkGathers(t *testing.T) {
	s := newStage(t)
	s.record(false, 1)
	s.wantDue(100 * time.Millisecond)
	s.pass(60 * time.Millisecond)
	s.record(false, 1)
	s.wantDue(40 * time.Millisecond) // the first of the gathered decides
}

func TestPaceOwnReadingsGatherLonger(t *testing.T) {
	s := newStage(t)
	s.record(true, 1)
	s.wantDue(2 * time.Second)
	s.record(false, 1)
	s.wantDue(100 * time.Millisecond)
}

func TestPaceHealthyLinkCostsNoCommit(t *testing.T) {
	s := newStage(t)
	s.p.setUp(1, true, false, s.now)
	for range 10_000 {
		n := s.record(false, 1)
		s.pass(20 * time.Millisecond)
		s.ack(1, n)
		s.wantDue(never)
	}
	if len(s.p.waiting) != 0 || len(s.p.link(1).sent) != 0 {
		t.Errorf("%d waiting and %d sent marks left, want none", len(s.p.waiting), len(s.p.link(1).sent))
	}
}

func TestPaceLateLinkSpillsAndIsMarked(t *testing.T) {
	s := newStage(t)
	s.p.setUp(1, true, false, s.now)
	s.p.setUp(2, true, false, s.now)
	a := s.record(false, 1)
	b := s.record(false, 2)
	s.pass(150 * time.Millisecond)
	s.ack(2, b)
	s.wantDue(50 * time.Millisecond)
	s.pass(50 * time.Millisecond)
	s.p.commit(s.now)
	if s.p.link(1).answering {
		t.Error("the late link still counts as answering")
	}
	if !s.p.link(2).answering {
		t.Error("the prompt link was marked with it")
	}
	s.wantDue(never)
	s.record(false, 1)
	s.wantDue(100 * time.Millisecond) // from now on gathered
	_ = a
}

func TestPaceLinkAnswersAgainAfterACalmSecond(t *testing.T) {
	s := newStage(t)
	s.p.setUp(1, true, true, s.now) // with a backlog: it must prove itself
	if s.p.link(1).answering {
		t.Fatal("a link with a backlog counts as answering at once")
	}
	s.pass(time.Minute) // silence proves nothing
	for range 50 {
		n := s.record(false, 1)
		s.pass(20 * time.Millisecond)
		s.ack(1, n)
	}
	if s.p.link(1).answering {
		t.Fatal("answering before a second has passed")
	}
	n := s.record(false, 1)
	s.pass(20 * time.Millisecond)
	s.ack(1, n)
	if !s.p.link(1).answering {
		t.Fatal("not answering after a second of prompt acknowledgements")
	}
	n = s.record(false, 1)
	s.pass(201 * time.Millisecond)
	s.ack(1, n) // late, though it came
	if s.p.link(1).answering {
		t.Fatal("an acknowledgement later than spill_after left the link answering")
	}
}

func TestPaceLinkGoingDownWritesWhatWaited(t *testing.T) {
	s := newStage(t)
	s.p.setUp(1, true, false, s.now)
	s.record(false, 1)
	s.wantDue(200 * time.Millisecond)
	s.pass(10 * time.Millisecond)
	s.p.setUp(1, false, false, s.now)
	s.wantDue(100 * time.Millisecond)
}

func TestPaceOneLinkOfTwoDown(t *testing.T) {
	s := newStage(t)
	s.p.setUp(1, true, false, s.now)
	s.record(false, 1, 2) // 2 is down
	s.wantDue(100 * time.Millisecond)
}

func TestPacePositions(t *testing.T) {
	s := newStage(t)
	s.p.positionsChanged(false, 1000, s.now)
	s.wantDue(5 * time.Second)
	s.pass(time.Second)
	s.p.positionsChanged(false, 1000, s.now)
	s.wantDue(4 * time.Second)
	s.p.positionsChanged(true, 1000, s.now) // drained
	s.wantDue(100 * time.Millisecond)
	s.p.commit(s.now)
	s.wantDue(never)
}

// TestPacePositionsOfFewRecordsWait: a link with traffic at all times costs no write for the positions of a few records.
func TestPacePositionsOfFewRecordsWait(t *testing.T) {
	s := newStage(t)
	s.p.setUp(1, true, false, s.now)
	s.p.positionsChanged(false, 5, s.now)
	s.wantDue(5 * time.Second) // nothing waits
	n := s.record(false, 1)
	s.wantDue(s.p.SpillAfter)
	for range 100 * 60 { // ten minutes, always one on its way
		s.pass(100 * time.Millisecond)
		next := s.record(false, 1)
		s.ack(1, n)
		s.p.positionsChanged(false, 5, s.now)
		if due := s.p.due(); !due.After(s.now) {
			t.Fatalf("a commit is due for the positions of five records")
		}
		n = next
	}
	s.p.positionsChanged(false, looseMost+1, s.now)
	if due := s.p.due(); due.After(s.now) {
		t.Errorf("a commit for the positions of many records is due at %v, want it now", due)
	}
}

func TestPaceMarksAreBounded(t *testing.T) {
	s := newStage(t)
	s.p.setUp(1, true, true, s.now)
	for range 50_000 {
		s.record(false, 1)
		s.pass(6 * time.Millisecond)
	}
	if n := len(s.p.link(1).sent); n > maxMarks {
		t.Errorf("%d marks, want at most %d", n, maxMarks)
	}
}

// TestPaceSpillMarksOnlyWhoDidNotAnswer: of two destinations of one record.
func TestPaceSpillMarksOnlyWhoDidNotAnswer(t *testing.T) {
	s := newStage(t)
	s.p.setUp(1, true, false, s.now)
	s.p.setUp(2, true, false, s.now)
	n := s.record(false, 1, 2)
	s.p.acked(1, n, s.now) // not settled by it
	s.wantDue(s.p.SpillAfter)
	s.pass(s.p.SpillAfter)
	s.p.commit(s.now)
	if !s.p.link(1).answering || s.p.link(2).answering {
		t.Errorf("answering %v and %v, want the one that acknowledged alone", s.p.link(1).answering, s.p.link(2).answering)
	}
}

// TestPaceGatherMarksNobody: a commit for a record that must be written says nothing about the links that are up.
func TestPaceGatherMarksNobody(t *testing.T) {
	s := newStage(t)
	s.p.setUp(1, true, false, s.now)
	s.record(false, 1)
	s.record(false, 1, 2) // 2 is down
	s.wantDue(s.p.Gather)
	s.pass(s.p.Gather)
	s.p.commit(s.now)
	s.record(false, 1)
	s.wantDue(s.p.SpillAfter)
	if !s.p.link(1).answering {
		t.Error("marked by a commit within spill_after")
	}
}

// TestPaceAcknowledgementIsDelayedByAtMost is promise P6: however acknowledgements come or stay away, a record is due
// within spill_after, and within gather once the link is known not to answer.
func TestPaceAcknowledgementIsDelayedByAtMost(t *testing.T) {
	s := newStage(t)
	s.p.setUp(1, true, false, s.now)
	for i := range 10_000 {
		s.pass(time.Duration(i*i%37) * time.Millisecond)
		if due := s.p.dueAt(s.now); !due.IsZero() && !due.After(s.now) {
			s.commitNow()
		}
		answering := s.p.link(1).answering
		n := s.record(false, 1)
		limit := s.p.Gather
		if answering {
			limit = s.p.SpillAfter
		}
		if due := s.p.dueAt(s.now); due.IsZero() || due.Sub(s.now) > limit {
			t.Fatalf("record %d is due in %v, answering %v", i, due.Sub(s.now), answering)
		}
		if i%1000 > 200 && i%3 > 0 { // now and then it hangs, otherwise some are acknowledged
			s.ack(1, n)
		}
	}
}

// TestForgottenLinkStaysForgotten: whoever is late with something for a link that is no more does not bring it back.
func TestForgottenLinkStaysForgotten(t *testing.T) {
	s := newStage(t)
	s.p.setUp(1, true, false, s.now)
	n := s.record(false, 1)
	s.p.forget(1)
	s.p.acked(1, n, s.now)
	if s.p.toward(1) != mustWrite {
		t.Error("a record for a link that is no more waits for its acknowledgement")
	}
	s.record(false, 1)
	if len(s.p.links) != 0 {
		t.Errorf("%d links are known, want none", len(s.p.links))
	}
}
