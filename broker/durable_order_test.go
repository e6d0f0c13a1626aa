package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
)

// TestWillIsKeptAllTheTime: at no moment a process that dies takes a will along: it is with its session or in the queue of who
// wants it.
func TestWillIsKeptAllTheTime(t *testing.T) {
	delayed := func(seconds uint32) func(p *packet.Connect) {
		return func(p *packet.Connect) { p.Will.Props.SetWillDelay(seconds) }
	}
	none := func(*packet.Connect) {}
	for _, c := range []struct {
		name  string
		tweak []func(*packet.Connect)
		then  func(l *lasting)
	}{
		{"connection lost", []func(*packet.Connect){none}, nil},
		{"delay over", []func(*packet.Connect){delayed(1)}, nil},
		{"session over", []func(*packet.Connect){delayed(100), expiry(1)}, nil},
		{"session discarded", []func(*packet.Connect){delayed(100)}, func(l *lasting) { l.login(packet.V5, "dying") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := buildLasting(t, Config{})
			watch, _ := l.stay(packet.V5, "watch")
			watch.subscribe(1, "will")
			watch.leave()
			dying, _ := l.stay(packet.V5, "dying", append([]func(*packet.Connect){lastWill("will", "dead", 1)}, c.tweak...)...)
			lost := 0
			l.v.change(func() {
				l.v.watch = func(kept contents) {
					if !hasWill(kept) {
						lost++
					}
				}
			})
			l.vanish(dying)
			if c.then != nil {
				c.then(l)
			}
			watch, _ = l.stay(packet.V5, "watch")
			p := watch.expectMessage("will", "dead")
			l.v.change(func() { l.v.watch = nil })
			if lost > 0 {
				t.Errorf("at %d moments the will is not kept", lost)
			}
			watch.finish(p)
		})
	}
}

// hasWill tells whether a session has a will or a queue a message.
func hasWill(kept contents) bool {
	for key, value := range kept.keys {
		if k, err := parseKept([]byte(value)); strings.HasPrefix(key, keySession) && err == nil && k.will != nil {
			return true
		}
	}
	for _, s := range kept.queues {
		if len(s.records) > 0 {
			return true
		}
	}
	return false
}

// TestRetainedWithoutRoom: a value that the store has no room for is not replaced by an older one at the next start, and is
// stored when there is room.
func TestRetainedWithoutRoom(t *testing.T) {
	v := newVault(t)
	b := New(Config{Store: v}, v, stampNow, quietLog())
	retain := func(name, payload string) {
		r := b.newReading()
		defer r.finish()
		m := message.Message{Stamp: stampNow(), Publish: *retainedMessage(name, payload, 0, 0)}
		b.retain(&m, source{})
	}
	want := func(want string) {
		t.Helper()
		var all []string
		v.Range(keyRetain, func(_ string, value []byte) bool {
			m, err := parseMessage(value)
			all = append(all, fmt.Sprintf("%s=%s", m.Topic, m.Payload))
			return err == nil
		})
		if got := strings.Join(all, " "); got != want {
			t.Errorf("stored %q, want %q", got, want)
		}
	}
	retain("x", "old")
	v.noKeys = true
	retain("x", "new")
	retain("y", "first")
	b.flushRetained()
	want("")
	v.noKeys = false
	b.flushRetained()
	want("x=new y=first")
}

// TestWillWithoutRoom: a session whose will is too large for the store is kept without it, as it is and not as it was.
func TestWillWithoutRoom(t *testing.T) {
	l := buildLasting(t, Config{})
	sub, _ := l.stay(packet.V5, "sub", lastWill("will", "earlier", 1))
	l.vanish(sub)
	l.v.change(func() { l.v.limit = 1000 })
	sub, _ = l.stay(packet.V5, "sub", lastWill("will", strings.Repeat("x", 1000), 1))
	l.v.mu.Lock()
	k, err := parseKept([]byte(l.v.now.keys[l.session("sub").out.durable.serial.key(keySession)]))
	l.v.mu.Unlock()
	if err != nil || k.away != (message.Stamp{}) || k.will != nil {
		t.Errorf("kept %+v, %v, want a session that is connected and has no will", k, err)
	}
	if l.b.Stats().NotKept == 0 {
		t.Error("not counted")
	}
	sub.nothing()
}

// TestSessionWithoutQueueIsOver: a session that gets no queue at the start is gone with all its parts, so that its client is
// told, and does not come back without its subscriptions.
func TestSessionWithoutQueueIsOver(t *testing.T) {
	v := newVault(t)
	k := kept{protocol: packet.V5, lasts: time.Hour, id: []byte("sub")}
	n := newSerial()
	v.Put(n.key(keySession), k.append(nil))
	v.Put(n.sub("x"), append(appendOptions(nil, 1), "x"...))
	v.noQueue = true
	b := New(Config{Store: v}, v, stampNow, quietLog())
	if len(v.now.keys) != 0 || b.Stats().Sessions != 0 {
		t.Errorf("%d sessions, keys left: %q", b.Stats().Sessions, v.now.keys)
	}
}
