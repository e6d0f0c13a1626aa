// Package bridge is the link to an upstream broker: it carries the records of a Source there, and messages of the
// upstream's topics to a Sink here. One Bridge is one upstream. It knows nothing of the local broker or the log.
//
//	Source.Next ─▶ rule: remap, format, QoS ─▶ client.Send ─▶ one write per batch ─▶ upstream
//	Source.Ack ◀─ window: ranges ◀─ mailbox ◀──────────────── PUBACKs, many per read ◀──┘
//
//	upstream ─▶ receive rule, loop? ─▶ Sink.Publish ─▶ Bridge.Settled ─▶ PUBACK to the upstream, in order
//
// Decisions are made by pure parts: link.go (when to connect), window.go (what is on the way), remap.go, format.go,
// forward.go (what a record looks like), intake.go (what is owed to the upstream). One goroutine, Run, owns them.
// Resolving, dialling and greeting run beside it, each bounded by ConnectTimeout; name resolution is asked anew for
// each attempt. Nothing here is ever waited for by the local side.
//
// # Delivery
//
// Records leave in the order of the source, up to the window: the least of Config.Window and the server's Receive
// Maximum. A record is acknowledged to the source when the upstream acknowledged it (QoS 1) or when it was written to
// the socket (QoS 0: what was in the socket may be lost). After a connection broke, the source is rewound and gives
// everything unacknowledged again, in order.
//
// Every session upstream starts clean, so a record sent again is a new PUBLISH of a new session: DUP is 0, as it tells
// only of a second delivery within a session (5.0 and 3.1.1, 4.4). The upstream may see it twice.
//
// QoS 2 upstream is sent at QoS 1, with one warning in the log.
//
//	refused (PUBACK 0x80 and above)     Source.Refuse: set aside, counted, later records pass
//	cannot be sent                      the same: packet larger than the server or MaxPacket allows, topic not valid
//	                                    after remapping, rule not known, forbidden by the server
//	quota exceeded (0x97)               sending stops for 1 s, doubled up to 1 min; then the record is sent again,
//	                                    alone, and everything after it when it has been accepted
//	message expiry passed               acknowledged to the source, counted
//	no acknowledgement for StallAfter   stalled: the connection is closed and everything unacknowledged sent again;
//	                                    not while what was sent is still moving to the upstream, over a slow link;
//	                                    also where one message has none for so long after a later one got its own
//
// # Rules
//
// strip takes whole levels from the front, prefix puts whole levels there, with one slash between; an empty first level
// of what follows a prefix is dropped; see the table at remap. An empty retained message deletes a retained value: it
// stays empty in every format. In format json a payload that is JSON is nested, other text is a string, what is not
// UTF-8 stands in "base64":
//
//	{"time":"2026-11-22T14:02:11.250Z","value":21.53,"unit":"°C","quality":"good"}
//	{"time":"2026-11-22T14:02:11.250Z","time_quality":"uncertain","value":"on"}
//	{"time_quality":"uncertain","base64":"/wA="}
//
// time is when a reading of the gateway was taken, or when a message of someone else arrived here. unit and quality are
// those of the gateway's own readings, which carry them as user properties. Over 5.0 a raw message carries time, and
// time_quality if it is uncertain, as user properties, unless its publisher gave it a time; every message carries
// weir-hops, the number of gateways it has passed.
//
// # Receive rules
//
// The first rule whose filter matches takes a message; what none matches is dropped and counted. The upstream is asked
// for retain as published (5.0). When the sink has no room, up to 1 MiB waits here; beyond it the connection is closed,
// for reading must not stop: the acknowledgements of the forward direction come the same way.
//
// Loops are cut three ways: no-local (5.0); the state topic is never taken; a message that has passed more than MaxHops
// gateways is dropped (5.0). For 3.1.1 the last 4096 messages of the last minute that a receive rule would bring back
// are remembered by a hash of topic and payload, and each is dropped once when it comes. A retained copy of a message of
// ours, sent again by a 3.1.1 server after each reconnect, is not told from someone else's: do not receive what you
// forward retained.
//
// # State
//
// The topic weir/GATEWAY/bridge/NAME tells the state upstream (retained if the server can, QoS 1) and here, on every
// change and every StateEvery while a backlog drains:
//
//	{"state":"draining","since":"2026-11-22T14:02:11.250Z","backlog":1200,"bytes":96000,"oldest_age":61.5,"aside":2,"drops":0,"version":"1.0.0"}
//
// A forward rule under which the local copy would leave for the same topic does not take it there: what was true while it
// waited would take the place of what is true now.
//
// since is left out while the clock is not trusted, oldest_age (seconds) when nothing waits or its age is not known.
// When the connection breaks the upstream publishes the will:
//
//	{"state":"offline","version":"1.0.0"}
//
// # Attempts
//
// Between attempts passes a random time from MinWait to three times the wait before, at most MaxWait (decorrelated
// jitter); 30 times MinWait to 5 times MaxWait where the server refuses who we are, or someone else takes the session.
// A link that held for StableAfter starts over, with a first attempt within MinWait. TLS waits for a trusted clock, at
// most ClockDeadline in the life of a Bridge, and then verifies with the clock there is.
//
// # Departures from the design
//
// The state topic has one word more than connected, draining, stalled, refused, waiting-for-clock and offline:
// throttled, for 0x97. Config.Servers is tried in turn from the first after a link that was stable.
package bridge
