package buffer

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// makeReady finds a spare for the next segment. l.mu is held at both ends.
func (l *Log) makeReady() error {
	l.mu.Unlock()
	err := l.checkFree()
	l.mu.Lock()
	if !l.mayGrow() {
		l.dropBad()
	}
	l.coverOldest()
	for l.pressed() && l.reusable() == 0 && l.spareDead(false) {
	}
	for len(l.spares) == 0 {
		if l.making || l.densing { // by Chores
			l.cond.Wait()
			continue
		}
		if l.mayGrow() {
			if err = l.makeSpare(); err == nil {
				return nil
			}
			if !outOfSpace(err) { // a disk that fails is no reason to give up what it holds
				return l.noRoom(err)
			}
		}
		l.giveUpDone()
		if l.reusable() == 0 && !l.dropOldest() {
			return l.noRoom(err)
		}
		// What is given up must be durable before its file is used again. If
		// there is no segment to write it to, recovery finds the gap.
		if l.active != nil {
			l.c.state, l.c.taken = l.appendOwn(l.c.state[:0], !l.active.state, &l.active.segmentHeader), l.c.taken[:0]
			if !l.layOut(0, l.active.size-page-l.active.end) {
				l.abandonFull()
			} else {
				l.c.first, l.c.last, l.c.full = 0, 0, false
				l.stateTaken()
				if err := l.writePart(false); err != nil {
					return err
				}
			}
		}
		if !l.freeDoomed() && len(l.spares) == 0 {
			return l.noRoom(err)
		}
	}
	return nil
}

// coverOldest takes a snapshot before a segment has to give way whose changes
// of keys are nowhere else: the oldest, or, before any record goes, one that
// holds nothing besides. l.mu is held at both ends.
func (l *Log) coverOldest() {
	for l.snapping != "" {
		l.cond.Wait()
	}
	if !l.pressed() {
		return
	}
	first, wanted := true, false
	for _, s := range l.segments {
		switch {
		case s == l.active:
		case s.doomed || s.open == 0 && !s.unread && s.keyed <= l.inSnapshot():
			if l.recyclable(s) {
				return // that one gives way
			}
		default:
			wanted = wanted || s.keyed > l.inSnapshot() && (first || s.open == 0)
			first = false
		}
	}
	if wanted {
		l.takeSnapshot()
	}
}

// outOfSpace tells a disk that is full from one that fails.
func outOfSpace(err error) bool {
	return errors.Is(err, errNoRoom) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// abandonFull seals an active segment that has not even room for a drop.
func (l *Log) abandonFull() {
	l.abandon()
	l.retry = true
}

func (l *Log) noRoom(err error) error {
	if err == nil {
		return fmt.Errorf("%w: %d bytes in %s, limit %d", errNoRoom, l.total, l.o.Dir, l.o.MaxSize)
	}
	return fmt.Errorf("%w: %w", errNoRoom, err)
}

// checkFree asks how much the file system has left. l.mu is not held.
func (l *Log) checkFree() error {
	free, err := l.fs.Free()
	full := err == nil && free < l.o.MinFree+l.o.SegmentSize
	l.mu.Lock()
	if l.stats.Full = full; !full {
		l.given = 0
	}
	l.mu.Unlock()
	if full {
		return fmt.Errorf("%d bytes free, want %d to grow: %w", free, l.o.MinFree+l.o.SegmentSize, syscall.ENOSPC)
	}
	return nil
}

// writeSegment makes a spare the next segment: headers and the planned part
// are written and synced while it is still a spare, then it gets its name. So
// a segment's salt is durable before its first block can count. l.mu is not held.
func (l *Log) writeSegment(name string) (*segment, error) {
	l.mu.Lock()
	s := &segment{segmentHeader: segmentHeader{seq: l.c.seq, run: uint32(l.run), size: l.o.SegmentSize,
		firstBlock: l.c.block, written: l.c.written}}
	s.features = l.o.features()
	if k := len(l.segments); k > 0 {
		p := l.segments[k-1]
		s.prevSeq, s.prevEnd, s.upper = p.seq, p.end, p.upper
	}
	l.mu.Unlock()
	l.c.seq++
	s.name = segmentName(s.seq)
	rand.Read(s.salt[:])
	f, written, err := l.writeSpare(s, name)
	if err == nil {
		if err = l.fs.Rename(name, s.name); err == nil {
			l.mu.Lock()
			l.moveFile(name, s.name)
			l.mu.Unlock()
			name = s.name
			err = l.fs.SyncDir()
		}
	}
	if err == nil { // open it anew, so that errors name it as it is called now
		f.Close()
		f, err = l.fs.Open(s.name, true)
	}
	if err != nil {
		if f != nil {
			f.Close()
		}
		l.reject(name, written || f == nil)
		return nil, fmt.Errorf("begin segment %s: %w", s.name, err)
	}
	old := l.c.file
	l.c.file = f
	if old != nil {
		old.Close()
	}
	return s, nil
}

// writeSpare fills a spare. written is true when a sync was tried: after a
// failed one the file is of no use any more.
func (l *Log) writeSpare(s *segment, name string) (f File, written bool, err error) {
	if f, err = l.fs.Open(name, true); err != nil {
		return nil, false, err
	}
	var head [page]byte
	if _, err := f.ReadAt(head[:], 0); err == nil {
		if h, ok, _ := decodeSegmentHeader(head[:]); ok {
			s.incarnation = h.incarnation + 1
		}
	}
	p := s.segmentHeader.append(nil)
	p = s.segmentHeader.append(p)
	s.end = dataStart
	if err = l.writeBlocks(f, &s.segmentHeader, p, dataStart, true); err != nil {
		return f, false, err
	}
	return f, true, l.sync(f)
}

// reject puts away a file that could not become a segment: back to the spares
// if only a write failed, removed if opening, a sync or the rename did. l.mu is not held.
func (l *Log) reject(name string, failed bool) {
	if !failed && strings.HasPrefix(name, sparePrefix) {
		l.mu.Lock()
		l.spares = append(l.spares, name)
		l.mu.Unlock()
		return
	}
	if err := l.fs.Remove(name); err == nil || errors.Is(err, fs.ErrNotExist) {
		l.mu.Lock()
		l.dropFile(name)
		l.mu.Unlock()
	}
}

func (l *Log) addFile(name string, size int64) {
	l.dropFile(name)
	l.files[name] = size
	l.total += size
}

func (l *Log) dropFile(name string) {
	l.total -= l.files[name]
	delete(l.files, name)
}

func (l *Log) moveFile(from, to string) {
	size := l.files[from]
	l.dropFile(from)
	l.addFile(to, size)
}
