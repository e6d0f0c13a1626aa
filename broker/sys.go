package broker

import (
	"maps"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/topic"
)

// The topics below $SYS say how the broker is, by the names that mosquitto gave them, so that what reads those reads these.
// They are retained messages of QoS 0 that nobody stores: a new subscription is given what is true now, and while a
// subscriber is there, or a route takes them, what has changed is published each Config.SysInterval. When nobody looks nothing is done.
//
//	SUBSCRIBE ─▶ view (at most a second old) ─▶ replay of those that the filter takes
//	interval ──▶ view ─▶ those that differ from what was said last ─▶ published
//
// The averages are mosquitto's: per minute, of the last 1, 5 and 15 minutes, each time moved towards the rate since the time before
// by 1-exp(-time/window). They are right whatever the time between two views is, so none is needed while nobody looks.

const sysPrefix = "$SYS/broker/"

// sys holds what was said last.
type sys struct {
	mu       sync.Mutex // guards everything below; nothing is published under it
	watching map[*subscription]struct{}
	next     time.Time // when changes are published next; zero: nobody looks
	topics   []sysTopic
	at       time.Time // of the view that values are from
	began    time.Time
	load     sysLoad
	heap     uint64 // the largest seen

	publisher *Publisher
}

// sysTopic is one of them.
type sysTopic struct {
	name   string      // behind sysPrefix
	value  string      // by the last view
	said   string      // what subscribers know
	given  []*retained // what new subscribers got since, the last one with newest
	newest string
	mixed  bool // not all of them know the same
}

// wantsSys tells whether a filter takes topics below $SYS: wildcards at its start do not, v5 [MQTT-4.7.2-1], 3.1.1 [MQTT-4.7.2-1].
func wantsSys(f topic.Filter) bool {
	t := f.Topic()
	return t == "$SYS" || strings.HasPrefix(t, "$SYS/")
}

// watch notes that a subscription or a route has come, or is gone.
func (b *Broker) watch(s *subscription, is bool) {
	if !wantsSys(s.filter) || b.cfg().SysInterval < 0 {
		return
	}
	y := &b.sys
	y.mu.Lock()
	defer y.mu.Unlock()
	if !is {
		delete(y.watching, s)
		return
	}
	if y.watching == nil {
		y.watching = map[*subscription]struct{}{}
	}
	y.watching[s] = struct{}{}
	b.calendar.look()
}

// looked tells whether anybody would be given what is published. The caller holds mu.
func (y *sys) looked() bool {
	for s := range y.watching {
		if s.session == nil || s.session.out.online.Load() {
			return true
		}
	}
	return false
}

// tellSys publishes what has changed when it is time, and returns how long it is not. Called by keepDates.
func (b *Broker) tellSys(now time.Time) (wait time.Duration) {
	y := &b.sys
	if b.cfg().SysInterval < 0 {
		return 24 * time.Hour
	}
	y.mu.Lock()
	switch {
	case len(y.watching) == 0:
		y.next = time.Time{}
		y.mu.Unlock()
		return 24 * time.Hour
	case y.next.IsZero():
		y.next = now.Add(b.cfg().SysInterval)
	}
	var changed []message.Message
	if !now.Before(y.next) {
		y.next = now.Add(b.cfg().SysInterval)
		if y.looked() {
			b.viewSys(now)
			changed = y.changes(b.stamp())
		}
	}
	wait = y.next.Sub(now)
	y.mu.Unlock()
	if len(changed) > 0 {
		_ = y.publisher.Publish(changed) // the topics are valid, and it is never full
	}
	return wait
}

// changes are the messages for what subscribers do not know. The caller holds mu.
func (y *sys) changes(now message.Stamp) (list []message.Message) {
	for i := range y.topics {
		t := &y.topics[i]
		if t.value == t.said && !t.mixed {
			continue
		}
		t.said, t.mixed = t.value, false
		for _, kept := range t.given {
			kept.end() // see retain: before its successor is published
		}
		t.given, t.newest = nil, ""
		list = append(list, t.message(now))
	}
	return list
}

func (t *sysTopic) message(now message.Stamp) message.Message {
	return message.Message{Stamp: now, Publish: packet.Publish{Retain: true, Topic: []byte(sysPrefix + t.name), Payload: []byte(t.value)}}
}

// replaySys gives what is true now of what a new subscription takes, as retained messages.
func (b *Broker) replaySys(f topic.Filter) (list []*retained) {
	if !wantsSys(f) || b.cfg().SysInterval < 0 {
		return nil
	}
	y := &b.sys
	y.mu.Lock()
	defer y.mu.Unlock()
	if now := time.Now(); now.Sub(y.at) >= time.Second || len(y.topics) == 0 {
		b.viewSys(now)
	}
	stamp := b.stamp()
	for i := range y.topics {
		t := &y.topics[i]
		if !f.Match([]byte(sysPrefix + t.name)) {
			continue
		}
		if last := len(t.given) - 1; last >= 0 && t.newest == t.value {
			list = append(list, t.given[last])
			continue
		}
		t.mixed = t.mixed || t.said != t.value
		m := t.message(stamp)
		kept := newRetained(&m)
		t.newest, t.given = t.value, append(t.given, kept) // at most one a second, until the next changes
		list = append(list, kept)
	}
	return list
}

