package journal

import (
	"strings"
	"testing"
	"time"

	"weir/broker"
	"weir/buffer"
)

// window is a simulated publisher on a stage: it keeps window messages unacknowledged and sends again as soon as some
// are acknowledged, or sends at a pace of its own and never waits.
type window struct {
	token  uint64
	size   int           // 0: it does not wait
	pause  time.Duration // between two messages of one that does not wait
	next   time.Time     // when it sends next
	owed   []uint64
	acked  int
	answer time.Duration // from a release to the messages that it allows
}

// card runs publishers against the pace for a simulated time, with a disk whose sync takes as long as given, and gives
// the number of commits. The link is down, so everything is gathered.
func (s *stage) card(sync, length time.Duration, all ...*window) (commits int) {
	const step = 100 * time.Microsecond
	var done time.Time // end of the running commit; zero: none runs
	var upto uint64
	for _, w := range all {
		if w.next.IsZero() {
			w.next = s.now
		}
	}
	for end := s.now.Add(length); s.now.Before(end); s.pass(step) {
		if !done.IsZero() && !s.now.Before(done) {
			s.done.add([]buffer.Range{{First: 1, Last: upto}})
			s.p.committed(true, 2000, s.now)
			done = time.Time{}
			for _, w := range all {
				s.release(w, upto)
			}
		}
		for _, w := range all {
			for !s.now.Before(w.next) && (w.size == 0 || len(w.owed) < w.size) {
				w.owed = append(w.owed, s.publish(w.token))
				if w.size == 0 {
					w.next = w.next.Add(w.pause)
				}
			}
		}
		if due := s.p.dueAt(s.now); done.IsZero() && !due.IsZero() && !due.After(s.now) {
			s.p.commit(s.now)
			commits++
			done, upto = s.now.Add(sync), s.next-1
		}
	}
	return commits
}

func (s *stage) release(w *window, upto uint64) {
	n := 0
	for n < len(w.owed) && w.owed[n] <= upto {
		n++
	}
	if w.owed = w.owed[n:]; n > 0 && w.size > 0 {
		w.next = s.now.Add(w.answer)
	}
	w.acked += n
}

// publish enters one record of a publisher for link 1.
func (s *stage) publish(token uint64) uint64 {
	gathered := uint64(0)
	if s.p.toward(1) == mustWrite {
		gathered = s.next
	}
	n := s.record(false, 1)
	s.p.pubs.sent(token, mark{first: n, last: n, at: s.now}, gathered)
	return n
}

// commitNow lets a commit run and end at once.
func (s *stage) commitNow() {
	s.p.commit(s.now)
	s.done.add([]buffer.Range{{First: 1, Last: s.next - 1}})
	s.p.committed(true, 2000, s.now)
}

func (s *stage) wantDueAt(in time.Duration) {
	s.Helper()
	due := s.p.dueAt(s.now)
	for {
		exact := s.p.dueAt(due) // as Run does when it is there
		if !exact.After(due) {
			break
		}
		due = exact
	}
	if due.Sub(s.now) != in {
		s.Fatalf("due in %v, want in %v", due.Sub(s.now), in)
	}
}

