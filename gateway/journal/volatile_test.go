package journal

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker"
)

// volatile opens a journal without a data directory and runs it.
func volatile(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, logged: &bytes.Buffer{}, told: make(chan struct{}, 1)}
	j, err := OpenVolatile(Config{Pace: DefaultPace, Log: slog.New(slog.NewTextHandler(&locked{to: r.logged}, nil))}, syscall.EROFS)
	if err != nil {
		t.Fatalf("open volatile: %v", err)
	}
	r.Journal = j
	r.run()
	return r
}

// TestVolatile: without a data directory, what upstreams acknowledge is settled and nothing else, and the cause is told.
func TestVolatile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := volatile(t)
		if !r.Volatile() {
			t.Error("does not say that it is volatile")
		}
		if err, _ := r.Err(); !errors.Is(err, syscall.EROFS) {
			t.Errorf("err %v from the start, want the cause", err)
		}
		cloud, other := r.source("cloud"), r.source("other")
		ids, err := r.Intern("cloud", []string{"a", strings.Repeat("b", 100<<10)})
		if len(ids) != 2 || !errors.Is(err, syscall.EROFS) || len(r.Rules("cloud")) != 2 {
			t.Errorf("interned %v, err %v, rules %d: want two numbers to go on with, and the cause", ids, err, len(r.Rules("cloud")))
		}
		cloud.Live(true)
		a, b := r.record(broker.KindQoS1, cloud), r.record(broker.KindQoS1, other)
		if _, n := r.Append([]broker.Entry{entry(broker.KindQoS1, strings.Repeat("x", 1<<20), cloud)}); n != 1 {
			t.Error("a message of 1 MiB is not taken")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		r.wantSettled(false, a, b)
		r.ackAll(cloud)
		synctest.Wait()
		r.wantSettled(true, a)
		r.wantSettled(false, b)
		if !r.heard() {
			t.Error("not notified of what the upstream acknowledged")
		}
		if err, _ := r.Err(); !errors.Is(err, syscall.EROFS) {
			t.Errorf("err %v after failing for an hour, want the cause", err)
		}
		other.Live(true)
		r.ackAll(other)
		r.wantSettled(true, b)
		r.stop()
		if err := r.Close(); err != nil {
			t.Errorf("close: %v, want nil: that there is no disk is known", err)
		}
		if n := strings.Count(r.logged.String(), "does not take writes"); n != 1 {
			t.Errorf("said %d times that the store takes no writes, want once:\n%s", n, r.logged)
		}
	})
}
