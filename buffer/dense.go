package buffer

import "errors"

// spareDead rewrites the segment that gains most, if that gains half a segment,
// and reports whether it did: its file is a spare then, or there is more room.
// aside: commits go on meanwhile. Only one is rewritten at a time; the goroutine
// that runs the commit waits for another's, and looks again. l.mu is held at both
// ends.
func (l *Log) spareDead(aside bool) bool {
	if l.densing {
		if !aside {
			l.cond.Wait()
		}
		return !aside
	}
	i := l.sparsest()
	if i < 0 {
		return false
	}
	s := l.segments[i]
	if l.total+s.size-l.o.SegmentSize/2 > l.o.MaxSize && len(l.spares) == 0 {
		return false // there will be room another time
	}
	s.tried = s.open
	r := rewriting{l: l, s: s, temp: newPrefix + "dense-" + s.name, blocks: l.segments[i+1].firstBlock, open: s.waited()}
	l.densing, s.renewed = true, true
	err := r.run(aside)
	l.densing, s.renewed = false, false
	l.cond.Broadcast()
	if err != nil && !errors.Is(err, errNoGain) && !errors.Is(err, errChanged) {
		l.note("a segment cannot be rewritten", "file", s.name, "error", err)
	}
	return err == nil
}

// sparsest is the index of the segment that would gain most by being rewritten,
// half a segment at least; -1 if none would. l.mu is held.
func (l *Log) sparsest() int {
	best, gain := -1, int64(0)
	for i, s := range l.segments {
		if s.keyed > l.spared() || s.renewed {
			continue
		}
		if g := l.gain(i); g > gain {
			best, gain = i, g
		}
	}
	return best
}

// gain is how much smaller a segment would be if it were rewritten, if that is
// half a segment and it can be; else 0. l.mu is held.
func (l *Log) gain(i int) int64 {
	s := l.segments[i]
	if i >= len(l.segments)-2 { // the one before the active is what recovery falls back to
		return 0
	}
	if s.doomed || s == l.active || s.failed || s.damaged || s.unread || !s.sealed || s.open == 0 || s.tried == s.open {
		return 0
	}
	g := s.size - l.dense(s, l.segments[i+1].firstBlock-s.firstBlock)
	if g < l.o.SegmentSize/2 {
		return 0
	}
	return g
}

// waited is about how many bytes of records somebody waits for.
func (s *segment) waited() (open int64) {
	for i := range s.shares {
		open += s.shares[i].bytes - s.shares[i].doneBytes
	}
	return min(open, s.bytes)
}

// dense is about how large the segment, which has so many blocks, would be if it
// held only what somebody waits for. What small blocks would come to in larger
// ones is not known before it is tried: an eighth is hoped for, and given up
// after a block if it turns out to be too much. l.mu is held.
func (l *Log) dense(s *segment, blocks uint64) int64 {
	open := s.waited()
	if s.bytes > 0 {
		switch used := min(s.end-dataStart, s.bytes); {
		case s.packs > 0:
			open = int64(float64(open) * s.packs)
		case l.o.Compress && s.bytes < packLimit/2*int64(blocks):
			open = min(open*used/s.bytes, open/8)
		default:
			open = open * used / s.bytes
		}
	}
	return dataStart + pages(open+open/512+blockHeadLen) + page
}

// uncounted says whether counts of what was dropped wait for a commit, or for
// the end of one. l.mu is held.
func (l *Log) uncounted() bool {
	if l.counting {
		return true
	}
	for _, c := range l.consumers {
		if c.counted {
			return true
		}
	}
	return false
}
