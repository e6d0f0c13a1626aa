package broker

import "sync/atomic"

// Stats is a snapshot of the broker: what is now, and counts since it was made.
type Stats struct {
	Connections   int // logged in
	Sessions      int // with and without a connection
	Subscriptions int
	Retained      int
	RetainedBytes int64
	Owed          int // acknowledgements that wait for the journal
	WaitingBytes  int // messages that wait for room in the journal

	Limits []Limit // of the whole broker

	Connects             uint64 // accepted
	Refused              uint64 // CONNECTs answered with a failure
	TakenOver            uint64
	ProtocolErrors       uint64 // connections closed because of what they sent, garbage included
	KeepAliveLost        uint64 // connections closed because nothing came in time
	ConnectTimeouts      uint64 // connections closed because no CONNECT came in time
	TooManyConnecting    uint64 // connections closed unheard because their address had as many without a CONNECT as it may
	TooManySubscriptions uint64 // filters refused because their client has as many as it may
	AllowanceClosed      uint64 // connections closed because too much waited for the journal, or for them to read

	Received      [3]uint64 // PUBLISHes received by QoS, in-process ones and wills included
	Sent          [3]uint64 // PUBLISHes given to subscribers' sockets by QoS
	PacketsIn     uint64    // of all kinds
	PacketsOut    uint64
	PayloadIn     uint64 // bytes of the payloads of Received, and of Sent
	PayloadOut    uint64
	BytesIn       uint64
	BytesOut      uint64
	Journaled     uint64 // messages that the journal took
	Rejected      uint64 // PUBLISHes to topics that clients may not publish to
	Denied        uint64 // PUBLISHes, wills and filters of SUBSCRIBEs that the rights of their user do not cover
	Withheld      uint64 // messages not delivered: the subscriber's rights do not cover their topic
	LoginsFailed  uint64 // with a wrong user name or password
	LoginsLimited uint64 // not looked at: too many had failed, or too many at once
	Revoked       uint64 // connections closed by Reauthorize
	DroppedQoS0   uint64 // not given to a subscriber: its socket is too slow
	DroppedQueue  uint64 // QoS 1 and 2, not queued for a session: its queue is full
	DroppedShared uint64 // QoS 1 and 2 of shared groups: nobody was left to take them, or QoS 2 whose session ended before it was completed
	DroppedTail   uint64 // QoS 0 and wills, not given to the journal: it is full
	Expired       uint64 // message expiry passed before delivery

	ExpiredRetained uint64 // retained messages whose message expiry passed
	ExpiredSessions uint64 // that nobody came back to in time

	TooLarge    uint64 // larger than the subscriber's maximum packet size
	WillsSent   uint64
	NotRetained uint64 // retained messages that there was no room for
	NotKept     uint64 // what should survive a restart and may not: the store failed or had no room
}

// counters are the counts behind Stats.
type counters struct {
	connected, subscriptions                                                                                                                  atomic.Int64
	connects, refused, takenOver, protocolErrors, keepAliveLost, connectTimeouts, allowanceClosed, wills                                      atomic.Uint64
	received, sent                                                                                                                            [3]atomic.Uint64
	bytesIn, bytesOut, journaled, rejected, droppedQoS0, droppedQueue, droppedTail, expired, tooLarge, denied                                 atomic.Uint64
	notKept, droppedShared, withheld, revoked, loginsFailed, loginsLimited                                                                    atomic.Uint64
	notRetained, tooManySubscriptions, addressConnecting, sockets, expiredSessions, expiredRetained, packetsIn, others, payloadIn, payloadOut atomic.Uint64
}

// counts is the share of one reading, added to the counters once at its end.
type counts struct {
	received, sent                                                  [3]uint64
	packetsIn, payloadIn, payloadOut                                uint64
	bytesIn, rejected, droppedQoS0, droppedQueue, expired, tooLarge uint64
	withheld                                                        uint64
}

func (c *counters) add(n *counts) {
	for q := range n.received {
		add(&c.received[q], n.received[q])
		add(&c.sent[q], n.sent[q])
	}
	add(&c.packetsIn, n.packetsIn)
	add(&c.payloadIn, n.payloadIn)
	add(&c.payloadOut, n.payloadOut)
	add(&c.bytesIn, n.bytesIn)
	add(&c.rejected, n.rejected)
	add(&c.droppedQoS0, n.droppedQoS0)
	add(&c.droppedQueue, n.droppedQueue)
	add(&c.expired, n.expired)
	add(&c.tooLarge, n.tooLarge)
	add(&c.withheld, n.withheld)
}

func add(c *atomic.Uint64, n uint64) {
	if n > 0 {
		c.Add(n)
	}
}

// Stats counts. Safe for concurrent use; the values are read one after the other.
func (b *Broker) Stats() Stats {
	c := &b.count
	s := Stats{
		Connections: int(c.connected.Load()), Subscriptions: int(c.subscriptions.Load()),
		Retained: b.retained.names.Len(), RetainedBytes: b.limits.retainedBytes.n.Load(),
		Owed: b.owing.size(), WaitingBytes: int(b.waitingBytes.n.Load()),
		Connects: c.connects.Load(), Refused: c.refused.Load(), TakenOver: c.takenOver.Load(),
		ProtocolErrors: c.protocolErrors.Load(), KeepAliveLost: c.keepAliveLost.Load(),
		TooManyConnecting: c.addressConnecting.Load(),
		ConnectTimeouts:   c.connectTimeouts.Load(), AllowanceClosed: c.allowanceClosed.Load(),
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(), Journaled: c.journaled.Load(),
		Rejected: c.rejected.Load(), Denied: c.denied.Load(), DroppedQoS0: c.droppedQoS0.Load(), DroppedQueue: c.droppedQueue.Load(),
		DroppedTail: c.droppedTail.Load(), Expired: c.expired.Load(), TooLarge: c.tooLarge.Load(), WillsSent: c.wills.Load(),
		NotKept: c.notKept.Load(), DroppedShared: c.droppedShared.Load(), NotRetained: c.notRetained.Load(), TooManySubscriptions: c.tooManySubscriptions.Load(),
		Limits: b.limits.stats(), PacketsIn: c.packetsIn.Load(), PayloadIn: c.payloadIn.Load(), PayloadOut: c.payloadOut.Load(),
		ExpiredRetained: c.expiredRetained.Load(), ExpiredSessions: c.expiredSessions.Load(),
		Withheld: c.withheld.Load(), Revoked: c.revoked.Load(), LoginsFailed: c.loginsFailed.Load(), LoginsLimited: c.loginsLimited.Load(),
	}
	for q := range s.Received {
		s.Received[q], s.Sent[q] = c.received[q].Load(), c.sent[q].Load()
	}
	s.PacketsOut = sumOf(s.Sent) + c.others.Load()
	b.mu.Lock()
	s.Sessions = len(b.sessions)
	b.mu.Unlock()
	return s
}
