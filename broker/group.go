package broker

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"weir/broker/message"
	"weir/broker/topic"
)

// group is a shared subscription: each message goes to one member. v5 section 4.8.2. What is not sent to a member yet belongs to
// the group: it waits in memory, or in a queue of the store once a stored session is a member. See doc.go.
//
// Its lock may be held when that of a member's out is taken, never the other way round.
type group struct {
	line         // queue is nil while it lives in memory; set once, under mu
	name  string // the filter with its share name
	entry *subscription

	waits  atomic.Bool  // something may be left for which no member had room
	stale  atomic.Bool  // something in memory may have expired
	most   atomic.Int32 // the highest QoS of its members
	lent   atomic.Int64 // messages that members have and are not done with
	living sync.Mutex   // orders the calls of Queue.Live

	mu         sync.Mutex // guards everything below
	members    []*subscription
	next       int                 // in members: whose turn it is
	order      uint64              // of the last message that waited in memory
	back       []*lent             // what came back unsent, in order; goes before anything else
	memory     fifo[*lent]         // what waits in memory; goes before the queue
	held       int                 // bytes of memory
	charged    int                 // what limits.memory counts for them
	queued     int                 // what limits.queued counts for it
	tickets    map[uint16]struct{} // ids of pairs of messages that members in memory have at QoS 2
	lastTicket uint16
	staged     []keeping // what they get when that is kept
	after      []*group  // groups that may have something to do because of what was done here
	ended      bool      // the last member has left: what was not sent is dropped
	dropped    bool      // and its queue is gone
	queueAs    string    // the name of queue

	// Of the one who has the turn:
	head    *lent // read from the queue and not given yet; its message is that of the batch
	touched map[*out]struct{}
	opened  []*out // have a lending that is not closed
}

// groups of shared subscriptions.
type groups struct {
	mu     sync.Mutex        // guards everything below and who is in which group; taken before a group's own
	all    map[string]*group // by filter
	queues map[string]*group // by the name of their queue; those that have ended and still have messages in flight too
	found  map[string]string // at the start: the names of stored queues by filter
}

func (b *Broker) newGroup(name string) *group {
	g := &group{name: name, tickets: map[uint16]struct{}{}, touched: map[*out]struct{}{}}
	g.line.b, g.of = b, g
	return g
}

// join makes a subscription a member of the group of its filter, which is made if needed.
func (b *Broker) join(s *subscription) {
	b.groups.mu.Lock()
	name := s.filter.String()
	g := b.groups.all[name]
	if g == nil {
		g = b.newGroup(name)
		g.entry = &subscription{filter: s.filter, extra: &extra{group: g}}
		if b.groups.all == nil {
			b.groups.all = map[string]*group{}
		}
		b.groups.all[name] = g
	}
	g.mu.Lock()
	g.members = append(g.members, s)
	g.mu.Unlock()
	g.reckon()
	s.session.out.member(g, true)
	b.tree.Add(s.filter, g.entry)
	b.groups.mu.Unlock()
	g.enliven()
}

// rejoin notes that a member has other options.
func (b *Broker) rejoin(s *subscription) {
	b.groups.mu.Lock()
	g := b.groups.all[s.filter.String()]
	if g != nil {
		g.reckon()
	}
	b.groups.mu.Unlock()
	if g != nil {
		g.enliven()
	}
}

// leave takes a member out of its group, and ends the group if it was the last one: what was not sent is dropped with it
// (v5 section 4.8.2), what is in flight is completed (v5 [MQTT-3.10.4-3]).
func (b *Broker) leave(s *subscription) {
	b.groups.mu.Lock()
	name := s.filter.String()
	g := b.groups.all[name]
	if g == nil {
		b.groups.mu.Unlock()
		return
	}
	g.mu.Lock()
	g.members = slices.DeleteFunc(g.members, func(m *subscription) bool { return m == s })
	last := len(g.members) == 0
	if last {
		g.ended = true
		b.count.droppedShared.Add(uint64(g.memory.len()))
		g.memory, g.held = fifo[*lent]{}, 0
		g.settle()
	}
	g.mu.Unlock()
	s.session.out.member(g, false)
	if last {
		delete(b.groups.all, name)
		b.tree.Remove(s.filter, g.entry)
	} else {
		g.reckon()
	}
	b.groups.mu.Unlock()
	g.enliven()
	if last {
		g.over()
	}
}

// reckon finds the highest QoS of the members, and gives the group a queue if a stored session is to get QoS 1 or 2 from it. The
// caller holds groups.mu.
func (g *group) reckon() {
	g.mu.Lock()
	defer g.mu.Unlock()
	most, stored := byte(0), false
	for _, m := range g.members {
		q := m.load().qos()
		most = max(most, q)
		stored = stored || q > 0 && m.session.out.durable != nil
	}
	g.most.Store(int32(most))
	if stored && g.queue == nil {
		g.open(g.b.queueFor(g.name))
	}
}

// open gives the group the queue of that name. Without room for one it goes on in memory, until the next member comes. The caller
// holds groups.mu and mu.
func (g *group) open(name string) {
	q, err := g.b.cfg().Store.Queue(name)
	if err != nil {
		g.b.count.notKept.Add(1)
		g.b.quiet.warn(g.b.log, "shared group lives in memory only: the store has no room for its queue", "group", g.name, "err", err)
		return
	}
	g.queue, g.queueAs = q, name
	if g.b.groups.queues == nil {
		g.b.groups.queues = map[string]*group{}
	}
	g.b.groups.queues[name] = g
}

