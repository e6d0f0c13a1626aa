package buffer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

const (
	page           = 4096
	formatVersion  = 1
	segmentHeadLen = 128
	blockHeadLen   = 64
	dataStart      = 2 * page   // blocks begin behind the two header pages
	reserve        = 4 * page   // of each segment, that no record takes: for runs and drops when there is no spare
	blockLimit     = 128 << 10  // a commit larger than this is several blocks
	chunkLimit     = 64 << 10   // tail memory is taken in pieces of this size
	counterBits    = 40         // a record number is run << 40 | counter
	maxRun         = 1<<24 - 1  // runs are 24 bits
	maxBlockBody   = 1 << 30    // bounds a length read from disk before the file does
	maxDests       = 1 << 16    // destinations of one record
	maxData        = 64 << 10   // bytes of one destination's data
	maxKey         = 4 << 10    // bytes of one key
	noRecord       = ^uint64(0) // never a record number
)

// Flags of a block.
const (
	flagFirst = 1 << iota // first block of a commit
	flagLast              // last block of a commit
	flagReset             // keyed state starts here from nothing: all live records follow
	flagHole              // stands where blocks could not be read; the records before the next block are not missed again
	flagsKnown
)

// Features of a segment that a reader must know.
const (
	featurePacked = 1 << iota // blocks may be compressed
	featureLike               // records may be said by what differs from an earlier one
	featuresKnown
)

var (
	segmentMagic = [8]byte{'w', 'e', 'i', 'r', 'l', 'o', 'g', 0x1a}
	blockMagic   = [4]byte{'w', 'b', 'l', 'k'}
	summaryMagic = [4]byte{'w', 's', 'u', 'm'}
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
)

var le = binary.LittleEndian

// segmentHeader is what stands, twice, at the start of a segment.
type segmentHeader struct {
	seq         uint64   // rises by one or more for each segment, never reused
	incarnation uint32   // how often the file was used before
	run         uint32   // run that made the segment
	salt        [16]byte // random, secret, new for each incarnation
	size        int64    // bytes of the file
	firstBlock  uint64   // number of the first block written here
	written     uint64   // records written to the log before this segment
	prevSeq     uint64   // the segment before, 0 for none
	prevEnd     int64    // where that one's last good block ends
	omitted     uint64   // records that were left out when it was rewritten
	features    uint64   // what a reader must know
}

// append adds one copy of the header, a whole page.
func (h *segmentHeader) append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, page)...)
	p := dst[at:]
	copy(p, segmentMagic[:])
	le.PutUint32(p[8:], formatVersion)
	le.PutUint64(p[16:], h.seq)
	le.PutUint32(p[24:], h.incarnation)
	le.PutUint32(p[28:], h.run)
	copy(p[32:], h.salt[:])
	le.PutUint64(p[48:], uint64(h.size))
	le.PutUint64(p[56:], h.firstBlock)
	le.PutUint64(p[64:], h.written)
	le.PutUint64(p[72:], h.prevSeq)
	le.PutUint64(p[80:], uint64(h.prevEnd))
	le.PutUint64(p[88:], h.features)
	le.PutUint64(p[96:], h.omitted)
	le.PutUint32(p[12:], segmentHeadCRC(p))
	return dst
}

func segmentHeadCRC(p []byte) uint32 {
	return crc32.Update(crc32.Checksum(p[:12], castagnoli), castagnoli, p[16:segmentHeadLen])
}

// decodeSegmentHeader reads one copy. ok is false for anything that is not a
// sound header; a sound one of a newer format is ErrNewer.
func decodeSegmentHeader(p []byte) (h segmentHeader, ok bool, err error) {
	if len(p) < segmentHeadLen || !bytes.Equal(p[:8], segmentMagic[:]) || le.Uint32(p[12:]) != segmentHeadCRC(p) {
		return h, false, nil
	}
	version, features := le.Uint32(p[8:]), le.Uint64(p[88:])
	if version > formatVersion || features >= featuresKnown {
		return h, false, fmt.Errorf("%w: segment version %d with features %#x, this program knows version %d and features up to %#x", ErrNewer, version, features, formatVersion, featuresKnown-1)
	}
	h.seq = le.Uint64(p[16:])
	h.incarnation = le.Uint32(p[24:])
	h.run = le.Uint32(p[28:])
	copy(h.salt[:], p[32:48])
	h.size = int64(le.Uint64(p[48:]))
	h.firstBlock = le.Uint64(p[56:])
	h.written = le.Uint64(p[64:])
	h.prevSeq = le.Uint64(p[72:])
	h.prevEnd = int64(le.Uint64(p[80:]))
	h.omitted = le.Uint64(p[96:])
	h.features = features
	if version == 0 || h.seq == 0 || h.size < dataStart+page || h.size%page != 0 || h.run > maxRun {
		return h, false, nil
	}
	return h, true, nil
}

