package journal

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"weir/broker"
	"weir/buffer"
)

// TestTailFull: what does not fit is not taken; a commit starts at once, notify tells of the room it made, and what is
// offered again then is kept as everything else.
func TestTailFull(t *testing.T) {
	inBubble(t, func(c *Config) { c.Buffer.TailSize = 64 << 10 }, func(r *rig) {
		cloud := r.source("cloud")
		r.settle()
		var batch []broker.Entry
		var want []string
		for i := range 100 {
			want = append(want, fmt.Sprintf("%d %s", i, strings.Repeat("x", 1000)))
			batch = append(batch, entry(broker.KindQoS1, want[i], cloud))
		}
		release := r.disk.hold()
		first, n := r.Append(batch)
		if n == 0 || n == len(batch) {
			t.Fatalf("took %d of %d, want some", n, len(batch))
		}
		if _, more := r.Append(batch[n:]); more != 0 {
			t.Errorf("took %d more although the tail is full", more)
		}
		if r.heard() {
			t.Error("notified before anything changed")
		}
		release()
		synctest.Wait()
		if !r.heard() {
			t.Fatal("not notified of room")
		}
		taken := []buffer.Range{{First: first, Last: first + uint64(n) - 1}}
		for left := batch[n:]; len(left) > 0; left = left[n:] {
			first, n = r.Append(left)
			taken = append(taken, buffer.Range{First: first, Last: first + uint64(n) - 1})
			synctest.Wait()
			if n == 0 && !r.heard() {
				t.Fatal("no room, and no commit makes any")
			}
		}
		r.settle()
		for i, one := range taken {
			r.wantSettled(true, one.First, one.Last)
			if i > 0 && one.First <= taken[i-1].Last {
				t.Errorf("number %#x after %#x, want rising ones", one.First, taken[i-1].Last)
			}
		}
		if got, _ := r.take(cloud); !slices.Equal(got, want) {
			t.Errorf("%d of %d records are there, or not in order", len(got), len(want))
		}
		r.close()
	})
}
