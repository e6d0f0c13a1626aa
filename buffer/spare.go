package buffer

import (
	"errors"
	"fmt"
)

// bulk is the part of a segment that commits must take for its file to be
// allocated only: 64 KiB of the usual 4 MiB, four pages at least.
const bulk = 64

// makeSpare writes a file of zeros, so that commits into it change no metadata;
// or it allocates one: if commits are so large that zeros would cost more than
// the metadata, and for the first segment of a log, so that a start need not
// wait for zeros. l.mu is held at both ends.
func (l *Log) makeSpare() error {
	size := l.o.SegmentSize
	name := fmt.Sprintf("%08x", l.c.spare)
	l.c.spare++
	l.making = true
	l.addFile(newPrefix+name, size) // it counts from here on
	allocate := l.c.usual >= max(4*page, size/bulk) || len(l.segments) == 0
	l.mu.Unlock()
	wrote, err := l.fillSpare(newPrefix+name, size, allocate)
	if err == nil {
		if err = l.fs.Rename(newPrefix+name, sparePrefix+name); err != nil {
			l.fs.Remove(newPrefix + name)
		}
	}
	l.mu.Lock()
	l.making = false
	l.cond.Broadcast()
	if err != nil {
		l.dropFile(newPrefix + name)
		return fmt.Errorf("make a spare segment: %w", err)
	}
	l.moveFile(newPrefix+name, sparePrefix+name)
	l.spares = append(l.spares, sparePrefix+name)
	l.given = max(0, l.given-size)
	l.stats.Written += wrote
	l.stats.Prepared += wrote
	l.stats.Syncs++
	return nil
}

// fillSpare makes the file, and says how many bytes it wrote for it.
func (l *Log) fillSpare(name string, size int64, allocate bool) (wrote int64, err error) {
	f, err := l.fs.Create(name)
	if err != nil {
		return 0, err
	}
	a, ok := f.(Allocator)
	if allocate = allocate && ok; allocate {
		if err = a.Allocate(size); errors.Is(err, errors.ErrUnsupported) {
			allocate, err = false, nil
		}
	}
	fill := make([]byte, min(size, 256<<10))
	for !allocate && wrote < size && err == nil {
		n := min(int64(len(fill)), size-wrote)
		err = writeAt(f, fill[:n], wrote)
		wrote += n
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		l.fs.Remove(name) // what is left is swept at the next start
	}
	return wrote, err
}

// giveSpare removes a spare, for its room. l.mu is not held.
func (l *Log) giveSpare() bool {
	l.mu.Lock()
	k := len(l.spares)
	if k == 0 {
		l.mu.Unlock()
		return false
	}
	name := l.spares[k-1]
	l.spares = l.spares[:k-1]
	l.mu.Unlock()
	if l.fs.Remove(name) != nil {
		return false // it counts, and is swept at the next start
	}
	l.mu.Lock()
	l.dropFile(name)
	l.mu.Unlock()
	return true
}
