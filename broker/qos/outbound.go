package qos

import (
	"fmt"

	"weir/broker/packet"
)

// Step is what the sender does about an acknowledgement it received.
type Step uint8

// The steps. The diagrams in the package comment show which one follows when.
const (
	Ignored    Step = iota // unknown id; answer a PUBREC with PUBREL (5.0: PacketIdentifierNotFound), or the peer never ends
	SendPubrel             // send PUBREL with this id, also if it was sent before
	Done                   // the peer has the message, the id is free
	Refused                // the peer refused the message and does not have it, the id is free
	Wrong                  // does not fit the state of the id, which is unchanged: a protocol error of the peer
)

// String names the step.
func (s Step) String() string {
	names := [...]string{"ignored", "send PUBREL", "done", "refused", "wrong"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("step(%d)", uint8(s))
}

// Outbound is the sending half. Make it with NewOutbound. It is not safe for concurrent use.
type Outbound struct {
	table    table  // open: messages counted against the window
	resume   uint16 // the first place not yet sent on this connection; 0: none
	messages uint16 // messages unfinished, sent on this connection or not: there are no more than ids
}

// NewOutbound makes a sending half for a new session. window is how many QoS 1 and 2 messages may be unfinished on a connection:
// at most the peer's Receive Maximum [MQTT-4.9.0-1]. Below 0 it counts as 0, above 65535 as 65535, for there are no more ids.
func NewOutbound(window int) *Outbound {
	o := new(Outbound)
	o.SetWindow(window)
	return o
}

// SetWindow changes the window of the running connection, in the limits of NewOutbound. What is beyond a smaller window is
// not taken back; Send gives nothing until enough of it is finished.
func (o *Outbound) SetWindow(n int) { o.table.quota = uint16(min(max(n, 0), maxIDs)) }

// Send takes an id for a new message; the caller writes PUBLISH with it, DUP 0. q is 1 or 2. ok is false, and nothing changed,
// when Free is 0 or q is another.
func (o *Outbound) Send(q byte, ref uint64) (id uint16, ok bool) { // v5 [MQTT-4.3.2-1] [MQTT-4.3.3-1], 3.1.1 [MQTT-4.3.2-1] [MQTT-4.3.3-1]
	if q != 1 && q != 2 || o.Free() == 0 { // [MQTT-4.9.0-2] [MQTT-3.3.4-9]
		return 0, false
	}
	id, ok = o.table.freeID()
	if !ok {
		return 0, false
	}
	place := o.table.add(id, sentAt(q), ref)
	o.table.slots[place].counted = true
	o.table.open++
	o.messages++
	return id, true
}

func sentAt(q byte) state {
	if q == 1 {
		return awaitPuback
	}
	return awaitPubrec
}

// Receive takes PUBACK, PUBREC or PUBCOMP with its reason (Success in 3.1.1) and says what to do. ref is the one
// given to Send, 0 for Ignored and for an id from Reserve. After Done or Refused there may be room for Resend or Send.
func (o *Outbound) Receive(t packet.Type, id uint16, r packet.Reason) (step Step, ref uint64) {
	place := o.table.find(id)
	if place == 0 {
		return Ignored, 0
	}
	s := &o.table.slots[place]
	ref = s.ref
	switch {
	case s.state == awaitPuback && t == packet.TypePuback, // v5 [MQTT-4.3.2-3], 3.1.1 [MQTT-4.3.2-1]
		s.state == awaitPubrec && t == packet.TypePubrec && r.Failed(): // [MQTT-4.3.3-3] [MQTT-4.4.0-2]
		o.finish(place)
		if r.Failed() {
			return Refused, ref
		}
		return Done, ref
	case s.state == awaitPubrec && t == packet.TypePubrec, // v5 [MQTT-4.3.3-4], 3.1.1 [MQTT-4.3.3-1]
		s.state == awaitPubcomp && t == packet.TypePubrec && !r.Failed():
		s.state = awaitPubcomp // from here on PUBLISH is not sent again [MQTT-4.3.3-6]
		return SendPubrel, ref
	case s.state == awaitPubcomp && t == packet.TypePubcomp: // [MQTT-4.3.3-5]
		o.finish(place)
		return Done, ref
	}
	return Wrong, ref
}

// finish ends a message and gives its place in the window back.
func (o *Outbound) finish(place uint16) {
	if o.table.slots[place].counted {
		o.table.open--
	}
	o.passed(place)
	o.messages--
	o.table.remove(place)
}

// passed moves resume on if it is at place, to the next message.
func (o *Outbound) passed(place uint16) {
	for o.resume == place && place != 0 {
		o.resume = o.table.slots[place].next
		if o.table.slots[o.resume].state == reserved {
			place = o.resume
		}
	}
}

// Free is how many messages Send would take now. It is 0 as long as Resend has something left, for order's sake.
func (o *Outbound) Free() int {
	if o.resume != 0 {
		return 0
	}
	return min(max(int(o.table.quota)-int(o.table.open), 0), maxIDs-int(o.table.used))
}

// InFlight is how many messages are unfinished, those waiting for Resend included.
func (o *Outbound) InFlight() int { return int(o.messages) }

// Reserve takes an id for a SUBSCRIBE or UNSUBSCRIBE; it does not count against the window. ok is false when all
// 65535 ids are in use. Return gives the id back, at the latest Reconnect does.
func (o *Outbound) Reserve() (id uint16, ok bool) {
	if id, ok = o.table.freeID(); ok {
		o.table.add(id, reserved, 0)
	}
	return id, ok
}

// Return gives back an id from Reserve: the answer came. known is false for any other id.
func (o *Outbound) Return(id uint16) (known bool) {
	place := o.table.find(id)
	if place == 0 || o.table.slots[place].state != reserved {
		return false
	}
	o.table.remove(place) // resume is never at a reserved place
	return true
}

// Unfinished lists the messages in flight in the order they were first sent, until yield gives false. It changes nothing, and
// yield must not call o. released: PUBREC was received.
func (o *Outbound) Unfinished(yield func(id uint16, ref uint64, q byte, released bool) bool) {
	for place := range o.table.ring() {
		s := &o.table.slots[place]
		if s.state != reserved && !yield(s.id, s.ref, s.qos(), s.state == awaitPubcomp) {
			return
		}
	}
}

func (s *slot) qos() byte {
	if s.state == awaitPuback {
		return 1
	}
	return 2
}

// Reconnect begins a new connection of the same session: all messages wait for Resend, reserved ids are free.
func (o *Outbound) Reconnect(window int) {
	for place := range o.table.ring() {
		if o.table.slots[place].state == reserved {
			o.table.remove(place)
			continue
		}
		o.table.slots[place].counted = false
	}
	o.table.open, o.resume = 0, 0
	if o.messages > 0 {
		o.resume = o.table.slots[0].next
	}
	o.SetWindow(window)
}

// Resend hands out, in the order they were first sent, the messages not yet sent on this connection, until the window is
// full or yield gives false (what it was called with counts as sent). The caller writes PUBREL if released, else PUBLISH with DUP 1.
// Call it after Reconnect, and again whenever Receive gave Done or Refused, until Resending is false. yield must not call o.
// v5 [MQTT-4.4.0-1] [MQTT-4.6.0-1] [MQTT-3.3.1-1], 3.1.1 [MQTT-4.4.0-1] [MQTT-4.6.0-1] [MQTT-3.3.1-1].
func (o *Outbound) Resend(yield func(id uint16, ref uint64, q byte, released bool) bool) {
	for o.resume != 0 {
		s := &o.table.slots[o.resume]
		if s.state == awaitPuback || s.state == awaitPubrec {
			if o.table.open >= o.table.quota { // [MQTT-3.3.4-9]
				return
			}
			s.counted = true
			o.table.open++
		}
		o.passed(o.resume)
		if !yield(s.id, s.ref, s.qos(), s.state == awaitPubcomp) {
			return
		}
	}
}

// Peek is what Resend hands out next; ok is false when nothing is left.
func (o *Outbound) Peek() (id uint16, ref uint64, released, ok bool) {
	if o.resume == 0 {
		return 0, 0, false, false
	}
	s := &o.table.slots[o.resume]
	return s.id, s.ref, s.state == awaitPubcomp, true
}

// Resending tells whether Resend has something left.
func (o *Outbound) Resending() bool { return o.resume != 0 }

// Restore puts back a message from storage, in the order of first sending, before Reconnect begins the connection.
// It is false, and nothing changed, when the id is 0 or in use, or q is not 1 or 2.
func (o *Outbound) Restore(id uint16, ref uint64, q byte, released bool) bool {
	if id == 0 || q != 1 && q != 2 || o.table.find(id) != 0 {
		return false
	}
	s := sentAt(q)
	if q == 2 && released {
		s = awaitPubcomp
	}
	place := o.table.add(id, s, ref)
	if o.resume == 0 {
		o.resume = place
	}
	o.table.last = id
	o.messages++
	return true
}

// Reset forgets the session: nothing is in flight, ids start at 1, the memory is given back. The window stays.
func (o *Outbound) Reset() { *o = Outbound{table: table{quota: o.table.quota}} }
