package buffer

import "encoding/binary"

// Tags of the items of a block.
const (
	tagRecord = 1
	tagPut    = 2
	tagDelete = 3
	tagLike   = 4 // a record of which most is said by an earlier one: see like.go
)

// Flags of a record.
const (
	recordOwnBoot = 1 << iota // its boot stands in it
	recordHead                // the length of its head stands in it
	recordFlags
)

// uvarintLen is how many bytes n takes.
func uvarintLen(n uint64) int {
	k := 1
	for ; n >= 0x80; n >>= 7 {
		k++
	}
	return k
}

// recordLen is the size of a record's item without its length prefix.
func recordLen(r *Record, ownBoot bool) int {
	n := 1 + 1 + 4 + 8 + uvarintLen(uint64(len(r.Dests)))
	if ownBoot {
		n += 8
	}
	for i := range r.Dests {
		d := &r.Dests[i]
		n += uvarintLen(uint64(d.Consumer)<<1) + uvarintLen(uint64(len(d.Data))) + len(d.Data)
	}
	if len(r.Head) > 0 {
		n += uvarintLen(uint64(len(r.Head)))
	}
	return n + len(r.Head) + len(r.Payload)
}

// appendRecord adds the item of a record, whose size is n = recordLen.
func appendRecord(dst []byte, r *Record, number uint64, n int, ownBoot bool) []byte {
	dst = binary.AppendUvarint(dst, uint64(n))
	flags := byte(0)
	if ownBoot {
		flags |= recordOwnBoot
	}
	if len(r.Head) > 0 {
		flags |= recordHead
	}
	dst = append(dst, tagRecord, flags)
	dst = le.AppendUint32(dst, uint32(number))
	dst = le.AppendUint64(dst, uint64(r.Since))
	if ownBoot {
		dst = le.AppendUint64(dst, r.Boot)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.Dests)))
	for i := range r.Dests {
		d := &r.Dests[i]
		who := uint64(d.Consumer) << 1
		if d.Must {
			who |= 1
		}
		dst = binary.AppendUvarint(dst, who)
		dst = binary.AppendUvarint(dst, uint64(len(d.Data)))
		dst = append(dst, d.Data...)
	}
	if len(r.Head) > 0 {
		dst = binary.AppendUvarint(dst, uint64(len(r.Head)))
	}
	dst = append(dst, r.Head...)
	return append(dst, r.Payload...)
}

// nextItem splits the first item off p. ok is false at the end and at
// anything that is not an item.
func nextItem(p []byte) (item, rest []byte, ok bool) {
	n, k := binary.Uvarint(p)
	if k <= 0 || n == 0 || n > uint64(len(p)-k) {
		return nil, nil, false
	}
	return p[k : k+int(n)], p[k+int(n):], true
}

// recordView is a record in place.
type recordView struct {
	number uint64
	boot   uint64
	since  int64
	dests  []byte // encoded destinations
	ndest  int
	length uint32 // of the item, as if it stood whole
	flags  byte
	head   []byte // if flagged; of a like record that of its base
	own    []byte // of a like record: what stands in its head from ownAt on
	ownAt  int
	whole  []byte // head and what follows; of a like record only the latter
	like   bool
}

// size is what the record counts for: its item with the length prefix, as if it
// stood whole.
func (v *recordView) size() uint32 { return v.length + uint32(uvarintLen(uint64(v.length))) }

// body is head and payload. That of a like record is put together in *room, of
// which more is taken with each call.
func (v *recordView) body(room *[]byte) []byte {
	if !v.like {
		return v.whole
	}
	at := len(*room)
	p := append(*room, v.head[:v.ownAt]...)
	p = append(p, v.own...)
	p = append(p, v.head[v.ownAt+len(v.own):]...)
	p = append(p, v.whole...)
	*room = p
	return p[at:len(p):len(p)]
}

