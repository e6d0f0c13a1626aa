// Package qos is both halves of QoS 1 and QoS 2 as pure state machines: [Outbound] for messages sent, [Inbound] for
// messages received. The broker has one of each per session, a client one of each per connection. There is no goroutine,
// clock, lock or I/O in here; the caller serialises the calls of one value.
//
// # Sending
//
// A message is its caller's 64-bit ref; here are only its packet id and how far it got. What to write on the wire stands in
// brackets, what was received before the slash.
//
//	            Send(1)                                        Send(2)
//	       [PUBLISH, QoS 1]                               [PUBLISH, QoS 2]
//	               │                                              │
//	               ▼                                              ▼
//	        ┌─────────────┐                                ┌─────────────┐
//	   ┌───▶│ awaitPuback │                           ┌───▶│ awaitPubrec │──┐ PUBREC >= 0x80 / Refused
//	   │    └──┬───┬───┬──┘                           │    └──┬───────┬──┘  └────────────▶ (id free)
//	   └───────┘   │   │                              └───────┘       │
//	    Resend     │   │ PUBACK >= 0x80                Resend         │ PUBREC / SendPubrel
//	[PUBLISH, DUP] │   └───▶ Refused: (id free)    [PUBLISH, DUP]     │ [PUBREL]
//	               │                                                  ▼
//	               │ PUBACK / Done                             ┌──────────────┐
//	               ▼                                      ┌───▶│ awaitPubcomp │───▶ PUBCOMP / Done: (id free)
//	           (id free)                                  └────┴──────────────┘
//	                                                       Resend, or PUBREC again: [PUBREL]
//
// A PUBREC for a QoS 1 id, a PUBACK or early PUBCOMP for a QoS 2 id, and a failed PUBREC once PUBREL was sent, are Wrong.
// A PUBCOMP ends the message whatever its reason: the peer has it or has forgotten that it had it.
//
// # Receiving
//
//	Publish(1): New                                Publish(2): New
//	        │                                              │        ┌───┐ Publish(2) again: Duplicate
//	        ▼                                              ▼        ▼   │ [PUBREC]
//	 ┌────────────┐                                  ┌──────────────────┴─┐
//	 │ owesPuback │                                  │      received      │──▶ Acked, after [PUBREC >= 0x80]: (id free)
//	 └──────┬─────┘                                  └──────────┬─────────┘
//	        │ Acked, after [PUBACK]                             │ Release, at PUBREL: known
//	        ▼                                                   ▼
//	    (id free)                                        ┌─────────────┐
//	                                                     │ owesPubcomp │──▶ Completed, after [PUBCOMP]: (id free)
//	                                                     └─────────────┘
//
// A QoS 1 id may come again before its PUBACK; it is a new message each time, and owes one PUBACK each time. An id that is in
// use with the other QoS, or whose PUBCOMP is still owed, is a Conflict. An unknown PUBREL is answered with PUBCOMP
// all the same, or the peer would never be done.
//
// # Connections
//
// A lost connection changes nothing until Reconnect is called for the next one of the same session. Outbound then hands
// everything unfinished to Resend in the order it was first sent, PUBRELs included, as far as the new window allows, and
// gives no new id before all of it is out. Inbound keeps the QoS 2 ids that were not released, and forgets owed PUBACKs and
// PUBCOMPs: the peer repeats what it waits for. Acknowledgements the caller still owed on the old connection are void;
// it must not report them as sent after Reconnect. Reset forgets the session.
//
// The window counts what was sent on this connection and is not finished. A PUBREL repeated on a new connection does not count,
// nor does a QoS 2 id held from an earlier one (MQTT 5.0 section 4.9: the quota starts anew with each connection). By the
// letter of it a sender may count the PUBCOMP for such a one all the same, and send one message more, up to the quota it
// began with. Outbound does not; Inbound lets others do so.
//
// # Packet ids
//
// Ids count from 1 and wrap from 65535 to 1, passing over those in use, so that an id rests as long as possible before it
// means something else. SUBSCRIBE and UNSUBSCRIBE draw from the same ids through Reserve. With up to 1024 ids in use a search
// looks at no more than 1025 of them; with more a bitmap of 8 KiB is kept, and a search looks at no more than 1025 words.
//
// # Memory
//
// One message costs 16 bytes and up to 8 in an index, up to the most that were ever unfinished at a time, from the first Send on;
// Reset gives it back. There is no allocation per message once that room exists.
package qos
