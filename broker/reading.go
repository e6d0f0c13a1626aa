package broker

import (
	"sync"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/topic"
)

// reading is the working space of one batch: the packets of one read, or the messages of one Publisher.Publish. It is
// taken from a pool and given back, so it must keep nothing of the batch.
type reading struct {
	b     *Broker
	token uint64 // unlike any other reading's
	stamp message.Stamp

	messages []*message.Message // decoded in place; the first used of them are in batch
	used     int
	batch    toJournal
	touched  []*connection // got something that is not flushed yet
	queued   []*durable    // the journal was given something for their queues
	counts   counts

	// Of the message that is being delivered:
	matches []*subscription
	targets []target
	seen    map[*session]int // where in targets a session with several subscriptions is
	routes  []*Route
	hits    []RouteHit
	queues  []SessionHit
	data    []byte // of queues
	copies  [ownCopy + 1]encoded
	shared  *message.Message // a copy out of the read buffer, for sessions that keep it

	most struct{ matches, targets, routes int } // of any message of the batch: so many places are to be cleared
}

// mark notes how many places the message before used, which the next one may not overwrite.
func (r *reading) mark() {
	m := &r.most
	m.matches, m.targets, m.routes = max(m.matches, len(r.matches)), max(m.targets, len(r.targets)), max(m.routes, len(r.routes))
}

// ownCopy is the place in reading.copies of an encoding for one target only; before it stand those for 3.1.1 and 5.0, with
// and without a packet id.
const ownCopy = 4

// target is one delivery to one session.
type target struct {
	session *session
	qos     byte
	retain  bool
	ids     []uint32 // subscription identifiers; the room is used again
}

// source says where a message comes from.
type source struct {
	session   *session // of a client; nil: within the process
	publisher string   // the name of a Publisher
}

var readings = sync.Pool{New: func() any { return &reading{seen: map[*session]int{}} }}

func (b *Broker) newReading() *reading {
	r := readings.Get().(*reading)
	r.b, r.token, r.stamp = b, b.token.Add(1), b.stamp()
	return r
}

// finish flushes every subscriber that got something, each once, and gives the space back.
func (r *reading) finish() {
	for _, d := range r.queued {
		d.pumpOut()
	}
	for _, c := range r.touched {
		c.conn.Flush()
	}
	r.b.count.add(&r.counts)
	clear(r.touched)
	clear(r.queued)
	clear(r.queues)
	clear(r.batch.entries)
	r.mark()
	clear(r.matches[:r.most.matches])
	for i := range r.targets[:r.most.targets] {
		r.targets[:r.most.targets][i].session = nil
	}
	clear(r.routes[:r.most.routes])
	for _, m := range r.messages[:min(r.used+1, len(r.messages))] { // slices into the read buffer
		user := m.Props.User
		clear(user[:cap(user)])
		*m = message.Message{Publish: packet.Publish{Props: packet.Properties{User: user[:0], SubscriptionIDs: m.Props.SubscriptionIDs[:0]}}}
	}
	if len(r.messages) > 256 {
		r.messages = r.messages[:256]
	}
	r.used, r.touched, r.queued, r.shared = 0, r.touched[:0], r.queued[:0], nil
	r.queues, r.data = r.queues[:0], r.data[:0]
	r.batch.entries, r.batch.dues = r.batch.entries[:0], r.batch.dues[:0]
	r.matches, r.targets, r.routes = r.matches[:0], r.targets[:0], r.routes[:0]
	r.most.matches, r.most.targets, r.most.routes = 0, 0, 0
	r.hits, r.counts, r.b = r.hits[:0], counts{}, nil
	readings.Put(r)
}

// message is space for the next message; it is used again unless the message goes to the journal.
func (r *reading) message() *message.Message {
	if r.used == len(r.messages) {
		r.messages = append(r.messages, new(message.Message))
	}
	return r.messages[r.used]
}

