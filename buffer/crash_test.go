package buffer_test

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"weir/buffer"
	"weir/buffer/crashfs"
)

const diskSize = 64 << 20

// keySeed is the walk that changes keys most of the time.
const keySeed = 1001

// sparseSeed is the walk in which segments come to hold little that is waited for.
const sparseSeed = 1002

// denseSeed is the same with room to grow: the log makes segments dense instead,
// and uses their files again.
const denseSeed = 1003

// choreSeed is keySeed with the chores done beside, now and then.
const choreSeed = 1004

// memorySeed is the walk with destinations for memory only.
const memorySeed = 1005

var small = buffer.Options{Dir: "crashfs", SegmentSize: 64 << 10, MaxSize: 4 << 20, TailSize: 64 << 10}

// size is how many steps the walks take: WEIR_LONG multiplies it.
func size(t *testing.T, usual int) int {
	if n, err := strconv.Atoi(os.Getenv("WEIR_LONG")); err == nil && n > 0 {
		return usual * n
	}
	if testing.Short() || raceEnabled {
		return usual / 3
	}
	return usual
}

// workload runs steps until power goes. It reports whether it came to the end.
func workload(w *world, steps int) (whole bool, err error) {
	if err := w.open(); err != nil {
		return false, ifAlive(w, err)
	}
	for i := range steps {
		if err := w.step(i); err != nil {
			return false, ifAlive(w, err)
		}
	}
	return true, ifAlive(w, w.log.Close())
}

func ifAlive(w *world, err error) error {
	if w.disk.Crashed() {
		return nil
	}
	return err
}

// TestCrashEverywhere cuts power at every operation of workloads and proves,
// on every disk that may be found afterwards, what was promised; then it goes
// on working there, cuts power again, and proves it again.
func TestCrashEverywhere(t *testing.T) {
	capped := small
	capped.MaxSize = 4 * capped.SegmentSize
	wider := small
	wider.MaxSize = 6 * wider.SegmentSize
	type walk struct {
		name  string
		o     buffer.Options
		seed  uint64
		steps int
	}
	packed, packedCapped := small, capped
	packed.Compress, packedCapped.Compress = true, true
	walks := []walk{{"growing", small, 1, 160}, {"capped", capped, 2, 240}, {"keys", capped, keySeed, 200}, {"sparse", wider, sparseSeed, 180}, {"memory", capped, memorySeed, 200}, {"dense", small, denseSeed, 170}, {"chores", wider, choreSeed, 90},
		{"packed", packed, 33, 90}, {"packed-capped", packedCapped, 32, 110}}
	for seed := uint64(3); int(seed) < size(t, 3); seed++ { // one more for each of WEIR_LONG
		walks = append(walks, walk{fmt.Sprintf("growing-%d", seed), small, seed, 100}, walk{fmt.Sprintf("capped-%d", seed), capped, seed, 140})
	}
	for _, v := range walks {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			crashWalk(t, v.o, v.seed, size(t, v.steps))
		})
	}
}

func crashWalk(t *testing.T, o buffer.Options, seed uint64, steps int) {
	fresh := func() *world {
		w := newWorld(crashfs.New(diskSize), o, seed)
		w.keyHeavy = seed == keySeed || seed == choreSeed
		w.sparse = seed == sparseSeed || seed == denseSeed
		w.chores = seed == denseSeed || seed == choreSeed
		w.memory = seed == memorySeed
		return w
	}
	trial := fresh()
	if whole, err := workload(trial, steps); !whole || err != nil {
		t.Fatalf("the workload does not run: %v", err)
	}
	if s := trial.log.Stats(); !raceEnabled && !testing.Short() && (s.Freed == 0 && s.Spared == 0 || s.Dropped == 0 && o.MaxSize < small.MaxSize) {
		t.Errorf("the workload does too little: %+v", s)
	}
	if s := trial.log.Stats(); !raceEnabled && !testing.Short() && (s.Snapshots == 0 || seed == keySeed && s.Snapshots < 3) {
		t.Errorf("%d snapshots of the keys, want more", s.Snapshots)
	}
	if s := trial.log.Stats(); !raceEnabled && !testing.Short() && trial.sparse && s.Rewritten < 3 {
		t.Errorf("%d segments rewritten, want more: %+v", s.Rewritten, s)
	}
	if s := trial.log.Stats(); !raceEnabled && !testing.Short() && o.Compress != (s.Saved > 0) {
		t.Errorf("compress is %v, %d bytes were saved", o.Compress, s.Saved)
	}
	ops := trial.disk.Ops()
	var outcomes atomic.Int64
	next := make(chan int)
	var g sync.WaitGroup
	for range 2 {
		g.Go(func() {
			for at := range next {
				w := fresh()
				w.disk.CrashAt(at)
				if _, err := workload(w, steps); err != nil {
					t.Errorf("operation %d: %v", at, err)
					continue
				}
				w.disk.After([]uint64{uint64(at)}, func(c crashfs.Outcome) {
					outcomes.Add(1)
					where := fmt.Sprintf("power cut at operation %d, %s %d", at, c.Mode, c.Pick)
					afterCrash(t, w.fork(c.Disk, uint64(at)), where, at%2 == 0 || c.Mode >= crashfs.TornPages)
				})
			}
		})
	}
	from := 1
	if trial.sparse && os.Getenv("WEIR_LONG") == "" {
		from = ops * 2 / 3 // what comes before the first rewriting is what the other walks do
	}
	for at := from; at <= ops && !t.Failed(); at++ {
		next <- at
	}
	close(next)
	g.Wait()
	t.Logf("%d operations, %d disks", ops, outcomes.Load())
}

// afterCrash opens the disk, checks, works on and crashes once more.
func afterCrash(t *testing.T, w *world, where string, again bool) {
	if t.Failed() {
		return
	}
	second := 0
	if again {
		second = 1 + w.rng.IntN(24)
		w.disk.CrashAt(second)
	}
	err := w.open()
	if err == nil {
		err = w.check()
	}
	for i := 0; i < 12 && err == nil; i++ {
		err = w.step(i)
	}
	if err == nil {
		err = w.log.Close()
	}
	if !w.disk.Crashed() {
		if err == nil && !again {
			err = reopened(w.fork(w.disk.Clone(), 1))
		}
		if err != nil {
			t.Errorf("%s: %v", where, err)
		}
		return
	}
	w.disk.After([]uint64{uint64(second)}, func(c crashfs.Outcome) {
		if err := reopened(w.fork(c.Disk, 1)); err != nil && !t.Failed() {
			t.Errorf("%s, again at %d, %s %d: %v", where, second, c.Mode, c.Pick, err)
		}
	})
}

func reopened(w *world) error {
	if err := w.open(); err != nil {
		return err
	}
	if err := w.check(); err != nil {
		return err
	}
	if err := w.append(2, 100); err != nil {
		return err
	}
	return w.log.Close()
}