// TestEarlyCommit: each condition of DESIGN 4.2 alone.
func TestEarlyCommit(t *testing.T) {
	const gather = 100 * time.Millisecond
	for _, c := range []struct {
		name string
		do   func(s *stage)
		want time.Duration // until the commit is due
	}{
		{"a connection without a release pays for gather", func(s *stage) { s.publish(1) }, gather},
		{"sent again at once: 2 ms of silence", func(s *stage) {
			s.publish(1)
			s.commitNow()
			s.pass(sendsAgain)
			s.publish(1)
		}, 2 * time.Millisecond},
		{"sent again too late", func(s *stage) {
			s.publish(1)
			s.commitNow()
			s.pass(sendsAgain + 1)
			s.publish(1)
		}, gather},
		{"every message begins the silence anew", func(s *stage) {
			s.publish(1)
			s.commitNow()
			s.publish(1)
			s.pass(time.Millisecond)
			s.publish(1)
		}, 4 * time.Millisecond},
		{"four times the longest gap", func(s *stage) {
			s.publish(1)
			s.commitNow()
			s.publish(1)
			s.pass(8 * time.Millisecond)
			s.publish(1)
			s.pass(time.Millisecond)
			s.publish(1)
		}, 32 * time.Millisecond},
		{"a gap with a release in it does not count", func(s *stage) {
			s.publish(1)
			s.pass(50 * time.Millisecond)
			s.commitNow()
			s.publish(1)
		}, 2 * time.Millisecond},
		{"a long gap fades", func(s *stage) {
			s.publish(1)
			s.pass(16 * time.Millisecond)
			s.publish(1)
			s.commitNow() // 14 ms
			s.publish(1)
		}, 56 * time.Millisecond},
		{"somebody else's release is not its own", func(s *stage) {
			s.publish(1)
			s.commitNow()
			s.publish(2)
		}, gather},
		{"the first who waits decides", func(s *stage) {
			s.publish(1)
			s.publish(2)
			s.commitNow()
			s.publish(1)
			s.pass(time.Millisecond)
			s.publish(2)
		}, time.Millisecond},
		{"sent during the commit that releases the messages before", func(s *stage) {
			s.publish(1)
			s.p.commit(s.now)
			s.publish(1)
			s.pass(20 * time.Millisecond)
			s.done.add([]buffer.Range{{First: 101, Last: 101}})
			s.p.committed(true, 0, s.now) // not sent again since
		}, gather - 20*time.Millisecond},
		{"sent on the release of a commit that still tidies up", func(s *stage) {
			s.publish(1)
			s.p.commit(s.now)
			s.pass(20 * time.Millisecond)
			s.done.add([]buffer.Range{{First: 101, Last: 101}})
			s.publish(1)
			s.pass(time.Millisecond)
			s.p.committed(true, 0, s.now)
		}, time.Millisecond},
		{"released by the upstream: when is not known", func(s *stage) {
			n := s.publish(1)
			s.ack(1, n)
			s.commitNow()
			s.pass(time.Second)
			s.publish(1)
		}, gather},
		{"a commit that failed releases nothing", func(s *stage) {
			s.publish(1)
			s.p.commit(s.now)
			s.p.committed(false, 0, s.now)
			s.publish(1)
		}, 0}, // what failed is due again
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t)
			c.do(s)
			s.wantDueAt(c.want)
		})
	}
}

// TestEarlyCommitNeverShortensSpillAfter: a publisher that waits for an upstream which is up waits for spill_after.
func TestEarlyCommitNeverShortensSpillAfter(t *testing.T) {
	s := newStage(t)
	s.publish(1)
	s.commitNow()
	s.p.setUp(1, true, false, s.now)
	s.publish(1)
	s.wantDueAt(s.p.SpillAfter)
}

// TestFlashBudget: padding of early commits, and only of those, is charged; when the budget is used up gather holds,
// until an hour has passed.
func TestFlashBudget(t *testing.T) {
	s := newStage(t)
	s.p.pubs.budget.limit = 10_000
	round := func() {
		s.publish(1)
		s.pass(2 * time.Millisecond)
		s.p.dueAt(s.now)
		s.commitNow()
	}
	s.publish(1)
	s.pass(s.p.Gather)
	s.commitNow()
	if got := s.p.pubs.budget.total; got != 0 {
		t.Fatalf("%d bytes charged for a commit that was due by gather", got)
	}
	for range 5 {
		round()
	}
	if got := s.p.pubs.budget.total; got != 10_000 || s.p.earlies != 5 {
		t.Fatalf("%d bytes charged for %d early commits, want 2000 for each of 5", got, s.p.earlies)
	}
	s.publish(1)
	s.wantDueAt(s.p.Gather)
	s.commitNow()
	s.pass(59 * time.Minute)
	s.publish(1)
	s.commitNow()
	s.publish(1)
	s.wantDueAt(s.p.Gather)
	s.pass(2 * time.Minute)
	s.commitNow()
	s.publish(1)
	s.wantDueAt(2 * time.Millisecond)
}

