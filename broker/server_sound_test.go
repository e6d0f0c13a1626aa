package broker

import (
	"fmt"
	"testing"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/topic"
)

// TestReadingGivenBack: of a batch whose first message went to more subscribers than its last one nothing is held.
func TestReadingGivenBack(t *testing.T) {
	h := build(t, Config{})
	h.route("many")
	for _, id := range []string{"a", "b", "c"} {
		c, _ := h.login(packet.V5, id)
		c.subscribe(1, "many", "$share/g"+id+"/many", "one/"+id)
	}
	r := h.b.newReading()
	for _, name := range []string{"many", "one/a", "none"} {
		m := &message.Message{}
		m.Topic, m.Payload, m.QoS = []byte(name), []byte("x"), 1
		r.publish(m, source{}, KindQoS1, "")
	}
	r.finish()
	if what := r.remains(); what != "" {
		t.Errorf("it still holds %s", what)
	}
}

// everyName are the names that do not begin with $.
var everyName = func() topic.Filter { f, _ := topic.ParseFilter("#"); return f }()

// systemNames are those that everyName leaves out.
var systemNames = func() topic.Filter { f, _ := topic.ParseFilter("$SYS/#"); return f }()

// unsound says what of the broker is not as it must be while everybody is idle: its limits, and what belongs together.
func (b *Broker) unsound() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	subs, placed := 0, 0
	dates := 0
	for id, s := range b.sessions {
		subs += s.subs.len()
		if s.placed {
			placed++
		}
		if waits := s.absence != nil && s.absence.place >= 0; (s.owner == nil) != waits {
			return fmt.Sprintf("session %q: owner %v, in the calendar %v", id, s.owner != nil, waits)
		}
		if s.absence != nil {
			dates++
		}
		if what := s.unsound(); what != "" {
			return fmt.Sprintf("session %q: %s", id, what)
		}
	}
	if dates != len(b.calendar.list) {
		return fmt.Sprintf("%d sessions are in the calendar, %d wait", len(b.calendar.list), dates)
	}
	if n := b.count.subscriptions.Load(); int(n) != subs {
		return fmt.Sprintf("%d subscriptions are counted, there are %d", n, subs)
	}
	if what := b.unsoundLimits(placed, subs); what != "" {
		return what
	}
	batch := b.cfg().MaxPacket + 1024 // of a publisher within the process, which is always taken if nothing of it waits
	if n := b.waitingBytes.n.Load(); n < 0 || n > int64(b.cfg().AllowanceTotalBytes+batch) {
		return fmt.Sprintf("%d bytes wait for room in the journal", n)
	}
	b.retained.mu.Lock()
	defer b.retained.mu.Unlock()
	bytes, expiring, misplaced := 0, 0, ""
	for _, all := range []topic.Filter{everyName, systemNames} {
		b.retained.names.Match(all, func(kept *retained) bool {
			var m message.Message
			kept.read(&m)
			bytes += kept.size()
			if mortal(&m) {
				expiring++
				if at := int(kept.place) - 1; at < 0 || at >= len(b.retained.expiring) || b.retained.expiring[at].kept != kept {
					misplaced = string(m.Topic)
				}
			}
			return true
		})
	}
	if n, mortals := b.limits.retainedBytes.n.Load(), len(b.retained.expiring); n != int64(bytes) || expiring != mortals || misplaced != "" {
		return fmt.Sprintf("retained: %d bytes are counted, there are %d; %d that expire, there are %d; misplaced: %q", n, bytes, mortals, expiring, misplaced)
	}
	return ""
}

// unsoundLimits says what is counted wrongly, or is more than it may be. The caller holds mu.
func (b *Broker) unsoundLimits(sessions, subs int) string {
	connecting, connections := 0, 0
	exchanging := 0
	for _, c := range b.connections() {
		if c.stage.exchanging() {
			exchanging++
		}
		if c.connecting {
			connecting++
		}
		if _, stranger := b.strangers[c]; !stranger {
			connections++
		}
	}
	b.exchanges.mu.Lock()
	kept := len(b.exchanges.of)
	b.exchanges.mu.Unlock()
	if kept != exchanging {
		return fmt.Sprintf("%d exchanges are kept, %d connections are in one", kept, exchanging)
	}
	l := &b.limits
	for _, x := range []struct {
		limit *limit
		have  int
		hard  bool // nothing is there but what was let in
	}{
		{&l.connecting, connecting, true}, {&l.connections, connections, true}, {&l.sessions, sessions, false}, {&l.subscriptions, subs, false},
		{&l.retained, b.retained.names.Len(), false},
	} {
		n, most := x.limit.n.Load(), x.limit.most.Load()
		if n != int64(x.have) || x.hard && n > most {
			return fmt.Sprintf("%s: %d are counted of %d, there are %d", x.limit.name, n, most, x.have)
		}
	}
	for _, x := range l.all() {
		if n := x.n.Load(); n < 0 {
			return fmt.Sprintf("%s: %d are counted", x.name, n)
		}
	}
	return ""
}