// publish delivers m to everyone here who wants it, keeps it if it is to be retained, and puts it into the batch for the
// journal if a route or a stored session takes it, or if something must be durable before it is acknowledged: key, or that
// a retained topic is new or gone. entry is its place there, or noEntry; wanted tells whether anyone wants it.
func (r *reading) publish(m *message.Message, from source, kind Kind, key string) (entry int, wanted bool) {
	r.counts.received[m.QoS]++
	must := m.Retain && r.b.retain(r, m) // before looking for subscribers: see replay
	r.mark()
	r.matches = r.b.tree.Match(m.Topic, r.matches[:0])
	if len(r.matches) == 0 && !must && key == "" {
		r.shared = nil
		return noEntry, false
	}
	r.targets, r.routes = r.targets[:0], r.routes[:0]
	for _, s := range r.matches {
		switch {
		case s.session != nil:
			r.aim(s, m, from)
		case s.group != nil:
			r.aimGroup(s.group, m)
		case s.route.takes(m.Topic, m.Hops, r.b.cfg.MaxHops, from.publisher):
			r.choose(s.route)
		}
	}
	first, local := len(r.queues), false
	for i := range r.targets {
		t := &r.targets[i]
		if d := t.session.durable; d != nil && m.QoS > 0 && t.qos > 0 {
			r.enqueue(m, t, d)
			continue
		}
		local = true
		r.deliver(m, t)
	}
	wanted = len(r.targets) > 0 || len(r.routes) > 0
	r.forget()
	queues := r.queues[first:len(r.queues):len(r.queues)]
	if len(r.routes) == 0 && len(queues) == 0 && !must && key == "" {
		return noEntry, wanted
	}
	at := len(r.hits)
	for _, route := range r.routes {
		r.hits = append(r.hits, RouteHit{Upstream: route.Upstream, Rule: route.Rule})
	}
	r.batch.entries = append(r.batch.entries, Entry{
		Message: m, Routes: r.hits[at:len(r.hits):len(r.hits)], Sessions: queues, Kind: kind, Must: must, Key: key, local: local,
	})
	if r.used < len(r.messages) && r.messages[r.used] == m {
		r.used++
	}
	return len(r.batch.entries) - 1, wanted
}

// enqueue makes the queue of a session a destination of the message, unless too much waits there.
func (r *reading) enqueue(m *message.Message, t *target, d *durable) {
	o := &t.session.out
	o.mu.Lock()
	gone, inFlight := o.gone, o.flight.InFlight()
	o.mu.Unlock()
	if gone {
		return
	}
	room := d.room(footprint(m), inFlight)
	if !room { // 3.1.1 and 5.0 leave this to the server: the newest is dropped, and the count kept
		r.counts.droppedQueue++
		d.weedLater(m.Stamp)
		o.mu.Lock()
		o.dropping++
		firstDrop := o.dropping == 1
		o.mu.Unlock()
		if firstDrop {
			r.b.quiet.warn(r.b.log, "subscriber does not keep up, dropping messages for it", "client", string(t.session.id))
		}
	}
	at := len(r.data)
	q := min(m.QoS, t.qos) // v5 [MQTT-3.8.4-8], 3.1.1 [MQTT-3.8.4-6]
	r.data = appendHit(r.data, q, t.retain, t.ids)
	r.queues = append(r.queues, SessionHit{Queue: d.queue.ID(), QoS: q, Drop: !room, Data: r.data[at:len(r.data):len(r.data)], session: t.session})
	if room && d.noted.Swap(r.token) != r.token {
		r.queued = append(r.queued, d)
	}
}

// forget drops what was made for the message just delivered.
func (r *reading) forget() {
	r.shared = nil
	for i := range r.copies {
		r.copies[i].valid = false
	}
	clear(r.seen)
}

// choose keeps, for each upstream, the first route by order.
func (r *reading) choose(route *Route) {
	for i, other := range r.routes {
		if other.Upstream == route.Upstream {
			if route.Order < other.Order {
				r.routes[i] = route
			}
			return
		}
	}
	r.routes = append(r.routes, route)
}

