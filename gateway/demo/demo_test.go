package demo

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"weir/sensors/chip"
)

// TestRun runs the whole demo: nothing is lost through the outage, nothing is left behind, and it says so.
func TestRun(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	before := runtime.NumGoroutine()
	var out bytes.Buffer
	r, err := Run(t.Context(), Options{For: 4 * time.Second, Out: &out, Drivers: chip.Drivers, Version: "test"})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if r.Lost != 0 || r.Outages != 1 || r.Taken < 30 || r.Arrived != r.Taken {
		t.Errorf("%+v, want at least 30 taken, all of them arrived, one outage\n%s", r, out.String())
	}
	last := out.String()[strings.LastIndex(strings.TrimRight(out.String(), "\n"), "\n")+1:]
	if !regexp.MustCompile(`^\d+ readings taken, \d+ arrived, 0 lost, \d+ repeated, in 1 outage of the upstream\.\n$`).MatchString(last) {
		t.Errorf("the last line is %q", last)
	}
	for _, want := range []string{"weir demo: simulated", "the upstream broker is gone", "the upstream broker is back"} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("%q stands not once in\n%s", want, out.String())
		}
	}
	nothingLeft(t, before)
}

// TestRunEndsEarly: a demo that is interrupted delivers what it took, also while the upstream is away, and ends.
func TestRunEndsEarly(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &watched{text: "the upstream broker is gone", seen: cancel}
	begin := time.Now()
	r, err := Run(ctx, Options{For: 8 * time.Second, Out: out, Terminal: true, Width: 60, Drivers: chip.Drivers})
	if err != nil || r.Lost != 0 || r.Taken == 0 || r.Outages != 1 {
		t.Errorf("%+v, %v, want nothing lost in one outage\n%s", r, err, out.all.String())
	}
	if took := time.Since(begin); took > 14*time.Second {
		t.Errorf("took %v", took)
	}
	for line := range strings.Lines(out.all.String()) {
		if strings.Contains(line, "\x1b[2K") && len([]rune(line[strings.LastIndex(line, "\x1b[2K")+4:])) > 60 {
			t.Errorf("line wider than the terminal: %q", line)
		}
	}
	nothingLeft(t, before)
}

// watched calls seen when a text was written. The view writes from one goroutine at a time.
type watched struct {
	all  bytes.Buffer
	text string
	seen func()
}

func (w *watched) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.text)) {
		w.seen()
	}
	return w.all.Write(p)
}

// nothingLeft checks that no file and no goroutine is left.
func nothingLeft(t *testing.T, before int) {
	t.Helper()
	files, err := os.ReadDir(os.TempDir())
	if err != nil || len(files) > 0 {
		t.Errorf("left in the temporary directory: %v, %v", files, err)
	}
	over := time.After(5 * time.Second)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for runtime.NumGoroutine() > before {
		select {
		case <-look.C:
		case <-over:
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
