// Package bridge is the link to an upstream broker: it carries the records of a Source there, and messages of the
// upstream's topics to a Sink here. One Bridge is one upstream. It knows nothing of the local broker or the log.
//
//	Source.Next ─▶ rule: remap, format, QoS ─▶ client.Send ─▶ one write per batch ─▶ upstream
//	Source.Ack ◀─ window: ranges ◀─ mailbox ◀──────────────── PUBACKs, many per read ◀──┘
//
//	upstream ─▶ receive rule, loop? ─▶ Sink.Publish ─▶ Bridge.Settled ─▶ PUBACK to the upstream, in order
//
// Decisions are made by pure parts: link.go (when to connect), window.go (what is on the way), remap.go, format.go,
// forward.go (what a record looks like), intake.go (what is owed to the upstream), once.go and held.go (which packet of
// QoS 2 may leave), token.go (whose session it is), trouble.go (what is a dead letter). One goroutine, Run, owns them.
// Resolving, dialling and greeting run beside it, each bounded by ConnectTimeout; name resolution is asked anew for
// each attempt. Nothing here is ever waited for by the local side.
//
// # Delivery
//
// Records leave in the order of the source, up to the window: the least of Config.Window and the server's Receive
// Maximum. A record is acknowledged to the source when the upstream acknowledged it (QoS 1: PUBACK, QoS 2: PUBCOMP) or when
// it was written to the socket (QoS 0: what was in the socket may be lost). After a connection broke, the source is rewound
// and gives everything unacknowledged again, in order.
//
// A record sent again at QoS 1 is a new PUBLISH under a new id, DUP 0, in a session that goes on as in a clean one: a
// server's session holds nothing of QoS 1 messages it received (5.0, 4.1; 3.1.1, 3.1.2.4). The upstream may see it twice.
//
//	refused (0x80 and above)            Source.Refuse: to the dead letters, counted, later records pass
//	cannot be sent                      the same: packet larger than the server or MaxPacket allows, topic not valid
//	                                    after remapping, rule not known, forbidden by the server
//	quota exceeded (0x97)               sending stops for 1 s, doubled up to 1 min; then the record is sent again,
//	                                    alone, and everything after it when it has been accepted
//	message expiry passed               acknowledged to the source, counted
//	no acknowledgement for StallAfter   stalled: the connection is closed and everything unacknowledged sent again;
//	                                    not while what was sent is still moving to the upstream, over a slow link;
//	                                    also where one message has none for so long after a later one got its own
//	ten refusals or disconnects in a    nothing more is moved to the dead letters: one record is tried at a time, after
//	row, no record accepted between     10 times MinWait, doubled up to 5 times MaxWait, until one is accepted
//	the upstream disconnects with the   window 1. A record that ends the connection alone, three times, each time after
//	same record first on its way        something else was acknowledged on it, is poison: a dead letter. Where nothing
//	                                    else is ever acknowledged (NoState), the lane is refused instead
//
// # Exactly once
//
// With Config.Persist the session upstream outlives its connections, and QoS 2 is to be had. The Keeper keeps, with commits
// that cover everything that waits for one, what both directions need. A packet on the right leaves when what stands left of
// it is durable:
//
//	forward:  claim an id, keep (record, id)   ══ commit ══▶ PUBLISH ──▶
//	                                                              ◀── PUBREC
//	          keep that the pair is released   ══ commit ══▶ PUBREL ──▶
//	                                                              ◀── PUBCOMP
//	          acknowledge the record, then forget the pair: committed some time
//
//	receive:                                                      ◀── PUBLISH
//	          message and id, in one block     ══ commit ══▶ PUBREC ──▶
//	                                                              ◀── PUBREL
//	          drop the id                      ══ commit ══▶ PUBCOMP ──▶
//
// A record stays unacknowledged until PUBCOMP, so that it is still there if the upstream loses the session after PUBREC: there
// are servers that pass a message on at PUBREL. Records behind one whose commit runs wait, whatever their QoS; the window fills
// meanwhile. While the store takes no writes, nothing at QoS 2 leaves, nor what is behind it.
//
// After a lost connection or a restart, in the order of the records: PUBREL where PUBREC is durable; PUBLISH with DUP where
// not; what was kept and surely never sent gets a new id. A record that the store has given up meanwhile cannot be sent again,
// but its id may be held: PUBREL frees it. So it does the id of a record that cannot be sent again as it was (expired, or larger
// than the server now takes), which is dealt with when PUBCOMP has come.
//
// # Whose session is it?
//
// The token in the store names server, client id and protocol. Config.Cluster makes all servers one.
//
//	         token fits                                     Session Present
//	start ──────────────▶ CONNECT, Clean Start 0 ──CONNACK────────────────────▶ up, the session goes on
//	  │                                             │ not present
//	  │ none, or another                            ▼
//	  └──▶ withdraw ══ commit ══▶ CONNECT, ──CONNACK──▶ new token, all packet ids dropped ══ commit ══▶ up
//	                              Clean Start 1
//
// While the store cannot commit there is no new session, so a bridge that wants one does not connect: without a token on the disk
// a restart could not tell what the upstream holds, and QoS 2 would mean nothing. Its status says so, and it connects when the
// store commits again. A session that goes on needs no commit to connect.
//
// Nothing is sent or read between CONNACK and up. What had no PUBCOMP in a session that is lost is sent again as new, counted
// in Status.Repeats and told. A restart goes on with the server and protocol of the token. 3.1.1 knows no clean start of a
// session that lasts: there Clean Session 1, DISCONNECT and Clean Session 0 follow each other.
//
// One gap is left, which no order of commits closes: the upstream has lost the session, has made a new one at our Clean Start
// 0, and we are killed before the commit that follows, or its CONNACK never reaches us. The next attempt takes the new session
// for the old one: then messages on their way may arrive twice uncounted, and one whose PUBREC came may be lost, if that server
// passes on at PUBREL.
//
// What is received can only be as good as what is sent: mosquitto 2.0.11, when two connections in a row break before it has
// sent PUBREL again, sends the PUBLISH instead, against [MQTT-4.3.3-6]. Its id is free here by then, so the message is taken
// twice. This was seen with both ends of the exchange recorded.
//
// model_test.go walks every order of these steps, crashes, lost connections and sessions, fail-over and return, for three
// messages and two packet ids, through the very code that decides.
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
// for reading must not stop: the acknowledgements of the forward direction come the same way. A server that sends more at a time
// than our Receive Maximum is put up with: there are some that miscount when a connection was lost (mosquitto 2.0.11 does, after a
// few), and send the same again on each connection. One that is closed for it would never get through.
//
// At QoS 2, with Config.Persist, a message carries its packet id to the sink, to be kept in the same block; what is kept
// nowhere else has its id kept alone. A message that is held already is not taken in again: its PUBREC waits for the first one.
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
//	{"state":"draining","since":"2026-11-22T14:02:11.250Z","backlog":1200,"bytes":96000,"oldest_age":61.5,"aside":0,"dead":2,"repeats":0,"drops":0,"version":"1.0.0"}
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