// aim adds a subscription of a session to the targets. A session gets one copy, at the highest QoS and with all
// identifiers of its subscriptions: v5 [MQTT-3.3.4-2] [MQTT-3.3.4-3], 3.1.1 [MQTT-3.3.5-1].
func (r *reading) aim(s *subscription, m *message.Message, from source) {
	o := s.load()
	if o.noLocal() && s.session == from.session { // v5 [MQTT-3.8.3-3]
		return
	}
	if !s.session.out.several.Load() || len(r.matches) == 1 {
		r.add(s.session, o, m)
		return
	}
	at, known := r.seen[s.session]
	if !known {
		r.seen[s.session] = len(r.targets)
		r.add(s.session, o, m)
		return
	}
	t := &r.targets[at]
	t.qos = max(t.qos, o.qos())
	t.retain = t.retain || m.Retain && o.retainAsPublished()
	t.identify(o)
}

func (r *reading) add(s *session, o options, m *message.Message) {
	n := len(r.targets)
	if n == cap(r.targets) {
		r.targets = append(r.targets, target{})
	}
	r.targets = r.targets[:n+1]
	t := &r.targets[n]
	t.session, t.qos, t.ids = s, o.qos(), t.ids[:0]
	t.retain = m.Retain && o.retainAsPublished() // v5 [MQTT-3.3.1-12] [MQTT-3.3.1-13], 3.1.1 [MQTT-3.3.1-9]
	t.identify(o)
}

// identify adds the identifier of a subscription, if it has one.
func (t *target) identify(o options) {
	if id := o.id(); id != 0 {
		t.ids = append(t.ids, id)
	}
}

// aimGroup adds one member of a shared group. It gets a copy of its own even if it has another subscription that
// matches: v5 section 4.8.2.
func (r *reading) aimGroup(g *group, m *message.Message) {
	if member := g.pick(m.QoS > 0); member != nil {
		r.add(member.session, member.load(), m)
	}
}

// keep is a copy of the message out of the read buffer, made once for all sessions that keep it.
func (r *reading) keep(m *message.Message) *message.Message {
	if r.shared == nil {
		c := m.Clone()
		r.shared = &c
	}
	return r.shared
}

// deliver gives the message to one session: encoded to its socket, or into its queue.
func (r *reading) deliver(m *message.Message, t *target) {
	o := &t.session.out
	q := min(m.QoS, t.qos) // v5 [MQTT-3.8.4-8], 3.1.1 [MQTT-3.8.4-6]
	o.mu.Lock()
	c := o.conn
	dropped := 0
	switch {
	case o.gone || o.closing && !o.persistent || c == nil && (q == 0 || !o.persistent):
		o.mu.Unlock()
		return
	case q == 0:
		dropped = r.sendQoS0(o, m, t)
	default: // v5 [MQTT-4.5.0-1], 3.1.1 [MQTT-3.1.2-5] [MQTT-4.5.0-1]
		dropped = r.sendOrQueue(o, m, t, q)
	}
	if dropped > 0 {
		o.dropping += dropped
	}
	firstDrop := dropped > 0 && o.dropping == dropped
	if c != nil {
		r.touch(o)
	}
	o.mu.Unlock()
	if firstDrop {
		r.b.quiet.warn(r.b.log, "subscriber does not keep up, dropping messages for it", "client", string(t.session.id))
	}
}

func (r *reading) sendQoS0(o *out, m *message.Message, t *target) (dropped int) {
	if o.closing {
		return 0
	}
	if o.full(r.b.cfg.QueueBytes) {
		r.counts.droppedQoS0++
		return 1
	}
	e := r.encode(m, o.version, 0, t)
	if !e.valid || o.maxPacket > 0 && len(e.bytes) > o.maxPacket { // v5 [MQTT-3.1.2-24] [MQTT-3.1.2-25]
		r.counts.tooLarge++
		return 0
	}
	o.room()
	o.put(e, 0, t.retain, 0)
	r.counts.sent[0]++
	return 0
}