func TestNoFlashBudgetNoEarlyCommit(t *testing.T) {
	s := newStage(t)
	s.p.pubs.budget.limit = 0
	s.publish(1)
	s.commitNow()
	s.publish(1)
	s.wantDueAt(s.p.Gather)
}

// TestBudgetIsOfAnyHour spends evenly and looks at every hour.
func TestBudgetIsOfAnyHour(t *testing.T) {
	b := budget{limit: 1000}
	start := time.Unix(0, 0)
	var spent []time.Duration
	for at := time.Duration(0); at < 10*time.Hour; at += 7 * time.Second {
		if b.left(start.Add(at)) {
			b.charge(10, start.Add(at))
			spent = append(spent, at)
		}
	}
	for i := range spent {
		n := 0
		for _, at := range spent[i:] {
			if at >= spent[i]+time.Hour {
				break
			}
			n += 10
		}
		if n > 1000 {
			t.Fatalf("%d spent in the hour from %v on, want at most 1000", n, spent[i])
		}
	}
	if len(spent) < 900 {
		t.Errorf("%d times 10 spent in ten hours, want nearly 1000 an hour", len(spent))
	}
	b.left(start.Add(100 * time.Hour))
	if b.total != 0 {
		t.Errorf("%d left over after days", b.total)
	}
}

// TestSteadyPublisherCausesNoEarlyCommit: who merely sends is not waiting, whatever the pace and the disk.
func TestSteadyPublisherCausesNoEarlyCommit(t *testing.T) {
	for _, pause := range []time.Duration{200 * time.Microsecond, time.Millisecond, 3 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond} {
		for _, sync := range []time.Duration{100 * time.Microsecond, 5 * time.Millisecond, 20 * time.Millisecond} {
			s := newStage(t)
			commits := s.card(sync, 10*time.Second, &window{token: 1, pause: pause})
			if commits > 150 || s.p.earlies > 0 {
				t.Errorf("a message every %v, sync %v: %d commits in 10 s, %d of them early; want at most 150 and none", pause, sync, commits, s.p.earlies)
			}
		}
	}
}

// TestWindowsDoNotPayForGather: with a sync of 20 ms, 20 publishers with a window of 20 get at least 5,000 messages a
// second, and one with a window of 1 does not wait for gather.
func TestWindowsDoNotPayForGather(t *testing.T) {
	for _, answer := range []time.Duration{0, time.Millisecond, 10 * time.Millisecond} {
		s := newStage(t)
		var all []*window
		for i := range 20 {
			all = append(all, &window{token: uint64(i + 1), size: 20, next: s.now.Add(time.Duration(i) * 5 * time.Millisecond), answer: answer})
		}
		commits := s.card(20*time.Millisecond, 10*time.Second, all...)
		acked := 0
		for _, w := range all {
			acked += w.acked
		}
		if acked < 50_000 {
			t.Errorf("answering after %v: %d messages and %d commits in 10 s, want at least 50,000 messages", answer, acked, commits)
		}
	}
	s := newStage(t)
	one := &window{token: 1, size: 1, answer: time.Millisecond}
	s.card(5*time.Millisecond, 10*time.Second, one)
	if one.acked < 1000 {
		t.Errorf("%d messages of a window of 1 in 10 s, want one every 8 ms", one.acked)
	}
}

// TestSteadyPublisherBesideWindows: the early commits are those of the publishers that wait.
func TestSteadyPublisherBesideWindows(t *testing.T) {
	s := newStage(t)
	steady, waits := &window{token: 1, pause: time.Millisecond}, &window{token: 2, size: 5}
	s.card(20*time.Millisecond, 5*time.Second, steady, waits)
	if waits.acked < 5*200 {
		t.Errorf("%d messages of the one that waits, want 5 about every 22 ms", waits.acked)
	}
}

