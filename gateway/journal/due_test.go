package journal

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker/packet"
	"weir/buffer/crashfs"
)

// TestPowerCutWhileRetainedIsDue cuts power at every operation while retained messages go to a new subscription of a session that lasts. If
// the subscription was answered it gets all that were acknowledged, those of QoS 2 once.
func TestPowerCutWhileRetainedIsDue(t *testing.T) {
	cutEverywhere(t, 20, func(t *testing.T, disk *crashfs.Disk) trial {
		s := dueLife(t, disk)
		whole := func(t *testing.T, disk *crashfs.Disk) {
			disk.CrashAt(1 << 30)
			if err := s.check(t, disk); err != nil || len(s.sub.values) < dueTopics {
				t.Errorf("the whole life: %d of %d values, %v", len(s.sub.values), dueTopics, err)
			}
		}
		return trial{whole, func(t *testing.T, found *crashfs.Disk) error { return s.clone().check(t, found) }}
	})
}

const dueTopics = 100 // more than go into the queue at a time

type dueStory struct{ pub, sub *peer }

func (s *dueStory) clone() *dueStory { return &dueStory{s.pub.clone(), s.sub.clone()} }

func dueLife(t *testing.T, disk *crashfs.Disk) *dueStory {
	s := &dueStory{pub: newPeer("pub"), sub: newPeer("sub")}
	l, err := openLocal(t, disk)
	if err != nil {
		return s // power went while it was opened
	}
	defer func() {
		l.end()
		if err := l.Close(); err != nil && !disk.Crashed() {
			t.Errorf("close: %v", err)
		}
	}()
	s.pub.connect(l, false)
	defer func() { s.pub.close() }()
	for i := range dueTopics {
		s.pub.publish(fmt.Sprint("keep/", i), fmt.Sprint(i), byte(1+i%2), true)
	}
	synctest.Wait()
	time.Sleep(time.Second)
	s.sub.connect(l, false)
	defer func() { s.sub.close() }()
	s.sub.write(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("keep/#"), QoS: 2}}})
	synctest.Wait()
	time.Sleep(time.Second)
	return s
}

// check lets the clients go on with a disk, and holds what comes against what was promised.
func (s *dueStory) check(t *testing.T, disk *crashfs.Disk) error {
	l, err := openLocal(t, disk)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer l.end()
	s.sub.connect(l, false)
	s.pub.connect(l, false)
	time.Sleep(3 * time.Second)
	synctest.Wait()
	s.sub.close()
	s.pub.close()
	l.end()
	return errors.Join(s.judge(), l.Close())
}

func (s *dueStory) judge() error {
	if !s.sub.granted {
		return nil
	}
	came := map[string]int{}
	for _, payload := range s.sub.got {
		came[payload]++
	}
	for i := range dueTopics {
		name := fmt.Sprint(i)
		switch {
		case s.pub.acked["keep/"+name+"="+name] && came[name] == 0:
			return fmt.Errorf("retained message %d never came", i)
		case s.sub.q2[name] > 1:
			return fmt.Errorf("retained message %d of QoS 2 came %d times", i, s.sub.q2[name])
		}
	}
	return nil
}
