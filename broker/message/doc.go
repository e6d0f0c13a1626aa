// Package message holds Message, a PUBLISH with where it came from and when, and
// the one encoding in which messages are stored.
//
// # The record body
//
// Numbers are big endian, as in MQTT.
//
//	version u8 | flags u8 | hops u8 | wall i64 | origin length u16 | origin | PUBLISH
//
//	version   1. A reader refuses a higher one; a newer reader must read this one.
//	flags     bits 0 and 1: the QoS the message was published with, 0 to 2.
//	          The other bits are 0.
//	hops      how many gateways the message has passed.
//	wall      Unix time in nanoseconds at which it was taken in, 0 if the clock was
//	          not trusted then. The rest of the stamp lives in the record's header.
//	origin    client id of the publisher, 0 to 65535 bytes; none: weir itself.
//	PUBLISH   one whole MQTT 5.0 PUBLISH packet (3.3), to the end of the body.
//
// The PUBLISH is written as if it had QoS 0 and no DUP, so it has no packet
// identifier: an identifier belongs to one connection, and every destination gets
// its own. The QoS it came with is in flags. RETAIN is that of the publisher.
// Properties that belong to a connection (topic alias, subscription identifiers)
// never get into a record; all others of PUBLISH do. A message of a 3.1.1
// publisher has an empty property list and nothing else tells it apart.
//
// An example, a message of client "px" at QoS 1, retained, payload "75", taken in
// at 2026-11-22T14:02:11.25Z:
//
//	01 01 00  18 ea 62 e3 a0 79 d0 80  00 02 70 78
//	31 07  00 02 61 2f  00  37 35
//
// the second line being the PUBLISH: fixed header, topic "a/", no properties,
// payload. The payload is the end of the body, so a writer that has it elsewhere
// appends the head alone (AppendHead) and stores head and payload together.
//
// # Limits
//
// Those of MQTT: topic, origin and each property up to 65535 bytes, the PUBLISH
// up to 268435460. Decode checks lengths before it uses them, and UTF-8 as the
// codec does; it does not check that the topic is a valid topic name, which was
// done when the message was taken in.
package message
