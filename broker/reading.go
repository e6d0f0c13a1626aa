package broker

import (
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

	subscribe packet.Subscribe   // decoded in place
	messages  []*message.Message // decoded in place; the first used of them are in batch
	used      int
	batch     toJournal
	touched   []*connection // got something that is not flushed yet
	queued    []sender      // they were given something to send, or the journal was for their queues
	counts    counts
	kept      promise // SUBACKs and UNSUBACKs, to be sent when what they say is kept
	over      promise // the same for PUBCOMPs

	origin []byte  // the client id of who sent the batch; empty before somebody asks, see from
	memory matches // which subscriptions topics have

	// Of the message that is being delivered:
	matches []*subscription // lent by memory
	shares  []*group        // they get the message at QoS 1 or 2
	targets []target
	seen    map[*session]int // where in targets a session with several subscriptions is
	routes  []*Route
	hits    []RouteHit
	queues  []SessionHit
	data    []byte // of queues
	copies  [ownCopy + 1]encoded
	refused bool             // it was, see source.told
	shared  *message.Message // a copy out of the read buffer, for sessions that keep it

	most used // of any message of the batch: so many places are to be cleared
}

// used counts places in the lists of a reading.
type used struct{ targets, routes, shares int }

// mark notes how many places the message before used, which the next one may not overwrite.
func (r *reading) mark() {
	m := &r.most
	m.targets, m.routes = max(m.targets, len(r.targets)), max(m.routes, len(r.routes))
	m.shares = max(m.shares, len(r.shares))
}

// ownCopy is the place in reading.copies of an encoding for one target only; before it stand those for 3.1.1 and 5.0, with
// and without a packet id.
const ownCopy = 4

// source says where a message comes from.
type source struct {
	session    *session // of a client; nil: within the process
	publisher  string   // the name of a Publisher
	unretained bool     // the retained message of the topic is not kept here, see sys
	told       bool     // a message that is not retained for want of room is refused, as its publisher can be told
}

func (b *Broker) newReading() *reading {
	r, _ := b.readings.Get().(*reading)
	if r == nil {
		r = &reading{seen: map[*session]int{}}
	}
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
	b := r.b
	b.count.add(&r.counts)
	clear(r.touched)
	clear(r.queued)
	clear(r.queues)
	clear(r.batch.entries)
	r.mark()
	r.memory.rest()
	r.matches = nil
	for i := range r.targets[:r.most.targets] {
		r.targets[:r.most.targets][i].session = nil
	}
	clear(r.routes[:r.most.routes])
	clear(r.shares[:r.most.shares])
	for _, m := range r.messages[:min(r.used+1, len(r.messages))] { // slices into the read buffer
		m.Props.Release()
		*m = message.Message{Publish: packet.Publish{Props: m.Props}}
	}
	if len(r.messages) > 256 {
		r.messages = r.messages[:256]
	}
	r.used, r.touched, r.queued, r.shared = 0, r.touched[:0], r.queued[:0], nil
	r.queues, r.data = r.queues[:0], r.data[:0]
	r.batch.entries, r.batch.dues = r.batch.entries[:0], r.batch.dues[:0]
	r.targets, r.routes, r.shares = r.targets[:0], r.routes[:0], r.shares[:0]
	r.most = used{}
	r.hits, r.counts, r.b = r.hits[:0], counts{}, nil
	r.kept, r.over = promise{}, promise{}
	r.origin = r.origin[:0]
	if r.subscribe.ID != 0 {
		r.forgetSubscribe()
	}
	b.readings.Put(r)
}

// from is the origin of the messages of a client, all of the batch.
func (r *reading) from(s *session) []byte {
	if len(r.origin) == 0 {
		r.origin = append(r.origin, s.id()...)
	}
	return r.origin
}

// forgetSubscribe forgets what was subscribed to, but for the room of a few filters.
func (r *reading) forgetSubscribe() {
	filters := r.subscribe.Filters
	clear(filters[:cap(filters)])
	if cap(filters) > 64 {
		filters = nil
	}
	r.subscribe = packet.Subscribe{Filters: filters[:0]}
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
	if !from.unretained {
		r.counts.received[m.QoS]++
		r.counts.payloadIn += uint64(len(m.Payload))
	}
	must := false
	if r.refused = false; m.Retain && !from.unretained && !r.b.cfg().NoRetain { // before looking for subscribers: see replay
		if must, r.refused = r.b.retain(m, from); r.refused {
			return noEntry, false
		}
	}
	r.mark()
	r.matches = r.memory.find(&r.b.tree, m.Topic) // [MQTT-3.3.2-3]
	if len(r.matches) == 0 && !must && key == "" {
		r.shared = nil
		return noEntry, false
	}
	r.aimAll(m, from)
	first, local := len(r.queues), false
	for i := range r.targets {
		t := &r.targets[i]
		if d := t.session.out.durable; d != nil && m.QoS > 0 && t.qos > 0 {
			r.enqueue(m, t, d)
			continue
		}
		local = true
		r.deliver(m, t)
	}
	for _, g := range r.shares {
		local = r.entrust(m, g) || local
	}
	wanted = len(r.targets)+len(r.routes)+len(r.shares) > 0
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

// aimAll finds out who of the matches gets the message.
func (r *reading) aimAll(m *message.Message, from source) {
	r.targets, r.routes, r.shares = r.targets[:0], r.routes[:0], r.shares[:0]
	for _, s := range r.matches {
		switch {
		case s.session != nil:
			r.aim(s, m, from)
		case s.group != nil:
			r.aimGroup(s.group, m)
		case s.told != nil:
			s.told(m)
		case s.route.takes(m.Topic, m.Hops, r.b.cfg().MaxHops, from.publisher):
			r.choose(s.route)
		}
	}
}

// enqueue makes the queue of a session a destination of the message, unless too much waits there.
func (r *reading) enqueue(m *message.Message, t *target, d *durable) {
	o := &t.session.out
	o.mu.Lock()
	gone, inFlight := o.gone, o.flight.InFlight()-len(o.lent)
	o.mu.Unlock()
	if gone {
		return
	}
	room := d.room(footprint(m), inFlight)
	if !room { // 3.1.1 and 5.0 leave this to the server: the newest is dropped, and the count kept
		r.counts.droppedQueue++
		o.mu.Lock()
		o.own()
		o.dropping++
		firstDrop := o.dropping == 1
		o.mu.Unlock()
		if firstDrop {
			r.b.quiet.warn(r.b.log, slowSubscriber, "client", t.session.id())
		}
	}
	at := len(r.data)
	q := min(m.QoS, t.qos) // v5 [MQTT-3.8.4-8], 3.1.1 [MQTT-3.8.4-6]
	if q == 2 && m.Retain && room {
		o.mu.Lock()
		d.replaced(m.Topic)
		o.mu.Unlock()
	}
	r.data = appendHit(r.data, q, t.retain, t.ids)
	r.hit(d, SessionHit{Queue: d.queue.ID(), QoS: q, Drop: !room, Data: r.data[at:len(r.data):len(r.data)], to: d})
}

const slowSubscriber = "subscriber does not keep up, dropping messages for it"

// hit adds a queue to the destinations of the message.
func (r *reading) hit(to sender, hit SessionHit) {
	r.queues = append(r.queues, hit)
	if !hit.Drop {
		r.note(to)
	}
}

// note has somebody send what there is at the end of the reading.
func (r *reading) note(to sender) {
	if to.inlet().noted.Swap(r.token) != r.token {
		r.queued = append(r.queued, to)
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
