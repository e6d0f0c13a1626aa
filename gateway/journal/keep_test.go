package journal

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/bridge"
	"weir/broker"
	"weir/broker/message"
	"weir/broker/packet"
	"weir/buffer/crashfs"
)

// TestNothingIsSettledBeforeItsCommit: while the disk does not say that the block is on it, no number of it is settled.
func TestNothingIsSettledBeforeItsCommit(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud") // down
		r.record(broker.KindQoS1, cloud)
		time.Sleep(time.Second)
		r.heard()

		release := r.disk.hold()
		a, b := r.record(broker.KindQoS1, cloud), r.record(broker.KindQoS0, cloud)
		for range 50 {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			r.wantSettled(false, a, b)
		}
		if r.heard() {
			t.Error("notified while the sync had not returned")
		}
		c := r.record(broker.KindQoS1, cloud) // during the commit: not part of it
		release()
		synctest.Wait()
		r.wantSettled(true, a, b)
		if !r.heard() {
			t.Error("not notified after the commit")
		}
		time.Sleep(DefaultPace.Gather)
		synctest.Wait()
		r.wantSettled(true, c)
		r.close()
	})
}

// TestFailedSyncSettlesNothing: after a failed sync nothing is settled, what upstreams acknowledge is, the rest is tried
// again, and the cause is told until a commit succeeds.
func TestFailedSyncSettlesNothing(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud, other := r.source("cloud"), r.source("other")
		cloud.Live(true)
		a := r.record(broker.KindQoS1, other)
		b := r.record(broker.KindQoS1, cloud)
		r.disk.failNext(1)
		before := time.Now()
		time.Sleep(150 * time.Millisecond)
		synctest.Wait()
		r.wantSettled(false, a, b)
		err, since := r.Err()
		if !errors.Is(err, errSync) {
			t.Fatalf("err %v, want %v", err, errSync)
		}
		if got := since.Sub(before); got != 100*time.Millisecond {
			t.Errorf("failing since %v after the append, want 100ms", got)
		}
		r.ackAll(cloud)
		r.wantSettled(true, b)
		r.wantSettled(false, a)
		time.Sleep(retryFirst)
		synctest.Wait()
		r.wantSettled(true, a, b)
		if err, _ := r.Err(); err != nil {
			t.Errorf("err %v after a commit that succeeded, want nil", err)
		}
		if text := r.logged.String(); strings.Count(text, "does not take writes") != 1 || strings.Count(text, "takes writes again") != 1 {
			t.Errorf("log says\n%swant one line at each change", text)
		}
		r.close()
	})
}

// TestFailingStoreIsTriedLessAndLess: at most every ten seconds, and never given up.
func TestFailingStoreIsTriedLessAndLess(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		r.disk.failNext(1 << 30)
		a := r.record(broker.KindQoS1, cloud)
		since := r.disk.count()
		time.Sleep(time.Minute)
		tries := r.disk.count() - since
		if tries < 8 || tries > 40 {
			t.Errorf("%d syncs in a minute of failures, want about ten", tries)
		}
		r.wantSettled(false, a)
		r.disk.failNext(0)
		time.Sleep(retryMax)
		synctest.Wait()
		r.wantSettled(true, a)
		r.close()
	})
}

// TestSettledNeedsEveryDestination: one acknowledgement of two settles nothing.
func TestSettledNeedsEveryDestination(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud, other := r.source("cloud"), r.source("other")
		cloud.Live(true)
		other.Live(true)
		since := r.settle()
		a := r.record(broker.KindQoS1, cloud, other)
		r.ackAll(cloud)
		synctest.Wait()
		r.wantSettled(false, a)
		if r.heard() {
			t.Error("notified although nothing was settled")
		}
		r.ackAll(other)
		synctest.Wait()
		r.wantSettled(true, a)
		if !r.heard() {
			t.Error("not notified of what the last upstream acknowledged")
		}
		time.Sleep(time.Minute)
		r.wantSyncs(since, 0)
		r.close()
	})
}

// TestMustBeWritten: rules that ask for disk, and messages of a persistent session at QoS 2, are settled by their commit
// alone, however soon they are acknowledged.
func TestMustBeWritten(t *testing.T) {
	for _, c := range []struct {
		name string
		d    Durability
		kind broker.Kind
	}{{"disk", DiskAlways, broker.KindQoS1}, {"qos 2 persistent", Auto, broker.KindQoS2Persistent}, {"as published, qos 2", AutoAsPublished, broker.KindQoS2Clean}} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, nil, func(r *rig) {
				cloud := r.source("cloud")
				r.SetDurability(cloud.ID(), 1, c.d)
				cloud.Live(true)
				since := r.disk.count()
				a := r.record(c.kind, cloud)
				r.ackAll(cloud)
				synctest.Wait()
				r.wantSettled(false, a)
				time.Sleep(DefaultPace.Gather)
				synctest.Wait()
				r.wantSettled(true, a)
				if r.disk.count() == since {
					t.Error("settled without a sync")
				}
				r.close()
			})
		})
	}
}

// TestMemoryIsNeverWritten: a rule with durability "memory" opts out of being kept: nobody waits for it, and the disk
// does not see it.
func TestMemoryIsNeverWritten(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud") // down
		r.SetDurability(cloud.ID(), 1, MemoryOnly)
		since := r.disk.count()
		a := r.record(broker.KindQoS1, cloud)
		time.Sleep(time.Hour)
		synctest.Wait()
		r.wantSyncs(since, 0)
		r.wantSettled(true, a)
		cloud.Live(true)
		if payloads, _ := r.take(cloud); len(payloads) != 1 {
			t.Errorf("the link that is back finds %d records, want 1", len(payloads))
		}
		r.close()
	})
}

