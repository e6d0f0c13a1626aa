package buffer

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

const (
	snapshotSuffix  = ".keys"
	snapshotVersion = 1
	snapshotHeadLen = 64
	pieceHeadLen    = 8
	keptSnapshots   = 2
	uncoveredLimit  = 4 // segments with changes of keys beyond the newest snapshot, before the next is taken
	heldLimit       = 3 // segments kept for nothing but the snapshot before the newest
)

var snapshotMagic = [8]byte{'w', 'e', 'i', 'r', 'k', 'e', 'y', 0x1a}

// snapshot is a file that holds all keys.
type snapshot struct {
	covers uint64 // changes in blocks up to this one are in it
	name   string
}

func snapshotName(covers uint64) string { return fmt.Sprintf("%016x%s", covers, snapshotSuffix) }

// coversOf reads what a snapshot covers out of its name.
func coversOf(name string) (covers uint64, ok bool) {
	hex, found := strings.CutSuffix(name, snapshotSuffix)
	if !found || len(hex) != 16 {
		return 0, false
	}
	covers, err := strconv.ParseUint(hex, 16, 64)
	return covers, err == nil
}

// snapshotHeader is what stands at the start of a snapshot.
type snapshotHeader struct {
	covers uint64
	keys   uint64
	length uint64 // bytes of the pieces behind the header
	run    uint32
	salt   [12]byte
}

func (h *snapshotHeader) append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, zeros[:snapshotHeadLen]...)
	p := dst[at:]
	copy(p, snapshotMagic[:])
	le.PutUint32(p[8:], snapshotVersion)
	le.PutUint64(p[16:], h.covers)
	le.PutUint64(p[24:], h.keys)
	le.PutUint64(p[32:], h.length)
	le.PutUint64(p[40:], 0) // features a reader must know
	le.PutUint32(p[48:], h.run)
	copy(p[52:], h.salt[:])
	le.PutUint32(p[12:], snapshotHeadCRC(p))
	return dst
}

func snapshotHeadCRC(p []byte) uint32 {
	return crc32.Update(crc32.Checksum(p[:12], castagnoli), castagnoli, p[16:snapshotHeadLen])
}

// decodeSnapshotHeader: ok is false for anything that is not a sound header; a
// sound one of a newer format is ErrNewer.
func decodeSnapshotHeader(p []byte) (h snapshotHeader, ok bool, err error) {
	if len(p) < snapshotHeadLen || !bytes.Equal(p[:8], snapshotMagic[:]) || le.Uint32(p[12:]) != snapshotHeadCRC(p) {
		return h, false, nil
	}
	version, features := le.Uint32(p[8:]), le.Uint64(p[40:])
	if version > snapshotVersion || features != 0 {
		return h, false, fmt.Errorf("%w: snapshot version %d with features %#x, this program knows version %d", ErrNewer, version, features, snapshotVersion)
	}
	h = snapshotHeader{covers: le.Uint64(p[16:]), keys: le.Uint64(p[24:]), length: le.Uint64(p[32:]), run: le.Uint32(p[48:])}
	copy(h.salt[:], p[52:])
	return h, version > 0 && h.run <= maxRun, nil
}

// pieceCRC binds a piece to its snapshot and its place there.
func (h *snapshotHeader) pieceCRC(off int64, items []byte) uint32 {
	var p [20]byte
	copy(p[:], h.salt[:])
	le.PutUint64(p[12:], uint64(off))
	return crc32.Update(crc32.Checksum(p[:], castagnoli), castagnoli, items)
}

// snapshotSize is about what a snapshot of the keys takes. l.mu is held.
func (l *Log) snapshotSize() int64 {
	return pages(snapshotHeadLen + l.keyBytes + l.keyBytes/8 + 64)
}

// keyRoom is what must be left for snapshots beside those that are there: two
// that are kept and one that is being made. l.mu is held.
func (l *Log) keyRoom() int64 {
	need := (keptSnapshots + 1) * l.snapshotSize()
	for _, s := range l.snapshots {
		need -= l.files[s.name]
	}
	return max(0, need-l.files[l.snapping])
}

// inSnapshot is the block up to which the newest snapshot has the changes of
// keys; keptFrom the same of the one before it, to which a damaged one falls
// back. l.mu is held.
func (l *Log) inSnapshot() uint64 {
	if k := len(l.snapshots); k > 0 {
		return l.snapshots[k-1].covers
	}
	return 0
}

func (l *Log) keptFrom() uint64 {
	if len(l.snapshots) < keptSnapshots {
		return 0
	}
	return l.snapshots[0].covers
}

// wantsSnapshot says whether enough segments hold changes of keys that no
// snapshot, or only the newest, has; of the latter those count that would be
// freed, or rewritten, but for them. l.mu is held.
func (l *Log) wantsSnapshot() bool {
	if l.snapping != "" || l.c.block-1 <= l.inSnapshot() || l.c.block <= l.notBefore {
		return false
	}
	uncovered, held := 0, 0
	for i, s := range l.segments {
		switch {
		case s.doomed:
		case s.keyed > l.inSnapshot():
			uncovered++
		case s.keyed > l.keptFrom() && s != l.active && (s.open == 0 || l.gain(i) > 0):
			held++
		}
	}
	// A large state is not written more often than the log grows by it, nor
	// once more for files that the next snapshot frees anyway.
	size := l.snapshotSize()
	return int64(uncovered) >= max(uncoveredLimit, 2*size/l.o.SegmentSize) || held >= heldLimit && int64(held)*l.o.SegmentSize >= 8*size
}