// TestSteadyPublisherIsFoundOut: on a fast disk, early commits for another publisher release each message of a steady one
// before the next comes, so that it looks as if it waited for them. Alone, it must be found out.
func TestSteadyPublisherIsFoundOut(t *testing.T) {
	for _, pause := range []time.Duration{3 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 15 * time.Millisecond, 20 * time.Millisecond} {
		for _, sync := range []time.Duration{100 * time.Microsecond, 5 * time.Millisecond, 20 * time.Millisecond} {
			s := newStage(t)
			steady, waits := &window{token: 1, pause: pause}, &window{token: 2, size: 1}
			s.card(sync, 2*time.Second, steady, waits)
			early := s.p.earlies
			s.card(sync, 20*time.Second, steady)
			if n := s.p.earlies - early; n > believed+2 {
				t.Errorf("a message every %v, sync %v: %d early commits in 20 s for one that does not wait, want at most %d", pause, sync, n, believed+2)
			}
		}
	}
}

// TestSteadyPublisherWhenTheLinkBreaks: while the upstream answered, its acknowledgements hid the gaps.
func TestSteadyPublisherWhenTheLinkBreaks(t *testing.T) {
	for _, pause := range []time.Duration{3 * time.Millisecond, 5 * time.Millisecond, 15 * time.Millisecond} {
		s := newStage(t)
		s.p.setUp(1, true, false, s.now)
		for range 1000 {
			n := s.publish(1)
			s.pass(pause)
			s.ack(1, n)
		}
		s.p.setUp(1, false, false, s.now)
		s.card(100*time.Microsecond, 10*time.Second, &window{token: 1, pause: pause})
		if s.p.earlies > 0 {
			t.Errorf("a message every %v: %d early commits for one that does not wait", pause, s.p.earlies)
		}
	}
}

// TestPublishersAreForgotten: connections that came and went leave nothing behind, on a link that needs no commit too.
func TestPublishersAreForgotten(t *testing.T) {
	s := newStage(t)
	s.p.setUp(1, true, false, s.now)
	for i := range 100_000 {
		n := s.publish(uint64(i + 1))
		s.pass(100 * time.Millisecond)
		s.ack(1, n)
	}
	if n := len(s.p.pubs.all); n > 2000 {
		t.Errorf("%d publishers are remembered of those of a minute, about 600", n)
	}
}

// TestEarlyCommitsUntilTheBudgetIsUsedUp lets one publisher with a window of 1 wait for a disk whose sync takes 20 ms: at
// first it waits for the sync, then for gather, and it is said so once. No byte of padding beyond the budget is spent but
// that of the commit which used it up.
func TestEarlyCommitsUntilTheBudgetIsUsedUp(t *testing.T) {
	const budget = 40_000
	inBubble(t, func(c *Config) { c.Pace.FlashBudget = budget }, func(r *rig) {
		other := r.source("other")
		r.settle()
		r.disk.takes = 20 * time.Millisecond
		waited := func() time.Duration {
			start := time.Now()
			e := entry(broker.KindQoS1, "75", other)
			e.Publisher = 1
			first, n := r.Append([]broker.Entry{e})
			if n != 1 {
				t.Fatal("not taken")
			}
			for !r.Settled(first) {
				time.Sleep(time.Millisecond)
			}
			return time.Since(start)
		}
		if got := waited(); got < 120*time.Millisecond {
			t.Errorf("the first message waited %v, want gather and a sync", got)
		}
		for range 5 {
			if got := waited(); got > 25*time.Millisecond {
				t.Errorf("one that sends again at once waited %v, want 2 ms and a sync", got)
			}
		}
		f := r.Flash()
		if f.Early != 5 || f.Spent < 5*3000 || f.Spent > 5*4096 || f.Budget != budget || f.Held {
			t.Errorf("%+v after 5 early commits of a message each, want 5 nearly empty pages spent", f)
		}
		for range 20 {
			waited()
		}
		f = r.Flash()
		if !f.Held || f.Spent < budget || f.Spent > budget+4096 {
			t.Errorf("%+v, want the budget used up", f)
		}
		if got := waited(); got < 120*time.Millisecond {
			t.Errorf("with the budget used up a message waited %v, want gather and a sync", got)
		}
		if n := strings.Count(r.logged.String(), "flash budget used up"); n != 1 {
			t.Errorf("told %d times that the budget is used up, want once", n)
		}
		time.Sleep(61 * time.Minute)
		waited()
		if got := waited(); got > 25*time.Millisecond || r.Flash().Held {
			t.Errorf("an hour later a message waited %v, want no gather", got)
		}
		r.close()
	})
}
