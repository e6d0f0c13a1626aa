package broker

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/broker/packet"
)

// mosquittoTopics are the topics of mosquitto 2.0.11 below $SYS/broker/, as mosquitto_sub shows them.
var mosquittoTopics = strings.Fields(`bytes/received bytes/sent clients/active clients/connected clients/disconnected clients/expired
	clients/inactive clients/maximum clients/total heap/current heap/maximum load/bytes/received/15min load/bytes/received/1min
	load/bytes/received/5min load/bytes/sent/15min load/bytes/sent/1min load/bytes/sent/5min load/connections/15min
	load/connections/1min load/connections/5min load/messages/received/15min load/messages/received/1min
	load/messages/received/5min load/messages/sent/15min load/messages/sent/1min load/messages/sent/5min
	load/publish/dropped/15min load/publish/dropped/1min load/publish/dropped/5min load/publish/received/15min
	load/publish/received/1min load/publish/received/5min load/publish/sent/15min load/publish/sent/1min load/publish/sent/5min
	load/sockets/15min load/sockets/1min load/sockets/5min messages/received messages/sent messages/stored publish/bytes/received
	publish/bytes/sent publish/messages/dropped publish/messages/received publish/messages/sent retained_messages/count
	shared_subscriptions/count store/messages/bytes store/messages/count subscriptions/count uptime version`)

// view reads what comes until the answer to a second PINGREQ, by topic: what a subscription brings may follow the first.
func (c *client) view(retain bool) map[string]string {
	c.t.Helper()
	got := map[string]string{}
	c.send(&packet.Pingreq{})
	for pings := 1; ; {
		p, kind, err := c.next()
		switch {
		case err != nil:
			c.t.Fatal(err)
		case kind == packet.TypePingresp && pings == 2:
			return got
		case kind == packet.TypePingresp:
			pings++
			c.send(&packet.Pingreq{})
			continue
		case kind != packet.TypePublish:
			continue
		}
		m := p.(*packet.Publish)
		name, ok := strings.CutPrefix(string(m.Topic), sysPrefix)
		if _, twice := got[name]; !ok || twice || m.QoS != 0 || m.Retain != retain {
			c.t.Fatalf("got %s at QoS %d, retain %v", m.Topic, m.QoS, m.Retain)
		}
		got[name] = string(m.Payload)
	}
}

// TestSysTopics: a new subscriber gets every topic that mosquitto has and some more, with what is true at that moment.
func TestSysTopics(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		bubble(t, Config{Version: "weir version 1"}, func(t *testing.T, h *house) {
			away, _ := h.login(v, "away", keepSession)
			away.subscribe(1, "x", "$share/g/y")
			away.leave()
			pub, _ := h.login(v, "pub")
			for i := range uint16(3) {
				pub.publish("x", "12345", 1, i+1)
				pub.expectAck(packet.TypePuback, i+1)
			}
			pub.send(retainedMessage("kept", "12345", 0, 0))
			after(90 * time.Second)
			c, _ := h.login(v, "c")
			c.subscribe(2, "+/broker/#", "+/broker/uptime") // which do not take them
			got := c.view(true)
			if len(got) > 0 {
				t.Fatalf("wildcards at the start of a filter take %v", got)
			}
			c.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("$SYS/#"), QoS: 2}}})
			got = c.view(true)
			var names []string
			for _, name := range mosquittoTopics {
				names = append(names, strings.ReplaceAll(name, "retained_", "retained "))
			}
			names = append(names, "messages/inflight", "messages/expired", "retained messages/expired", "publish/messages/withheld")
			for _, cause := range []string{"qos0", "queue", "shared", "tail", "too large"} {
				names = append(names, "publish/messages/dropped/"+cause)
			}
			for _, l := range h.b.Stats().Limits {
				names = append(names, "limit/"+l.Name+"/now", "limit/"+l.Name+"/most", "limit/"+l.Name+"/refused")
			}
			slices.Sort(names)
			if have := slices.Sorted(maps.Keys(got)); !slices.Equal(have, names) {
				t.Errorf("got the topics\n%q, want\n%q", have, names)
			}
			for name, want := range map[string]string{
				"version": "weir version 1", "uptime": "90 seconds", "clients/total": "3", "clients/connected": "2", "clients/active": "2",
				"clients/disconnected": "1", "clients/inactive": "1", "clients/maximum": "3", "clients/expired": "0",
				"retained messages/count": "1", "subscriptions/count": "5", "shared_subscriptions/count": "1",
				"publish/messages/received": "4", "publish/bytes/received": "20", "publish/messages/sent": "0", "publish/messages/dropped": "0",
				"limit/max_connections/now": "2", "limit/max_connections/most": "10000", "limit/max_connections/refused": "0",
				"messages/stored": "4", "store/messages/count": "4", "messages/inflight": "0",
				"load/sockets/1min": average(3, 90, 60), "load/connections/15min": average(3, 90, 900), "load/publish/received/5min": average(4, 90, 300),
			} {
				if got[name] != want {
					t.Errorf("%s is %q, want %q", name, got[name], want)
				}
			}
			// CONNECT, SUBSCRIBE, DISCONNECT; CONNECT, 4 PUBLISH; CONNECT, SUBSCRIBE, 2 PINGREQ
			if got["messages/received"] != "12" {
				t.Errorf("messages/received is %s, want 12", got["messages/received"])
			}
			for _, name := range []string{"bytes/received", "bytes/sent", "heap/current", "store/messages/bytes"} {
				if n, err := strconv.Atoi(got[name]); err != nil || n <= 0 {
					t.Errorf("%s is %q", name, got[name])
				}
			}
			c.publish("$SYS/broker/uptime", "0", 0, 0)
			after(11 * time.Second)
			if got := c.view(false); got["uptime"] != "101 seconds" && got["uptime"] != "100 seconds" || got["version"] != "" {
				t.Errorf("after an interval %v", got)
			}
			if s := h.b.Stats(); s.Rejected != 1 || s.Retained != 1 {
				t.Errorf("%d rejected, %d retained, want 1 and 1", s.Rejected, s.Retained)
			}
		})
	})
}

