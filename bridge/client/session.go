package client

import (
	"weir/broker/packet"
)

// Unfinished is a QoS 2 message of an earlier connection that has no PUBCOMP yet.
type Unfinished struct {
	ID       uint16
	Ref      uint64
	Released bool // PUBREC was received: only PUBREL is sent from here on
}

// resume puts the state of the session back when the server has it too, and forgets it otherwise.
func (c *core) resume(window int) {
	if !c.info.SessionPresent {
		return
	}
	for _, u := range c.o.Unfinished {
		c.outbound.Restore(u.ID, u.Ref, 2, u.Released)
	}
	c.outbound.Resume(window)
	for _, id := range c.o.Held {
		c.inbound.Restore(id)
	}
}

// Claim takes the packet id of a message and appends the PUBLISH to dst, to be given to Post later: so that the id can be
// written down before the packet leaves. p.ID is set; it stays 0 at QoS 0. The claimed message counts against the window.
// Errors are those of Send, but for ErrBusy.
func (c *Conn) Claim(p *packet.Publish, ref uint64, dst []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.leaving {
		return dst, ErrClosed
	}
	return c.core.claim(dst, p, ref)
}

// Again is Claim for an unfinished message of an earlier connection, under the id it has: the PUBLISH appended to dst
// has DUP set. It is for messages that are not released.
func (c *Conn) Again(p *packet.Publish, id uint16, dst []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.leaving {
		return dst, ErrClosed
	}
	if err := c.core.proper(p); err != nil {
		return dst, err
	}
	p.ID, p.Dup = id, true // v5 and v3 [MQTT-3.3.1-1]
	out, err := c.core.encode(dst, p)
	p.Dup = false // the caller uses p again
	if err != nil {
		return dst, err
	}
	if _, ok := c.core.outbound.Again(id); !ok {
		return dst, ErrWindow
	}
	return out, nil
}

// Post appends a packet from Claim or Again to the write buffer; ref is needed again for QoS 0. ErrBusy: not now.
func (c *Conn) Post(publish []byte, qos byte, ref uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil || c.leaving:
		return ErrClosed
	case len(c.core.out) >= maxOut:
		return ErrBusy
	}
	c.core.out = append(c.core.out, publish...)
	if qos == 0 {
		c.core.zeros = append(c.core.zeros, ref)
	}
	return nil
}

// Release sends PUBREL for a message whose PUBREC came, now or on an earlier connection. For one whose content can no
// longer be sent it does so without a PUBREC, so that the server frees the id. Unknown ids are ignored.
func (c *Conn) Release(id uint16) {
	c.mu.Lock()
	var err error
	if c.err == nil && c.core.outbound.GiveUp(id) {
		err = c.core.answer(packet.TypePubrel, id, packet.Success) // [MQTT-4.3.3-4]
	}
	c.mu.Unlock()
	if err != nil {
		c.end(err)
	}
}

// Complete sends PUBCOMP for a received message whose PUBREL came; known is false if there was none with that id.
func (c *Conn) Complete(id uint16, known bool) {
	reason := packet.Success
	if !known {
		reason = packet.PacketIdentifierNotFound
	}
	c.mu.Lock()
	var err error
	if c.err == nil {
		err = c.core.answer(packet.TypePubcomp, id, reason) // [MQTT-4.3.3-11]
		c.core.inbound.Completed(id)
	}
	c.mu.Unlock()
	if err != nil {
		c.end(err)
	}
}

// Unclaim frees the id of a message that was claimed and not posted.
func (c *Conn) Unclaim(id uint16, qos byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.core.outbound.Receive(rollback[qos], id, packet.UnspecifiedError)
}
