package journal

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker"
)

// TestHealthyLinkCostsNoDiskWrite is promise P7: nothing is written for messages that are acknowledged in time.
func TestHealthyLinkCostsNoDiskWrite(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		cloud.Live(true)
		since, written := r.settle(), r.Log().Stats().Written
		last := uint64(0)
		for range 200 {
			for range 50 {
				last = r.record(broker.KindQoS1, cloud)
				time.Sleep(time.Millisecond)
			}
			r.ackAll(cloud)
		}
		synctest.Wait()
		r.wantSettled(true, last, last-9_999)
		r.wantSyncs(since, 0)
		time.Sleep(time.Hour)
		r.wantSyncs(since, 0)
		if got := r.Log().Stats().Written; got != written {
			t.Errorf("%d bytes written for messages that were acknowledged in time, want none", got-written)
		}
		r.close()
	})
}

// TestHealthyUpstreamForTenMinutes: 200 messages a second at QoS 1 from one publisher, acknowledged by an upstream 20 ms
// away; no message causes a commit, and each is settled when it is acknowledged.
func TestHealthyUpstreamForTenMinutes(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		cloud.Live(true)
		since, before := r.settle(), r.Log().Stats()
		const pause, away = 5 * time.Millisecond, 20 * time.Millisecond
		var sent []uint64
		acked := 0
		for range int(10 * time.Minute / pause) {
			e := entry(broker.KindQoS1, "75", cloud)
			e.Publisher = 1
			first, n := r.Append([]broker.Entry{e})
			if n != 1 {
				t.Fatal("not taken")
			}
			sent = append(sent, first)
			r.take(cloud)
			time.Sleep(pause)
			if len(sent)-acked == int(away/pause) {
				cloud.Ack(ranges(sent[acked]))
				r.wantSettled(true, sent[acked])
				r.wantSettled(false, sent[acked+1])
				acked++
			}
		}
		for _, n := range sent[acked:] {
			cloud.Ack(ranges(n))
		}
		time.Sleep(time.Hour)
		r.wantSyncs(since, 0)
		after := r.Log().Stats()
		if after.Written != before.Written || after.Commits != before.Commits || after.Spared-before.Spared != 120_000 {
			t.Errorf("%d bytes in %d commits, %d messages spared; want none, none and 120,000",
				after.Written-before.Written, after.Commits-before.Commits, after.Spared-before.Spared)
		}
		r.close()
	})
}

// TestOutageGroupsCommits: with the link down, a thousand messages a second cost ten syncs a second.
func TestOutageGroupsCommits(t *testing.T) {
	inBubble(t, func(c *Config) { c.Buffer.SegmentSize = 16 << 20 }, func(r *rig) {
		cloud := r.source("cloud")
		since := r.disk.count()
		var numbers []uint64
		for range 2_000 {
			numbers = append(numbers, r.record(broker.KindQoS1, cloud))
			time.Sleep(time.Millisecond)
			if n := len(numbers); n > 102 {
				r.wantSettled(true, numbers[n-103]) // no later than gather after it came
			}
		}
		time.Sleep(DefaultPace.Gather)
		synctest.Wait()
		r.wantSettled(true, numbers[len(numbers)-1])
		// One more for each new segment would be right, but they all fit one here; opening it takes some.
		if got := r.disk.count() - since; got < 15 || got > 25 {
			t.Errorf("%d syncs in two seconds of a thousand messages each, want about 20", got)
		}
		r.close()
	})
}

// TestLateLink: what is not acknowledged within spill_after is written, and from then on records are gathered, until
// acknowledgements have come in time for a second.
func TestLateLink(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		cloud.Live(true)
		a := r.record(broker.KindQoS1, cloud)
		time.Sleep(DefaultPace.SpillAfter - time.Millisecond)
		synctest.Wait()
		r.wantSettled(false, a)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		r.wantSettled(true, a)

		b := r.record(broker.KindQoS1, cloud)
		time.Sleep(DefaultPace.Gather)
		synctest.Wait()
		r.wantSettled(true, b) // gathered, not waited for

		r.ackAll(cloud)
		for range 60 { // in time for more than a second
			r.record(broker.KindQoS1, cloud)
			time.Sleep(20 * time.Millisecond)
			r.ackAll(cloud)
		}
		time.Sleep(10 * time.Second) // positions and all
		since := r.disk.count()
		c := r.record(broker.KindQoS1, cloud)
		time.Sleep(DefaultPace.SpillAfter - time.Millisecond)
		synctest.Wait()
		r.wantSettled(false, c)
		r.ackAll(cloud)
		r.wantSettled(true, c)
		time.Sleep(time.Minute)
		r.wantSyncs(since, 0)
		r.close()
	})
}

