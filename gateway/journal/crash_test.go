package journal

import (
	"bytes"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"weir/bridge"
	"weir/broker"
	"weir/broker/message"
	"weir/broker/packet"
	"weir/buffer"
	"weir/buffer/crashfs"
)

// TestPowerCut cuts power at every operation of a life with outages, refusals and late links, and looks at every disk that
// may be found then: each record that was settled and that the upstream had not acknowledged is there, in order, and
// rules have the numbers that were given out.
func TestPowerCut(t *testing.T) {
	total := 0
	for n, crashed := 1, true; crashed; n++ {
		synctest.Test(t, func(t *testing.T) {
			disk := crashfs.New(16 << 20)
			disk.CrashAt(n)
			l := live(t, disk)
			crashed = disk.Crashed()
			if !crashed {
				return
			}
			total++
			disk.After([]uint64{uint64(n)}, func(o crashfs.Outcome) {
				if err := l.check(t, o.Disk); err != nil {
					t.Errorf("power cut at operation %d, %v %d: %v", n, o.Mode, o.Pick, err)
				}
			})
		})
		if t.Failed() {
			return
		}
	}
	if total < 50 {
		t.Errorf("only %d operations: the test tests little", total)
	}
}

// life is what was promised until power went.
type life struct {
	numbers []uint64 // of record i
	acked   map[uint64]bool
	refused map[uint64]bool
	settled []int // records that were settled at the end
	rules   []uint32
}

// crashConfig is a journal on a disk of the tests.
func crashConfig(disk buffer.FS) Config {
	return Config{Pace: DefaultPace, Buffer: buffer.Options{Dir: "crash", FS: disk, SegmentSize: 64 << 10, MaxSize: 4 << 20}}
}

// openOn opens a journal on a disk of the tests and runs it.
func openOn(t *testing.T, disk buffer.FS) (*rig, error) {
	r := &rig{t: t, logged: &bytes.Buffer{}, told: make(chan struct{}, 1)}
	cfg := crashConfig(disk)
	cfg.Log = slog.New(slog.NewTextHandler(&locked{to: r.logged}, nil))
	j, err := Open(cfg)
	if err != nil {
		return nil, err
	}
	r.Journal = j
	r.run()
	return r, nil
}

// live does what gateways do, until the disk is gone or for some seconds.
func live(t *testing.T, disk *crashfs.Disk) *life {
	l := &life{acked: map[uint64]bool{}, refused: map[uint64]bool{}}
	r, err := openOn(t, disk)
	if err != nil {
		return l // power went while it was opened
	}
	defer r.stop()
	cloud, err := r.Source("cloud")
	if err != nil {
		return l
	}
	if ids, err := r.Intern("cloud", []string{"one", "two"}); err == nil {
		l.rules = ids
	}
	for i := 0; i < 60 && !disk.Crashed(); i++ {
		switch i {
		case 10, 40:
			cloud.Live(true)
		case 30:
			cloud.Live(false)
			cloud.Rewind()
		}
		kind := []broker.Kind{broker.KindQoS1, broker.KindQoS0, broker.KindLocal, broker.KindQoS2Persistent}[i%4]
		first, n := r.Append([]broker.Entry{entry(kind, strconv.Itoa(i), cloud)})
		if n != 1 {
			break
		}
		l.numbers = append(l.numbers, first)
		time.Sleep(time.Duration(20+i%3*100) * time.Millisecond)
		if i >= 10 && i < 30 || i >= 45 {
			l.answer(cloud, i)
		}
	}
	synctest.Wait()
	for i, n := range l.numbers {
		if r.Settled(n) && !l.acked[n] {
			l.settled = append(l.settled, i)
		}
	}
	return l
}

// answer acknowledges what there is, but refuses every seventh record and leaves the newest on its way.
func (l *life) answer(cloud *Source, i int) {
	records := make([]bridge.Record, 5)
	for {
		n, err := cloud.Next(records)
		if err != nil || n == 0 { // the power may be off
			return
		}
		for k := range records[:n] {
			switch number := records[k].Number; {
			case number%7 == 0:
				l.refused[number] = true
				cloud.Refuse(number, packet.UnspecifiedError, message.Stamp{})
			case k < n-1 || i%2 == 0:
				l.acked[number] = true
				cloud.Ack(ranges(number))
			}
		}
	}
}

// check holds a disk against what was promised.
func (l *life) check(t *testing.T, disk *crashfs.Disk) error {
	r, err := openOn(t, disk)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer r.stop()
	cloud, err := r.Source("cloud")
	if err != nil {
		return err
	}
	payloads, _ := r.take(cloud)
	there, last := map[int]bool{}, -1
	for _, p := range payloads {
		i, err := strconv.Atoi(p)
		if err != nil || i <= last {
			return fmt.Errorf("record %q behind %d", p, last)
		}
		there[i], last = true, i
	}
	letters := map[uint64]int{}
	if err := r.DeadLetters("cloud", func(d DeadLetter) bool { letters[d.Record]++; return true }); err != nil {
		return err
	}
	for _, i := range l.settled {
		switch n := l.numbers[i]; {
		case !l.refused[n] && !there[i]:
			return fmt.Errorf("record %d was settled and is lost; there are %v", i, payloads)
		case l.refused[n] && !there[i] && letters[n] != 1:
			return fmt.Errorf("record %d was refused and is %d times among the dead letters %v", i, letters[n], letters)
		}
	}
	for n, times := range letters {
		if times > 1 {
			return fmt.Errorf("record %d is %d times among the dead letters", n, times)
		}
	}
	if l.rules != nil {
		if rules := r.Rules("cloud"); rules[l.rules[0]] != "one" || rules[l.rules[1]] != "two" {
			return fmt.Errorf("rules %v, want one and two as %v", rules, l.rules)
		}
	}
	if _, err := r.Intern("cloud", []string{"three"}); err != nil {
		return err
	}
	r.stop()
	return r.Close()
}
