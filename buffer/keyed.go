package buffer

import (
	"encoding/binary"
	"fmt"
	"sort"
	"strings"
)

// Spaces of keyed records: the first byte of a stored key. What the log keeps
// for itself is small and stands at the head of each segment; what Put was
// given has snapshots.
const (
	spaceUser     = 'u' // what Put was given
	spaceName     = 'n' // consumer number: name
	spacePosition = 'p' // consumer number: position
	spaceAside    = 'a' // consumer number: records set aside
	spaceDrops    = 'd' // consumer number: drop counters
	spaceLast     = 'l' // highest consumer number given out
	spaceFreed    = 'f' // segments that were freed
)

// Put sets a key. It is durable with the next commit, and Get sees it at
// once. The value is kept as it is, not copied: the caller may share it but not
// change it from then on, which saves a second copy of many small values. A key
// holds at most 4 KiB, a value an eighth of a segment, all of them together
// Options.MaxKeys: beyond it ErrTooLarge, and nothing is changed.
func (l *Log) Put(key string, value []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	if err := l.checkKey(key, value); err != nil {
		return err
	}
	old, had := l.keys[key]
	more := int64(len(value)) - int64(len(old))
	if !had {
		more += int64(len(key)) + keyOverhead
	}
	if err := l.charge(more); err != nil {
		return err
	}
	l.change(key, old, had)
	l.keys[key] = value
	return nil
}

// checkKey refuses a key that could never be stored.
func (l *Log) checkKey(key string, value []byte) error {
	if len(key) > maxKey {
		return fmt.Errorf("%w: key of %d bytes, limit %d", ErrTooLarge, len(key), maxKey)
	}
	if limit := l.o.SegmentSize / 8; int64(len(value)) > limit {
		return fmt.Errorf("%w: value of %d bytes, limit %d", ErrTooLarge, len(value), limit)
	}
	return nil
}

const (
	keyOverhead  = 8  // tag, lengths, space
	nameOverhead = 40 // the same, and a consumer's drop counters
)

// charge counts bytes of keyed state against their limit. l.mu is held.
func (l *Log) charge(more int64) error {
	if more > 0 && l.keyBytes+more > l.o.MaxKeys {
		return fmt.Errorf("%w: keys and values would take %d bytes, limit %d", ErrTooLarge, l.keyBytes+more, l.o.MaxKeys)
	}
	l.keyBytes += more
	return nil
}

// keysLen is the bytes of the items of keys put along with a record.
func keysLen(keys []KeyValue) (n int) {
	for i := range keys {
		n += putLen(1+len(keys[i].Key), len(keys[i].Value))
	}
	return n
}

// chargeKeys counts the keys of a batch against their limit, all or none; what
// a key held before is given back when it is replaced. l.mu is held.
func (l *Log) chargeKeys(batch []Record) error {
	var more int64
	for i := range batch {
		for _, k := range batch[i].Keys {
			if err := l.checkKey(k.Key, k.Value); err != nil {
				return err
			}
			more += int64(len(k.Key)+len(k.Value)) + keyOverhead
		}
	}
	return l.charge(more)
}

func (l *Log) unchargeKeys(batch []Record) {
	for i := range batch {
		l.uncharge(batch[i].Keys)
	}
}

func (l *Log) uncharge(keys []KeyValue) {
	for _, k := range keys {
		l.keyBytes -= int64(len(k.Key)+len(k.Value)) + keyOverhead
	}
}

// keysStored takes over keys that are durable with their record. l.mu is held.
func (l *Log) keysStored(items []byte) {
	for {
		item, rest, ok := nextItem(items)
		if !ok {
			return
		}
		items = rest
		key, value, _, ok := parseKeyed(item)
		if !ok {
			return
		}
		name := string(key[1:])
		if old, had := l.keys[name]; had {
			l.keyBytes -= int64(len(name)+len(old)) + keyOverhead
		}
		l.keys[name] = append(make([]byte, 0, len(value)), value...)
	}
}