// Names of queues: the filter with its share name, or a digest of a long one, and before it "2:" and so on while the one before is
// still needed by a group that has ended.
const sharePrefix = "$share/"

func queueName(filter string) string {
	if len(filter) <= 1000 {
		return filter
	}
	return fmt.Sprintf("%s%x", sharePrefix, sha256.Sum256([]byte(filter)))
}

// groupOf is what stands behind the number in the name of a group's queue; ok is false for other queues.
func groupOf(queue string) (name string, ok bool) {
	if digits, rest, cut := strings.Cut(queue, ":"); cut && digits != "" && strings.Trim(digits, "0123456789") == "" {
		queue = rest
	}
	return queue, strings.HasPrefix(queue, sharePrefix)
}

// queueFor is the name for the queue of a group: at the start that of the one that is stored. The caller holds groups.mu.
func (b *Broker) queueFor(filter string) string {
	base := queueName(filter)
	if name, ok := b.groups.found[base]; ok {
		return name
	}
	name := base
	for i := 2; b.groups.queues[name] != nil; i++ {
		name = fmt.Sprintf("%d:%s", i, base)
	}
	return name
}

// enliven tells the store whether any member is there.
func (g *group) enliven() {
	g.living.Lock()
	defer g.living.Unlock()
	g.mu.Lock()
	q, up := g.queue, false
	for _, m := range g.members {
		up = up || m.session.out.online.Load()
	}
	up = up && !g.ended
	gone := g.dropped
	g.mu.Unlock()
	if q != nil && !gone {
		q.Live(up)
	}
}

// over drops the queue of a group that has ended, when nothing that its members were sent is in flight any more.
func (g *group) over() {
	b := g.b
	b.groups.mu.Lock()
	defer b.groups.mu.Unlock()
	g.living.Lock()
	defer g.living.Unlock()
	g.mu.Lock()
	if !g.ended || g.dropped || g.lent.Load() > 0 {
		g.mu.Unlock()
		return
	}
	g.dropped = true
	n, q := 0, g.queue
	for _, l := range g.back {
		if l.number == 0 { // the others are counted with the queue
			n++
		}
	}
	g.back = nil
	g.mu.Unlock()
	g.forgo()
	if q != nil {
		left, _ := q.Waiting()
		n += left
		b.cfg().Store.DropQueue(g.queueAs)
		delete(b.groups.queues, g.queueAs)
	}
	if n > 0 {
		b.count.droppedShared.Add(uint64(n))
		b.log.Warn("shared group has ended with its last member, what it was not sent is dropped", "group", g.name, "messages", n)
	}
}

// online chooses the member that gets a message of QoS 0: those that are there, may have it and take it, in turn. nil: there
// is none.
func (g *group) online(name []byte, limit int) *subscription {
	g.mu.Lock()
	defer g.mu.Unlock()
	var full *subscription
	for i := range g.members {
		at := (g.next + i) % len(g.members)
		m := g.members[at]
		o := &m.session.out
		if !o.online.Load() || !m.takes(name) {
			continue
		}
		o.mu.Lock()
		busy := o.full(limit)
		o.mu.Unlock()
		if !busy {
			g.next = at + 1
			return m
		}
		if full == nil {
			full = m
		}
	}
	return full
}

// remember keeps a message in memory that was published while the group had no queue; ok is false if there is no room. The
// caller holds mu.
func (g *group) remember(f *filler, m *message.Message) (ok bool) {
	cfg, size := g.b.cfg(), footprint(m)
	full := func() bool {
		return g.held > 0 && g.held+size > cfg.QueueBytes || g.memory.len() >= cfg.QueueMessages
	}
	if full() {
		g.memory.remove(func(l *lent) bool { // v5 [MQTT-3.3.2-5]
			if !f.expired(l.message) {
				return false
			}
			f.counts.expired++
			g.held -= l.size
			return true
		})
		g.settle()
	}
	if full() || !g.fits(size) {
		return false
	}
	g.order++
	g.memory.push(&lent{group: g, order: g.order, message: m, own: true, qos: m.QoS, retain: m.Retain, size: size})
	g.held += size
	if mortal(m) {
		g.b.expect(&g.line, g.b.expires(m, f.now))
	}
	return true
}

// member notes that the session is, or is no more, in a group. Called by its reader, or by who restores it.
func (o *out) member(g *group, is bool) {
	var all []*group
	if p := o.shares.Load(); p != nil {
		all = *p
	}
	if is {
		all = append(slices.Clone(all), g)
	} else {
		all = slices.DeleteFunc(slices.Clone(all), func(x *group) bool { return x == g })
	}
	o.shares.Store(&all)
}

// groups are those that the session is in.
func (o *out) groups() []*group {
	if p := o.shares.Load(); p != nil {
		return *p
	}
	return nil
}

// sharedFilter tells whether a filter is that of a group.
func sharedFilter(f topic.Filter) bool {
	_, shared := f.Shared()
	return shared
}
