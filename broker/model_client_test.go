package broker

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"sync"

	"weir/broker/packet"
)

// actor is a client of the model: it reads everything at once, and compares it with the reference.
type actor struct {
	m    *model
	id   string
	v    packet.Version
	nc   net.Conn // nil: not connected
	lazy bool     // acknowledges nothing

	acks      []packet.Ack // still to be sent
	lastID    uint16
	waits     map[uint16]packet.Type // own packet ids, and what answers them next
	pending   map[uint16]*packet.Publish
	unsettled []uint16 // own QoS 2 ids without PUBCOMP, in order
	hold      bool     // does not send PUBREL
	reasons   map[uint16]func([]packet.Reason)
	direct    map[string]bool      // payloads that came for the session itself, or so it seemed
	alike     map[string]lookAlike // by payload, those of which one of two was taken
	seen      map[string]int       // the last message from a group, by group, publisher, topic and QoS
	connack   *packet.Connack
	end       *packet.Disconnect

	mu  sync.Mutex // guards the fields below
	got []byte
	eof bool
}

func (a *actor) open() {
	nc := a.m.memory.dial(64 << 10)
	a.mu.Lock()
	a.nc = nc
	a.mu.Unlock()
	a.mu.Lock()
	a.got, a.eof = nil, false
	a.mu.Unlock()
	a.acks, a.connack, a.end = nil, nil, nil
	a.waits = map[uint16]packet.Type{}
	a.reasons = map[uint16]func([]packet.Reason){}
	go func() {
		part := make([]byte, 16<<10)
		for {
			n, err := nc.Read(part)
			a.mu.Lock()
			if nc == a.nc {
				a.got = append(a.got, part[:n]...)
				a.eof = a.eof || err != nil
			}
			a.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
}

// ended tells whether the broker has closed the connection.
func (a *actor) ended() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.eof
}

func (a *actor) shut() {
	a.nc.Close()
	a.mu.Lock()
	a.nc, a.got = nil, nil
	a.mu.Unlock()
}

func (a *actor) write(all ...appender) {
	var b []byte
	for _, p := range all {
		var err error
		if b, err = p.Append(b, a.v); err != nil {
			a.m.t.Fatalf("%T: %v", p, err)
		}
	}
	a.nc.Write(b)
}

func (a *actor) nextID() uint16 {
	for a.lastID++; a.lastID == 0 || slices.Contains(a.unsettled, a.lastID); a.lastID++ {
	}
	return a.lastID
}

// read handles what came, and tells whether anything did.
func (a *actor) read() (any bool) {
	if a.nc == nil {
		return false
	}
	a.mu.Lock()
	got := a.got
	a.got = nil
	a.mu.Unlock()
	for len(got) > 0 && !a.m.t.Failed() {
		f, n, err := packet.Next(got, 0)
		if err != nil || n == 0 {
			a.m.fail("%s: half a packet, %v", a.id, err)
			return true
		}
		p := blank(f.Type)
		if err := p.Decode(packet.Frame{Type: f.Type, Flags: f.Flags, Long: f.Long, Body: bytes.Clone(f.Body)}, a.v); err != nil {
			a.m.fail("%s: %v", a.id, err)
		}
		got, any = got[n:], true
		a.m.note("  %s <- %s %s", a.id, f.Type, brief(p))
		a.handle(p)
	}
	if !a.lazy && len(a.acks) > 0 {
		a.acknowledge()
		any = true
	}
	return any
}

func brief(p decoder) string {
	switch p := p.(type) {
	case *packet.Publish:
		return fmt.Sprintf("%s=%s q%d id=%d dup=%v retain=%v ids=%v expiry=%d", p.Topic, p.Payload, p.QoS, p.ID, p.Dup, p.Retain, p.Props.SubscriptionIDs, p.Props.MessageExpiry)
	case *packet.Ack:
		return fmt.Sprint(p.ID, " ", p.Reason)
	case *packet.Connack:
		return fmt.Sprint(p.Reason, " ", p.SessionPresent)
	case *packet.Suback:
		return fmt.Sprint(p.Reasons)
	}
	return ""
}

// acknowledge sends what is due, in order: v5 [MQTT-4.6.0-2] [MQTT-4.6.0-3].
func (a *actor) acknowledge() {
	s := a.m.ref.sessions[a.id]
	for _, k := range a.acks {
		switch k.Type {
		case packet.TypePuback:
			s.begun = slices.DeleteFunc(s.begun, func(d *delivery) bool { return d.id == k.ID })
		case packet.TypePubrec:
			s.begun = slices.DeleteFunc(s.begun, func(d *delivery) bool { return d.id == k.ID })
			s.freed = append(s.freed, k.ID)
		case packet.TypePubcomp:
			s.freed = slices.DeleteFunc(s.freed, func(id uint16) bool { return id == k.ID })
		}
		a.m.note("  %s -> %s %d", a.id, k.Type, k.ID)
		a.write(&k)
	}
	a.acks = nil
}

func (a *actor) handle(p decoder) {
	switch p := p.(type) {
	case *packet.Connack:
		a.connack = p
	case *packet.Disconnect:
		a.end = p
	case *packet.Publish:
		a.published(p)
	case *packet.Suback:
		a.answered(p.ID, packet.TypeSuback)
		a.reasons[p.ID](p.Reasons)
	case *packet.Unsuback:
		a.answered(p.ID, packet.TypeUnsuback)
		a.reasons[p.ID](p.Reasons)
	case *packet.Ack:
		a.step(p)
	}
}

func (a *actor) answered(id uint16, t packet.Type) {
	if a.waits[id] != t {
		a.m.fail("%s: %s for id %d, want %s", a.id, t, id, a.waits[id])
	}
	delete(a.waits, id)
}

// step goes on with own messages, and with PUBREL.
func (a *actor) step(p *packet.Ack) {
	if p.Reason.Failed() {
		a.m.fail("%s: %s for id %d with %s", a.id, p.Type, p.ID, p.Reason)
	}
	switch p.Type {
	case packet.TypePuback:
		a.answered(p.ID, packet.TypePuback)
	case packet.TypePubrec:
		a.answered(p.ID, packet.TypePubrec)
		a.pending[p.ID] = nil // released from here on
		if !a.hold {
			a.release(p.ID)
		}
	case packet.TypePubcomp:
		a.answered(p.ID, packet.TypePubcomp)
		a.unsettled = slices.DeleteFunc(a.unsettled, func(id uint16) bool { return id == p.ID })
		delete(a.pending, p.ID)
	case packet.TypePubrel:
		s := a.m.ref.sessions[a.id]
		ended := func(d *delivery) bool { // with the process, or because it has expired
			return d.id == p.ID && d.qos == 2 && (d.brief && d.dup || d.group != nil && d.m.expired(a.m.ref.now()))
		}
		if at := slices.IndexFunc(s.begun, ended); at >= 0 {
			s.begun = slices.Delete(s.begun, at, at+1) // the client may have it: only the handshake goes on
			s.again = slices.DeleteFunc(s.again, func(d *delivery) bool { return d.id == p.ID })
			s.freed = append(s.freed, p.ID)
		}
		if !slices.Contains(s.freed, p.ID) {
			a.m.fail("%s: PUBREL for id %d, PUBREC was sent for %v", a.id, p.ID, s.freed)
		}
		s.regrets = slices.DeleteFunc(s.regrets, func(id uint16) bool { return id == p.ID })
		a.acks = append(a.acks, packet.Ack{Type: packet.TypePubcomp, ID: p.ID})
	}
}

func (a *actor) release(id uint16) {
	a.waits[id] = packet.TypePubcomp
	a.write(&packet.Ack{Type: packet.TypePubrel, ID: id})
}

// repeat sends again, on a new connection with its session, what is not finished. v5 [MQTT-4.4.0-1], 3.1.1 [MQTT-4.4.0-1]
func (a *actor) repeat() {
	for _, id := range a.unsettled {
		if p := a.pending[id]; p != nil {
			p.Dup = true
			a.waits[id] = packet.TypePubrec
			a.write(p)
		} else {
			a.release(id)
		}
	}
}

// published compares a PUBLISH with what the reference has for the client.
func (a *actor) published(p *packet.Publish) {
	s := a.m.ref.sessions[a.id]
	if s == nil || !s.online {
		a.m.fail("%s: a message without a session", a.id)
		return
	}
	if p.QoS > 0 {
		defer func() {
			t := packet.TypePuback
			if p.QoS == 2 {
				t = packet.TypePubrec
			}
			a.acks = append(a.acks, packet.Ack{Type: t, ID: p.ID})
		}()
		if len(s.again) > 0 && a.repeated(s, p) {
			return
		}
		taken := slices.Contains(s.freed, p.ID) || slices.ContainsFunc(s.begun, func(d *delivery) bool { return d.id == p.ID })
		if taken { // v5 [MQTT-2.2.1-4], 3.1.1 [MQTT-2.3.1-4]
			a.m.fail("%s: packet id %d is in use", a.id, p.ID)
		}
	}
	d := a.find(s, p)
	if d == nil {
		a.m.fail("%s got %s, which it must not get; to come are %v, of its groups %v", a.id, brief(p), s.owed, a.m.ref.ofGroups(s))
		return
	}
	if p.Dup && !d.dup { // v5 [MQTT-3.3.1-2], 3.1.1 [MQTT-3.3.1-1]
		a.m.fail("%s: DUP for %s, which was not sent before", a.id, brief(p))
	}
	a.sameProperties(p, d)
	if p.QoS > 0 {
		d.id = p.ID
		s.begun = append(s.begun, d)
		if n := len(s.begun) + len(s.freed) - len(s.again) - len(s.regrets); n > min(s.most, a.m.ref.window) { // v5 [MQTT-3.3.4-9]
			a.m.fail("%s: %d messages in flight, at most %d", a.id, n, s.most)
		}
	}
}

// twice tells whether a message is in flight for the session itself and for a group: which is which cannot be told.
func (s *standing) twice(d *delivery) bool {
	return slices.ContainsFunc(s.begun, func(x *delivery) bool { return x != d && x.m == d.m })
}

// repeated takes a message that was in flight on the connection before. They come in order, with their ids and DUP.
func (a *actor) repeated(s *standing, p *packet.Publish) bool {
	for i, d := range s.again {
		if d.id != p.ID || string(d.m.p.Payload) != string(p.Payload) {
			continue
		}
		for _, before := range s.again[:i] {
			if before.group == nil && d.group == nil && before.qos == d.qos && !s.twice(before) && !s.twice(d) {
				a.m.fail("%s: %s comes again before %v", a.id, brief(p), before)
			}
		}
		if !p.Dup { // v5 [MQTT-3.3.1-1], 3.1.1 [MQTT-3.3.1-1]
			a.m.fail("%s: %s comes again without DUP", a.id, brief(p))
		}
		s.again = slices.Delete(s.again, i, i+1)
		return true
	}
	return false
}
