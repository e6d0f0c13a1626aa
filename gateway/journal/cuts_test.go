package journal

import (
	"testing"
	"testing/synctest"

	"weir/buffer/crashfs"
)

// trial is a life of clients that a power cut may end.
type trial struct {
	whole func(t *testing.T, disk *crashfs.Disk)       // judges a life that no cut ended
	after func(t *testing.T, disk *crashfs.Disk) error // goes on with a copy of the clients on a disk found after the cut
}

// cutEverywhere lives a life again and again, with the power cut at each operation in turn, and looks at every disk that may be found
// then. A life of fewer operations than least tests little, which is a failure.
func cutEverywhere(t *testing.T, least int, live func(t *testing.T, disk *crashfs.Disk) trial) {
	t.Helper()
	total := 0
	for n, crashed := 1, true; crashed; n++ {
		synctest.Test(t, func(t *testing.T) {
			disk := crashfs.New(16 << 20)
			disk.CrashAt(n)
			s := live(t, disk)
			if crashed = disk.Crashed(); !crashed {
				s.whole(t, disk)
				return
			}
			total++
			disk.After([]uint64{uint64(n)}, func(o crashfs.Outcome) {
				if err := s.after(t, o.Disk); err != nil {
					t.Errorf("power cut at operation %d, %v %d: %v", n, o.Mode, o.Pick, err)
				}
			})
		})
		if t.Failed() {
			return
		}
	}
	if total < least {
		t.Errorf("only %d operations: the test tests little", total)
	}
}