// parseRecord reads a record's item. base is any number of the same block not
// above it, boot the boot of records that name none. Every length is checked.
func parseRecord(item []byte, base, boot uint64) (v recordView, ok bool) {
	if len(item) < 15 || item[0] != tagRecord || item[1] >= recordFlags {
		return v, false
	}
	v.length = uint32(len(item))
	v.flags = item[1]
	v.number = base + uint64(le.Uint32(item[2:])-uint32(base))
	v.since = int64(le.Uint64(item[6:]))
	v.boot = boot
	p := item[14:]
	if v.flags&recordOwnBoot != 0 {
		if len(p) < 9 {
			return v, false
		}
		v.boot = le.Uint64(p)
		p = p[8:]
	}
	n, k := binary.Uvarint(p)
	if k <= 0 || n > maxDests {
		return v, false
	}
	p = p[k:]
	v.ndest = int(n)
	rest := p
	for range v.ndest {
		if _, _, rest, ok = nextDest(rest); !ok {
			return v, false
		}
	}
	v.dests, v.whole = p[:len(p)-len(rest)], rest
	if v.flags&recordHead != 0 {
		n, k := binary.Uvarint(rest)
		if k <= 0 || n == 0 || n > uint64(len(rest)-k) {
			return v, false
		}
		v.whole = rest[k:]
		v.head = v.whole[:n]
	}
	return v, true
}

// items walks the items of a block.
type items struct {
	body  []byte
	at    int // of the next one
	first uint64
	boot  uint64
}

func (b *block) items() items { return items{body: b.body, first: b.first, boot: b.boot} }

// record gives the next record, passing over what is none.
func (it *items) record() (v recordView, ok bool) {
	for {
		start := it.at
		item, rest, ok := nextItem(it.body[start:])
		if !ok {
			return v, false
		}
		it.at = len(it.body) - len(rest)
		switch item[0] {
		case tagRecord:
			v, ok = parseRecord(item, it.first, it.boot)
		case tagLike:
			v, ok = it.parseLike(item, start)
		default:
			continue
		}
		if ok {
			return v, true
		}
	}
}

// nextDest splits the first destination off p.
func nextDest(p []byte) (who uint64, data, rest []byte, ok bool) {
	who, k := binary.Uvarint(p)
	if k <= 0 || who>>33 != 0 {
		return 0, nil, nil, false
	}
	n, j := binary.Uvarint(p[k:])
	if j <= 0 || n > uint64(len(p)-k-j) {
		return 0, nil, nil, false
	}
	at := k + j
	return who, p[at : at+int(n)], p[at+int(n):], true
}

// dest finds what a record holds for one consumer.
func (v *recordView) dest(consumer uint32) (data []byte, ok bool) {
	rest := v.dests
	for range v.ndest {
		who, d, r, _ := nextDest(rest)
		if uint32(who>>1) == consumer {
			return d, true
		}
		rest = r
	}
	return nil, false
}

// appendPut and appendDelete add keyed items. The key carries its space, one
// byte, in front.
func appendPut(dst []byte, key string, value []byte) []byte {
	n := putItemLen(len(key), len(value))
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = append(dst, tagPut)
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	dst = append(dst, key...)
	return append(dst, value...)
}

// putItemLen is the size of a put without its length prefix, putLen with it.
func putItemLen(key, value int) int { return 1 + uvarintLen(uint64(key)) + key + value }

func putLen(key, value int) int {
	n := putItemLen(key, value)
	return n + uvarintLen(uint64(n))
}

func appendDelete(dst []byte, key string) []byte {
	dst = binary.AppendUvarint(dst, uint64(1+len(key)))
	dst = append(dst, tagDelete)
	return append(dst, key...)
}

// parseKeyed reads a keyed item; value is nil for a deletion.
func parseKeyed(item []byte) (key, value []byte, put, ok bool) {
	if len(item) == 0 {
		return nil, nil, false, false
	}
	switch p := item[1:]; item[0] {
	case tagDelete:
		return p, nil, false, true
	case tagPut:
		n, k := binary.Uvarint(p)
		if k <= 0 || n > uint64(len(p)-k) {
			return nil, nil, false, false
		}
		return p[k : k+int(n)], p[k+int(n):], true, true
	}
	return nil, nil, false, false
}

// has reports whether a record names a consumer.
func (v *recordView) has(consumer uint32) bool {
	_, ok := v.dest(consumer)
	return ok
}
