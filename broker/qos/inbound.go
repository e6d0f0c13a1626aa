package qos

import "fmt"

// InStep is what the receiver does about a PUBLISH.
type InStep uint8

// The steps.
const (
	New       InStep = iota // a message not seen before: deliver it
	Duplicate               // a QoS 2 message already held: do not deliver it, answer PUBREC as for the first
	Exceeded                // over the receive maximum, not recorded: close with ReceiveMaximumExceeded
	Conflict                // the id still means another message, not recorded: PacketIdentifierInUse, or close with ProtocolError
)

// String names the step.
func (s InStep) String() string {
	names := [...]string{"new", "duplicate", "exceeded", "conflict"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("step(%d)", uint8(s))
}

// Inbound is the receiving half. Make it with NewInbound. It is not safe for concurrent use.
type Inbound struct {
	table table // open: how far the sender's quota is below the receive maximum
}

// NewInbound makes a receiving half for a new session. receiveMaximum is the one announced to the peer; 65535 for 3.1.1, where there
// is none. Below 1 it counts as 1, above 65535 as 65535.
func NewInbound(receiveMaximum int) *Inbound {
	in := new(Inbound)
	in.setMaximum(receiveMaximum)
	return in
}

func (in *Inbound) setMaximum(n int) { in.table.quota = uint16(min(max(n, 1), maxIDs)) }

// Publish takes a received PUBLISH and says what to do with it. QoS 0 is always New and leaves no trace. A QoS 1 message is always
// New: an id that comes again before its PUBACK may be a repeat or not, and at QoS 1 a repeat does no harm; so dup is
// not looked at, as [MQTT-4.3.2-5] wants.
func (in *Inbound) Publish(q byte, id uint16, dup bool) InStep {
	if q == 0 {
		return New
	}
	place := in.table.find(id)
	if place == 0 {
		return in.publishNew(q, id)
	}
	s := &in.table.slots[place]
	switch {
	case s.state == owesPuback && q == 1:
		if in.table.open >= in.table.quota { // [MQTT-3.3.4-7]
			return Exceeded
		}
		in.table.open++
		s.ref++
		return New
	case s.state == received && q == 2: // v5 [MQTT-4.3.3-10], 3.1.1 [MQTT-4.3.3-2]
		if !s.counted {
			if in.table.open >= in.table.quota {
				return Exceeded
			}
			s.counted = true
			in.table.open++
		}
		return Duplicate
	}
	return Conflict
}

func (in *Inbound) publishNew(q byte, id uint16) InStep {
	if in.table.open >= in.table.quota { // [MQTT-3.3.4-7]
		return Exceeded
	}
	s := owesPuback
	if q == 2 {
		s = received
	}
	place := in.table.add(id, s, 1)
	in.table.slots[place].counted = true
	in.table.open++
	return New
}

// Acked notes that a PUBACK was sent, or a PUBREC with a failure: the id is free, and so is its place
// [MQTT-4.3.2-5] [MQTT-4.3.3-9]. A PUBREC without a failure is not noted. Unknown ids are ignored.
func (in *Inbound) Acked(id uint16) {
	place := in.table.find(id)
	if place == 0 {
		return
	}
	switch s := &in.table.slots[place]; s.state {
	case owesPuback:
		in.giveBack()
		if s.ref--; s.ref == 0 { // ref counts the PUBACKs owed
			in.table.remove(place)
		}
	case received:
		in.remove(place)
	}
}

// Release takes a received PUBREL: from here on the id is no longer held against repeats. The caller sends PUBCOMP and then calls
// Completed, also when known is false (5.0: PacketIdentifierNotFound) [MQTT-4.3.3-11].
func (in *Inbound) Release(id uint16) (known bool) {
	place := in.table.find(id)
	if place == 0 {
		return false
	}
	s := &in.table.slots[place]
	if s.state == received {
		s.state = owesPubcomp
	}
	return s.state == owesPubcomp
}

// Completed notes that PUBCOMP was sent: the id means a new message from here on [MQTT-4.3.3-12]. The sender's quota rises by
// one with it, up to where it began, also if the message is one of an earlier connection or none is known (v5 section 4.9).
// An id whose PUBREL did not come is left alone.
func (in *Inbound) Completed(id uint16) {
	place := in.table.find(id)
	if place != 0 && in.table.slots[place].state != owesPubcomp {
		return
	}
	in.giveBack()
	if place != 0 {
		in.table.remove(place)
	}
}

// giveBack is what the sender does with its quota at PUBACK and PUBCOMP.
func (in *Inbound) giveBack() {
	if in.table.open > 0 {
		in.table.open--
	}
}

func (in *Inbound) remove(place uint16) {
	if in.table.slots[place].counted {
		in.giveBack()
	}
	in.table.remove(place)
}

// Open is how many messages of this connection count against the receive maximum: those that are not done with, less one for
// each PUBCOMP that was sent for another one.
func (in *Inbound) Open() int { return int(in.table.open) }

// Held lists the QoS 2 ids received and not released, oldest first, until yield gives false: what a stored session
// has to keep. yield must not call in.
func (in *Inbound) Held(yield func(id uint16) bool) {
	for place := range in.table.ring() {
		if s := &in.table.slots[place]; s.state == received && !yield(s.id) {
			return
		}
	}
}

// Reconnect begins a new connection of the same session. QoS 2 ids that were not released stay held, without a place; owed
// PUBACKs and PUBCOMPs are void.
func (in *Inbound) Reconnect(receiveMaximum int) {
	for place := range in.table.ring() {
		if in.table.slots[place].state != received {
			in.table.remove(place)
			continue
		}
		in.table.slots[place].counted = false
	}
	in.table.open = 0
	in.setMaximum(receiveMaximum)
}

// Restore puts back a held QoS 2 id from storage, before Reconnect begins the connection. It is false, and nothing
// changed, when the id is 0 or in use.
func (in *Inbound) Restore(id uint16) bool {
	if id == 0 || in.table.find(id) != 0 {
		return false
	}
	in.table.add(id, received, 1)
	return true
}

// Reset forgets the session and gives the memory back. The receive maximum stays.
func (in *Inbound) Reset() { *in = Inbound{table{quota: in.table.quota}} }
