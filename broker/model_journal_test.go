package broker_test

import (
	"testing"
	"time"

	"weir/broker"
	"weir/buffer"
	"weir/buffer/crashfs"
	"weir/gateway/journal"
)

// The model runs over the real journal too: this package may import it, the broker and its tests may not.
func init() {
	broker.OpenKept = func(t testing.TB, disk any) (broker.Kept, any) {
		if disk == nil {
			disk = crashfs.New(64 << 20)
		}
		const soon = 10 * time.Microsecond // the model looks at what came when it has let that pass
		j, err := journal.Open(journal.Config{
			Pace:   journal.Pace{SpillAfter: soon, Gather: soon, OwnGather: soon, AckFlush: time.Second},
			Buffer: buffer.Options{Dir: "model", FS: disk.(*crashfs.Disk), SegmentSize: 256 << 10, MaxSize: 16 << 20},
		})
		if err != nil {
			t.Fatal(err)
		}
		return j, disk
	}
}