// Barrier gives a number that is settled when everything put, deleted,
// acknowledged and appended before the call is durable. Asking again before
// the next commit begins may give the same one. It takes no room that
// Append could miss.
func (l *Log) Barrier() (number uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, ErrClosed
	}
	if t := l.tail.find(l.barrier); t != nil && t.state == waiting && l.number == l.barrier+1 {
		return l.barrier, nil
	}
	room, booted := l.tail.limit, l.tail.booted
	l.tail.limit += int64(l.tail.piece) + 4*tailRecordSize
	t, ok := l.tail.add(&Record{Boot: l.tail.boot}, l.number, false)
	l.tail.limit, l.tail.booted = room, booted // a barrier has no time
	if !ok {
		return 0, fmt.Errorf("%w: no room for a barrier", ErrTooLarge)
	}
	t.must = true
	l.barrier = l.number
	l.number++
	l.stats.Appended++
	return l.barrier, nil
}

// Delete removes a key, durable with the next commit.
func (l *Log) Delete(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, had := l.keys[key]
	if !had || l.closed {
		return
	}
	delete(l.keys, key)
	l.keyBytes -= int64(len(key)+len(v)) + keyOverhead
	l.change(key, v, had)
}

// Get reads a key. The value is shared and must not be changed; it stays as
// it is when the key is set again.
func (l *Log) Get(key string) (value []byte, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	value, ok = l.keys[key]
	return value, ok
}