func (s *session) unsound() string {
	o, cfg := &s.out, s.b.cfg()
	o.mu.Lock()
	defer o.mu.Unlock()
	one := cfg.MaxPacket + 1024 // is always taken, whatever its size
	bytes, replays := 0, 0
	var slots, free int
	if o.holding.places != nil {
		slots, free = len(o.holding.held), len(o.holding.free)
		for _, h := range o.holding.held {
			if h.kept != nil {
				replays += h.bytes
			} else {
				bytes += h.bytes
			}
		}
	}
	if o.queue.row != nil {
		for _, h := range o.queue.list[o.queue.head:] {
			bytes += h.bytes
		}
	}
	switch n := len(o.pending); {
	case o.gone:
		return "it has ended and is found"
	case o.bytes != bytes || o.replays != replays:
		return fmt.Sprintf("%d and %d bytes are counted, there are %d and %d", o.bytes, o.replays, bytes, replays)
	case o.bytes > cfg.QueueBytes+one || o.replays > cfg.QueueBytes+one:
		return fmt.Sprintf("%d and %d bytes wait", o.bytes, o.replays)
	case o.queue.len() > cfg.QueueMessages:
		return fmt.Sprintf("%d messages wait", o.queue.len())
	case o.flight.InFlight() > cfg.Inflight:
		return fmt.Sprintf("%d messages are in flight", o.flight.InFlight())
	case n > max(cfg.QueueBytes, fillBytes)+answerBytes+one:
		return fmt.Sprintf("%d bytes wait for the socket", n)
	case o.conn == nil && (n > 0 || o.online.Load()):
		return fmt.Sprintf("without a connection, %d bytes wait for the socket, online %v", n, o.online.Load())
	case free+o.flight.InFlight() < slots && o.durable == nil:
		return fmt.Sprintf("%d slots, %d free, %d in flight", slots, free, o.flight.InFlight())
	}
	return ""
}

// remains says what a reading that was given back still holds of the batch it had, or "".
func (r *reading) remains() string {
	held := func(name string, n int, blank func(i int) bool) string {
		for i := range n {
			if !blank(i) {
				return fmt.Sprintf("%s %d", name, i)
			}
		}
		return ""
	}
	messages := r.messages[:cap(r.messages)]
	targets := r.targets[:cap(r.targets)]
	entries := r.batch.entries[:cap(r.batch.entries)]
	queues := r.queues[:cap(r.queues)]
	for _, what := range []string{
		held("message", len(messages), func(i int) bool {
			m := messages[i]
			return m == nil || m.Topic == nil && m.Payload == nil && m.Origin == nil && m.Props.Empty() && m.Props.ContentType == nil &&
				m.Props.CorrelationData == nil && m.Props.ResponseTopic == nil && m.Props.ReasonString == nil
		}),
		held("target", len(targets), func(i int) bool { return targets[i].session == nil }),
		held("entry", len(entries), func(i int) bool { return entries[i].Message == nil && entries[i].Key == "" }),
		held("queue", len(queues), func(i int) bool { return queues[i].to == nil && queues[i].Data == nil }),
		held("match", cap(r.memory.found), func(i int) bool { return r.memory.found[:cap(r.memory.found)][i] == nil }),
		held("route", cap(r.routes), func(i int) bool { return r.routes[:cap(r.routes)][i] == nil }),
		held("share", cap(r.shares), func(i int) bool { return r.shares[:cap(r.shares)][i] == nil }),
		held("touched", cap(r.touched), func(i int) bool { return r.touched[:cap(r.touched)][i] == nil }),
		held("queued", cap(r.queued), func(i int) bool { return r.queued[:cap(r.queued)][i] == nil }),
	} {
		if what != "" {
			return what
		}
	}
	if r.b != nil || r.matches != nil || r.shared != nil || len(r.seen) > 0 || r.used != 0 || len(r.batch.dues) > 0 {
		return "a broker, a shared message, sessions or dues"
	}
	return ""
}