// seed is the checksum state every block and summary of a segment starts from.
type seed uint32

func (h *segmentHeader) seed() seed {
	var p [20]byte
	copy(p[:], h.salt[:])
	le.PutUint32(p[16:], h.incarnation)
	return seed(crc32.Checksum(p[:], castagnoli))
}

// at binds the seed to a file offset.
func (s seed) at(off int64) uint32 {
	var p [8]byte
	le.PutUint64(p[:], uint64(off))
	return crc32.Update(uint32(s), castagnoli, p[:])
}

// blockHeader stands before each block's body.
type blockHeader struct {
	bodyCRC uint32
	length  uint32 // bytes of body
	number  uint64 // rises by one for each block of the log
	first   uint64 // number of the first record, 0 for none
	span    uint32 // last record's number less the first's
	count   uint32 // records
	written uint64 // records written to the log before this block
	boot    uint64 // boot of records that name none
	run     uint32
	flags   uint16
	codec   uint16
}

func (b *blockHeader) last() uint64 { return b.first + uint64(b.span) }

// room is the file space of the block: whole pages.
func (b *blockHeader) room() int64 { return pages(blockHeadLen + int64(b.length)) }

func pages(n int64) int64 { return (n + page - 1) &^ (page - 1) }

// encode fills p[:64] for a block at off whose body is p[64:64+length].
func (b *blockHeader) encode(p []byte, s seed, off int64) {
	bound := s.at(off)
	copy(p, blockMagic[:])
	le.PutUint32(p[12:], b.length)
	le.PutUint64(p[16:], b.number)
	le.PutUint64(p[24:], b.first)
	le.PutUint32(p[32:], b.span)
	le.PutUint32(p[36:], b.count)
	le.PutUint64(p[40:], b.written)
	le.PutUint64(p[48:], b.boot)
	le.PutUint32(p[56:], b.run)
	le.PutUint16(p[60:], b.flags)
	le.PutUint16(p[62:], b.codec)
	b.bodyCRC = blockBodyCRC(bound, b.number, p[blockHeadLen:blockHeadLen+int(b.length)])
	le.PutUint32(p[8:], b.bodyCRC)
	le.PutUint32(p[4:], crc32.Update(bound, castagnoli, p[8:blockHeadLen]))
}

func blockBodyCRC(bound uint32, number uint64, body []byte) uint32 {
	var p [8]byte
	le.PutUint64(p[:], number)
	return crc32.Update(crc32.Update(bound, castagnoli, p[:]), castagnoli, body)
}

// crcOfHead is the checksum a block header at off should have.
func crcOfHead(s seed, off int64, p []byte) uint32 {
	return crc32.Update(s.at(off), castagnoli, p[8:blockHeadLen])
}

// decodeBlockHeader reads the header of a block at off. room is what the file
// holds from off on.
func decodeBlockHeader(p []byte, s seed, off, room int64) (b blockHeader, ok bool) {
	if len(p) < blockHeadLen || !bytes.Equal(p[:4], blockMagic[:]) ||
		le.Uint32(p[4:]) != crcOfHead(s, off, p) {
		return b, false
	}
	b.bodyCRC = le.Uint32(p[8:])
	b.length = le.Uint32(p[12:])
	b.number = le.Uint64(p[16:])
	b.first = le.Uint64(p[24:])
	b.span = le.Uint32(p[32:])
	b.count = le.Uint32(p[36:])
	b.written = le.Uint64(p[40:])
	b.boot = le.Uint64(p[48:])
	b.run = le.Uint32(p[56:])
	b.flags = le.Uint16(p[60:])
	b.codec = le.Uint16(p[62:])
	if b.length > maxBlockBody || b.room() > room || b.run > maxRun || b.codec > codecZstd || b.flags >= flagsKnown {
		return b, false
	}
	return b, true
}

func (b *blockHeader) sound(s seed, off int64, body []byte) bool {
	return blockBodyCRC(s.at(off), b.number, body) == b.bodyCRC
}