// TestDrainingLinkIsNotAnswering: a link that acknowledges old records, but not the new ones behind them, does not make
// publishers wait for it.
func TestDrainingLinkIsNotAnswering(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		for range 500 {
			r.record(broker.KindQoS1, cloud)
		}
		time.Sleep(time.Second)
		cloud.Live(true)
		_, backlog := r.take(cloud)
		for i := range 250 {
			cloud.Ack(ranges(backlog[2*i : 2*i+2]...))
			if i%15 > 0 {
				time.Sleep(100 * time.Millisecond)
				continue
			}
			a := r.record(broker.KindQoS1, cloud)
			time.Sleep(DefaultPace.Gather)
			synctest.Wait()
			if !r.Settled(a) {
				t.Fatalf("after %v of draining a record waits for a link that has a backlog before it", time.Duration(i)*100*time.Millisecond)
			}
		}
		r.close()
	})
}

// TestLinkGoingDownWritesWhatWaits: records that waited for acknowledgements are written within gather.
func TestLinkGoingDownWritesWhatWaits(t *testing.T) {
	inBubble(t, func(c *Config) { c.Pace.SpillAfter = time.Hour }, func(r *rig) {
		cloud := r.source("cloud")
		cloud.Live(true)
		a := r.record(broker.KindQoS1, cloud)
		time.Sleep(time.Minute)
		synctest.Wait()
		r.wantSettled(false, a)
		cloud.Live(false)
		time.Sleep(DefaultPace.Gather)
		synctest.Wait()
		r.wantSettled(true, a)
		r.close()
	})
}

// TestOneLinkOfTwoDown: the destination that is down decides.
func TestOneLinkOfTwoDown(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud, other := r.source("cloud"), r.source("other")
		cloud.Live(true)
		a := r.record(broker.KindQoS1, cloud, other)
		time.Sleep(DefaultPace.Gather)
		synctest.Wait()
		r.wantSettled(true, a)
		b := r.record(broker.KindQoS1, cloud) // and the other one is not marked by it
		time.Sleep(DefaultPace.SpillAfter - time.Millisecond)
		synctest.Wait()
		r.wantSettled(false, b)
		r.close()
	})
}

// TestOwnReadingsGatherLonger: two seconds, unless something else is written first.
func TestOwnReadingsGatherLonger(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		since := r.disk.count()
		a := r.record(broker.KindLocal, cloud)
		time.Sleep(DefaultPace.OwnGather - time.Millisecond)
		synctest.Wait()
		r.wantSettled(false, a)
		r.wantSyncs(since, 0)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		r.wantSettled(true, a)

		b := r.record(broker.KindLocal, cloud)
		r.record(broker.KindQoS1, cloud)
		time.Sleep(DefaultPace.Gather)
		synctest.Wait()
		r.wantSettled(true, b)
		r.close()
	})
}

// TestPositions: acknowledgements of stored records are written within ack_flush, at the end of a backlog soon.
func TestPositions(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		for range 10 {
			r.record(broker.KindQoS1, cloud)
		}
		time.Sleep(time.Second)
		cloud.Live(true)
		_, numbers := r.take(cloud)
		since := r.disk.count()
		cloud.Ack(ranges(numbers[:5]...))
		time.Sleep(DefaultPace.AckFlush - time.Millisecond)
		synctest.Wait()
		r.wantSyncs(since, 0)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		r.wantSyncs(since, 1)
		cloud.Ack(ranges(numbers[5:]...))
		time.Sleep(DefaultPace.Gather)
		synctest.Wait()
		r.wantSyncs(since, 2)
		time.Sleep(time.Hour)
		r.wantSyncs(since, 2)
		r.close()
	})
}

// TestDrainInOneAcknowledgement: a backlog that is acknowledged at one stroke is drained too.
func TestDrainInOneAcknowledgement(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		for range 10 {
			r.record(broker.KindQoS1, cloud)
		}
		time.Sleep(time.Second)
		cloud.Live(true)
		_, numbers := r.take(cloud)
		since := r.disk.count()
		cloud.Ack(ranges(numbers...))
		time.Sleep(DefaultPace.Gather)
		synctest.Wait()
		r.wantSyncs(since, 1)
		r.close()
	})
}

// TestPositionsDoNotKeepALinkWriting: under traffic that always leaves something in the tail, writing positions changes
// positions; so those of a few records wait for a better moment, those of many do not.
func TestPositionsDoNotKeepALinkWriting(t *testing.T) {
	for _, stored := range []int{1, looseMost + 50} {
		t.Run(fmt.Sprint(stored), func(t *testing.T) { keepsWriting(t, stored) })
	}
}

func keepsWriting(t *testing.T, stored int) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		for range stored {
			r.record(broker.KindQoS1, cloud)
		}
		time.Sleep(time.Second) // written
		cloud.Live(true)
		since := 0
		r.record(broker.KindQoS1, cloud)
		for i := range 60_000 { // ten minutes
			if i == 200 { // the link counts as answering by now
				since = r.disk.count()
			}
			r.record(broker.KindQoS1, cloud)
			time.Sleep(10 * time.Millisecond)
			_, numbers := r.take(cloud)
			cloud.Ack(ranges(numbers[:len(numbers)-1]...)) // the newest is always on its way
			cloud.Rewind()
		}
		if got, loose := r.disk.count()-since, r.Log().Loose(); got != 0 || loose > looseMost {
			t.Errorf("%d syncs in ten minutes of a healthy link, want none; %d positions wait, want at most %d", got, loose, looseMost)
		}
		r.close()
	})
}
