package journal

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker/packet"
	"weir/buffer"
	"weir/buffer/crashfs"
)

// TestExpiryOnTheDisk: messages that wait on the disk for a session and for a shared group go within a second after they have
// expired, whether the process that took them still runs or not, and are never delivered.
func TestExpiryOnTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := crashfs.New(8 << 20)
		open := func() *local {
			l, err := openLocal(t, disk)
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		shut := func(l *local) {
			l.end()
			if err := l.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		l := open()
		filters := []string{"x", "$share/g/x"}
		subs := []*peer{newPeer("alone"), newPeer("member")}
		for i, s := range subs {
			s.connect(l, false)
			s.write(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte(filters[i]), QoS: byte(1 + i)}}})
			time.Sleep(time.Second)
			s.close()
		}
		pub := newPeer("pub")
		pub.connect(l, true)
		const each = 100
		var left []string
		for i := range 3 * each {
			m := &packet.Publish{QoS: 2, ID: uint16(i + 1), Topic: []byte("x"), Payload: fmt.Append(nil, i)}
			if i%3 > 0 {
				m.Props.SetMessageExpiry(uint32(i % 3 * 20))
			} else {
				left = append(left, fmt.Sprint(i))
			}
			pub.write(m)
		}
		time.Sleep(5 * time.Second) // long enough for all of it to be on the disk
		waiting := func(when string, want uint64) {
			t.Helper()
			synctest.Wait()
			queues := 0
			l.Log().Consumers(func(c *buffer.Consumer) bool {
				n, bytes := c.Waiting()
				if n > 0 {
					queues++
				}
				if n > 0 && n != want || bytes < int64(n)*10 || bytes > int64(n)*200 {
					t.Errorf("%s %d messages of %d bytes wait in %s, want %d", when, n, bytes, c.Name(), want)
				}
				return true
			})
			if queues != len(filters) && want > 0 {
				t.Errorf("%s messages wait in %d queues, want %d", when, queues, len(filters))
			}
		}
		waiting("at first", 3*each)
		time.Sleep(17 * time.Second)
		waiting("when the first have expired", 2*each)
		pub.close()
		shut(l)
		time.Sleep(30 * time.Second)
		l = open()
		time.Sleep(3 * time.Second)
		waiting("after a restart", each)
		if n := l.broker.Stats().Expired; n != 2*each {
			t.Errorf("%d are counted as expired, want %d", n, 2*each)
		}
		for i, s := range subs {
			s.connect(l, false)
			time.Sleep(5 * time.Second)
			s.close()
			if !slices.Equal(s.got, left) {
				t.Errorf("%s got %d messages, want %d: %q", filters[i], len(s.got), len(left), s.got)
			}
		}
		waiting("in the end", 0)
		shut(l)
	})
}
