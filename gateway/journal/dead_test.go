package journal

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker"
	"weir/broker/message"
	"weir/broker/packet"
	"weir/buffer"
)

// letters lists the dead letters of an upstream.
func (r *rig) letters(upstream string) (all []string, numbers []uint64) {
	r.t.Helper()
	err := r.DeadLetters(upstream, func(l DeadLetter) bool {
		all = append(all, fmt.Sprintf("%s %s %s rule %d at %d", l.Message.Topic, l.Message.Payload, l.Reason, l.Rule, l.Refused.Since))
		numbers = append(numbers, l.Number)
		return true
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return all, numbers
}

// Dead letters say what was refused, why and when, also after a restart; they can be sent again, and dropped.
func TestDeadLetters(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		var refused []uint64
		for range 3 {
			refused = append(refused, r.record(broker.KindQoS1, cloud))
		}
		r.take(cloud)
		for i, n := range refused {
			cloud.Refuse(n, packet.NotAuthorized, message.Stamp{Boot: 7, Since: 10, Wall: int64(i)})
		}
		r.settle()
		synctest.Wait()
		r.close()

		again := open(t, r.dir, nil)
		cloud = again.source("cloud")
		all, numbers := again.letters("cloud")
		if want := "/Home/Floor1/Room1/Temperature 1 not authorized rule 1 at 10"; len(all) != 3 || all[1] != want {
			t.Fatalf("letters %q, want three, the second %q", all, want)
		}
		if n, err := again.Replay("cloud", numbers[1]); n != 1 || err != nil {
			t.Fatalf("replayed %d, %v", n, err)
		}
		if n, err := again.Drop("cloud", numbers[0], numbers[1], 12345); n != 1 || err != nil {
			t.Fatalf("dropped %d, %v", n, err)
		}
		payloads, _ := again.take(cloud)
		left, _ := again.letters("cloud")
		if fmt.Sprint(payloads) != "[1]" || len(left) != 1 || !strings.Contains(left[0], " 2 ") {
			t.Errorf("waits %v, letters %q", payloads, left)
		}
		again.close()

		last := open(t, r.dir, nil)
		defer last.close()
		if b := last.source("cloud").Backlog(); b.Records != 1 || b.Dead != 1 || b.Aside != 0 {
			t.Errorf("backlog %+v", b)
		}
		if n, err := last.Replay("cloud"); n != 1 || err != nil {
			t.Errorf("replayed %d of all, %v", n, err)
		}
		if _, err := last.Drop("nobody"); err == nil {
			t.Error("an unknown upstream is no error")
		}
	})
}

// A letter that the queue of its upstream refuses for a limit stays a letter.
func TestReplayIntoAFullQueue(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		n := r.record(broker.KindQoS1, cloud)
		r.take(cloud)
		cloud.Refuse(n, packet.NotAuthorized, message.Stamp{Boot: 7, Since: 10})
		r.settle()
		synctest.Wait()
		for _, c := range []buffer.Limits{{MaxBytes: 1, Newest: true}, {}} {
			consumer, err := r.Log().Consumer("bridge/cloud")
			if err != nil {
				t.Fatal(err)
			}
			consumer.SetLimits(c)
			n, err := r.Replay("cloud")
			left, _ := r.letters("cloud")
			if full := c.Newest; full != (err != nil) || full != (n == 0) || full != (len(left) == 1) {
				t.Errorf("limits %+v: replayed %d, %v; %d letters left", c, n, err, len(left))
			}
		}
		r.close()
	})
}

// Letters take a sixteenth of the log at most; the oldest go, and are counted for good.
func TestDeadLettersAreBounded(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Pace: DefaultPace, Buffer: buffer.Options{Dir: dir, SegmentSize: 64 << 10, MaxSize: 1 << 20}, Log: slog.New(slog.DiscardHandler)}
	j, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cloud, err := j.Source("cloud")
	if err != nil {
		t.Fatal(err)
	}
	const total = 40
	r := &rig{t: t, Journal: j}
	for i := range total {
		first, n := j.Append([]broker.Entry{entry(broker.KindQoS1, fmt.Sprint(i, strings.Repeat(" ", 4000)), cloud)})
		if n != 1 {
			t.Fatal("the tail is full")
		}
		r.take(cloud)
		cloud.Refuse(first, packet.QuotaExceeded, message.Stamp{})
		if err := j.Commit(); err != nil {
			t.Fatal(err)
		}
		j.bury()
		j.log.Chores() // as Run does
	}
	b := cloud.Backlog()
	if b.Dead < 10 || b.Dead+b.DeadDropped != total || b.Aside != 0 {
		t.Errorf("backlog %+v, want %d in all", b, total)
	}
	if letters := j.log.Stats().MaxSize / deadShare; cloud.dead.c.Backlog().Bytes > letters {
		t.Errorf("%d bytes of letters, limit %d", cloud.dead.c.Backlog().Bytes, letters)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if cloud, err = j.Source("cloud"); err != nil {
		t.Fatal(err)
	}
	if again := cloud.Backlog(); again.Dead != b.Dead || again.DeadDropped != b.DeadDropped {
		t.Errorf("after a restart %+v, want %+v", again, b)
	}
}

// While the store takes no writes a refused record stays set aside and its publisher is not answered; then it is moved.
func TestRefusedWhileTheStoreFails(t *testing.T) {
	inBubble(t, nil, func(r *rig) {
		cloud := r.source("cloud")
		cloud.Live(true)
		n := r.record(broker.KindQoS1, cloud)
		r.take(cloud)
		r.disk.failNext(1 << 20)
		cloud.Refuse(n, packet.NotAuthorized, message.Stamp{})
		time.Sleep(time.Second)
		synctest.Wait()
		r.wantSettled(false, n)
		r.bury() // whatever it is called for
		if b := cloud.Backlog(); b.Aside != 1 {
			t.Errorf("backlog %+v while the store fails, want it set aside", b)
		}
		r.disk.failNext(0)
		r.settle()
		synctest.Wait()
		r.wantSettled(true, n)
		if b := cloud.Backlog(); b.Aside != 0 || b.Dead != 1 {
			t.Errorf("backlog %+v, want it moved", b)
		}
		r.close()
	})
}