// average is that of n in so many seconds, from nothing.
func average(n, seconds, window float64) string {
	return strconv.FormatFloat(n*60/seconds*(1-math.Exp(-seconds/window)), 'f', 2, 64)
}

// TestSysIsCurrent: changes come at each interval and nothing else does, a late subscriber gets what is true then, and everybody
// ends with the same.
func TestSysIsCurrent(t *testing.T) {
	bubble(t, Config{SysInterval: 5 * time.Second}, func(t *testing.T, h *house) {
		subscribe := func(id string, p packet.Subscription) (*client, map[string]string) {
			c, _ := h.login(packet.V5, id)
			p.Filter = []byte("$SYS/broker/clients/+")
			c.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{p}})
			return c, c.view(true)
		}
		a, got := subscribe("a", packet.Subscription{})
		if got["clients/total"] != "1" {
			t.Errorf("got %v", got)
		}
		after(2 * time.Second)
		b, got := subscribe("b", packet.Subscription{RetainAsPublished: true, QoS: 1})
		if got["clients/total"] != "2" {
			t.Errorf("got %v", got)
		}
		if got := a.view(false); len(got) != 0 {
			t.Errorf("before the interval has passed: %v", got)
		}
		after(time.Second)
		b.leave() // so that what b was told is no more true, and what a was told is again
		b, got = subscribe("b", packet.Subscription{RetainAsPublished: true, QoS: 1, RetainHandling: 2})
		if len(got) > 0 {
			t.Errorf("retained topics that were not asked for: %v", got)
		}
		after(5 * time.Second)
		if got := a.view(false); got["clients/total"] != "2" || got["clients/connected"] != "2" || got["clients/maximum"] != "2" {
			t.Errorf("got %v", got)
		}
		if got := b.view(true); got["clients/total"] != "2" {
			t.Errorf("as published: %v", got)
		}
		after(5 * time.Second)
		if got := a.view(false); len(got) != 0 {
			t.Errorf("nothing has changed, and %v comes", got)
		}
		gone, _ := h.login(packet.V5, "gone", expiry(3))
		gone.leave()
		after(5 * time.Second)
		got = a.view(false)
		after(5 * time.Second)
		maps.Copy(got, a.view(false))
		if got["clients/expired"] != "1" || got["clients/maximum"] != "3" {
			t.Errorf("got %v", got)
		}
	})
}

// TestSysSleeps: nothing is looked at while nobody is there to see it, and there is nothing to see when it is off.
func TestSysSleeps(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *house) {
		c, _ := h.login(packet.V311, "c", keepSession)
		c.subscribe(1, "$SYS/broker/uptime")
		c.view(true)
		c.leave()
		after(10 * time.Second)
		seen := func() time.Time { h.b.sys.mu.Lock(); defer h.b.sys.mu.Unlock(); return h.b.sys.at }
		before := seen()
		after(time.Hour)
		if seen() != before {
			t.Error("the view was made anew for nobody")
		}
		c, ack := h.login(packet.V311, "c", keepSession)
		if !ack.SessionPresent {
			t.Fatal("no session")
		}
		after(10 * time.Second)
		if got := c.view(false); got["uptime"] == "" {
			t.Error("nothing comes again")
		}
		c.send(&packet.Unsubscribe{ID: 1, Filters: [][]byte{[]byte("$SYS/broker/uptime")}})
		c.expect(packet.TypeUnsuback)
		before = seen()
		after(time.Hour)
		if seen() != before || len(h.b.sys.watching) != 0 {
			t.Error("the view was made anew for nobody")
		}
	})
	bubble(t, Config{SysInterval: -1}, func(t *testing.T, h *house) {
		c, _ := h.login(packet.V5, "c")
		c.subscribe(0, "$SYS/#")
		after(time.Minute)
		if got := c.view(true); len(got) != 0 {
			t.Errorf("got %v", got)
		}
	})
}

// TestSysByRights: who may see them is a matter of rights, and they can be forwarded.
func TestSysByRights(t *testing.T) {
	for _, v := range versions {
		h := build(t, Config{Rights: func(Who) Rights { return &grant{subscribe: mustFilters(t, "#", "$SYS/broker/clients/#")} }})
		h.route("$SYS/broker/clients/total")
		c, _ := h.login(v, "c")
		denied := packet.NotAuthorized
		if v == packet.V311 {
			denied = packet.UnspecifiedError
		}
		if got := c.subscribe(0, "$SYS/#"); got[0] != denied {
			t.Errorf("SUBACK %v", got)
		}
		c.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: []byte("$SYS/broker/clients/#")}}})
		if got := c.view(true); len(got) != 7 {
			t.Errorf("got %v", got)
		}
	}
}

// TestLoadIsMosquittos: the averages are what mosquitto 2.0.11 showed in a run with 109 messages in its first two seconds, then
// 80 and then 54.
func TestLoadIsMosquittos(t *testing.T) {
	var l sysLoad
	var got []string
	n := uint64(0)
	for _, more := range []uint64{109, 80, 54} {
		n += more
		l.update(2*time.Second, [len(sysLoads)]uint64{n})
		got = append(got, fmt.Sprintf("%.2f %.2f %.2f", l.averages[0][0], l.averages[0][1], l.averages[0][2]))
	}
	if want := []string{"107.20 21.73 7.26", "182.37 37.53 12.57", "229.50 48.04 16.14"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
