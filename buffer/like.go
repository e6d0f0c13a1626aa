package buffer

import "encoding/binary"

// Records of one source on one topic have most of their head in common. The
// first of a block stands whole, as a base; those like it name it and say only
// what they have of their own. A base is never itself a like record, so one step
// back is all that reading takes.

const (
	likeHead = 1 << 10 // bytes of a head that others may be like: bounds what a few bytes can stand for
	likeOwn  = 32      // bytes in which a head may differ from its base
	likeSkip = 24      // bytes at the start of a head by which no base is looked for: times and lengths
)

// bases are the whole records of the block being written that others may be
// like, found by what their heads end with.
type bases struct {
	block uint32 // which block the table is about
	table [128]base
}

// base says where in the block's body a whole record and its parts are.
type base struct {
	block       uint32
	start       uint32 // of the item
	dests, head part
	number      uint64
	since       int64
}

type part struct{ from, to uint32 }

func (p part) of(body []byte) []byte { return body[p.from:p.to] }

// begin forgets the block before.
func (k *bases) begin() { k.block++ }

// add appends the item of a record to buf, whose bytes from `from` on are the
// body of the block. It stands whole, or as one that is like an earlier one.
func (k *bases) add(buf []byte, from int, v *recordView, item []byte) []byte {
	if len(v.head) == 0 || len(v.head) > likeHead || v.flags&recordOwnBoot != 0 {
		return append(buf, item...)
	}
	b := &k.table[slot(v)]
	if b.block == k.block {
		if longer, ok := b.like(buf, from, v); ok {
			return longer
		}
	}
	start := len(buf) - from
	buf = append(buf, item...)
	end := uint32(start + len(item))
	headAt := end - uint32(len(v.whole))
	destsEnd := headAt - uint32(uvarintLen(uint64(len(v.head))))
	*b = base{k.block, uint32(start), part{destsEnd - uint32(len(v.dests)), destsEnd}, part{headAt, headAt + uint32(len(v.head))}, v.number, v.since}
	return buf
}

// slot is where a base for the record is looked for.
func slot(v *recordView) uint32 {
	h := mix(mix(uint64(len(v.head)), v.dests), v.head[min(likeSkip, len(v.head)/2):])
	return uint32(h>>32) % uint32(len(bases{}.table))
}

// mix takes p into a hash, FNV-1a by words. Where two meet, one of them stands whole.
func mix(h uint64, p []byte) uint64 {
	for ; len(p) >= 8; p = p[8:] {
		h = (h ^ le.Uint64(p)) * 0x100000001b3
		h ^= h >> 29
	}
	for _, c := range p {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	return h * 0x9e3779b97f4a7c15
}

// like appends the record as one that is like b, if it is.
func (b *base) like(buf []byte, from int, v *recordView) ([]byte, bool) {
	body := buf[from:]
	head := b.head.of(body)
	if len(head) != len(v.head) || string(b.dests.of(body)) != string(v.dests) || v.number < b.number {
		return buf, false
	}
	at, end := 0, len(head)
	for at < end && head[at] == v.head[at] {
		at++
	}
	for end > at && head[end-1] == v.head[end-1] {
		end--
	}
	if end-at > likeOwn {
		return buf, false
	}
	start := len(body)
	back, number, since := uint64(start)-uint64(b.start), v.number-b.number, zigzag(v.since-b.since)
	n := 1 + uvarintLen(back) + uvarintLen(number) + uvarintLen(since) + uvarintLen(uint64(at)) + uvarintLen(uint64(end-at)) + end - at + len(v.whole) - len(head)
	buf = binary.AppendUvarint(buf, uint64(n))
	buf = append(buf, tagLike)
	buf = binary.AppendUvarint(buf, back)
	buf = binary.AppendUvarint(buf, number)
	buf = binary.AppendUvarint(buf, since)
	buf = binary.AppendUvarint(buf, uint64(at))
	buf = binary.AppendUvarint(buf, uint64(end-at))
	buf = append(buf, v.head[at:end]...)
	return append(buf, v.whole[len(head):]...), true
}

func zigzag(n int64) uint64   { return uint64(n<<1) ^ uint64(n>>63) }
func unzigzag(n uint64) int64 { return int64(n>>1) ^ -int64(n&1) }

// parseLike reads the item of a like record that starts, length prefix
// included, at start. Every length is checked.
func (it *items) parseLike(item []byte, start int) (v recordView, ok bool) {
	var f [5]uint64 // how far back, number, since, where, how many
	p := item[1:]
	for i := range f {
		n, k := binary.Uvarint(p)
		if k <= 0 {
			return v, false
		}
		f[i], p = n, p[k:]
	}
	if f[0] == 0 || f[0] > uint64(start) {
		return v, false
	}
	whole, _, ok := nextItem(it.body[start-int(f[0]) : start])
	if !ok {
		return v, false
	}
	if v, ok = parseRecord(whole, it.first, it.boot); !ok || v.flags != recordHead || len(v.head) > likeHead {
		return v, false
	}
	head := uint64(len(v.head))
	if f[3] > head || f[4] > head-f[3] || f[4] > uint64(len(p)) || f[1]>>counterBits != 0 {
		return v, false
	}
	v.like = true
	v.number += f[1]
	v.since += unzigzag(f[2])
	v.length += uint32(len(p)-int(f[4])) - uint32(len(v.whole)-len(v.head))
	v.ownAt, v.own, v.whole = int(f[3]), p[:f[4]], p[f[4]:]
	return v, true
}

// appendWhole adds the record's item as it stands alone.
func (v *recordView) appendWhole(dst []byte) []byte {
	n := 1 + 1 + 4 + 8 + uvarintLen(uint64(v.ndest)) + len(v.dests) + len(v.whole)
	if v.flags&recordOwnBoot != 0 {
		n += 8
	}
	if v.flags&recordHead != 0 {
		n += uvarintLen(uint64(len(v.head)))
	}
	if v.like {
		n += len(v.head)
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = append(dst, tagRecord, v.flags)
	dst = le.AppendUint32(dst, uint32(v.number))
	dst = le.AppendUint64(dst, uint64(v.since))
	if v.flags&recordOwnBoot != 0 {
		dst = le.AppendUint64(dst, v.boot)
	}
	dst = binary.AppendUvarint(dst, uint64(v.ndest))
	dst = append(dst, v.dests...)
	if v.flags&recordHead != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(v.head)))
	}
	if !v.like {
		return append(dst, v.whole...)
	}
	v.body(&dst)
	return dst
}