// takeSnapshot writes all keys as the last commit has them: a change that went
// into it before its commit could survive without the positions that were
// acknowledged with it. It begins while no commit is being written. l.mu is held at
// both ends and released for I/O; commits may go on then.
func (l *Log) takeSnapshot() error {
	items := l.committed()
	h := snapshotHeader{covers: l.c.block - 1, keys: uint64(len(items)), run: uint32(l.run)}
	expected := l.snapshotSize()
	room := l.total+expected <= max(l.o.MaxSize, l.opened) // a cap that was lowered is reached by way of this
	temp, name := fmt.Sprintf("%skeys-%016x", newPrefix, h.covers), snapshotName(h.covers)
	l.snapping = temp
	if room {
		l.addFile(temp, expected) // it counts from here on
	}
	l.mu.Unlock()
	slices.SortFunc(items, func(a, b KeyValue) int { return cmp.Compare(a.Key, b.Key) })
	rand.Read(h.salt[:])
	var size int64
	err := error(errNoRoom)
	if room {
		size, err = l.fillSnapshot(temp, &h, items, l.fs.Create)
	}
	if outOfSpace(err) { // there is a spare for this
		size, err = l.fillSpareSnapshot(temp, &h, items, err)
	}
	if outOfSpace(err) && l.giveSnapshot(temp, expected) {
		size, err = l.fillSnapshot(temp, &h, items, l.fs.Create)
	}
	if err == nil {
		if err = l.fs.Rename(temp, name); err != nil {
			l.fs.Remove(temp)
		} else if err = l.fs.SyncDir(); err != nil {
			l.fs.Remove(name) // else a later one would leave it where nobody counts it
		}
	}
	l.mu.Lock()
	l.dropFile(temp)
	l.snapping = ""
	l.cond.Broadcast()
	if err != nil {
		l.notBefore = l.c.block + 64 // not at every commit
		l.note("the keyed state cannot be written to a snapshot; the log keeps what it needs", "error", err)
		return fmt.Errorf("write a snapshot: %w", err)
	}
	l.addFile(name, size)
	l.snapshots = append(l.snapshots, snapshot{h.covers, name})
	l.stats.Snapshots++
	l.stats.Syncs++
	l.stats.Written += size
	l.dropSnapshots(keptSnapshots)
	return nil
}

// dropSnapshots removes the oldest until n are left. l.mu is held at both ends.
func (l *Log) dropSnapshots(n int) {
	for len(l.snapshots) > n {
		old := l.snapshots[0].name
		l.snapshots = slices.Delete(l.snapshots, 0, 1)
		l.mu.Unlock()
		err := l.fs.Remove(old)
		l.mu.Lock()
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			l.dropFile(old)
		} // what is left counts, and is swept at the next start
	}
}

// giveSnapshot makes room for another snapshot: it removes the one before the
// newest, which is there for the case of damage only, and spares. false: it
// would not fit the cap all the same. l.mu is not held.
func (l *Log) giveSnapshot(temp string, size int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	over := l.total - l.files[temp] + size - max(l.o.MaxSize, l.opened)
	old := len(l.snapshots) >= keptSnapshots
	if old {
		over -= l.files[l.snapshots[0].name]
	}
	spares := max(0, (over+l.o.SegmentSize-1)/l.o.SegmentSize)
	if spares > int64(len(l.spares)) || !old && spares == 0 {
		return false
	}
	l.dropSnapshots(keptSnapshots - 1)
	for range spares {
		l.mu.Unlock()
		l.giveSpare()
		l.mu.Lock()
	}
	l.addFile(temp, size)
	return l.total <= max(l.o.MaxSize, l.opened)
}

// fillSpareSnapshot writes a snapshot over a spare segment. l.mu is not held.
func (l *Log) fillSpareSnapshot(temp string, h *snapshotHeader, items []KeyValue, cause error) (int64, error) {
	l.mu.Lock()
	k := len(l.spares)
	if k == 0 || l.snapshotSize() > l.o.SegmentSize {
		l.mu.Unlock()
		return 0, cause
	}
	spare := l.spares[k-1]
	l.spares = l.spares[:k-1]
	l.mu.Unlock()
	err := l.fs.Rename(spare, temp)
	l.mu.Lock()
	if err != nil {
		l.spares = append(l.spares, spare)
	} else {
		l.moveFile(spare, temp)
	}
	l.mu.Unlock()
	if err != nil {
		return 0, err
	}
	size, err := l.fillSnapshot(temp, h, items, func(name string) (File, error) { return l.fs.Open(name, true) })
	return max(size, l.o.SegmentSize), err
}

// fillSnapshot writes and syncs a snapshot; with an error the file is removed.
func (l *Log) fillSnapshot(name string, h *snapshotHeader, items []KeyValue, open func(string) (File, error)) (size int64, err error) {
	f, err := open(name)
	if err != nil {
		return 0, err
	}
	size, err = writeSnapshot(f, h, items)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		l.fs.Remove(name)
		return 0, err
	}
	return size, nil
}

// writeSnapshot writes pieces of whole items, then the header that says how
// many there are.
func writeSnapshot(f File, h *snapshotHeader, items []KeyValue) (size int64, err error) {
	off := int64(snapshotHeadLen)
	buf := append(make([]byte, 0, blockLimit), zeros[:pieceHeadLen]...)
	for i := range items {
		buf = appendPut(buf, string(rune(spaceUser))+items[i].Key, items[i].Value)
		if len(buf) < blockLimit/2 && i < len(items)-1 {
			continue
		}
		le.PutUint32(buf, uint32(len(buf)-pieceHeadLen))
		le.PutUint32(buf[4:], h.pieceCRC(off, buf[pieceHeadLen:]))
		if err := writeAt(f, buf, off); err != nil {
			return 0, err
		}
		off += int64(len(buf))
		buf = buf[:pieceHeadLen]
	}
	h.length = uint64(off - snapshotHeadLen)
	return off, writeAt(f, h.append(nil), 0)
}
