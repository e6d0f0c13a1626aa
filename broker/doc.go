// Package broker is an MQTT server: versions 3.1.1 and 5.0 side by side, QoS 0 to 2, retained messages, wills, sessions,
// shared subscriptions, users. It routes messages to subscribers here, and gives those that a [Route] takes to a
// [Journal], which keeps them for destinations elsewhere.
//
// # The way of a PUBLISH
//
//	socket ──read──▶ connection.Receive: all packets of one read, decoded in place
//	                    │
//	                    ├─ retained store
//	                    ├─ tree.Match ─▶ sessions ─▶ out-half of each: append ──┐
//	                    │              └▶ routes ─▶ batch                       │
//	                    ├─ Journal.Append(batch), once for each read            │
//	                    ├─ FIFO of owed acknowledgements ─▶ own out-half ───────┤
//	                    └─ flush every out-half that got something, once ◀──────┘
//
// Who is where: broker.go and connection.go are the server and a connection; connect.go, publish.go, subscribe.go and
// ending.go its packets; reading.go one batch with matching and delivery; session.go, out.go and calendar.go what lives
// longer; owed.go and owing.go the acknowledgements; publisher.go messages from within the process.
//
// # Two halves
//
// The in-half (decoding, topic aliases, received packet ids, subscriptions) belongs to the goroutine that reads the
// socket and has no lock. The out-half (what is in flight, what waits, bytes for the socket) belongs to the session and
// has one mutex, held to append, release or take. No two of them are ever held together, and nothing is written and no
// journal called under one. A session changes hands only when the connection that owns it has let go (take-over waits
// for that), so the in-half needs no lock either.
//
// # Acknowledgements
//
// A PUBACK or PUBREC leaves when the journal has settled the record of its message, and when all those before it have
// left: never early, never out of order. Messages that no route takes are settled as they come, and keep their place.
//
//	submit ─▶ [ due | due | due | due ] ─▶ released from the head ─▶ PUBACK, PUBREC, acked(n)
//	            │      settled? recorded under a number? or
//	            └──▶ waiting: the journal had no room; its message waits, and everything after it
//
// If the journal has no room, a QoS 0 message is dropped and counted; one of QoS 1 or 2, and whatever that client sends
// to routes after it, waits in order within Config.AllowanceBytes. Beyond that the client is disconnected (0x97); what
// was not taken then is not acknowledged and is new when it comes again. Reading never stops because of the journal.
// Broker.Notify only wakes one goroutine, which offers waiting messages again and releases heads.
//
// A due carries the generation of the connection it is owed to. When a connection is lost its dues are not sent to the
// next one; a QoS 2 PUBLISH that comes again takes over the due of the first one, and so waits for the same record.
//
// # Bounds of a subscriber
//
// For each session: QueueMessages and QueueBytes of QoS 1 and 2 messages that wait or are in flight, and QueueBytes of
// encoded packets for its socket. Beyond them what has expired makes room; if nothing has, the newest message is dropped
// and counted, QoS 0 and others apart. One message is always taken, whatever its size. QoS 0 is not queued for a session
// without a connection. Retained messages for a new subscription are sent as the socket takes them and do not count: they
// are references to what is stored anyway. Of those in flight, which may have been replaced meanwhile, there are
// QueueBytes again. A client that asks, or publishes, without reading the answers is disconnected.
//
// # What is decided here
//
//   - Sessions, their queues and retained messages live in memory: they survive disconnects, not a restart. The queue of
//     a persistent session is therefore no durable destination in this version: it delays no acknowledgement.
//   - Wills at shutdown are published, the delayed ones too. The standard lets a server put them off until it is
//     back (5.0 section 3.1.2.5), but a session that is in memory only ends with the broker, and the end
//     of the session is when a will must be sent [MQTT-3.1.2-8]. The journal must outlive Run for that.
//   - A take-over publishes the will of the old connection if it has no delay (5.0 section 3.1.4).
//   - Topics that begin with $ are not for clients: 5.0 publishers get 0x90, 3.1.1 publishers a positive acknowledgement
//     [MQTT-3.3.5-2]; the message is dropped and counted. A will for one is refused. Publishers within the process may.
//   - What a user has no right to publish (see [Rights]) is dropped and counted: 5.0 publishers get 0x87, 3.1.1 publishers
//     a positive acknowledgement [MQTT-3.3.5-2], QoS 0 no answer; the connection stays. A CONNECT with such a will
//     is refused (0x87; 3.1.1: return code 5) rather than taken without it [MQTT-3.1.4-2]; the will is not
//     judged again when it is published. A SUBSCRIBE is granted if one right covers the whole filter, and refused
//     otherwise (0x87, or 0x80), not narrowed. Nothing is judged at delivery: a subscription stays as
//     granted for as long as its session lives.
//   - So that a client id does not carry rights over, a session belongs to the user who made it. Another user who connects
//     with its client id ends it, as with Clean Start, and gets a new one.
//   - A filter that breaks the rules is refused by itself in SUBACK (0x8F, or 0x80), the connection stays. Shared
//     filters are open to 3.1.1 clients.
//   - A client without a user name may use listeners on loopback addresses, or those that Config.Anonymous names. A user
//     name is checked wherever there are users.
//   - A 3.1.1 client cannot be told a receive maximum, so it may have as many messages unacknowledged as there are ids.
//   - Topic aliases are taken, none are sent. There is no enhanced authentication (0x8C) and no server keep alive.
//   - Messages for a shared subscription go to connected members in turn. What was queued for a member that leaves stays
//     with its session and ends with it.
//   - A PUBLISH at QoS 0 may overtake one at QoS 1 or 2 of the same publisher and topic that waits for a subscriber's
//     window: the standard orders each QoS by itself (5.0 section 4.6).
//   - Large payloads are copied into each subscriber's output; nothing is shared by writev yet.
//   - Numbers of connections, sessions, subscriptions and retained messages have no limits of their own yet.
//
// # Time
//
// Message expiry goes by message.Stamp within one boot. Retained messages that have expired are not delivered, and are
// looked for and removed every ten minutes. Keep alive, session expiry and will delay go by Go's monotonic clock;
// a step of the wall clock changes nothing. Keep alive counts whole packets.
package broker
