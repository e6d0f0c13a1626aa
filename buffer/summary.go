package buffer

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

const summaryHeadLen = 96

// appendSummary fills the last page of a sealed segment. ok is false when the
// segment's consumers do not fit a page; such a segment is scanned at start.
func (s *segment) appendSummary(dst []byte, off int64) (p []byte, ok bool) {
	at := len(dst)
	dst = append(dst, make([]byte, summaryHeadLen)...)
	h := dst[at:]
	copy(h, summaryMagic[:])
	le.PutUint64(h[16:], uint64(s.end))
	le.PutUint64(h[24:], s.first)
	le.PutUint64(h[32:], s.last)
	le.PutUint64(h[40:], s.records)
	le.PutUint64(h[48:], uint64(s.bytes))
	le.PutUint64(h[56:], s.boot)
	le.PutUint64(h[64:], uint64(s.since))
	var shares uint32
	var id uint32
	for i := range s.shares {
		c := &s.shares[i]
		if c.count == 0 {
			continue
		}
		shares++
		dst = binary.AppendUvarint(dst, uint64(c.id-id))
		dst = binary.AppendUvarint(dst, c.first-s.first)
		dst = binary.AppendUvarint(dst, c.last-c.first)
		dst = binary.AppendUvarint(dst, c.count)
		dst = binary.AppendUvarint(dst, uint64(c.bytes))
		dst = binary.AppendVarint(dst, c.since-s.since)
		dst = binary.AppendUvarint(dst, c.boot^s.boot)
		id = c.id
	}
	n := len(dst) - at
	if n > page {
		return dst[:at], false
	}
	h = dst[at:]
	le.PutUint32(h[8:], uint32(n))
	le.PutUint32(h[12:], shares)
	state := uint64(0)
	if s.state {
		state = 1
	}
	le.PutUint64(h[72:], state)
	le.PutUint64(h[80:], s.written)
	le.PutUint64(h[88:], s.keyed)
	le.PutUint32(h[4:], crc32.Update(s.seed().at(off), castagnoli, h[8:n]))
	return append(dst, make([]byte, page-n)...), true
}

// readSummary fills s from the page at off; false if it is not a sound summary.
func (s *segment) readSummary(p []byte, off int64) bool {
	if len(p) < summaryHeadLen || !bytes.Equal(p[:4], summaryMagic[:]) {
		return false
	}
	n := le.Uint32(p[8:])
	if n < summaryHeadLen || int64(n) > int64(len(p)) || le.Uint32(p[4:]) != crc32.Update(s.seed().at(off), castagnoli, p[8:n]) {
		return false
	}
	t := segment{
		segmentHeader: s.segmentHeader, name: s.name, sealed: true,
		end: int64(le.Uint64(p[16:])), first: le.Uint64(p[24:]), last: le.Uint64(p[32:]),
		records: le.Uint64(p[40:]), bytes: int64(le.Uint64(p[48:])),
		boot: le.Uint64(p[56:]), since: int64(le.Uint64(p[64:])), state: le.Uint64(p[72:])&1 != 0,
		keyed: le.Uint64(p[88:]),
	}
	if t.end < dataStart || t.end > off || t.end%page != 0 || le.Uint64(p[80:]) != s.written {
		return false
	}
	rest := p[summaryHeadLen:n]
	var id uint64
	for range le.Uint32(p[12:]) {
		var v [7]uint64
		for i := range v {
			x, k := binary.Uvarint(rest)
			if k <= 0 {
				return false
			}
			v[i], rest = x, rest[k:]
		}
		id += v[0]
		if id >= 1<<32 || v[3] == 0 {
			return false
		}
		since := int64(v[5] >> 1)
		if v[5]&1 != 0 {
			since = ^since
		}
		t.shares = append(t.shares, share{id: uint32(id), first: t.first + v[1], last: t.first + v[1] + v[2],
			count: v[3], bytes: int64(v[4]), since: t.since + since, boot: v[6] ^ t.boot})
		t.open += v[3]
	}
	*s = t
	return true
}