// sendOrQueue sends a QoS 1 or 2 message if nothing waits before it and the window is open, and queues it otherwise.
func (r *reading) sendOrQueue(o *out, m *message.Message, t *target, q byte) (dropped int) {
	cfg := &r.b.cfg
	size := footprint(m)
	busy := o.conn == nil || o.closing || o.queue.len() > 0 || o.full(fillBytes) || o.flight.Free() == 0
	full := func() bool {
		return o.bytes > 0 && o.bytes+size > cfg.QueueBytes || busy && o.queue.len() >= cfg.QueueMessages
	}
	if full() {
		f := filler{b: r.b, out: o, now: r.stamp, asked: true}
		f.expireQueue() // v5 [MQTT-3.3.2-5]
		r.counts.expired += f.counts.expired
		if full() { // the newest is dropped
			r.counts.droppedQueue++
			return 1
		}
	}
	if busy {
		o.wait(held{message: r.keep(m), qos: q, retain: t.retain, ids: t.all(), bytes: size})
		o.bytes += size
		return 0
	}
	e := r.encode(m, o.version, q, t)
	if !e.valid || o.maxPacket > 0 && len(e.bytes) > o.maxPacket { // v5 [MQTT-3.1.2-24] [MQTT-3.1.2-25]
		r.counts.tooLarge++
		return 0
	}
	ref := o.hold(held{message: r.keep(m), qos: q, retain: t.retain, ids: t.all(), bytes: size})
	id, ok := o.flight.Send(q, ref)
	if !ok { // messages of the connection before are still to be sent again
		h := o.slots[ref]
		o.slots[ref], o.free = held{}, append(o.free, ref)
		o.wait(h)
	} else {
		o.room()
		o.put(e, q, t.retain, id)
		r.counts.sent[q]++
	}
	o.bytes += size
	return 0
}

// all is the list of subscription identifiers, to be kept.
func (t *target) all() []uint32 { return append([]uint32(nil), t.ids...) }

// encode gives the message as a packet for subscribers of a version and QoS class. The bytes are made once for all of
// them, but for those that need their own subscription identifiers.
func (r *reading) encode(m *message.Message, v packet.Version, q byte, t *target) *encoded {
	class, own := 0, v == packet.V5 && len(t.ids) > 0
	if v == packet.V5 {
		class = 2
	}
	if q > 0 {
		class++
	}
	if own {
		class = ownCopy
	}
	e := &r.copies[class]
	if e.valid && !own {
		return e
	}
	p := m.Publish
	p.Dup, p.Retain, p.QoS, p.ID = false, false, q, 1
	p.Props.Unset(packet.PropTopicAlias) // of the publisher's connection: v5 [MQTT-3.3.2-7]
	p.Props.SubscriptionIDs = nil
	if own { // v5 [MQTT-3.3.4-3]
		p.Props.SubscriptionIDs = t.ids
	}
	b, err := p.Append(e.bytes[:0], v)
	e.valid = err == nil
	if err != nil {
		return e
	}
	e.bytes = b
	if q > 0 {
		e.idAt = idPlace(b, m.Topic)
	}
	return e
}

// idPlace is where the packet id of a PUBLISH stands: behind the fixed header and the topic.
func idPlace(b, name []byte) int {
	at := 1
	for b[at]&0x80 != 0 {
		at++
	}
	return at + 1 + 2 + len(name)
}

// touch notes that an out has something to be flushed. The caller holds its mutex, and it has a connection.
func (r *reading) touch(o *out) {
	if o.toucher != r.token {
		o.toucher = r.token
		r.touched = append(r.touched, o.conn)
	}
}

// validTopic reports what is wrong with a topic name that a client publishes to.
func validTopic(name []byte) error {
	if err := topic.ValidName(name); err != nil {
		return packet.Errorf(packet.TopicNameInvalid, "PUBLISH: %s", err) // v5 [MQTT-3.3.2-2], 3.1.1 [MQTT-3.3.2-2]
	}
	return nil
}
