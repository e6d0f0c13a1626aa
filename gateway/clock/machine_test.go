package clock

import (
	"testing"
	"time"
)

func TestParseBoot(t *testing.T) {
	got, err := parseBoot("0123abcd-4567-89ef-0123-456789abcdef\n")
	if err != nil || got != 0x0123abcd456789ef {
		t.Errorf("got %x, %v", got, err)
	}
	for _, s := range []string{"", "x", "0123abcd-4567-89ef-0123-456789abcde", "0123abcd-4567-89ef-0123-456789abcdef00"} {
		if _, err := parseBoot(s); err == nil {
			t.Errorf("%q was taken for a boot id", s)
		}
	}
}

// TestMachine asks the machine that runs the test.
func TestMachine(t *testing.T) {
	sys, warning := Machine()
	if sys.Boot() == 0 {
		t.Errorf("boot id 0, warning %v", warning)
	}
	again, _ := Machine()
	if same := sys.Boot() == again.Boot(); warning == nil && !same {
		t.Error("two boot ids in one boot")
	}
	a := sys.Since()
	b := sys.Since()
	if a < 0 || b < a {
		t.Errorf("time since boot went from %v to %v", a, b)
	}
	if sys.Wall().IsZero() {
		t.Error("no wall clock")
	}
	c := New(sys, Config{Trust: TrustAlways})
	if s := c.Now(); s.Since < b || c.Trusted() && time.Since(time.Unix(0, s.Wall)).Abs() > time.Minute {
		t.Errorf("stamp %+v at %v", s, time.Now())
	}
	sys.Synchronized() // either answer is right here; it must give one
}

func TestNowDoesNotAllocate(t *testing.T) {
	sys, _ := Machine()
	c := New(sys, Config{Trust: TrustAlways})
	c.Now()
	if n := testing.AllocsPerRun(100, func() { c.Now() }); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkNow(b *testing.B) {
	sys, _ := Machine()
	c := New(sys, Config{Trust: TrustAlways})
	b.ReportAllocs()
	for b.Loop() {
		c.Now()
	}
}

func BenchmarkWall(b *testing.B) {
	sys, _ := Machine()
	c := New(sys, Config{Trust: TrustAlways})
	s := c.Now()
	b.ReportAllocs()
	for b.Loop() {
		c.Wall(s)
	}
}
