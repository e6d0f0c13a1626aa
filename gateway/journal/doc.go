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
//	one destination down, not answering, served at     gathered for Gather (100 ms), readings of the gateway itself
//	QoS 2, or its rule asks for disk; or received at   for OwnGather (2 s), then one commit takes the whole tail
//	QoS 2 from a session that lasts or an upstream
//	a publisher waits for a gathered record .......... committed at once: an early commit
//	a barrier, or the tail is full ................... committed at once
//	only rules with durability "memory" .............. owed nothing, so settled when taken; never written
//
// A link that left a record unacknowledged for SpillAfter is not answering, until its acknowledgements have come within
// that time for a whole second; silence proves nothing. The decisions are pure (pace.go, early.go): times in, a due time
// out. An acknowledgement is late by at most SpillAfter and a commit until its link is known not to answer, and by Gather
// and a commit from then on.
//
// # Durability "memory"
//
// A rule that asks for memory causes no write and delays no acknowledgement. What only such rules take stays in the tail
// until the upstream has it, the process ends, or half of the tail is used up for such messages: then the oldest goes, counted
// as dropped for "memory". What was to be committed with it (the packet id of a QoS 2 publisher) is, without it. A message
// that another rule or session takes too may be written for that one, and leaves from that copy then. A message that the
// upstream refuses becomes a dead letter, which is on the disk.
//
// # Early commits
//
// A client with a window of 20 that had to wait for Gather at each turn would get 200 messages a second through, on any
// disk. So a commit starts as soon as a publisher is seen to wait:
//
//	it is owed acknowledgements of gathered records,
//	it is silent for 2 ms, or four times the longest gap between two of its messages with no release between them,
//	and it had sent again within 20 ms of its last release
//
//	release            silence        commit
//	   │  ┊┊┊ its window  ├── 2 ms ──▶│ sync        │ release  ┊┊┊ ...
//
// One that merely sends steadily shows its gaps while records are gathered, and is never silent for four of them. The
// longest gap fades by an eighth with each release, so that one hiccup does not count for ever. Two cases hide the gaps
// and are dealt with: acknowledgements of an upstream that come between the messages (their release has no known time, so
// one whole Gather comes first when a link breaks), and early commits for another publisher on a fast disk (every 64th
// time in a row a publisher is asked for a silence that one who sends steadily cannot keep).
//
// A release is known to the journal when the commit that caused it ends, or from the next message when the commit still
// tidies up; the broker says only which connection an entry is owed to (broker.Entry.Publisher).
//
// An early commit leaves the last page of its block partly empty. These bytes are charged to FlashBudget (64 MiB in any
// hour); when it is used up Gather holds for everyone, and [Journal.Flash] and the log say so.
//
// # Positions
//
// That stored records were acknowledged is written within AckFlush (5 s), and within Gather when the backlog with which
// a link came up is at its end. A commit takes the whole tail, though: were positions to be written while records wait
// for acknowledgements that are about to come, those would become stored records whose positions change, and so on, and
// a healthy link would cost a write every AckFlush for ever. So positions that are due wait for a moment when no record
// waits, another AckFlush at first, up to ten minutes if that moment never comes, and up to an hour while they are those of at
// most 256 records. A crash meanwhile repeats those
// records.
//
// # A store that fails
//
// A commit that fails settles nothing: what the upstream acknowledges is settled, the rest stays owed. It is tried again
// after 250 ms, at most every 10 s, and [Journal.Err] says why until a commit succeeds.
//
// # Sessions upstream
//
// What exactly once needs of a session upstream (see package bridge) is keyed state of the log, by consumer, big-endian:
//
//	"token/" consumer u32                         generation u32, token     whose session it is; no token: nobody's
//	"pair/"  consumer u32 id u16                  number u64, released u8, [queue u32]  a record sent, or about to be, at QoS 2
//	"taken/" consumer u32 generation u32 id u16   nothing                   a received QoS 2 id that was not released
//
// A held id is put in the block of the message it came with, so it can become durable after its session was lost; the
// generation, which rises with each token, tells that it means nothing any more. When the log has lost records, keys or the
// name of a consumer, or was repaired, all tokens are withdrawn before anything connects; a tail that was cut, as each power cut
// leaves one, is no such loss.
//
// # Dead letters
//
// A message that an upstream refused becomes a record of the consumer "dead/UPSTREAM", with the body it had. The letter is
// committed before the record is acknowledged at its old place; until then it is set aside there:
//
//	refused ──▶ set aside ──Append──▶ letter in the tail ──commit──▶ record acknowledged
//	                ▲                                          │
//	                └──── crash: moved again, unless the letter is there already
//
// Destination data of a letter, little-endian:
//
//	version u8, 1 | reason u8 | rule u32 | record u64 | refused: boot u64, since i64, wall i64
//
// They may take a sixteenth of the log's MaxSize; beyond it the oldest are dropped, and counted by the log.
//
// # Sessions
//
// The journal is the broker's Store too. A stored session, and a shared group with such a member, has a consumer of its own, "queue/"
// and the name that the broker gives it, and is to the pace a link as an upstream is: while its subscriber is there and acknowledges in time, messages for
// it wait SpillAfter and touch no disk. Keys of the broker are keys of the log. What the broker puts is written within
// Gather, at a moment when no record waits for acknowledgements, and at the latest within AckFlush; what it must wait for
// has a barrier, whose commit begins at once.
//
// # Rules by number
//
// A record names the forward rule that took it by a number. The rule's text is interned in the keyed state of the buffer
// under "rule/UPSTREAM/NUMBER", so that a record leaves as the rule said when it was accepted, whatever the
// configuration says now. Destination data of a record:
//
//	rule u32    little-endian
package journal
