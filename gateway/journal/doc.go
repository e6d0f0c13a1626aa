// Package journal keeps the broker's promise "acknowledged means kept": it joins the broker, which owes acknowledgements,
// the buffer, which keeps records, and the bridge, which delivers them. It is the only room that knows all three.
//
// # The way of a record
//
//	broker ── Append(batch) ──▶ tail in memory ──▶ Source.Next ──▶ bridge ──▶ upstream
//	   ▲                            │                                │
//	   │                            │ commit (spill, gather)         │ Ack, Refuse
//	   └──── Notify ◀── settled ◀───┴────────────────────────────────┘
//
// A record is settled when its commit is durable, or when every upstream that wants it has acknowledged it. Only then
// does [Journal.Settled] answer true for its number and the broker lets the PUBACK or PUBREC go.
//
// # When a commit starts
//
// The journal decides when, the buffer only how. Each upstream is a link, which is up or not, and answering or not.
//
//	every destination up and answering, QoS 0 or 1 ... waits SpillAfter (200 ms) for their acknowledgements; answered
//	                                                   first, it never touches the disk
//	one destination down, not answering, or its rule   gathered for Gather (100 ms), readings of the gateway itself
//	asks for disk                                      for OwnGather (2 s), then one commit takes the whole tail
//	only rules with durability "memory" .............. owed nothing, so settled when taken; written only along with
//	                                                   others
//	the tail is full ................................. committed at once
//
// A link that left a record unacknowledged for SpillAfter is not answering, until its acknowledgements have come within
// that time for a whole second. The decisions are pure (pace.go): times in, a due time out.
//
// # Positions
//
// That stored records were acknowledged is written within AckFlush (5 s), and within Gather when the backlog with which
// a link came up is at its end. A commit takes the whole tail, though: were positions to be written while records wait
// for acknowledgements that are about to come, those would become stored records whose positions change, and so on, and
// a healthy link would cost a write every AckFlush for ever. So positions that are due wait for a moment when no record
// waits, another AckFlush at first, up to ten minutes if that moment never comes. A crash meanwhile repeats those few
// records.
//
// # A store that fails
//
// A commit that fails settles nothing: what the upstream acknowledges is settled, the rest stays owed. It is tried again
// after 250 ms, at most every 10 s, and [Journal.Err] says why until a commit succeeds.
//
// # Rules by number
//
// A record names the forward rule that took it by a number. The rule's text is interned in the keyed state of the buffer
// under "rule/UPSTREAM/NUMBER", so that a record leaves as the rule said when it was accepted, whatever the
// configuration says now. Destination data of a record:
//
//	rule u32    little-endian
package journal
