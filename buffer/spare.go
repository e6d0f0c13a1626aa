package buffer

import (
	"errors"
	"fmt"
)

// makeSpare writes a file of zeros, so that commits into it change no
// metadata. l.mu is held at both ends.
func (l *Log) makeSpare() error {
	size := l.o.SegmentSize
	name := fmt.Sprintf("%08x", l.c.spare)
	l.c.spare++
	l.making = true
	l.addFile(newPrefix+name, size) // it counts from here on
	l.mu.Unlock()
	err := l.fillSpare(newPrefix+name, size)
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
	l.stats.Written += size
	l.stats.Prepared += size
	l.stats.Syncs++
	return nil
}

func (l *Log) fillSpare(name string, size int64) error {
	f, err := l.fs.Create(name)
	if err != nil {
		return err
	}
	fill := make([]byte, min(size, 256<<10))
	for off := int64(0); off < size && err == nil; off += int64(len(fill)) {
		err = writeAt(f, fill[:min(int64(len(fill)), size-off)], off)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		l.fs.Remove(name) // what is left is swept at the next start
	}
	return err
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
