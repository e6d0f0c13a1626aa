package broker

import (
	"weir/broker/message"
	"weir/broker/topic"
)

// A Journal keeps messages for destinations that must not lose them. The broker owes the acknowledgement of a message
// until the journal calls its record settled. Implementations must be safe for concurrent use and must not block.
type Journal interface {
	// Append takes the messages of one read batch, all from one publisher, in order. The first one taken has the record
	// number first, the others follow it without gaps. n less than len(batch) means that there is no room: the first n
	// were taken, and Broker.Notify is called when trying again makes sense. The batch and everything in it is valid
	// during the call only. It may be called by several connections at once, never under a lock of the broker's sessions.
	Append(batch []Entry) (first uint64, n int)

	// Settled tells whether the record is kept, or with everyone who wants it. Cheap; once true, always true.
	Settled(number uint64) bool
}

// Entry is one message for the Journal. Without anyone who wants it, it is only a reason for a commit, and its message need
// not be kept.
type Entry struct {
	Message  *message.Message
	Routes   []RouteHit   // upstreams that want it
	Sessions []SessionHit // queues of sessions that want it at QoS 1 or 2
	Kind     Kind
	Must     bool   // settled only by being durable, whoever acknowledges it
	Key      string // put in the Store along with the message, neither without the other; "": none. It implies Must

	// Refused is set by Append: nobody it is for took it, by a policy of theirs; the count of that is what its number
	// waits for.
	Refused bool
	local   bool // somebody was given it directly

	// Publisher stands for the connection, or the Publisher, that is owed the acknowledgement of the message; unlike any
	// other since the broker was made. 0: none is, or the message has waited for room.
	Publisher uint64
}

// SessionHit names one queue, of a session or a shared group, as a destination of a message.
type SessionHit struct {
	Queue uint32 // Queue.ID
	QoS   byte   // 1 or 2: with 2 it is durable before it is settled
	Drop  bool   // there is no room in the queue: counted there as dropped
	Data  []byte // given back by Queue.Next
	to    sender
}

// RouteHit names one destination of a message: the upstream and the rule of it that takes the message.
type RouteHit struct {
	Upstream uint32 // the journal's consumer number
	Rule     uint32
}

// Kind says how a message came in, which decides how it must be kept.
type Kind uint8

// The kinds.
const (
	KindQoS0           Kind = iota // nothing is owed
	KindQoS1                       // PUBACK is owed
	KindQoS2Clean                  // PUBREC is owed; the publisher's session ends with its connection
	KindQoS2Persistent             // PUBREC is owed to a session that outlives its connection, or to an upstream
	KindLocal                      // from within the process, by a Publisher without acked: nobody waits
)

// Route is a durable destination of messages: one forward rule of one upstream. Of an upstream's routes the first one
// by Order that matches takes a message, the others do not get it.
type Route struct {
	Upstream, Rule uint32         // what RouteHit repeats
	Filter         topic.Filter   // which topics; a shared filter matches as its topic part does
	Exclude        []topic.Filter // topics that it does not take all the same; the next route is then asked
	Order          int            // lower ones are asked first
	NotFrom        string         // name of a Publisher whose messages it does not take (they came from there)
}
