package buffer

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
)

// readSnapshot gives the items of each sound piece to f. whole is false when
// anything of it is missing; then what comes is what could be read, and off is
// where that ends.
func readSnapshot(file File, f func(items []byte)) (h snapshotHeader, whole bool, off int64, err error) {
	var head [snapshotHeadLen]byte
	if n, err := file.ReadAt(head[:], 0); n < len(head) && err != nil && !errors.Is(err, io.EOF) {
		return h, false, 0, err
	}
	h, ok, err := decodeSnapshotHeader(head[:])
	if !ok || err != nil {
		return h, false, 0, err
	}
	size, err := file.Size()
	if err != nil {
		return h, false, 0, err
	}
	end := snapshotHeadLen + int64(min(h.length, 1<<62))
	if end > size {
		return h, false, size, nil
	}
	var buf []byte
	keys := uint64(0)
	for off = snapshotHeadLen; off < end; {
		var p [pieceHeadLen]byte
		if n, _ := file.ReadAt(p[:], off); n < len(p) {
			return h, false, off, nil
		}
		n := int64(le.Uint32(p[:]))
		if n == 0 || n > end-off-pieceHeadLen {
			return h, false, off, nil
		}
		buf = slices.Grow(buf[:0], int(n))[:n]
		if m, _ := file.ReadAt(buf, off+pieceHeadLen); int64(m) < n || h.pieceCRC(off, buf) != le.Uint32(p[4:]) {
			return h, false, off, nil
		}
		f(buf)
		keys += countItems(buf)
		off += pieceHeadLen + n
	}
	return h, keys == h.keys, off, nil
}

func countItems(items []byte) (n uint64) {
	for {
		_, rest, ok := nextItem(items)
		if !ok {
			return n
		}
		n++
		items = rest
	}
}

// snapshots loads the keys from the newest snapshot that is whole. A damaged
// one is set aside, and the one before it taken: the segments still have the
// changes since. If none is whole, what can be read of them is taken.
func (r *recovery) snapshots() error {
	l := r.l
	var found []snapshot
	for _, f := range r.files {
		if covers, ok := coversOf(f.Name); ok {
			found = append(found, snapshot{covers, f.Name})
		}
	}
	slices.SortFunc(found, func(a, b snapshot) int { return cmp.Compare(a.covers, b.covers) })
	var parts []map[string][]byte
	for len(found) > 0 {
		s := found[len(found)-1]
		keys, whole, err := r.readSnapshot(s)
		if err != nil {
			return &OpenError{l.o.Dir, "read " + s.name, err}
		}
		if whole {
			parts = []map[string][]byte{keys}
			break
		}
		l.log.Warn("a snapshot of the keyed state is damaged and set aside", "file", s.name)
		l.recovery.BadSnapshots++
		parts = append(parts, keys)
		r.badSnapshots = append(r.badSnapshots, s.name)
		found = found[:len(found)-1]
	}
	if len(found) == 0 && len(parts) > 0 { // the changes that only a snapshot had are not in the segments any more
		l.recovery.KeysLost = true
	}
	for _, keys := range slices.Backward(parts) {
		for k, v := range keys {
			l.keys[k] = v
		}
	}
	for i, s := range found {
		if i >= len(found)-keptSnapshots {
			l.snapshots = append(l.snapshots, s)
		} else {
			r.oldSnapshots = append(r.oldSnapshots, s.name)
		}
	}
	return nil
}

func (r *recovery) readSnapshot(s snapshot) (keys map[string][]byte, whole bool, err error) {
	f, err := r.l.fs.Open(s.name, false)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	keys = map[string][]byte{}
	h, whole, _, err := readSnapshot(f, func(items []byte) {
		for {
			item, rest, ok := nextItem(items)
			if !ok {
				return
			}
			items = rest
			if key, value, put, ok := parseKeyed(item); ok && put && len(key) > 0 && key[0] == spaceUser {
				keys[string(key[1:])] = bytes.Clone(value)
			}
		}
	})
	if errors.Is(err, ErrNewer) {
		return nil, false, err
	}
	r.run = max(r.run, h.run)
	return keys, whole && err == nil && h.covers == s.covers, nil
}
