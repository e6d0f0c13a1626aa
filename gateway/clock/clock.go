package clock

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/broker/message"
)

const (
	checkEvery = time.Second
	noise      = 10 * time.Millisecond // movements below it are not told from measuring
	maxDrift   = time.Minute           // corrections above it mean that the clock was set wrong
	maxBoots   = 64
)

// sourceFloor is a time that has passed: no clock that reads less is right.
var sourceFloor = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A System is what a Clock asks of its machine. Its methods must be quick and
// safe for concurrent use; they are called with a lock held.
type System interface {
	Boot() uint64         // the first eight bytes of the boot id, never 0
	Since() time.Duration // time since the boot, time asleep included
	Wall() time.Time      // what the wall clock reads, right or wrong
	Synchronized() bool   // whether NTP vouches for it
}

// Trust says when a wall clock may be believed.
type Trust uint8

const (
	TrustNTP    Trust = iota // "ntp": once NTP has set it in this boot
	TrustAlways              // "always": as long as it is not behind the floor
)

// ParseTrust reads "ntp" or "always".
func ParseTrust(s string) (Trust, error) {
	switch s {
	case "ntp":
		return TrustNTP, nil
	case "always":
		return TrustAlways, nil
	}
	return 0, fmt.Errorf("trust %q, want \"ntp\" or \"always\"", s)
}

// String is the word ParseTrust reads.
func (t Trust) String() string {
	switch t {
	case TrustNTP:
		return "ntp"
	case TrustAlways:
		return "always"
	}
	return fmt.Sprintf("trust(%d)", uint8(t))
}

// Config is what New needs. The zero value is usable.
type Config struct {
	Trust Trust
	// Learned is told the offset of the running boot each time it is measured
	// anew, Forgotten a boot that is no longer kept. Both may be nil. They run in
	// the goroutine that asked the clock something, without a lock held, and
	// should be quick; they may use the clock.
	Learned   func(boot uint64, offset time.Duration)
	Forgotten func(boot uint64)
}

// An Offset is the Unix time at which a boot began.
type Offset struct {
	Boot   uint64
	Offset time.Duration // since 1970-01-01T00:00:00Z
}

// A Clock gives out stamps and resolves them. Safe for concurrent use.
type Clock struct {
	sys  System
	cfg  Config
	boot uint64

	checked atomic.Int64 // Since of the last check of trust, -1 before the first
	live    atomic.Int64 // offset by which stamps get a wall time, 0 while not trusted
	steps   atomic.Uint64

	mu    sync.Mutex               // guards the fields below
	boots map[uint64]time.Duration // offsets learnt
	floor time.Time
	why   string // the clock is not trusted, "" if it is
}

// New returns the clock of a system. The offsets of earlier runs are given to
// it with Load, the newest time of the store with Raise, before stamps are taken.
func New(sys System, cfg Config) *Clock {
	c := &Clock{sys: sys, cfg: cfg, boot: sys.Boot(), floor: sourceFloor,
		boots: map[uint64]time.Duration{}, why: "not looked at yet"}
	c.checked.Store(-1)
	return c
}

// Load brings back an offset that Learned was once told. The oldest boots are
// forgotten when there are too many.
func (c *Clock) Load(boot uint64, offset time.Duration) {
	c.mu.Lock()
	c.boots[boot] = offset
	gone := c.trim()
	c.mu.Unlock()
	c.forget(gone)
}

// Raise tells the clock a time that has certainly passed, such as the newest
// trusted time of a stored record. It never lowers the floor.
func (c *Clock) Raise(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.floor) {
		c.floor = t
	}
}

// Offsets returns the offsets of all boots that are known, oldest boot first.
func (c *Clock) Offsets() []Offset {
	c.mu.Lock()
	all := make([]Offset, 0, len(c.boots))
	for boot, offset := range c.boots {
		all = append(all, Offset{boot, offset})
	}
	c.mu.Unlock()
	slices.SortFunc(all, func(a, b Offset) int { return cmp.Compare(a.Offset, b.Offset) })
	return all
}

// Now is the stamp of this moment. It costs one system call and does not allocate.
func (c *Clock) Now() message.Stamp {
	since := c.sys.Since()
	c.refresh(since)
	s := message.Stamp{Boot: c.boot, Since: since}
	if offset := c.live.Load(); offset != 0 {
		s.Wall = offset + int64(since)
	}
	return s
}

// Trusted reports whether stamps taken now carry a wall time.
func (c *Clock) Trusted() bool {
	c.refresh(c.sys.Since())
	return c.live.Load() != 0
}

// Why says why the clock is not trusted, "" if it is.
func (c *Clock) Why() string {
	c.refresh(c.sys.Since())
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// Steps counts how often the trusted clock was found moved since New.
func (c *Clock) Steps() uint64 { return c.steps.Load() }

// Wall is the time of a stamp. If that is not certain, t is what the wall clock
// says of a stamp of the running boot, provided the clock is not behind the
// floor, and otherwise zero: there is no guess.
func (c *Clock) Wall(s message.Stamp) (t time.Time, certain bool) {
	c.refresh(c.sys.Since())
	c.mu.Lock()
	offset, known := c.boots[s.Boot]
	floor := c.floor
	c.mu.Unlock()
	byBoot := int64(offset) + int64(s.Since)
	switch {
	case s.Wall != 0 && (!known || apart(byBoot, s.Wall) <= maxDrift):
		return time.Unix(0, s.Wall), true
	case known:
		return time.Unix(0, byBoot), true
	case s.Boot == c.boot:
		if measured := c.measure(); !time.Unix(0, int64(measured)).Before(floor) {
			return time.Unix(0, int64(measured)+int64(s.Since)), false
		}
	}
	return time.Time{}, false
}

func apart(a, b int64) time.Duration {
	return time.Duration(max(a, b) - min(a, b))
}