// viewSys finds all values. The caller holds sys.mu.
func (b *Broker) viewSys(now time.Time) {
	y := &b.sys
	s, h := b.Stats(), b.holdings()
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	y.heap = max(y.heap, heap[0].Value.Uint64())
	packetsIn, packetsOut := s.PacketsIn, s.PacketsOut
	publishIn, publishOut := sumOf(s.Received), sumOf(s.Sent)
	dropped := s.DroppedQoS0 + s.DroppedQueue + s.DroppedShared + s.DroppedTail
	y.load.update(now.Sub(y.at), [...]uint64{packetsIn, packetsOut, dropped, publishIn, publishOut, s.BytesIn, s.BytesOut,
		b.count.sockets.Load(), s.Connects + s.Refused})
	y.at = now
	away := max(0, s.Sessions-s.Connections)
	waiting, waitingBytes := h.waiting+uint64(s.Retained), h.bytes+uint64(s.RetainedBytes)
	values := [...]struct {
		name  string
		value uint64
	}{
		{"clients/total", uint64(s.Sessions)}, {"clients/active", uint64(s.Connections)}, {"clients/connected", uint64(s.Connections)},
		{"clients/inactive", uint64(away)}, {"clients/disconnected", uint64(away)}, {"clients/maximum", h.most},
		{"clients/expired", b.count.expiredSessions.Load()},
		{"messages/received", packetsIn}, {"messages/sent", packetsOut}, {"messages/inflight", h.inFlight}, {"messages/stored", waiting},
		{"store/messages/count", waiting}, {"store/messages/bytes", waitingBytes},
		{"retained messages/count", uint64(s.Retained)},
		{"subscriptions/count", uint64(s.Subscriptions)}, {"shared_subscriptions/count", h.shared},
		{"publish/messages/received", publishIn}, {"publish/messages/sent", publishOut}, {"publish/messages/dropped", dropped},
		{"publish/bytes/received", s.PayloadIn}, {"publish/bytes/sent", s.PayloadOut},
		{"bytes/received", s.BytesIn}, {"bytes/sent", s.BytesOut},
		{"heap/current", heap[0].Value.Uint64()}, {"heap/maximum", y.heap},
		{"publish/messages/dropped/qos0", s.DroppedQoS0}, {"publish/messages/dropped/queue", s.DroppedQueue},
		{"publish/messages/dropped/shared", s.DroppedShared}, {"publish/messages/dropped/tail", s.DroppedTail},
		{"publish/messages/dropped/too large", s.TooLarge}, {"publish/messages/withheld", s.Withheld},
		{"messages/expired", s.Expired}, {"retained messages/expired", s.ExpiredRetained},
	}
	i := 0
	set := func(name, value string) {
		if i == len(y.topics) {
			y.topics = append(y.topics, sysTopic{name: name, said: value}) // nobody knows anything older
		}
		y.topics[i].value = value
		i++
	}
	version := b.cfg().Version
	if version == "" {
		version = "weir"
	}
	set("version", version)
	set("uptime", strconv.FormatInt(int64(now.Sub(y.began)/time.Second), 10)+" seconds")
	for _, v := range values {
		set(v.name, strconv.FormatUint(v.value, 10))
	}
	for _, l := range s.Limits {
		set("limit/"+l.Name+"/now", strconv.FormatInt(l.Now, 10))
		set("limit/"+l.Name+"/most", strconv.FormatInt(l.Most, 10))
		set("limit/"+l.Name+"/refused", strconv.FormatUint(l.Refused, 10))
	}
	y.load.each(func(name string, average float64) { set(name, strconv.FormatFloat(average, 'f', 2, 64)) })
}

func sumOf(byQoS [3]uint64) uint64 { return byQoS[0] + byQoS[1] + byQoS[2] }

// holdings are what has to be counted one by one.
type holdings struct {
	waiting, bytes, inFlight, shared, most uint64
}

func (b *Broker) holdings() (h holdings) {
	b.mu.Lock()
	h.most = uint64(b.most)
	sessions := slices.Collect(maps.Values(b.sessions))
	b.mu.Unlock()
	for _, s := range sessions {
		o := &s.out
		o.mu.Lock()
		h.waiting += uint64(o.queue.len())
		h.inFlight += uint64(o.flight.InFlight())
		h.bytes += uint64(o.bytes)
		o.mu.Unlock()
		if s.out.durable != nil {
			n, bytes := s.out.durable.queue.Waiting()
			h.waiting += uint64(n)
			h.bytes += uint64(bytes)
		}
	}
	b.groups.mu.Lock()
	groups := slices.Collect(maps.Values(b.groups.all))
	b.groups.mu.Unlock()
	for _, g := range groups {
		g.mu.Lock()
		h.shared += uint64(len(g.members))
		h.waiting += uint64(g.memory.len())
		h.bytes += uint64(g.held)
		q := g.queue
		g.mu.Unlock()
		if q != nil {
			n, bytes := q.Waiting()
			h.waiting += uint64(n)
			h.bytes += uint64(bytes)
		}
	}
	return h
}
