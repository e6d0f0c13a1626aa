package bridge

import (
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func testLink() *link {
	return &link{
		timing: timing{minWait: time.Second, maxWait: 120 * time.Second, stableAfter: time.Minute, clockDeadline: 2 * time.Minute},
		random: func() float64 { return 0.5 },
	}
}

type move struct {
	after   time.Duration // since the move before
	event   event
	cause   cause
	clock   bool
	action  action
	state   state
	waits   time.Duration // until link.until
	comment string
}

// The table is the diagram: events, and what they lead to.
func TestLinkSteps(t *testing.T) {
	for _, test := range []struct {
		name  string
		clock bool
		moves []move
	}{
		{"straight up and down", false, []move{
			{0, started, none, true, resolve, resolving, 0, ""},
			{0, stepped, none, true, dial, dialling, 0, ""},
			{0, stepped, none, true, connect, connecting, 0, ""},
			{0, stepped, none, true, serve, up, 0, ""},
			{0, stopped, none, true, hang, idle, 0, ""},
		}},
		{"each step can fail; the pause grows and is capped", false, []move{
			{0, started, none, true, resolve, resolving, 0, ""},
			{0, failed, broken, true, wait, waiting, 2 * time.Second, "1 + half of 3*1-1"},
			{time.Second, due, none, true, nothing, waiting, time.Second, "not yet due"},
			{time.Second, due, none, true, resolve, resolving, 0, ""},
			{0, stepped, none, true, dial, dialling, 0, ""},
			{0, failed, broken, true, wait, waiting, 3500 * time.Millisecond, "1 + half of 3*2-1"},
			{time.Minute, due, none, true, resolve, resolving, 0, ""},
			{0, stepped, none, true, dial, dialling, 0, ""},
			{0, stepped, none, true, connect, connecting, 0, ""},
			{0, failed, broken, true, wait, waiting, 5750 * time.Millisecond, "1 + half of 3*3.5-1"},
		}},
		{"lost early: the pause goes on growing", false, []move{
			{0, started, none, true, resolve, resolving, 0, ""},
			{0, stepped, none, true, dial, dialling, 0, ""},
			{0, stepped, none, true, connect, connecting, 0, ""},
			{0, stepped, none, true, serve, up, 0, ""},
			{59 * time.Second, lost, broken, true, wait, waiting, 2 * time.Second, ""},
			{2 * time.Second, due, none, true, resolve, resolving, 0, ""},
			{0, stepped, none, true, dial, dialling, 0, ""},
			{0, stepped, none, true, connect, connecting, 0, ""},
			{0, stepped, none, true, serve, up, 0, ""},
			{time.Second, lost, broken, true, wait, waiting, 3500 * time.Millisecond, ""},
		}},
		{"lost after a stable minute: again at once, and the pause starts over", false, []move{
			{0, started, none, true, resolve, resolving, 0, ""},
			{0, stepped, none, true, dial, dialling, 0, ""},
			{0, stepped, none, true, connect, connecting, 0, ""},
			{0, stepped, none, true, serve, up, 0, ""},
			{time.Minute, lost, stalled, true, wait, waiting, 500 * time.Millisecond, "within MinWait"},
			{time.Second, due, none, true, resolve, resolving, 0, ""},
			{0, failed, broken, true, wait, waiting, 2 * time.Second, ""},
		}},
		{"refused credentials are tried slowly", false, []move{
			{0, started, none, true, resolve, resolving, 0, ""},
			{0, stepped, none, true, dial, dialling, 0, ""},
			{0, stepped, none, true, connect, connecting, 0, ""},
			{0, failed, denied, true, wait, waiting, 60 * time.Second, "30 + half of 3*30-30"},
			{time.Hour, due, none, true, resolve, resolving, 0, ""},
			{0, stepped, none, true, dial, dialling, 0, ""},
			{0, stepped, none, true, connect, connecting, 0, ""},
			{0, failed, denied, true, wait, waiting, 105 * time.Second, ""},
		}},
		{"TLS waits for the clock, and then goes on without it", true, []move{
			{0, started, none, false, wait, waiting, time.Second, ""},
			{time.Second, due, none, false, wait, waiting, time.Second, ""},
			{118500 * time.Millisecond, due, none, false, wait, waiting, 500 * time.Millisecond, "the deadline is nearer"},
			{500 * time.Millisecond, due, none, false, resolve, resolving, 0, "after two minutes"},
			{0, failed, broken, false, wait, waiting, 2 * time.Second, ""},
			{2 * time.Second, due, none, false, resolve, resolving, 0, "patience is had once"},
		}},
		{"TLS goes as soon as there is a clock", true, []move{
			{0, started, none, false, wait, waiting, time.Second, ""},
			{time.Second, due, none, true, resolve, resolving, 0, ""},
		}},
		{"late events change nothing", false, []move{
			{0, stepped, none, true, nothing, idle, 0, ""},
			{0, lost, broken, true, nothing, idle, 0, ""},
			{0, started, none, true, resolve, resolving, 0, ""},
			{0, started, none, true, nothing, resolving, 0, ""},
			{0, lost, broken, true, nothing, resolving, 0, ""},
			{0, stopped, none, true, hang, idle, 0, ""},
			{0, failed, broken, true, nothing, idle, 0, ""},
			{0, due, none, true, nothing, idle, 0, ""},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, now := testLink(), epoch
			l.needClock = test.clock
			for i, m := range test.moves {
				now = now.Add(m.after)
				got := l.step(m.event, m.cause, m.clock, now)
				if got != m.action || l.state != m.state {
					t.Fatalf("move %d: action %d, state %s, want action %d, state %s", i, got, l.state, m.action, m.state)
				}
				if wait := l.until.Sub(now); l.state == waiting && wait != m.waits {
					t.Fatalf("move %d: waits %s, want %s (%s)", i, wait, m.waits, m.comment)
				}
			}
		})
	}
}

// Whatever the random numbers, a pause stays between MinWait and MaxWait, and for refused credentials between 30 and
// 600 seconds.
func TestLinkPauseBounds(t *testing.T) {
	for _, r := range []float64{0, 0.3, 0.999999} {
		for _, c := range []cause{broken, denied} {
			l := testLink()
			l.random, l.cause = func() float64 { return r }, c
			least, most := time.Second, 120*time.Second
			if c == denied {
				least, most = 30*time.Second, 600*time.Second
			}
			longest := time.Duration(0)
			for range 50 {
				d := l.pause()
				if d < least || d > most {
					t.Fatalf("random %v, cause %d: pause %s, want %s to %s", r, c, d, least, most)
				}
				longest = max(longest, d)
			}
			if r > 0.9 && longest != most {
				t.Errorf("cause %d: longest pause %s, want the cap %s to be reached", c, longest, most)
			}
		}
	}
}

func TestLinkWords(t *testing.T) {
	for _, test := range []struct {
		link                                link
		draining, stall, throttled, refused bool
		want                                string
	}{
		{link: link{state: idle}, want: Offline},
		{link: link{state: waiting, cause: broken}, want: Offline},
		{link: link{state: dialling, cause: denied}, want: Refused},
		{link: link{state: waiting, forClock: true}, want: NoClock},
		{link: link{state: waiting, cause: stalled}, stall: true, want: Stalled},
		{link: link{state: up}, want: Connected},
		{link: link{state: up}, draining: true, want: Draining},
		{link: link{state: up}, draining: true, stall: true, want: Stalled},
		{link: link{state: up}, draining: true, throttled: true, want: Throttled},
		{link: link{state: up}, throttled: true, refused: true, want: Refused},
		{link: link{state: waiting, cause: broken}, refused: true, want: Offline},
	} {
		if got := test.link.word(test.draining, test.stall, test.throttled, test.refused); got != test.want {
			t.Errorf("%+v: %q, want %q", test, got, test.want)
		}
	}
}
