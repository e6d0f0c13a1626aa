package qos

import (
	"iter"
	"math/bits"
)

// state is how far a packet id got. See the diagrams in the package comment.
//
//	vacant -> awaitPuback -> vacant                    sent at QoS 1
//	vacant -> awaitPubrec -> awaitPubcomp -> vacant    sent at QoS 2
//	vacant -> reserved -> vacant                       SUBSCRIBE and UNSUBSCRIBE
//	vacant -> owesPuback -> vacant                     received at QoS 1
//	vacant -> received -> owesPubcomp -> vacant        received at QoS 2
type state uint8

const (
	vacant state = iota
	awaitPuback
	awaitPubrec
	awaitPubcomp
	reserved
	owesPuback
	received
	owesPubcomp
)

// maxIDs is how many packet ids there are: 1 to 65535.
const maxIDs = 65535

// bitmapFrom is the number of ids in use from which a bitmap helps to find a free one.
const bitmapFrom = 1024

// slot is one packet id in use. While in use, slots form a ring in the order they were added; slot 0 is its head.
type slot struct {
	ref        uint64
	id         uint16
	next, prev uint16 // places in the ring; next also links the unused slots
	state      state
	counted    bool // against the window of this connection
}

// table finds slots by packet id, keeps them in order, and gives out free ids. The zero value is empty and ready, and small:
// most clients of most brokers never use an id.
type table struct {
	*cells        // nil before the first id
	used   uint16 // ids in use
	last   uint16 // the id given out last
	quota  uint16 // how many messages may count on a connection
	open   uint16 // how many do
}

// cells are where the ids in use stand.
type cells struct {
	slots  []slot
	index  []uint16 // places by id, open addressing with linear probing; a power of two, at most half full
	bitmap []uint64 // bit i: id i is in use; nil while few are
	shift  uint8    // 32 less the bits of an index position
	unused uint16   // first unused slot; 0: none
}

// find gives the place of an id, 0 if it is not in use.
func (t *table) find(id uint16) uint16 {
	if t.cells == nil {
		return 0
	}
	return t.index[t.at(id)]
}

// at gives where in the index an id stands, or where it would.
func (t *table) at(id uint16) int {
	mask := len(t.index) - 1
	i := t.home(id)
	for t.index[i] != 0 && t.slots[t.index[i]].id != id {
		i = (i + 1) & mask
	}
	return i
}

// home is where the search for an id begins. The golden ratio spreads runs of ids, which are the rule, evenly: in a
// solid run each removal would have to look at the rest of it.
func (t *table) home(id uint16) int { return int(uint32(id) * 2654435769 >> t.shift) }

// add puts an id that is not in use at the end of the ring.
func (t *table) add(id uint16, s state, ref uint64) (place uint16) {
	if t.cells == nil {
		t.cells = &cells{slots: make([]slot, 1, 2)}
	}
	if place = t.unused; place != 0 {
		t.unused = t.slots[place].next
	} else {
		place = uint16(len(t.slots))
		t.slots = append(t.slots, slot{})
	}
	if 2*len(t.slots) > len(t.index) {
		t.grow()
	}
	prev := t.slots[0].prev
	t.slots[place] = slot{ref: ref, id: id, state: s, prev: prev}
	t.slots[prev].next = place
	t.slots[0].prev = place
	t.index[t.at(id)] = place
	t.used++
	t.mark(id)
	return place
}

// remove frees the id of a place.
func (t *table) remove(place uint16) {
	s := t.slots[place]
	t.slots[s.prev].next = s.next
	t.slots[s.next].prev = s.prev
	t.unindex(t.at(s.id))
	if t.bitmap != nil {
		t.bitmap[s.id>>6] &^= 1 << (s.id & 63)
	}
	t.used--
	t.slots[place] = slot{next: t.unused}
	t.unused = place
}

// unindex empties one cell of the index and moves later ones up, so that no search ends too early.
func (t *table) unindex(hole int) {
	mask := len(t.index) - 1
	for i := (hole + 1) & mask; t.index[i] != 0; i = (i + 1) & mask {
		if home := t.home(t.slots[t.index[i]].id); (i-home)&mask >= (i-hole)&mask { // its search passes the hole
			t.index[hole] = t.index[i]
			hole = i
		}
	}
	t.index[hole] = 0
}

// grow makes a new index, twice as large as the one before. It is called before the new slot is indexed.
func (t *table) grow() {
	size := 8
	for size < 2*len(t.slots) {
		size *= 2
	}
	t.index = make([]uint16, size)
	t.shift = uint8(32 - bits.TrailingZeros(uint(size)))
	for place := range t.ring() {
		t.index[t.at(t.slots[place].id)] = place
	}
}

// mark keeps the bitmap, and makes it when it starts to pay.
func (t *table) mark(id uint16) {
	if t.bitmap != nil {
		t.bitmap[id>>6] |= 1 << (id & 63)
		return
	}
	if t.used < bitmapFrom {
		return
	}
	t.bitmap = make([]uint64, (maxIDs+1)/64)
	t.bitmap[0] = 1 // id 0 is never free
	for place := range t.ring() {
		id := t.slots[place].id
		t.bitmap[id>>6] |= 1 << (id & 63)
	}
}

// freeID finds the next id not in use after the one given out last: v5 [MQTT-2.2.1-4], 3.1.1 [MQTT-2.3.1-4].
func (t *table) freeID() (id uint16, ok bool) {
	if t.used == maxIDs {
		return 0, false
	}
	if t.cells != nil && t.bitmap != nil {
		id = t.searchBitmap()
	} else {
		id = t.last + 1
		for id == 0 || t.find(id) != 0 {
			id++
		}
	}
	t.last = id
	return id, true
}

func (t *table) searchBitmap() uint16 {
	start, mask := int(t.last)+1, len(t.bitmap)-1
	word := start >> 6 & mask
	free := ^t.bitmap[word] &^ (1<<(start&63) - 1) // not before start in the first word
	for free == 0 {
		word = (word + 1) & mask
		free = ^t.bitmap[word]
	}
	return uint16(word<<6 | bits.TrailingZeros64(free))
}

// ring goes through the places in the order they were added. A place may be removed while it is visited.
func (t *table) ring() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		if t.cells == nil {
			return
		}
		for place := t.slots[0].next; place != 0; {
			next := t.slots[place].next
			if !yield(place) {
				return
			}
			place = next
		}
	}
}