// Range calls f for the keys that begin with prefix, in order, until f says
// false. f may call the log; it sees the keys as they were when Range began,
// less those deleted meanwhile.
func (l *Log) Range(prefix string, f func(key string, value []byte) bool) {
	l.mu.Lock()
	var keys []string
	for k := range l.keys {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	l.mu.Unlock()
	sort.Strings(keys)
	for _, k := range keys {
		if v, ok := l.Get(k); ok && !f(k, v) {
			return
		}
	}
}

// appendState adds keyed items: those of the log itself, all live ones or the
// changed, and the keys that changed, as many as fit a quarter of a segment.
// more is true when some did not. l.mu is held.
func (l *Log) appendState(dst []byte, all bool, next *segmentHeader) (_ []byte, more bool) {
	dst = l.appendOwn(dst, all, next)
	l.c.taken = l.c.taken[:0]
	limit := len(dst) + int(l.o.SegmentSize/4)
	for k := range l.changed {
		if len(dst) >= limit {
			return dst, true
		}
		if v, ok := l.keys[k]; ok {
			dst = appendPut(dst, string(rune(spaceUser))+k, v)
		} else {
			dst = appendDelete(dst, string(rune(spaceUser))+k)
		}
		l.c.taken = append(l.c.taken, k)
	}
	return dst, false
}

// appendOwn adds what the log keeps for itself.
func (l *Log) appendOwn(dst []byte, all bool, next *segmentHeader) []byte {
	var value []byte
	if all || l.freedNew {
		value = l.appendFreed(value[:0], next)
		dst = appendPut(dst, string(rune(spaceFreed)), value)
	}
	if all {
		dst = appendPut(dst, string(rune(spaceLast)), binary.AppendUvarint(nil, uint64(l.last)))
	} else {
		for _, id := range l.buried {
			for _, space := range []byte{spaceName, spacePosition, spaceAside, spaceDrops} {
				dst = appendDelete(dst, consumerKey(space, id))
			}
		}
	}
	for id, c := range l.consumers {
		if all || c.fresh {
			if !all {
				dst = appendPut(dst, string(rune(spaceLast)), binary.AppendUvarint(nil, uint64(l.last)))
			}
			dst = appendPut(dst, consumerKey(spaceName, id), []byte(c.name))
		}
		if all || c.dirty {
			value = c.appendPosition(value[:0])
			dst = appendPut(dst, consumerKey(spacePosition, id), value)
		}
		if all || c.marked {
			value = c.appendAside(value[:0])
			dst = appendPut(dst, consumerKey(spaceAside, id), value)
		}
		if all || c.counted || c.lossy {
			value = c.appendDrops(value[:0])
			dst = appendPut(dst, consumerKey(spaceDrops, id), value)
		}
	}
	return dst
}

// stateTaken forgets what appendState has put into a commit. If that commit
// fails, the next one begins a segment and writes all that the log keeps for
// itself; keys come back by stateFailed.
func (l *Log) stateTaken() {
	l.freedNew, l.loose = false, 0
	l.buried = l.buried[:0]
	l.c.before = l.c.before[:0]
	for _, k := range l.c.taken {
		l.c.before = append(l.c.before, l.changed[k])
		delete(l.changed, k)
	}
	if len(l.changed) == 0 && len(l.c.taken) > 1024 { // a map keeps the room it once needed
		l.changed = map[string]prior{}
	}
	for _, c := range l.consumers {
		l.counting = l.counting || c.counted
		c.fresh, c.dirty, c.marked, c.counted, c.lossy = false, false, false, false, false
	}
}

// stateFailed notes that a commit with keys in it failed: what they were before
// it is still what is durable. l.mu is held.
func (l *Log) stateFailed() {
	for i, k := range l.c.taken {
		l.changed[k] = l.c.before[i]
	}
	l.c.taken = l.c.taken[:0]
}

// prior is what a changed key was in the last commit.
type prior struct {
	value []byte
	had   bool
}

// change notes that a key is about to change. l.mu is held.
func (l *Log) change(key string, old []byte, had bool) {
	if _, again := l.changed[key]; !again {
		l.changed[key] = prior{old, had}
	}
}

// committed gives the keys as the last commit has them. No commit is being
// written. l.mu is held.
func (l *Log) committed() []KeyValue {
	items := make([]KeyValue, 0, len(l.keys)+len(l.changed))
	for k, v := range l.keys {
		if _, since := l.changed[k]; !since {
			items = append(items, KeyValue{k, v}) // values never change
		}
	}
	for k, was := range l.changed {
		if was.had {
			items = append(items, KeyValue{k, was.value})
		}
	}
	return items
}

func consumerKey(space byte, id uint32) string {
	var p [5]byte
	p[0] = space
	binary.BigEndian.PutUint32(p[1:], id)
	return string(p[:])
}

// appendFreed encodes which segments are gone on purpose: the oldest that is
// not, how many records were written before it, and those above it.
func (l *Log) appendFreed(dst []byte, next *segmentHeader) []byte {
	seq, written := next.seq, next.written
	for _, s := range l.segments {
		if !s.doomed {
			seq, written = s.seq, s.written
			break
		}
	}
	kept := l.freed[:0]
	for _, f := range l.freed {
		if f.seq > seq {
			kept = append(kept, f)
		}
	}
	l.freed = kept
	dst = binary.AppendUvarint(dst, seq)
	dst = binary.AppendUvarint(dst, written)
	for _, f := range l.freed {
		dst = binary.AppendUvarint(dst, f.seq-seq)
		dst = binary.AppendUvarint(dst, f.records)
		seq = f.seq
	}
	return dst
}

func parseFreed(p []byte) (seq, written uint64, freed []freedSegment) {
	var v [2]uint64
	for n := 0; len(p) > 0; n++ {
		for i := range v {
			x, k := binary.Uvarint(p)
			if k <= 0 {
				return seq, written, freed
			}
			v[i], p = x, p[k:]
		}
		if n == 0 {
			seq, written = v[0], v[1]
			continue
		}
		at := seq
		if len(freed) > 0 {
			at = freed[len(freed)-1].seq
		}
		freed = append(freed, freedSegment{at + v[0], v[1]})
	}
	return seq, written, freed
}
