package clock

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/broker/message"
)

// What the bridge asks of a clock.
var _ interface {
	Wall(message.Stamp) (time.Time, bool)
	Trusted() bool
} = (*Clock)(nil)

// board is a machine whose clocks the test moves.
type board struct {
	mu     sync.Mutex
	boot   uint64
	since  time.Duration
	wall   time.Time
	synced bool
	looks  int // calls of Synchronized
}

// newBoard starts like a Pi: in 1970, two seconds of kernel behind it.
func newBoard(boot uint64) *board {
	return &board{boot: boot, since: 2 * time.Second, wall: time.Unix(2, 0)}
}

func (b *board) Boot() uint64 { return b.boot }

func (b *board) Since() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.since
}

func (b *board) Wall() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wall
}

func (b *board) Synchronized() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looks++
	return b.synced
}

func (b *board) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since += d
	b.wall = b.wall.Add(d)
}

// set moves the wall clock, as NTP or a person does.
func (b *board) set(t time.Time, synced bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wall, b.synced = t, synced
}

// store is what the gateway keeps of a clock between runs.
type store struct {
	learned   []Offset
	forgotten []uint64
}

func (s *store) config(trust Trust) Config {
	return Config{
		Trust:     trust,
		Learned:   func(boot uint64, offset time.Duration) { s.learned = append(s.learned, Offset{boot, offset}) },
		Forgotten: func(boot uint64) { s.forgotten = append(s.forgotten, boot) },
	}
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func wantWall(t *testing.T, c *Clock, s message.Stamp, want time.Time, wantCertain bool) {
	t.Helper()
	got, certain := c.Wall(s)
	if !got.Equal(want) || certain != wantCertain {
		t.Errorf("stamp %+v is %v, certain %v; want %v, %v", s, got, certain, want, wantCertain)
	}
}

// TestPi is promise P8: readings taken before NTP arrives get the right time.
func TestPi(t *testing.T) {
	b, kept := newBoard(7), &store{}
	c := New(b, kept.config(TrustNTP))
	first := c.Now()
	if first.Boot != 7 || first.Since != 2*time.Second || first.Wall != 0 || c.Trusted() {
		t.Errorf("first stamp %+v, trusted %v, want an untrusted one", first, c.Trusted())
	}
	wantWall(t, c, first, time.Time{}, false) // 1970 is no guess
	if !strings.Contains(c.Why(), "1970-01-01") {
		t.Errorf("why: %q, want what the clock reads", c.Why())
	}

	b.pass(10 * time.Second)
	b.set(noon, false) // systemd lifts the clock to the time of the last shutdown
	b.pass(time.Minute)
	second := c.Now()
	if second.Wall != 0 || !strings.Contains(c.Why(), "NTP has not set") {
		t.Errorf("second stamp %+v, why %q, want an untrusted one", second, c.Why())
	}
	wantWall(t, c, second, noon.Add(time.Minute), false) // a guess, and marked so

	b.pass(time.Minute)
	now := noon.Add(48 * time.Hour)
	b.set(now, true)
	third := c.Now()
	if third.Wall != now.UnixNano() || !c.Trusted() || c.Why() != "" {
		t.Errorf("third stamp %+v, trusted %v, why %q, want a trusted one", third, c.Trusted(), c.Why())
	}
	wantWall(t, c, first, now.Add(-130*time.Second), true)
	wantWall(t, c, second, now.Add(-time.Minute), true)
	wantWall(t, c, third, now, true)
	if want := []Offset{{7, time.Duration(now.UnixNano()) - 132*time.Second}}; !slices.Equal(kept.learned, want) {
		t.Errorf("learned %v, want %v", kept.learned, want)
	}
	if c.Steps() != 0 {
		t.Errorf("%d steps, want 0: the first measurement is none", c.Steps())
	}
}

func TestSecondBoot(t *testing.T) {
	b1, kept := newBoard(1), &store{}
	c := New(b1, kept.config(TrustNTP))
	early := c.Now()
	b1.set(noon, true)
	b1.pass(time.Second)
	c.Now()
	b1.pass(time.Hour)

	lost := newBoard(2) // a boot that never saw NTP
	never := New(lost, Config{}).Now()

	b3 := newBoard(3)
	c = New(b3, Config{})
	for _, o := range kept.learned {
		c.Load(o.Boot, o.Offset)
	}
	wantWall(t, c, early, noon, true)
	wantWall(t, c, never, time.Time{}, false)
	trustedThen := message.Stamp{Boot: 4, Since: 1, Wall: noon.UnixNano()} // its offset is no longer kept
	wantWall(t, c, trustedThen, noon, true)
	if c.Trusted() {
		t.Error("another boot's offset made this boot trusted")
	}
	b3.set(noon.Add(5*time.Hour), true)
	b3.pass(time.Second)
	if !c.Trusted() {
		t.Errorf("not trusted: %s", c.Why())
	}
	wantWall(t, c, never, time.Time{}, false)
	offsets := c.Offsets()
	if len(offsets) != 2 || offsets[0].Boot != 1 || offsets[1].Boot != 3 {
		t.Errorf("offsets %v, want those of boots 1 and 3 in order", offsets)
	}
}

func TestFloor(t *testing.T) {
	b := newBoard(1)
	b.set(time.Date(2025, 12, 31, 23, 59, 0, 0, time.UTC), true)
	c := New(b, Config{Trust: TrustAlways})
	if c.Trusted() {
		t.Error("a clock of last year is trusted")
	}
	b.pass(time.Minute)
	if !c.Trusted() {
		t.Errorf("not trusted: %s", c.Why())
	}
	c = New(b, Config{})
	c.Raise(noon)
	c.Raise(noon.Add(-time.Hour))
	b.pass(time.Second)
	if c.Trusted() || !strings.Contains(c.Why(), "before 2026-11-22T12:00:00Z") {
		t.Errorf("trusted before the newest time of the store, why %q", c.Why())
	}
	b.set(noon, true)
	b.pass(time.Second)
	if !c.Trusted() {
		t.Errorf("not trusted: %s", c.Why())
	}
}

func TestAlways(t *testing.T) {
	b := newBoard(1)
	b.set(noon, false)
	if c := New(b, Config{Trust: TrustAlways}); !c.Trusted() {
		t.Errorf("not trusted: %s", c.Why())
	}
}

// TestNetworkAway: the kernel takes its word back after hours without NTP.
func TestNetworkAway(t *testing.T) {
	b, kept := newBoard(1), &store{}
	b.set(noon, true)
	c := New(b, kept.config(TrustNTP))
	c.Now()
	b.set(noon.Add(9*time.Hour), false)
	b.mu.Lock()
	b.since += 9 * time.Hour
	b.mu.Unlock()
	if s := c.Now(); s.Wall != noon.Add(9*time.Hour).UnixNano() {
		t.Errorf("stamp %+v, want a trusted one: %s", s, c.Why())
	}
	// The process starts again in the same boot.
	c = New(b, Config{})
	c.Load(kept.learned[0].Boot, kept.learned[0].Offset)
	if !c.Trusted() {
		t.Errorf("after a restart: not trusted: %s", c.Why())
	}
	// Somebody sets the clock by hand, without NTP.
	before := c.Now()
	b.set(b.Wall().Add(24*time.Hour), false)
	b.pass(time.Second)
	after := c.Now()
	if after.Wall != 0 || !strings.Contains(c.Why(), "moved without NTP") {
		t.Errorf("stamp %+v, why %q, want an untrusted one", after, c.Why())
	}
	wantWall(t, c, before, noon.Add(9*time.Hour), true)
	wantWall(t, c, after, noon.Add(9*time.Hour+time.Second), true) // by the offset of this boot
}

func TestSteps(t *testing.T) {
	b, kept := newBoard(1), &store{}
	early := New(b, Config{}).Now()
	b.set(noon, true)
	c := New(b, kept.config(TrustNTP))
	first := c.Now()

	b.pass(time.Hour)
	b.set(b.Wall().Add(5*time.Millisecond), true) // no more than noise
	c.Now()
	if c.Steps() != 0 || len(kept.learned) != 1 {
		t.Errorf("%d steps, learned %v, want none and one", c.Steps(), kept.learned)
	}

	b.set(b.Wall().Add(3*time.Second), true) // a correction of a crystal's drift
	b.pass(time.Second)
	second := c.Now()
	if c.Steps() != 1 || len(kept.learned) != 2 {
		t.Errorf("%d steps, learned %v, want one and two", c.Steps(), kept.learned)
	}
	wantWall(t, c, first, noon, true) // it was right when it was taken
	wantWall(t, c, early, noon.Add(3005*time.Millisecond), true)
	wantWall(t, c, second, b.Wall(), true)

	b.set(b.Wall().Add(-40*24*time.Hour), true) // the clock had been set wrong: the offset counts
	b.pass(time.Second)
	third := c.Now()
	if c.Steps() != 2 {
		t.Errorf("%d steps, want 2", c.Steps())
	}
	wantWall(t, c, third, b.Wall(), true)
	wantWall(t, c, second, b.Wall().Add(-time.Second), true)
}

func TestTrustIsLookedAtOncePerSecond(t *testing.T) {
	b := newBoard(1)
	b.set(noon, true)
	c := New(b, Config{})
	for range 1000 {
		c.Now()
		c.Wall(message.Stamp{Boot: 1})
		b.pass(time.Millisecond)
	}
	if b.looks != 1 {
		t.Errorf("looked %d times within a second, want once", b.looks)
	}
	c.Now()
	if b.looks != 2 {
		t.Errorf("looked %d times after a second, want twice", b.looks)
	}
}

func TestBootsAreBounded(t *testing.T) {
	b, kept := newBoard(1000), &store{}
	c := New(b, kept.config(TrustNTP))
	c.Load(1000, 1) // the running boot stays, even if it looks like the oldest
	for i := range 100 {
		c.Load(uint64(i+1), time.Duration(100-i))
	}
	offsets := c.Offsets()
	if len(offsets) != maxBoots || offsets[0].Boot != 1000 || len(kept.forgotten) != 101-maxBoots {
		t.Errorf("%d offsets, first %v, forgotten %v", len(offsets), offsets[0], kept.forgotten)
	}
	if slices.Contains(kept.forgotten, 1) || !slices.Contains(kept.forgotten, 100) {
		t.Errorf("forgotten %v, want the oldest boots", kept.forgotten)
	}
}

func TestLearnedMayUseTheClock(t *testing.T) {
	b := newBoard(1)
	b.set(noon, true)
	var c *Clock
	var seen message.Stamp
	c = New(b, Config{Learned: func(uint64, time.Duration) { seen = c.Now() }})
	c.Now()
	if seen.Wall == 0 {
		t.Error("Learned was not called, or before the clock was trusted")
	}
}

func TestConcurrent(t *testing.T) {
	b := newBoard(1)
	b.set(noon, true)
	c := New(b, Config{Learned: func(uint64, time.Duration) {}})
	var g sync.WaitGroup
	for range 4 {
		g.Go(func() {
			for range 500 {
				s := c.Now()
				if at, certain := c.Wall(s); !certain || at.Before(noon) {
					t.Errorf("stamp %+v is %v, certain %v", s, at, certain)
					return
				}
				b.pass(100 * time.Millisecond)
			}
		})
	}
	g.Go(func() {
		for range 100 {
			c.Load(2, 3)
			c.Raise(noon)
			c.Offsets()
			c.Why()
		}
	})
	g.Wait()
}

func TestParseTrust(t *testing.T) {
	for _, want := range []Trust{TrustNTP, TrustAlways} {
		if got, err := ParseTrust(want.String()); got != want || err != nil {
			t.Errorf("%v became %v, %v", want, got, err)
		}
	}
	if _, err := ParseTrust("never"); err == nil || !strings.Contains(err.Error(), `"never", want "ntp" or "always"`) {
		t.Errorf("error %v", err)
	}
	if s := Trust(9).String(); s != "trust(9)" {
		t.Errorf("got %q", s)
	}
}

// slow is a board on which the process is interrupted while it reads the clocks.
type slow struct {
	*board
	reads int
}

func (s *slow) Wall() time.Time {
	s.reads++
	wall := s.board.Wall()
	if s.reads == 1 {
		s.pass(300 * time.Millisecond)
	}
	return wall
}

func TestMeasureInterrupted(t *testing.T) {
	s := &slow{board: newBoard(1)}
	s.set(noon, true)
	c := New(s, Config{})
	if got := c.Now(); got.Wall == 0 {
		t.Fatal("not trusted")
	}
	if offset := c.Offsets()[0].Offset; offset != time.Duration(noon.UnixNano())-2*time.Second {
		t.Errorf("offset is wrong by %v", offset-time.Duration(noon.UnixNano())+2*time.Second)
	}
}
