package bridge

import (
	"time"

	"weir/bridge/client"
	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/topic"
)

// Source gives the records of one upstream, in order. The bridge calls Next, Ack, Refuse and Rewind from one goroutine.
type Source interface {
	// Next fills dst with the next records and never blocks. They are valid until the next Next or Rewind.
	Next(dst []Record) (int, error)
	// Ready is signalled when Next may have more; capacity 1.
	Ready() <-chan struct{}
	// Ack says that the upstream has these records. Ranges hold only numbers that Next gave out, or that a kept pair names.
	Ack(r []Range)
	// Refuse moves a record to the dead letters: Next passes it, also after Rewind. at is now.
	Refuse(number uint64, why packet.Reason, at message.Stamp)
	// Rewind lets Next begin again at the first record that is neither acknowledged nor refused.
	Rewind()
	// Live tells whether the link can take records now.
	Live(up bool)
	// Backlog is what waits, what is on the way included. Safe for concurrent use.
	Backlog() Backlog
}

// Record is one message with its place in the log and the forward rule that took it.
type Record struct {
	Number  uint64
	Rule    uint32
	Message message.Message
}

// Range is an inclusive range of record numbers.
type Range struct{ First, Last uint64 }

// Backlog is what waits for an upstream.
type Backlog struct {
	Records     uint64
	Bytes       int64
	Aside       uint64 // refused by the upstream, not yet among the dead letters
	Dead        uint64 // dead letters
	DeadDropped uint64 // of those, given up for want of room
	Dropped     uint64 // given up by the store's policy
	OldestBoot  uint64 // stamp of the oldest waiting record
	OldestSince time.Duration
}

// Sink takes messages from the upstream into the local broker. Publish takes the whole batch or, with an error, nothing;
// it never blocks and copies what it keeps. While it holds nothing of ours that is not settled it has room, so a message
// it then refuses is refused for good. Whoever makes the sink has Bridge.Settled told of what is settled.
type Sink interface {
	Publish(batch []message.Message) error
}

// Clock tells time as far as it can be trusted. Safe for concurrent use.
type Clock interface {
	Now() message.Stamp
	Wall(s message.Stamp) (t time.Time, certain bool) // not certain: what the machine's clock says, or zero if not even that
	Trusted() bool
}

// Retain says what becomes of the retain flag of a forwarded message.
type Retain uint8

const (
	KeepRetain  Retain = iota // as published
	StripRetain               // never retained upstream
)

// Format says what the payload upstream looks like.
type Format uint8

const (
	Raw  Format = iota // the payload as it is
	JSON               // {"time":...,"value":...}, see doc.go
)

// AsPublished as the QoS of a rule keeps the QoS of the publisher.
const AsPublished byte = 0xFF

// Rule is a forward rule, with placeholders expanded. The broker decides by filter and exclude what it takes; the
// bridge applies the rest when a record leaves.
type Rule struct {
	Filter  topic.Filter
	Exclude []topic.Filter
	Strip   string // whole levels taken from the front of topics that begin with them; empty: none
	Prefix  string // whole levels put in front, with one slash between; empty: none
	QoS     byte   // 0, 1, 2 or AsPublished
	Retain  Retain
	Format  Format
}

// ReceiveRule brings topics of the upstream to the local broker. The first rule whose filter matches takes a message.
type ReceiveRule struct {
	Filter topic.Filter
	Strip  string // as in Rule
	Prefix string
	QoS    byte // 0, 1 or 2: asked for upstream
}

// Config of a bridge. Name, Gateway and Connect are required, what is zero has a default.
type Config struct {
	Name    string // of the upstream, one topic level
	Gateway string // id of the gateway: the state topic is weir/GATEWAY/bridge/NAME
	Program string // version told in the state

	Connect client.Options // URL, credentials, TLS; Will and the functions are set by the bridge. Version 0: 5.0, and 3.1.1 where that is refused
	Servers []string       // URLs tried in this order; empty: Connect.URL alone

	Forward map[uint32]Rule // current and old forward rules by number
	Receive []ReceiveRule

	Window        int           // most messages on the way; 100
	MaxPacket     int           // largest packet sent, besides what the server says; 0: no limit of ours
	MaxHops       int           // a message that has passed so many gateways is not forwarded; 3
	StallAfter    time.Duration // without an acknowledgement while some are owed: reconnect; 20s
	MinWait       time.Duration // between attempts, at least; 1s
	MaxWait       time.Duration // between attempts, at most; 120s
	StableAfter   time.Duration // a link that lasted so long starts over with MinWait; 1 min
	ClockDeadline time.Duration // how long TLS waits for a trusted clock; 2 min
	StateEvery    time.Duration // how often the state is told while draining; 10s

	// Keeper keeps what exactly once needs; nil: QoS 2 is sent at QoS 1. Persist asks for a session that outlives its
	// connections, for Connect.SessionExpiry (5.0; 7 days); it needs a Keeper. Cluster: all Servers share their sessions.
	Keeper  Keeper
	Persist bool
	Cluster bool

	NoState bool // no state topic upstream and no will, for servers that allow only certain topics

	// Announce publishes the state locally; called from Run, must not block. May be nil.
	Announce func(topic string, payload []byte, retain bool)
}

// Status is a snapshot of a bridge.
type Status struct {
	State      string        // connected draining stalled throttled refused waiting-for-clock offline
	Link       string        // idle resolving dialling connecting up waiting
	Since      time.Time     // of State, by the machine's clock
	Err        string        // the last error in words; empty: none since the link is up
	NextTry    time.Time     // zero: none planned
	RTT        time.Duration // from PUBLISH to its acknowledgement, smoothed
	InFlight   int
	Window     int
	Backlog    Backlog
	OldestAge  time.Duration // of the oldest waiting record; 0: none, or not known
	Sent       uint64        // records sent, repeats included
	Acked      uint64
	Refused    uint64 // by the upstream or as impossible to send
	Expired    uint64 // message expiry passed while they waited
	Looped     uint64 // not forwarded or not taken in, to cut a loop
	Received   uint64 // messages taken in by receive rules
	Unmatched  uint64 // messages from the upstream that no receive rule matches
	Overrun    uint64 // messages from the upstream the local side had no room for, or could not take
	Repeats    uint64 // may have arrived twice: on their way at QoS 2 when a session was lost
	Reconnects uint64
	Subscribed []Subscription // in the order of Config.Receive; empty while not up
}

// Subscription is the upstream's answer to one receive rule.
type Subscription struct {
	Filter string
	Reason packet.Reason
}
