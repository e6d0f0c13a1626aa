// Package packet is the MQTT wire codec for 3.1.1 and 5.0: bytes in, values out. There is no goroutine, socket or clock here.
//
// Next cuts one packet out of a read buffer, enforcing a size limit as soon as the length can be read. Decode of the packet's
// type takes it apart in place: slices alias the buffer, so whatever outlives the buffer is copied by the caller.
// Append writes a packet in its shortest form at the end of a buffer. What Decode accepts Append can write, and what
// Append writes Decode accepts; both check the same rules.
//
// # The frame
//
//	 7 6 5 4   3 2 1 0
//	+-------+---------+-------------------+----------------------------------------------+
//	| type  |  flags  | remaining length  | body: as many bytes as the length says       |
//	+-------+---------+-------------------+----------------------------------------------+
//	  1 byte            1 to 4 bytes, 7 bits each, least first; the top bit says that another follows
//
// A PUBLISH of 5.0, and of 3.1.1 without the two property fields:
//
//	first byte   3 | DUP | QoS (2 bits) | RETAIN
//	length       variable byte integer
//	topic        len u16 | UTF-8                           big-endian, as all numbers
//	packet id    u16                                       with QoS 1 and 2 only
//	properties   length (variable byte integer) | properties, each: identifier u8 | value
//	payload      the rest
//
// DUP 0, QoS 1, RETAIN 1, topic "a/b", id 10, payload "75", and as properties a Message Expiry Interval (02) of 60 seconds and a User
// Property (26) "k" = "v":
//
//	example 5.0:   33 16 0003612F62 000A 0C 02 0000003C 26 00016B 000176 3735
//	example 3.1.1: 33 09 0003612F62 000A 3735
//
// # What is checked
//
// Everything one packet can show by itself: fixed flags, reserved bits, well-formed UTF-8 without U+0000, packet id 0, QoS 3, DUP with
// QoS 0, the connect flags, where a property may stand, how often and with which values, which reason codes a packet
// may carry, empty lists, and bytes left over. The error is an *Error with the reason code for DISCONNECT or CONNACK.
// Not checked, because it takes more than one packet: the order of packets, direction, packet ids in use, aliases above the announced
// maximum, and the shape of topics and filters, which is package topic's.
//
// Where the standard leaves room:
//   - A remaining length longer than needed is accepted up to 4 bytes, since 3.1.1 does not forbid it and Next does not know the
//     version; inside 5.0 packets a number longer than needed is malformed.
//   - A property that is unknown or does not belong in the packet is MalformedPacket (5.0 section 2.2.2.2); one that stands twice, or has
//     a value it may not have, is ProtocolError, and Topic Alias 0 is TopicAliasInvalid.
//   - A reason code not listed for a packet is ProtocolError. BadAuthenticationMethod in DISCONNECT is accepted: table 2-6 lists it.
//   - Code points a receiver MAY refuse (control characters, non-characters) are accepted.
//   - Properties are written in the order of their identifiers, the lists last. Only the order among user properties means anything.
//
// # Limits
//
// A packet is at most 268435460 bytes, a string or binary field 65535. Decode allocates only for lists (user properties, subscription
// identifiers, filters, reason codes), and nothing when a reused value has the room. A list takes at most 12 bytes of memory for
// each byte on the wire (an empty filter in UNSUBSCRIBE, 2 bytes, costs 24), and up to six times that, all told, while it
// grows; the size limit given to Next is what bounds it.
//
// # 3.1.1
//
// One set of types serves both versions. In 3.1.1 Decode leaves Props empty and Append leaves them out; return codes of CONNACK
// become the 5.0 reasons of the same meaning and back; an acknowledgement or SUBACK that says more than 3.1.1 can, says what it can.
package packet
