package journal

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker"
	"weir/broker/packet"
	"weir/buffer/crashfs"
)

// TestHealthySessionCostsNoWrite: a stored session whose subscriber acknowledges promptly costs no write for QoS 1, and a
// stream of retained values costs few in RetainFlush: one for the value, one for positions of what it took along.
func TestHealthySessionCostsNoWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := openLocal(t, crashfs.New(64<<20))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { l.end(); l.Close() }()
		sub, pub := newPeer("sub"), newPeer("pub")
		sub.connect(l, false)
		sub.write(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("n/#"), QoS: 1}}})
		pub.connect(l, false)
		defer func() { sub.close(); pub.close() }()
		time.Sleep(20 * time.Second) // positions and keys of the beginning are written
		before := l.Log().Stats()
		for i := range 1000 {
			pub.publish("n/x", strconv.Itoa(i), 1, false)
			time.Sleep(5 * time.Millisecond)
		}
		synctest.Wait()
		if after := l.Log().Stats(); after.Commits != before.Commits || after.Spared-before.Spared != 1000 {
			t.Errorf("%d commits and %d of 1000 spared, want none and all", after.Commits-before.Commits, after.Spared-before.Spared)
		}
		if len(sub.got) != 1000 || len(pub.acked) != 1000 {
			t.Errorf("%d came, %d were acknowledged, want 1000", len(sub.got), len(pub.acked))
		}
		pub.publish("n/value", "first", 1, true)
		time.Sleep(20 * time.Second)
		before = l.Log().Stats()
		for i := range 3000 { // a minute; RetainFlush is 10 s here
			pub.publish("n/value", strconv.Itoa(i), 1, true)
			time.Sleep(20 * time.Millisecond)
		}
		synctest.Wait()
		if n := l.Log().Stats().Commits - before.Commits; n < 3 || n > 24 {
			t.Errorf("%d commits for a minute of values, want one or two every 5 s", n)
		}
	})
}

// TestSessionThatIsAwayIsWritten: records for a queue without a subscriber are gathered and written, and the queue that comes
// back has to prove itself first.
func TestSessionThatIsAwayIsWritten(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		q, err := r.Queue("session/1")
		if err != nil {
			t.Fatal(err)
		}
		r.settle()
		first := r.queued(q, 1)
		time.Sleep(DefaultPace.Gather + time.Millisecond)
		synctest.Wait()
		r.wantSettled(true, first)
		q.Live(true)
		second := r.queued(q, 1)
		time.Sleep(DefaultPace.Gather + time.Millisecond)
		synctest.Wait()
		r.wantSettled(true, second) // not answering yet
		if n, _, err := q.Next(newQueued(4), true); n != 2 || err != nil {
			t.Errorf("%d messages, %v, want 2", n, err)
		}
		q.Ack([]uint64{first, second})
		if n, bytes := q.Waiting(); n != 0 || bytes != 0 {
			t.Errorf("%d messages of %d bytes wait, want none", n, bytes)
		}
		r.DropQueue("session/1")
		r.Queues(func(name string) bool { t.Errorf("queue %s is left", name); return true })
	})
}

// TestQueueReadsMemoryOnly: without leave to read the disk a queue gives what is in memory, and says when the next is not.
func TestQueueReadsMemoryOnly(t *testing.T) {
	r := open(t, t.TempDir(), nil)
	defer r.close()
	q, err := r.Queue("session/1")
	if err != nil {
		t.Fatal(err)
	}
	dst := newQueued(4)
	a := r.queued(q, 1)
	if n, onDisk, err := q.Next(dst, false); n != 1 || onDisk || err != nil || dst[0].Number != a || string(dst[0].Data) != "\x01" {
		t.Fatalf("%d, on disk %v, %v: %+v, want the record in memory", n, onDisk, err, dst[0])
	}
	if err := r.Commit(); err != nil {
		t.Fatal(err)
	}
	b := r.queued(q, 2)
	if err := r.Commit(); err != nil {
		t.Fatal(err)
	}
	c := r.queued(q, 1)
	if n, onDisk, err := q.Next(dst, false); n != 0 || !onDisk || err != nil {
		t.Errorf("%d, on disk %v, %v, want nothing but that it is on the disk", n, onDisk, err)
	}
	if n, _, err := q.Next(dst[:1], true); n != 1 || err != nil || dst[0].Number != b {
		t.Errorf("%d, %v: %+v, want record %d", n, err, dst[0], b)
	}
	if n, onDisk, err := q.Next(dst, false); n != 1 || onDisk || err != nil || dst[0].Number != c {
		t.Errorf("%d, on disk %v, %v: %+v, want record %d", n, onDisk, err, dst[0], c)
	}
	q.Rewind()
	if n, onDisk, _ := q.Next(dst, false); n != 0 || !onDisk {
		t.Errorf("after Rewind: %d, on disk %v", n, onDisk)
	}
}

func newQueued(n int) []broker.Queued { return make([]broker.Queued, n) }

// queued appends one message for a queue.
func (r *rig) queued(q broker.Queue, qos byte) uint64 {
	r.t.Helper()
	e := entry(broker.KindQoS1, strconv.Itoa(r.next))
	e.Sessions = []broker.SessionHit{{Queue: q.ID(), QoS: qos, Data: []byte{qos}}}
	first, n := r.Append([]broker.Entry{e})
	if n != 1 {
		r.t.Fatalf("append took %d records, want 1", n)
	}
	r.next++
	return first
}

// TestDropsOfAFullQueueAreKept: a message that a queue has no room for is acknowledged when its count is durable.
func TestDropsOfAFullQueueAreKept(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		q, err := r.Queue("session/1")
		if err != nil {
			t.Fatal(err)
		}
		r.settle()
		drop := func(also ...broker.RouteHit) (uint64, bool) {
			e := entry(broker.KindQoS1, "x")
			e.Routes = also
			e.Sessions = []broker.SessionHit{{Queue: q.ID(), QoS: 1, Drop: true, Data: []byte{1}}}
			batch := []broker.Entry{e}
			first, n := r.Append(batch)
			if n != 1 {
				t.Fatalf("append took %d records, want 1", n)
			}
			return first, batch[0].Refused
		}
		alone, refused := drop()
		if !refused {
			t.Error("nobody took it, and it is not refused")
		}
		cloud := r.source("cloud")
		other, refused := drop(broker.RouteHit{Upstream: cloud.ID(), Rule: 1})
		if refused {
			t.Error("an upstream takes it, and it is refused")
		}
		r.wantSettled(false, alone)
		r.settle()
		r.wantSettled(true, alone)
		r.wantSettled(true, other)
		if n, _ := q.Waiting(); n != 0 {
			t.Errorf("%d messages wait in the queue, want none", n)
		}
		if b := r.log.Stats().Consumers; b[0].Backlog.Dropped != 2 || b[1].Backlog.Records != 1 {
			t.Errorf("%+v, want 2 dropped for the queue and 1 record for the upstream", b)
		}
	})
}
