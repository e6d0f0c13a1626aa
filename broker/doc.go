// Package broker is an MQTT server: versions 3.1.1 and 5.0 side by side, QoS 0 to 2, retained messages, wills, sessions,
// shared subscriptions, users. It routes messages to subscribers here, and gives those that a [Route] takes to a
// [Journal], which keeps them for destinations elsewhere. What must outlive the process is kept in a [Store].
//
// # The way of a PUBLISH
//
//	socket ──read──▶ connection.Receive: all packets of one read, decoded in place
//	                    │
//	                    ├─ retained store
//	                    ├─ tree.Match ─▶ sessions ─▶ out-half of each: append ──┐
//	                    │              └▶ routes, queues ─▶ batch               │
//	                    ├─ Journal.Append(batch), once for each read            │
//	                    ├─ pump the queues that got something ─▶ out-halves ────┤
//	                    ├─ FIFO of owed acknowledgements ─▶ own out-half ───────┤
//	                    └─ flush every out-half that got something, once ◀──────┘
//
// Who is where:
//
//   - broker.go and connection.go are the server and a connection; connect.go, will.go, publish.go, subscribe.go and ending.go
//     its packets, answer.go what goes back and what comes back for it, shorten.go topic aliases towards it, words.go reasons in words;
//   - attempts.go, familiar.go, exchange.go, redirect.go, rights.go and reauthorize.go who may come in and what they may do;
//   - reading.go one batch, aim.go and deliver.go who gets a message and how; publisher.go messages from within the process;
//   - session.go, out.go and calendar.go what lives longer; owed.go, waiting.go and owing.go the acknowledgements;
//   - line.go a stored queue and who sends from it; durable.go, pump.go, due.go and pledges.go sessions that are stored;
//   - group.go, share.go, offer.go, staged.go and lent.go shared groups;
//   - keep.go, life.go, regroup.go and values.go what is stored and how it comes back;
//   - limits.go, capabilities.go and connecting.go what is refused; expiring.go, mortal.go and weed.go what goes by itself;
//   - sys.go what it says of itself, quiet.go and terse.go how often and how long.
//
// # Two halves
//
// The in-half (decoding, topic aliases, received packet ids, subscriptions) belongs to the goroutine that reads the
// socket and has no lock. The out-half (what is in flight, what waits, bytes for the socket) belongs to the session and
// has one mutex, held to append, release or take. No two of them are ever held together, and nothing is written and no
// journal called under one. A session changes hands only when the connection that owns it has let go (take-over waits
// for that), so the in-half needs no lock either.
//
// # Matching
//
// The subscriptions of a topic are asked of the tree once, and remembered while no subscription comes or goes (matches.go): a
// match costs some 20 ns then, however many filters there are, and 100 to 300 ns otherwise. What is remembered belongs to a
// reading, not to a connection as was first planned: so there is one such memory, of 512 topics and 160 KiB at most, for each
// goroutine that reads at the same moment, instead of one for each connection; an idle connection has none, and the
// collector empties the pool of readings when nothing is published. Which member of a shared group and which routes get a message is decided
// for each message.
//
// # Retained messages
//
// A retained message is one run of bytes in memory: what is stored of it (see below), which the Store keeps as it was given and
// the tree of names points to. It is decoded in place when it is sent.
//
//	tree of names ─▶ retained: over, QoS ─▶ [ boot | since | record body with the PUBLISH ] ◀── Store: retain/ key
//
// Some 280 bytes for each beside that run: more than half of them are the Store's key and its place. Nothing is allocated for each
// message when they are sent to a new subscriber; one in flight is held by that run of bytes, also when another has taken its place.
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
// QueueBytes again, and of those lent by shared groups. What a group holds is bounded as what a session does. A client that asks, or publishes, without reading the answers is disconnected.
//
// # Stored sessions
//
// A session that outlives its connection is stored, if there is a Store: it owns a [Queue], and is a durable destination.
// Who publishes to it at QoS 1 or 2 is acknowledged when the message is kept, or when a subscriber that is there has
// acknowledged it, which costs no write. All its messages of QoS 1 and 2 go through the queue, so they leave in the order
// of their numbers, retained ones for a new subscription too; QoS 0 goes directly.
//
//	Append ─▶ queue ─Next─▶ QoS 1 ─────────────────────────────────▶ PUBLISH ─▶ PUBACK ─▶ Ack
//	                    └─▶ QoS 2 ─▶ Keep(pair) ─▶ barrier settled ─▶ PUBLISH ─▶ PUBREC ─▶ Keep(released), Ack
//	                                       Forget ◀─ PUBCOMP ◀─ PUBREL ◀─ barrier settled ◀──┘
//
// One barrier serves all messages of a batch, and what follows a message of QoS 2 in its batch waits with it, so that
// nothing overtakes. Nothing in flight is held in memory but its number: on a new connection the queue is read again from the first
// message that is not acknowledged, in step with the packet ids in flight, which stay as they are. After a restart ids of
// QoS 2 come from the pairs, messages of QoS 1 that stand before the last of them get a new id, so that order holds, and a
// released pair is PUBREL only. Should damage have brought back more messages than there are ids, the rest is sent as new, and
// pairs given up for it are counted (Stats.NotKept). A message that the store gave up under way is completed without it: the subscriber may have it.
//
// What there is to do for a session, or a shared group (line.go), is done by one goroutine at a time, the one who asks: a publisher after
// Append, its own reader after acknowledgements, the releaser when something is settled. None of them reads the disk. If
// the next message has to be read from there, a goroutine of the session's own does it, and ends when it has caught up.
//
// A QoS 2 PUBLISH from a stored session puts its packet id into the same block as its message; without anyone who wants it,
// a record without a body is the reason for the commit. PUBREL deletes the id, and PUBCOMP waits for a barrier, for an
// unknown id too, whose deletion may not be kept yet. CONNACK that makes or discards a stored session, SUBACK and UNSUBACK to one wait
// for barriers of their own, behind no acknowledgement. A CONNECT whose barrier a slow store does not settle in time is refused (0x88). While the store fails these three go out after
// SpillAfter and are counted (Stats.NotKept): the session works in memory, and is stored with the first commit that succeeds.
//
// Retained messages for a new subscription are part of what SUBACK promised, but go into the queue some at a time. The
// subscription is stored with a mark that they are due (due.go), and after a crash all of them come again: at QoS 1 as repeats,
// at QoS 2 only those whose key given/ was not stored along with them, or with the message that replaced them.
//
// # Shared groups
//
// A message of QoS 1 or 2 for a shared subscription belongs to the group, not to a member, until a member has room for it: in its
// window, in QueueBytes, at its socket. Members that have room are served in turn; one that has none holds up nobody, and what was
// not sent to one that leaves was never its own.
//
//	publish ─▶ queue ─Next─┐            ┌─▶ QoS 1, or QoS 0 to who was granted that ────────▶ PUBLISH
//	           or memory ──┴─▶ offer ───┤
//	                             ▲      └─▶ QoS 2 ─▶ Keep(pair: id, record, member) ─▶ barrier ─▶ PUBLISH
//	                             │ sorted in by number                                    │
//	                             ├── not sent: the connection was lost before the barrier ┘  Forget(pair)
//	                             └── QoS 1, not acknowledged: the member's session has ended
//
// A group has a queue of its own in the store, named as its filter, once a stored session is a member at QoS 1 or 2, and keeps it as
// long as it has members; before that it lives in memory. Records are stored as published; QoS, retain and identifier are
// those of the member's subscription when it is sent.
//
// What a member has is lent to it: it is in its flight under its packet ids, with its content in memory (it has no order with the
// messages of the session's own queue, which is read again instead). A member with a session keeps what it was sent, across lost
// connections. The pair of QoS 2 is kept with the member's own pairs, and says which group's queue has the record; for a
// session in memory it is kept with the group's, under a number that only counts, and means after a restart that the session has
// ended: the message is dropped and counted, as all are that were sent at QoS 2 to a session that ends (Stats.DroppedShared). At
// QoS 1 nothing says who had a message, so after a crash it may go to another member. If there is only one, what stands before the
// last pair goes back into its flight, so that order holds.
//
// When the last member leaves, what was not sent is dropped and counted. The queue stays until what is in flight is over;
// a group that is made meanwhile has a queue of the same name with a number before it, "2:$share/...". What was in flight at QoS 1
// to a member that unsubscribed as the last one does not survive a crash.
//
// # Keys
//
// The life of a session in the store:
//
//	CONNECT, new ─▶ away: 0 ─connection lost─▶ away: stamp ─CONNECT─▶ away: 0 ─▶ ... ─ends─▶ all keys deleted, queue dropped
//	                  └── process dies: its connection is lost at the restart ──▲
//
// Its serial is drawn at random for each life, so a key that is late (a packet id whose record is committed after the
// session has ended) belongs to nobody, and goes at the next start. Numbers are big-endian:
//
//	session/ serial u64               version u8 (1) | flags u8 (1: will) | protocol u8 | expiry s u32 | away: boot u64, since
//	                                  i64, wall i64 | user length u16 | id length u16 | user | id | [delay s u32 | message]
//	sub/ serial u64, name             options u64 (see options) | filter
//	given/ serial u64, SHA-256 of the filter [8], of the topic [16]
//	                                  empty: a retained message of QoS 2 that is in the queue while others are due
//	held/ serial u64, packet id u16   empty: a QoS 2 id that was received and not released
//	retain/ name                      message
//	name                              "=" and the name, or "#" and its SHA-256 if it is longer than 1000 bytes
//	message                           boot u64 | since i64 | record body, see package message
//	queue                             "session/" and the serial in hex, or the filter of a group, "$share/" and so on; if that is longer
//	                                  than 1000 bytes "$share/" and its SHA-256 in hex
//
// Destination data of a message in a queue: flags u8 (bits 0-1 QoS 1 or 2, bit 2 retain), then subscription identifiers, each
// a uvarint. For a group they are those of the PUBLISH, without identifiers.
//
// That a topic has a retained message, or has none, is durable before the PUBLISH is acknowledged, and at QoS 0 as soon
// as records are gathered. New values of it are put every RetainFlush less the seconds a Store takes, and at the stop. A
// value is put under the lock under which a delete is, so none comes back over a delete.
//
// # Limits
//
// Reached means: the newest is refused, whoever asks for it; what is there already stays. Each refusal is counted
// (Stats.Limits), and that a limit is reached, or is no more, is logged once (limits.go).
//
//	limit                          5.0                                3.1.1
//	connections, of a listener     CONNACK 0x97                       return code 3
//	sessions                       CONNACK 0x97                       return code 3
//	connections without CONNECT,   closed unheard, as are those beyond 9/8 of connections that are logging in
//	or in an exchange, of all,
//	of an address
//	subscriptions, of a client     0x97 in SUBACK                     0x80
//	retained messages and bytes    0x97 at QoS 1 and 2, and the       delivered and acknowledged, not retained, nor
//	                               message is nobody's; QoS 0 as ▶    is the value before it: 3.1.1 [MQTT-3.3.1-7]
//	queue of a session, all queues dropped, counted                   the same
//	memory                         0x97 to what would take it: CONNECT, SUBSCRIBE, a retained message, a large packet, an
//	                               alias, answers that are not read; what is for subscribers is dropped, counted
//	packet size                    DISCONNECT 0x95                    closed
//	topic levels and length        0x90, 0x8F                         acknowledged and dropped [MQTT-3.3.5-2]; 0x80
//	keep alive                     told in CONNACK                    return code 2
//	session expiry                 told in CONNACK                    as long as that
//	QoS                            told, DISCONNECT 0x9B; granted lower   closed; granted lower
//	retain off                     told, DISCONNECT 0x9A              delivered, not retained
//	will above QoS, or retained    CONNACK 0x9B, 0x9A                 closed, no return code fits: 3.1.1 [MQTT-3.2.2-6]
//
// A take-over and a Clean Start take the place of the session there was, so a device whose connection hangs is not locked
// out by a limit that it fills itself. A session that is there is resumed though sessions and memory are used up. What was
// stored is restored whatever the limits are, and counts. Limits can be changed while the broker runs (SetLimits): what is there
// stays also beyond a lower one, and what a client was told in CONNACK holds for it until it connects again. What the process itself publishes is always retained. A 3.1.1
// client cannot be told a keep alive: one that wants more than the maximum is refused, as mosquitto does, rather than cut off while
// it keeps to what it said. With NoRetain what the Store holds of retained messages stays there unseen.
//
// The defaults are for a machine of 512 MiB of which other programs want their part. The garbage collector lets the heap grow to
// twice of what is live, so of 512 MiB a quarter, 128 MiB, is what clients may make the broker hold: with as much again for
// the collector, and 32 MiB for everything else, half of the machine is left. 10,000 connections with a session each, at 6 KiB (12 KiB where a
// goroutine serves each: TLS and WebSocket), take half of it or all; so do 100,000 subscriptions (0.5 KiB) and as many retained messages of 64 bytes (0.4 KiB). The limits by number are above what fits of each kind alone:
// they keep one kind from taking everything, the memory is what protects the machine. Retained messages may take half of it.
// One client may have half of all subscriptions. The queue of one session (Bounds, above) is 1 MiB, so it takes 128 dead subscribers to fill the memory, not one.
//
// What is counted is about right, not exact: fixed costs (limits.go), the texts that clients send, messages by footprint. Outputs
// count in steps of 16 KiB above the 2 KiB that are part of a session, so a message to a subscriber that keeps up costs a
// comparison and nothing shared. What was begun is finished beyond the limit: at least one message always moves from a queue to its
// socket, what is in flight is sent again, and a sixteenth is there for connections that are to be told why they are refused. Not counted are
// promises that wait for the store (512 KiB for a session at most) and what waits for the journal (AllowanceTotalBytes).
//
// # Enhanced authentication
//
// A 5.0 client whose CONNECT has the method SCRAM-SHA-256 (package auth has the messages) logs in by an exchange, if Config.Keys
// has keys of any user for its listener:
//
//	CONNECT method, client-first ─▶ ◀─ AUTH 0x18 server-first     AUTH 0x18 client-final ─▶ ◀─ CONNACK server-final
//
// CONNECT is kept until then, beside connections (exchange.go), so that one that has logged in is as small as any other. What is kept
// counts as memory. The exchange has the time of CONNECT as a whole, and a place among the connections that have not sent CONNECT; whatever
// else than AUTH and DISCONNECT comes in between ends it with CONNACK 0x82. So does a message that breaks the form; a wrong
// proof, a user without keys, and one who is another than CONNECT's user name or the name in the certificate get 0x87, and in words
// nothing. A password in CONNECT is not looked at. Wrong proofs and wrong passwords are counted together and wait together.
//
// A client that came in so may begin a new exchange with AUTH 0x19 while messages go on in both directions; it ends with AUTH
// 0x00. It must have the same method (0x82) and the same user (0x87), and what fails ends the connection. Nobody has to authenticate
// again: after a change of keys Reauthorize shows clients out, as it does after one of passwords.
//
// # $SYS
//
// Topics by mosquitto's names (sys.go), for who has the right to a filter that names $SYS; "#" does not take them. They differ from
// mosquitto's on purpose: QoS 0 instead of 2, so that they never wait in a queue or reach the disk; messages/inflight is there; retained
// messages/count leaves themselves out; store/messages/bytes counts what messages take, not their payloads alone; heap and clients/maximum
// and expired are of this process. heap/maximum is the largest that was looked at. Beside them stand what was dropped for which cause
// (publish/messages/dropped/...), what expired, and each limit (limit/NAME/now, most and refused).
//
// # What is decided here
//
//   - Without a Store sessions, their queues and retained messages live in memory, and so do sessions that the Store has no
//     room for: they survive disconnects, not a restart, and delay no acknowledgement.
//   - Expiry and will delay of a stored session run on through a restart as far as it is known how long it took: within a boot, or
//     if the clock was trusted before and after. Otherwise they run from the restart; never shorter than asked for.
//   - A will of a stored session is published when the next process finds the connection gone. It may come twice if the
//     process dies in the seconds after it was published.
//   - A will is published before the Store forgets it, and one that the Store has no room for is left out of what is stored.
//   - A retained value that the Store has no room for is offered again each RetainFlush; until it fits, nothing is stored for
//     its topic, rather than a value of any age.
//   - A stored queue that cannot be read is tried again after a second; its subscriber gets nothing meanwhile.
//   - A subscription of a stored session that the Store has no room for is refused (0x97, or 0x80).
//   - A pair or a packet id that the Store has no room for is counted and the message goes on: rather repeated than lost.
//   - What a stored session's queue has no room for is dropped, and acknowledged when the store has the count. If nobody else was
//     given the message either, a 5.0 publisher gets 0x97, and the packet id is free.
//   - What has expired on its way to a subscriber stays; everything else that has expired goes within a second, see Time.
//   - Wills at shutdown are published, the delayed ones of sessions in memory too. The standard lets a server put them off until
//     it is back (5.0 section 3.1.2.5), but a session that is in memory only ends with the broker, and the end
//     of the session is when a will must be sent [MQTT-3.1.2-8]. The journal must outlive Run for that.
//   - A take-over publishes the will of the old connection if it has no delay (5.0 section 3.1.4).
//   - Topics that begin with $ are not for clients: 5.0 publishers get 0x90, 3.1.1 publishers a positive acknowledgement
//     [MQTT-3.3.5-2]; the message is dropped and counted. A will for one is refused, but for that of mosquitto's bridges, which leave
//     their state at $SYS/broker/connection/NAME/state: it is dropped and counted too. Publishers within the process may.
//   - What a user has no right to publish (see [Rights]) is dropped and counted: 5.0 publishers get 0x87, 3.1.1 publishers
//     a positive acknowledgement [MQTT-3.3.5-2], QoS 0 no answer; the connection stays. A CONNECT with such a will
//     is refused (0x87; 3.1.1: return code 5) rather than taken without it (v5 [MQTT-3.1.4-2]); the will is
//     judged again when it is published, by the rights of then. A SUBSCRIBE that the rights do not grant is refused (0x87, or 0x80), not
//     narrowed. What a granted subscription gets is judged at delivery, message by message, unless the rights cover
//     its whole filter, which is found out once: rights may grant # and let through what the user may read. Retained
//     messages for a new subscription, what waited in a queue and what is sent again are judged when they leave; of
//     a QoS 2 message that was sent before and may not be sent again the handshake is completed without it. A member of
//     a shared subscription that may not have a message is passed over; one that no member who is there may have is dropped.
//   - After a change of users or rights, see [Broker.Reauthorize], clients whose login does not hold any more are
//     disconnected with 0x98, and all others stay, their subscriptions too.
//   - Failed logins make an address and user name wait, a second that doubles up to a minute by default, and many names from one
//     address the address: refused unseen with 0x9F (return code 3), but for users who have logged in from there before and
//     give the password that was right then (familiar.go). So are logins beyond the number that may wait for
//     their check: see attempts.go. A client that is logged in notices nothing.
//   - So that a client id does not carry rights over, a session belongs to the user who made it. Another user who connects
//     with its client id ends it, as with Clean Start, and gets a new one.
//   - A filter that breaks the rules is refused by itself in SUBACK (0x8F, or 0x80), the connection stays. Shared
//     filters are open to 3.1.1 clients.
//   - A client that has no room for its CONNACK is refused with one that says so (0x95), if it has room for that.
//   - A client without a user name may use listeners on loopback addresses, or those that Config.Anonymous names. A user
//     name is checked wherever there are users.
//   - A 3.1.1 client whose protocol level has its highest bit set (0x84) says that it is a bridge, as mosquitto's do by default: what
//     it publishes does not come back to it, and RETAIN stays as it was published, as with the options of 5.0. Other levels
//     with that bit are answered with return code 1, whereupon those bridges try again without it.
//   - A retained message that a new subscription gets is nobody's any more: no local does not keep it from who published it. The
//     standard can be read both ways; mosquitto does the same, and devices read back by it what they were.
//   - A client whose certificate gives it a name (transport.Conn.Identity) is that user; user name and password in its CONNECT
//     are not looked at, as mosquitto does it, so that devices can keep sending them. Recheck disconnects (0x98) whose
//     certificate is not accepted any more.
//   - A 3.1.1 client cannot be told a receive maximum, so it may have as many messages unacknowledged as there are ids.
//   - Topic aliases are taken, and sent to 5.0 clients that allow them: see shorten.go, where they are put into bytes on
//     their way to the socket. A payload format indicator is passed on and not held against the payload.
//   - A refused CONNECT says why in words unless it is the login that failed, and so do SUBACK and UNSUBACK, of the first filter
//     that was refused or is not there, DISCONNECT of a broken rule, and PUBACK and PUBREC of a message that nobody gets (words.go).
//     Nothing but PUBLISH has user properties.
//   - Enhanced authentication is SCRAM-SHA-256, see above; any other method is 0x8C.
//   - A listener can send its clients to another server (5.0 section 4.11): each CONNECT is refused before a login is asked for, with 0x9C
//     or 0x9D and the server reference (3.1.1: return code 3), and Reauthorize disconnects those that are there with the same.
//     Their wills are published, and their sessions stay here until they expire. A reference that does not fit into what the client takes is left out.
//   - A message of QoS 0 for a shared subscription goes to a connected member whose socket takes it, or to nobody; so does any
//     message if all members were granted QoS 0.
//   - A message that is too large for one member goes to another, and is discarded if it is too large for all that are there.
//   - A group whose queue the store has no room for lives in memory, and gets one when the next member comes.
//   - A group and the messages of a member's own come first in turn when the member's window opens.
//   - A message may come before the SUBACK of the subscription that it comes for, which waits for its commit (5.0 section 3.8.4).
//   - A PUBLISH at QoS 0 may overtake one at QoS 1 or 2 of the same publisher and topic that waits for a subscriber's
//     window: the standard orders each QoS by itself (5.0 section 4.6).
//   - Large payloads are copied into each subscriber's output; nothing is shared by writev yet.
//
// # The standards
//
// statements.txt lists every normative statement of 5.0 and 3.1.1 that binds a server. Where one is decided, and in the test that
// shows it, its id is cited with the version it is of, for the same id may mean something else in the other:
//
//	v5 [MQTT-3.1.2-24] [MQTT-3.1.2-25], 3.1.1 [MQTT-3.1.2-8]
//
// TestConformance makes CONFORMANCE.md of the list and the citations (statement, function, test), and fails if that is stale, if
// a statement has no test, or no place and no word why there is nothing to decide, or if an id is cited that does not exist. Tests
// that are there for the standards alone are in conformance_*_test.go.
//
// # Time
//
// Message expiry goes by message.Stamp within one boot; across boots by the time of day if it was trusted at both ends, else what has
// passed since the process began counts. What has expired is never delivered, and goes within a second from queues in memory and in
// the store, from shared groups and from the retained messages. There is one list of who keeps any (expiring.go), by the time when it
// has to be looked at, and nothing wakes while it is empty. It costs a retained message with an expiry 16 bytes, a stored queue some
// words for each second in which anything expires, 64 at most (weed.go), and a message in memory nothing. A queue that is found at a
// start is read once to see what has expired in it. Keep alive, session expiry and will delay go by Go's monotonic clock;
// a step of the wall clock changes nothing. Keep alive counts whole packets.
package broker
