// Package buffer is the durable log: records that wait for consumers, and a
// little keyed state, in segment files of one directory. It knows nothing of
// MQTT.
//
//	Append ──▶ tail in memory ──Commit──▶ block in a segment file
//	               │                          │
//	               └────────── Next ──────────┴──▶ consumer ──Ack──▶ position
//
// A record is settled when the commit that holds it is durable, or when every
// consumer it is for has acknowledged it while it was still in the tail and
// none of them must have it committed. A commit takes the whole tail: one
// write, one fdatasync. When to commit is decided outside.
//
// # In memory only
//
// A destination may be for memory only (Dest.Memory). Nothing is written on its
// account, and it delays no settlement. A record of which only such destinations
// are left is fleeting: it is settled, commits pass it, and it stays in the tail
// until they have acknowledged it.
//
//	for durable ones too ──commit──▶ stored, for all its destinations
//	        │
//	        └─ the durable ones acknowledged, or refused ─▶ fleeting ──Ack──▶ gone
//	for memory only ────────────────────────────────────────▲  │
//	                              DropMemory, counted ◀────────┘
//
// So a record that is written for others serves all from its one copy, and
// outlives a restart for those in memory too; nothing promises that. What a
// fleeting record brings along that has to be durable, its keys and the counts
// of who refused it, is committed without it, and settles it.
//
// Its number is a hole on the disk. Next gives it in its place among the stored
// ones. In the tail it has chunks of its own, so that it holds up no memory of
// what is written, and at most half of the limit: beyond it the oldest are
// dropped, whoever they are for. These counts are in the next commit, and no
// reason for one. Close drops what is left, counted and logged once; a crash
// takes it and the counts since the last commit.
//
// # Files
//
//	0000000000000007.log   a segment; the name is its sequence in hex
//	spare-...              a file of the right size, to become the next segment;
//	                       written full once, so that a commit into it changes
//	                       no metadata of the file system, or only allocated
//	0000000000000123.keys  a snapshot of all keys; the name is the block, in
//	                       hex, up to which it has their changes. Two are kept
//	new-...                a spare, a snapshot or a denser segment that is being
//	                       made, or the file that one took the place of; removed
//	                       at start
//	....bad                a damaged segment whose records are all done with,
//	                       one without a sound header, the copy of one that
//	                       was repaired, or a damaged snapshot; kept while
//	                       there is room
//	repaired               empty: a repair was begun, and nobody took note yet
//	lock                   held by flock; says the pid of the holder
//
// # Segment
//
// Everything is little-endian; uvarint is that of encoding/binary.
//
//	page 0, page 1    the header, twice
//	page 2 ...        blocks, each on a page of 4096 bytes
//	last page         summary, once the segment is sealed
//
//	 0   8  magic "weirlog" 0x1a
//	 8   4  format version, 1
//	12   4  CRC-32C of bytes 0-11 and 16-127
//	16   8  sequence: rises through the log, never reused
//	24   4  incarnation: how often the file was a segment before
//	28   4  run that made it
//	32  16  salt: random, secret, new for each incarnation
//	48   8  bytes of the file
//	56   8  number of the first block
//	64   8  records written to the log before this segment
//	72   8  sequence of the segment before, 0 for none
//	80   8  where that one's last good block ends
//	88   8  features a reader must know: 1 blocks may be compressed,
//	        2 heads are told from bodies, and records may be like others
//	96   8  records that were left out when it was rewritten
//	104 24  zero
//
// A segment header:
//
//	0000  77 65 69 72 6c 6f 67 1a 01 00 00 00 3f bc 3c a8
//	0010  03 00 00 00 00 00 00 00 01 00 00 00 02 00 00 00
//	0020  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f
//	0030  00 00 40 00 00 00 00 00 28 00 00 00 00 00 00 00
//	0040  e8 03 00 00 00 00 00 00 02 00 00 00 00 00 00 00
//	0050  00 d0 3f 00 00 00 00 00 00 00 00 00 00 00 00 00
//	0060  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
//	0070  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
//
// A reader refuses a higher version, and any feature bit it does not know,
// before it changes anything: the first 16 bytes and the feature word keep their
// place in every version.
//
// # Block
//
//	 0   4  magic "wblk"
//	 4   4  CRC-32C of salt, incarnation, file offset, bytes 8-63
//	 8   4  CRC-32C of salt, incarnation, file offset, block number, body
//	12   4  bytes of body, as it stands here
//	16   8  block number: rises by one through the log
//	24   8  number of the first record, 0 for none
//	32   4  number of the last record less that of the first
//	36   4  records
//	40   8  records written to the log before this block
//	48   8  boot of the records that name none
//	56   4  run
//	60   2  flags: 1 first block of a commit, 2 last block of it,
//	        4 keyed state starts here from nothing, 8 a hole
//	62   2  codec, 0: the body is the items; 1: it is packed
//	64      body, then zeros to the end of the page
//
//	packed  bytes of the items u32 | one zstd frame that holds them
//
//	item    length uvarint | tag u8 | ...
//	record  tag 1 | flags u8 (1: boot is there, 2: length of head is there) |
//	        low 32 bits of the number | since i64 | boot u64 if flagged |
//	        destinations uvarint | { consumer<<1|must uvarint | length uvarint |
//	        data } | bytes of head uvarint if flagged | body: head, payload
//	like    tag 4 | how many bytes before this item the one begins that it is
//	        like uvarint | number less that one's uvarint | since less that
//	        one's zigzag | where its own bytes stand in the head uvarint | how
//	        many they are uvarint | own bytes | payload
//	put     tag 2 | key length uvarint | key | value; behind a record: put
//	        along with it
//	delete  tag 3 | key
//
// A record's number is run (24 bits) and counter (40 bits). The first byte of
// a key is its space: u what the user of the log put, n consumer names,
// p positions (low-water number, then acknowledged ranges as gap and length),
// a records set aside, d drop counters, l the highest consumer number, f the
// segments that were freed.
//
// A block at offset 0x3000 of the segment above: key "clock" is put, key "old"
// is deleted, record 9 of run 2 has the body "head,75":
//
//	0000  77 62 6c 6b 6c 29 2a 6d 94 75 02 07 2b 00 00 00
//	0010  29 00 00 00 00 00 00 00 09 00 00 00 00 02 00 00
//	0020  00 00 00 00 01 00 00 00 e8 03 00 00 00 00 00 00
//	0030  88 77 66 55 44 33 22 11 02 00 00 00 03 00 00 00
//	0040  09 02 06 75 63 6c 6f 63 6b 01 05 03 75 6f 6c 64
//	0050  1a 01 02 09 00 00 00 00 04 6b f4 14 00 00 00 01
//	0060  03 01 07 05 68 65 61 64 2c 37 35
//
// A record with a head is said by what it has of its own, if one of the same
// destinations whose head is as long stands whole earlier in the block, has the
// block's boot, and differs in at most 32 bytes of the head: what one source sends
// on one topic. Record 10 of the body "hEad,7", 5 ns later, behind the items of
// the block above:
//
//	0000  08 04 1b 01 0a 01 01 45 37
//
// A body is packed if the segment's header says that one may be, it is at most
// 1 MiB, and that saves a whole page: what takes one page is left as it is. The
// sums are over the bytes as they stand on the disk, so nothing that was damaged
// is ever unpacked, and the length is held against its limit before memory is
// taken. All sizes that are counted, here and in summaries, are those of whole
// items before packing. The encoder's window is 128 KiB; it and the decoder that all readers
// share take about 1 MiB together, from the first packed block on; while a segment is
// rewritten there is one more. The same
// block with the body "head," and 48 times "75", packed:
//
//	0000  77 62 6c 6b a7 1e 15 e7 7e c5 32 4b 40 00 00 00
//	0010  29 00 00 00 00 00 00 00 09 00 00 00 00 02 00 00
//	0020  00 00 00 00 01 00 00 00 e8 03 00 00 00 00 00 00
//	0030  88 77 66 55 44 33 22 11 02 00 00 00 03 00 01 00
//	0040  88 00 00 00 28 b5 2f fd 00 00 9d 01 00 a4 02 09
//	0050  02 06 75 63 6c 6f 63 6b 01 05 03 75 6f 6c 64 77
//	0060  01 00 09 00 00 00 00 04 6b f4 14 00 00 00 01 03
//	0070  01 07 68 65 61 64 2c 37 35 01 54 17 02 29 da 02
//
// Since the salt is secret and the offset and incarnation are in the sums,
// neither a block of the file's earlier life, nor one that was moved, nor a
// payload that looks like a block can be taken for one.
//
// # Keyed state
//
// There are two kinds. What the log keeps for itself (consumers, positions,
// counters) is small, bounded by the segment, and stands as a whole at the
// head of each segment. Keys that were put may be many times a segment. Their
// changes are items of blocks too; a snapshot holds them all as of a block,
// and what changed behind that block is read from the segments. A segment
// stays until the snapshot before the newest has its changes of keys, so
// that a damaged snapshot costs nothing; if room is needed, until the newest
// has. A snapshot is taken when four segments hold changes that none has (for
// large states, as many as twice the snapshot), when three segments or more,
// eight times the snapshot, are kept for it alone or are not rewritten for want of
// it, and before the cap takes a record, or a segment whose changes are nowhere else. On a full disk it is
// written over a spare.
//
// A snapshot is written aside, synced, renamed, and the directory synced:
//
//	 0   8  magic "weirkey" 0x1a
//	 8   4  format version, 1
//	12   4  CRC-32C of bytes 0-11 and 16-63
//	16   8  the block it covers
//	24   8  keys
//	32   8  bytes of all pieces
//	40   8  features a reader must know, none so far
//	48   4  run
//	52  12  salt
//	64      pieces: length u32 | CRC-32C of salt, file offset and items |
//	        items, each a put, whole
//
// A snapshot of "clock", which is put, as of block 42:
//
//	0000  77 65 69 72 6b 65 79 1a 01 00 00 00 04 af 9f cb
//	0010  2a 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
//	0020  13 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
//	0030  02 00 00 00 a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab
//	0040  0b 00 00 00 e3 2b 4c fb 0a 02 06 75 63 6c 6f 63
//	0050  6b 01 05
//
// Keys put along with a record are items right behind it, in its block. They
// count for Get when that block is durable, those made by Put and Delete at
// once; a snapshot has neither before the log has.
//
// # Commit
//
// A commit is one block, of as many pages as it takes, written with one write
// and made durable with one sync. A large tail is several blocks of at most
// 128 KiB (256 KiB before compression, and an eighth of a segment), each one
// write, and still one sync, so that readers need little memory; the flags mark
// the first and the last, and a commit that is not whole at the end of the log
// never happened. What does not fit a segment is
// several commits, keyed changes in the first.
//
// A new segment takes a spare: headers and the first commit are written and
// synced while it is called a spare, then it is renamed and the directory is
// synced. So a header with its salt is durable before any block behind it can
// count. That first commit carries all that the log keeps for itself (names,
// positions, counters), which is why freeing the segments before it loses none.
//
// After a failed write or sync a segment is never synced again. The next
// commit goes to a new one, whose header says where the good blocks of the
// failed one end. Should both copies of a block survive, the first is taken:
// numbers rise through the log, and recovery takes none twice.
//
// # Numbers
//
// Each block carries the run. Open commits a block of its new run, one above
// the highest it saw, before it returns; so every run that ever gave out a
// number is on the disk, and none comes twice. A torn commit leaves blocks
// behind that the new run's blocks overwrite from the front; what is left of
// them has a lower run and a number already used, and is passed over.
//
// # Freeing
//
// A sealed segment whose records are all acknowledged or dropped is given up
// in the commit that also holds the positions (or drop counters) that prove
// it, under the key f. Only when that commit is durable is the file renamed to
// a spare or removed. If power goes between the two, the next start finds it
// in f and frees it then. If the removal is undone by a power cut, the same
// happens. The key also tells a hole that was made from one that befell us:
// what is missing otherwise is reported as lost, as an exact number of
// records (each block and header carries the count of those before it) and
// the numbers around them.
//
// The one way to use a file before that is durable is a disk on which neither
// a spare nor a page in the active segment is left; then the hole is reported
// as lost at the next start. Four pages of each segment are kept back for what
// is no record, to avoid it.
//
// Spares are kept up to a sixteenth of MaxSize: making one writes each of its
// pages, so the log writes twice what it holds while it grows by new files, and
// once when it uses its files again, as in every outage after the first. A commit
// into a file that is only allocated makes ext4 write 12 KiB of metadata (measured);
// where commits have lately been larger than a sixty-fourth of a segment that is
// the lesser cost, and the spare is allocated. The first segment of a log is
// allocated too: a start does not wait for zeros, and 4 MiB of it that were not
// written pay for some 340 of such commits.
//
// MaxSize counts every file of the directory. When it is reached (or the disk
// has no more than MinFree left, or is full), the oldest segment is given up
// as a new one is begun: its records that were not acknowledged are counted
// per consumer and reason, durably. The segment being written never goes.
//
// # Limits of a consumer
//
// A consumer may have limits of its own (SetLimits): bytes, with the oldest
// dropped or the newest refused, and an age. What a commit leaves beyond them
// is dropped after it, oldest first: a segment's share at once where all of it
// has to go, otherwise record by record, which takes reading that segment.
// What is refused never names the consumer. With Options.Newest the log itself
// refuses when it is full, instead of giving up its oldest segment. Whatever
// is dropped or refused is counted by reason, and a record that all its
// destinations refused is settled when that count is durable. Two files are
// kept back for such counts: they fill one after the other, and each is free
// again when the next is begun.
//
// # Rewriting
//
// A sealed segment that would gain half a segment by losing its padding and the
// records that nobody waits for is written anew: a file with the same numbers in
// the same order and fuller blocks, packed if the log packs, synced, and put in
// its place. Its header says how many records were left out, so that counts still
// add up. Readers keep the old file open until they are through. Its changes of
// keys must be in a snapshot, and the last sealed segment is left alone: recovery
// falls back to its state. How well small blocks pack in large ones is not known
// before it is tried: it is hoped for the best, and given up after the first block,
// before anything is written, if that says otherwise. A record that was dropped
// leaves the disk after its count is durable there.
//
// This is done when a spare has to be made, and when room is short, before
// anything is dropped. Ten readings a second, committed every two seconds, fill a
// page with twenty of them, 205 bytes for each; packed together they take a
// twelfth. A log that grows by making files writes such a page twice, with zeros
// and with the block. Writing the segment before last anew costs what it takes
// then, half a segment at most, and yields its file, which needs no zeros: so it
// saves flash as well as room, and is done first.
//
//	new-dense-X, synced      X
//	       └──── exchange ────┘     one or the other has each name, always
//	           directory synced     from here on no cut brings the old X back
//	new-dense-X ──▶ spare-X         only now may it be written over
//
// Whoever has the old file open may find it being another segment: its blocks have
// another salt, and nothing of them is taken. A reader asks, before it calls
// something damage, whether the segment was rewritten, and begins anew in the new
// file at the record after the last it gave; Inspect and Verify compare headers
// and sizes with those that are there afterwards. After a cut between the
// exchange and the last renaming the next start removes new-dense-X. Where the
// file system knows no exchange the new file is renamed over the old one, as it
// is when there are spares enough; then segments are rewritten only when room is
// short.
//
// A rewritten segment is no spare when it is freed: it is removed. On a disk with
// less than MinFree, where the log may not grow, bytes that were removed are added
// up, and allow as many to be made.
//
// # Beside the commits
//
// Rewriting, snapshots, what consumers' limits take, and spares are chores:
// where Options.OnChores is set, another goroutine does them by calling Chores,
// and commits go on meanwhile. A snapshot begins at a moment without a commit, so
// that it holds nothing no commit has. A commit does itself what it cannot do
// without: a spare when there is none, and with the cap reached or the disk full
// whatever makes one. It may wait for a rewriting that runs; that is why one that
// needs a commit itself, for the counts of what was dropped, counts as not running
// until it has it. Close waits for all of it.
//
// # Start
//
// Start reads the headers, the summaries, and the last segment. Segments
// without a sound summary are read in full, and so is one that a consumer's
// position lies in. The keyed state is that of the last segment whose first
// commit is whole; if that is damaged, the one before it, with older
// positions: records repeat, none is lost. If there is none, consumers are
// made anew, called orphan-NUMBER, with all records that name them.
//
// Keys are those of the newest whole snapshot, and the changes behind it.
//
//	summary:
//	 0  magic "wsum" | 4 CRC-32C of salt, incarnation, offset, bytes 8-n |
//	 8  bytes n u32 | 12 consumers u32 | 16 end of blocks | 24 first record |
//	32  last | 40 records | 48 bytes | 56 boot | 64 since | 72 1: holds a
//	whole state | 80 records written before | 88 the last block with changes
//	of keys |
//	96  per consumer, uvarints: number less the one before | first record less
//	    the segment's | last less first | records | bytes | since less the
//	    segment's (zigzag) | boot xor the segment's
//
// # Looking and repairing
//
// Inspect runs the same recovery as a start, less all that changes something,
// over a file system that refuses to change anything; it takes no lock. A log
// that runs meanwhile frees segments, makes them into others, rewrites them and
// removes snapshots. So the directory is listed again afterwards, and the
// headers compared: a segment that was freed is left out, with what was found
// in it; if more than its records may be missing then (state, keys), or it was
// rewritten, everything is read again. What stands behind the last whole commit
// is being written, and does not count, as at a start.
//
// Verify is the same, but reads every block in spite of summaries, both copies
// of each header, every snapshot, and each file from end to end. Its problems
// carry as many lost records as a start would report, or consumers would miss.
//
// Repair makes a damaged store one that Verify finds sound. A stretch of a
// segment without a sound block becomes a hole: a block over all of it that
// holds no record, is a commit of its own, and says in "records written to the
// log before" what the next block or segment says there, so that what is
// missing is not missed again. A program that does not know the flag takes a
// hole for damage, and reports what the hole is about. The new file has the
// header and offsets of the old one, a copy of which is set aside first; it is
// written, synced and renamed over it, so a cut leaves one or the other. A
// damaged copy of a header is written in place, the other one being sound.
// Segments that are missing altogether are noted as freed. Everything else is
// what each start does. A repair does away with the signs of a loss. So, before
// it changes anything, it makes the file "repaired", which every start tells
// until somebody has durably distrusted what must agree with this store.
//
// Lost keys are told too, though nothing counts them: block numbers rise by one,
// so one that is missing, of which no snapshot has the changes, may have held
// some; so may a segment that is missing without having been freed, one without
// a sound header, and the last snapshot that was damaged.
//
// # Limits
//
// Consumer names, and one value: an eighth of a segment. Keys and values
// together: Options.MaxKeys. Records:
// half a segment or half the tail. Consumers: one per KiB of segment. Ranges
// in a position: 4096; marks of records set aside: 65,536 and a sixty-fourth
// of a segment's bytes, shared by the consumers. Runs: 16,777,215.
//
// The last block of all, if damaged, cannot be told from a write that was
// never finished: it is cut. Reading that fails for more than a page at a time
// is an error and is tried again, never taken for damage.
package buffer
