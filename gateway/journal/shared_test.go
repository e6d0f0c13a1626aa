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

// TestPowerCutOfSharedGroup cuts power at every operation of a life of a shared group, two of whose members have sessions that last and
// one has not, and looks at every disk that may be found then. Whatever was acknowledged came to a member, at QoS 2 to one and once,
// or is counted as dropped with the session that ended with the process.
func TestPowerCutOfSharedGroup(t *testing.T) {
	cutEverywhere(t, 30, func(t *testing.T, disk *crashfs.Disk) trial {
		s := sharedLife(t, disk)
		return trial{s.want, func(t *testing.T, found *crashfs.Disk) error { return s.clone().check(t, found) }}
	})
}

// sharedStory is what the clients of a shared group know when the power is gone.
type sharedStory struct {
	pub     *peer
	members []*peer // the last one has a session that does not last
	n       int
}

func (s *sharedStory) clone() *sharedStory {
	c := &sharedStory{pub: s.pub.clone(), n: s.n}
	for _, m := range s.members {
		c.members = append(c.members, m.clone())
	}
	return c
}

func sharedLife(t *testing.T, disk *crashfs.Disk) *sharedStory {
	s := &sharedStory{pub: newPeer("pub"), members: []*peer{newPeer("a"), newPeer("b"), newPeer("clean")}}
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
	for i, m := range s.members {
		m.join(l, i == 2)
		defer func() { m.close() }()
	}
	rest := func(d time.Duration) { synctest.Wait(); time.Sleep(d) }
	rest(300 * time.Millisecond)
	for i := 0; i < 24 && !disk.Crashed(); i++ {
		switch i {
		case 4:
			s.members[0].ignore(true)
		case 8:
			s.members[0].close()
		case 10:
			s.members[2].ignore(true)
		case 14:
			s.members[1].close()
		case 18:
			s.members[0].ignore(false)
			s.members[0].connect(l, false)
		case 20:
			s.members[1].connect(l, false)
		}
		s.pub.publish("n/x", fmt.Sprint(s.n), byte(1+i%2), false)
		s.n++
		rest(time.Duration(10+i%4*60) * time.Millisecond)
	}
	rest(300 * time.Millisecond)
	return s
}

// join connects and becomes a member.
func (p *peer) join(l *local, clean bool) {
	p.connect(l, clean)
	p.write(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("$share/g/n/#"), QoS: 2}}})
}

// ignore makes it take nothing, as if its socket were read by nobody.
func (p *peer) ignore(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lazy = on
}

// check lets the clients go on with a disk, and holds what comes against what was promised.
func (s *sharedStory) check(t *testing.T, disk *crashfs.Disk) error {
	l, err := openLocal(t, disk)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer l.end()
	clean := s.members[2]
	clear(clean.held)
	for i, m := range s.members {
		m.lazy = false
		m.join(l, i == 2)
	}
	s.pub.connect(l, false)
	time.Sleep(3 * time.Second)
	synctest.Wait()
	for _, p := range append(s.members, s.pub) {
		p.close()
	}
	dropped := l.broker.Stats().DroppedShared
	l.end()
	return errors.Join(s.judge(dropped), l.Close())
}

// judge is called when nothing moves any more.
func (s *sharedStory) judge(dropped uint64) error {
	if !s.members[0].granted {
		return nil
	}
	if len(s.pub.order) > 0 {
		return fmt.Errorf("%d messages of the publisher are not finished", len(s.pub.order))
	}
	times, missing := map[string]int{}, uint64(0)
	for _, m := range s.members {
		for _, payload := range m.got {
			times[payload]++
		}
	}
	for n := range s.n {
		name, q2 := fmt.Sprint(n), n%2 == 1
		switch k := times[name]; {
		case q2 && k > 1:
			return fmt.Errorf("message %d of QoS 2 came %d times", n, k)
		case k > 0 || !s.pub.acked["n/x="+name]:
		case q2:
			missing++
		default:
			return fmt.Errorf("message %d was acknowledged and nobody got it", n)
		}
	}
	if missing > dropped {
		return fmt.Errorf("%d messages of QoS 2 were acknowledged and nobody got them; %d are counted as dropped", missing, dropped)
	}
	return nil
}

// want checks a life that nothing cut short.
func (s *sharedStory) want(t *testing.T, disk *crashfs.Disk) {
	disk.CrashAt(1 << 30)
	if err := s.check(t, disk); err != nil {
		t.Error(err)
	}
	for _, m := range s.members {
		if len(m.got) == 0 || len(m.q2) == 0 {
			t.Errorf("member %s got %v: the test tests little", m.id, m.got)
		}
	}
}
