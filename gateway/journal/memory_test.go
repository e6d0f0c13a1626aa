package journal

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"weir/bridge"
	"weir/broker"
	"weir/buffer"
)

// inFiles tells whether a file of the data directory holds the text.
func (r *rig) inFiles(text string) bool {
	r.t.Helper()
	names, err := filepath.Glob(filepath.Join(r.dir, "*"))
	if err != nil || len(names) == 0 {
		r.t.Fatal(names, err)
	}
	for _, name := range names {
		p, err := os.ReadFile(name)
		if err != nil {
			r.t.Fatal(err)
		}
		if bytes.Contains(p, []byte(text)) {
			return true
		}
	}
	return false
}

// dropped is what was given up for a source in memory.
func (r *rig) dropped(s *Source) uint64 {
	for _, c := range r.Log().Stats().Consumers {
		if c.ID == s.ID() {
			return c.Drops[buffer.DropMemory]
		}
	}
	return 0
}

// TestMemoryOutage: with the link of a "memory" rule down, 10,000 messages cost no write and fill no tail, while those of
// another rule among them are kept; the newest leave, in order, when the link is back.
func TestMemoryOutage(t *testing.T) {
	const messages, every = 10_000, 500
	inBubble(t, func(c *Config) { c.Buffer.TailSize = 512 << 10 }, func(r *rig) {
		cloud, other := r.source("cloud"), r.source("other") // both down
		r.SetDurability(cloud.ID(), 1, MemoryOnly)
		r.settle()
		before := r.Log().Stats()
		for i := range messages {
			if _, n := r.Append([]broker.Entry{entry(broker.KindQoS1, fmt.Sprintf("fleeting-%05d", i), cloud)}); n != 1 {
				t.Fatalf("message %d finds no room", i)
			}
			if i%100 == 0 {
				time.Sleep(time.Second)
			}
		}
		synctest.Wait()
		if s := r.Log().Stats(); s.Written != before.Written || s.Syncs != before.Syncs {
			t.Errorf("%d bytes were written in %d syncs, want none", s.Written-before.Written, s.Syncs-before.Syncs)
		}
		for i := range messages {
			to := cloud
			if i%every == 0 {
				to = other
			}
			first, n := r.Append([]broker.Entry{entry(broker.KindQoS1, fmt.Sprintf("fleeting-%05d", messages+i), to)})
			if n != 1 {
				t.Fatalf("message %d finds no room", messages+i)
			}
			if to == other {
				time.Sleep(DefaultPace.Gather)
				synctest.Wait()
			}
			r.wantSettled(true, first)
		}
		s := r.Log().Stats()
		if stored := s.Stored - before.Stored; stored != messages/every {
			t.Errorf("%d records were written, want the %d of the other rule", stored, messages/every)
		}
		cloud.Live(true)
		payloads, numbers := r.take(cloud)
		if n := uint64(len(payloads)) + r.dropped(cloud); n != 2*messages-messages/every || r.dropped(cloud) == 0 {
			t.Errorf("%d messages came and %d are counted as dropped, want %d in all", len(payloads), r.dropped(cloud), 2*messages-messages/every)
		}
		for i := range payloads[1:] {
			if payloads[i] >= payloads[i+1] || numbers[i] >= numbers[i+1] {
				t.Fatalf("%s came before %s", payloads[i], payloads[i+1])
			}
		}
		r.close()
		if r.inFiles("fleeting-00000") || r.inFiles(payloads[0]) || r.inFiles(payloads[len(payloads)-1]) {
			t.Error("a message for memory only is on the disk")
		}
	})
}

// TestMemoryBesideAuto: an upstream that is down, with a "memory" rule, makes no message of an answering one late, and none
// of it is written.
func TestMemoryBesideAuto(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud, away := r.source("cloud"), r.source("away")
		r.SetDurability(away.ID(), 1, MemoryOnly)
		cloud.Live(true)
		since := r.settle()
		for range 100 {
			n := r.record(broker.KindQoS1, away, cloud)
			r.wantSettled(false, n)
			time.Sleep(DefaultPace.SpillAfter / 4)
			r.ackAll(cloud)
			r.wantSettled(true, n)
		}
		away.Live(true) // goes away with messages on their way
		r.take(away)
		n := r.record(broker.KindQoS1, cloud, away)
		away.Live(false)
		time.Sleep(DefaultPace.SpillAfter * 3 / 4)
		synctest.Wait()
		r.ackAll(cloud)
		r.wantSettled(true, n)
		time.Sleep(time.Hour)
		synctest.Wait()
		r.wantSyncs(since, 0)
		away.Live(true)
		away.Rewind()
		if payloads, numbers := r.take(away); len(payloads) != 101 {
			t.Errorf("%d messages came, want 101", len(payloads))
		} else {
			away.Ack([]bridge.Range{{First: numbers[0], Last: numbers[100]}})
		}
		if s := r.Log().Stats(); s.InMemory != 0 || s.TailBytes > 128<<10 {
			t.Errorf("%d messages, %d bytes are left in memory", s.InMemory, s.TailBytes)
		}
		r.close()
	})
}

// TestMemoryFromExactlyOnce: what a publisher sends at QoS 2 in a session that lasts is not written for a "memory" rule, but
// its packet id is, before PUBREC.
func TestMemoryFromExactlyOnce(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		r.SetDurability(cloud.ID(), 1, MemoryOnly)
		r.settle()
		e := entry(broker.KindQoS2Persistent, "fleeting", cloud)
		e.Key = "id/pump/7"
		n, _ := r.Append([]broker.Entry{e})
		r.wantSettled(false, n)
		time.Sleep(DefaultPace.Gather)
		synctest.Wait()
		r.wantSettled(true, n)
		if payloads, _ := r.take(cloud); len(payloads) != 1 {
			t.Errorf("%d messages came, want 1", len(payloads))
		}
		r.close()
		if r.inFiles("fleeting") || !r.inFiles("id/pump/7") {
			t.Error("the message is on the disk, or its packet id is not")
		}
	})
}
