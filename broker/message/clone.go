package message

import "weir/broker/packet"

// Clone returns a copy that shares nothing with m. All its bytes are in one
// allocation; a second one is made for user properties if there are any, and
// subscription identifiers are not copied: they belong to one delivery. Nor are
// properties that a PUBLISH cannot have.
func (m *Message) Clone() Message {
	p := &m.Props
	size := len(m.Origin) + len(m.Topic) + len(m.Payload) +
		len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData)
	for i := range p.User {
		size += len(p.User[i].Key) + len(p.User[i].Value)
	}
	room := make(room, 0, size)
	c := *m
	c.Origin = room.keep(m.Origin)
	c.Topic = room.keep(m.Topic)
	c.Payload = room.keep(m.Payload)
	c.Props.ContentType = room.keep(p.ContentType)
	c.Props.ResponseTopic = room.keep(p.ResponseTopic)
	c.Props.CorrelationData = room.keep(p.CorrelationData)
	c.Props.SubscriptionIDs, c.Props.User = nil, nil
	if len(p.User) > 0 {
		c.Props.User = make([]packet.UserProperty, len(p.User))
		for i, u := range p.User {
			c.Props.User[i] = packet.UserProperty{Key: room.keep(u.Key), Value: room.keep(u.Value)}
		}
	}
	return c
}

// room is one allocation that slices are copied into, with capacity for all.
type room []byte

// keep returns a copy of b that cannot grow into its neighbour; nil stays nil.
func (r *room) keep(b []byte) []byte {
	if b == nil {
		return nil
	}
	at := len(*r)
	*r = append(*r, b...)
	return (*r)[at:len(*r):len(*r)]
}