// TestTooLargeForTheLog: a message that the log can never take does not stop what comes after it, and is told.
func TestTooLargeForTheLog(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		first, n := r.Append([]broker.Entry{
			entry(broker.KindQoS1, "before", cloud),
			entry(broker.KindQoS1, strings.Repeat("x", 200<<10), cloud), // segments are of 256 KiB
			entry(broker.KindQoS1, "after", cloud),
		})
		if n != 3 {
			t.Fatalf("took %d of 3: the publisher waits for ever", n)
		}
		time.Sleep(DefaultPace.Gather)
		synctest.Wait()
		r.wantSettled(true, first, first+1, first+2)
		payloads, numbers := r.take(cloud)
		if strings.Join(payloads, " ") != "before after" || numbers[1] != first+2 {
			t.Errorf("records %.40q, numbers %x, want before and after", payloads, numbers)
		}
		if !strings.Contains(r.logged.String(), "too large") {
			t.Errorf("log says %q, want that a message was too large", r.logged.String())
		}
		r.close()
	})
}

// TestCloseCommitsTheTail: what was appended right before is there afterwards.
func TestCloseCommitsTheTail(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		for range 5 {
			r.record(broker.KindLocal, cloud)
		}
		r.close()
		again := open(t, r.dir, nil)
		payloads, _ := again.take(again.source("cloud"))
		if got := strings.Join(payloads, " "); got != "0 1 2 3 4" {
			t.Errorf("after the reopening: %q, want all five in order", got)
		}
		again.close()
	})
}

// TestRefusedIsKept: a record that an upstream refused stays across a reopening; later ones pass it.
func TestRefusedIsKept(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		cloud.Live(true)
		a, b := r.record(broker.KindQoS1, cloud), r.record(broker.KindQoS1, cloud)
		if payloads, _ := r.take(cloud); len(payloads) != 2 {
			t.Fatalf("%d records, want 2", len(payloads))
		}
		cloud.Refuse(a, packet.NotAuthorized, message.Stamp{})
		cloud.Ack([]bridge.Range{{First: b, Last: b}})
		synctest.Wait()
		r.wantSettled(false, a) // a refusal keeps nothing
		r.wantSettled(true, b)
		time.Sleep(DefaultPace.Gather)
		synctest.Wait()
		r.wantSettled(true, a)
		if !strings.Contains(r.logged.String(), "refused") {
			t.Error("the log does not say that a message was refused")
		}
		r.close()

		again := open(t, r.dir, nil)
		cloud = again.source("cloud")
		again.record(broker.KindQoS1, cloud)
		payloads, _ := again.take(cloud)
		if got := strings.Join(payloads, " "); got != "0" {
			t.Errorf("after the reopening: %q, want the new one alone", got)
		}
		if b := cloud.Backlog(); b.Aside != 0 || b.Dead != 1 || b.Records != 1 {
			t.Errorf("backlog %+v, want one dead letter and one waiting", b)
		}
		again.close()
	})
}

// TestRuleNumbersStay: a rule's text has its number for good.
func TestRuleNumbersStay(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		ids, err := r.Intern("cloud", []string{"a", "b", "a"})
		if err != nil || ids[0] == ids[1] || ids[0] != ids[2] || ids[0] == 0 {
			t.Fatalf("ids %v, err %v, want two different ones", ids, err)
		}
		r.stop()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		again := open(t, r.dir, nil)
		more, err := again.Intern("cloud", []string{"c", "b", "a"})
		if err != nil || more[1] != ids[1] || more[2] != ids[0] || more[0] == ids[0] || more[0] == ids[1] {
			t.Errorf("ids %v after %v, err %v: want the old numbers for the old texts, a new one for the new", more, ids, err)
		}
		other, err := again.Intern("cloud2", []string{"x"})
		if err != nil || len(again.Rules("cloud2")) != 1 || again.Rules("cloud2")[other[0]] != "x" {
			t.Errorf("rules of cloud2: %v, err %v, want one of its own", again.Rules("cloud2"), err)
		}
		rules := again.Rules("cloud")
		if len(rules) != 3 || rules[ids[0]] != "a" || rules[ids[1]] != "b" || rules[more[0]] != "c" {
			t.Errorf("rules %v", rules)
		}
		again.close()
	})
}

// TestRulesThatDoNotFit: what cannot be kept is an error, not a number without a text.
func TestRulesThatDoNotFit(t *testing.T) {
	inBubble(t, func(c *Config) { c.Buffer.SegmentSize = 64 << 10 }, func(r *rig) {
		ids, err := r.Intern("cloud", []string{"short", strings.Repeat("x", 20<<10)})
		if err == nil {
			t.Errorf("ids %v without an error, for a text beyond what the log holds", ids)
		}
		r.close()
	})
}

// TestRepeatsLeaveOutWhatNeededNoDisk: after a crash a stored record comes again if its position was not written yet, and
// those behind it that the upstream acknowledged before a commit took them do not: they are settled, and nowhere.
func TestRepeatsLeaveOutWhatNeededNoDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := crashfs.New(16 << 20)
		r, err := openOn(t, disk)
		if err != nil {
			t.Fatal(err)
		}
		defer r.stop()
		cloud := r.source("cloud")
		r.record(broker.KindQoS1, cloud)
		stored := r.record(broker.KindQoS1, cloud)
		time.Sleep(DefaultPace.Gather)
		synctest.Wait()
		r.wantSettled(true, stored)
		cloud.Live(true)
		r.ackAll(cloud) // their positions are written within ack_flush
		spared := r.record(broker.KindQoS1, cloud)
		r.ackAll(cloud)
		r.wantSettled(true, spared)
		r.wantAfterPowerCut(disk, "cloud", "0", "1")
	})
}
