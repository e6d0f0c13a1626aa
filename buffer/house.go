package buffer

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// spareLimit is how many spares are kept when segments are freed: a sixteenth
// of the cap, so that an outage after the first one writes over what is there
// instead of growing the log again, which writes each page twice. On a disk
// that is full, two. l.mu is held.
func (l *Log) spareLimit() int {
	if l.stats.Full {
		return 2
	}
	return max(2, int(l.o.MaxSize/l.o.SegmentSize/16))
}

// keepHouse does, after a commit, what nobody waits for: a summary at the end of
// a sealed segment, files of given up segments, and what Chores does, unless
// somebody else sees to that. Errors leave things for the next time. l.mu is held
// at both ends.
func (l *Log) keepHouse() {
	l.seal()
	l.freeDoomed()
	switch {
	case !l.wantsChores():
	case l.o.OnChores == nil:
		l.doChores(false)
	case !l.up: // Open says so when the log can be used
	default:
		l.mu.Unlock()
		l.o.OnChores()
		l.mu.Lock()
	}
}

// Chores drops what is beyond the limits of consumers, rewrites a segment if room
// is short, takes a snapshot of the keys if one is due, and provides the next
// spare segment if there is none. Commits go on meanwhile. Options.OnChores says
// when there is something to do. Safe for concurrent use: one call at a time does
// it, another one returns at once.
func (l *Log) Chores() {
	l.mu.Lock()
	if !l.closed && !l.choring {
		l.choring = true
		l.doChores(true)
		l.choring = false
		l.cond.Broadcast()
	}
	l.mu.Unlock()
	l.say()
}

// wantsChores says whether there may be something to do. l.mu is held.
func (l *Log) wantsChores() bool {
	switch {
	case len(l.spares) == 0 && l.active != nil && !l.making:
	case l.limited && l.beyond():
	case l.pressed() && l.reusable() == 0 && l.sparsest() >= 0:
	case l.wantsSnapshot():
	default:
		return false
	}
	return true
}

// doChores does it. aside: commits go on meanwhile; otherwise the goroutine that
// runs the commit does it between two of them. l.mu is held at both ends.
func (l *Log) doChores(aside bool) {
	if l.limited {
		l.trim()
	}
	if l.pressed() && l.reusable() == 0 {
		l.spareDead(aside)
	}
	for aside && l.running && l.wantsSnapshot() {
		l.cond.Wait() // it needs a moment at which no commit is being written
	}
	if l.wantsSnapshot() {
		l.takeSnapshot()
	}
	if len(l.spares) == 0 && l.active != nil && !l.making {
		l.provide(aside)
	}
}

// provide makes a spare if it may: out of a segment that is written anew, if one
// gains half of itself by that. It takes that half to be written at most, a file
// of zeros all of it, and the log grows by as much less. l.mu is held at both
// ends.
func (l *Log) provide(aside bool) {
	l.mu.Unlock()
	l.checkFree()
	l.mu.Lock()
	if !l.noSwap && l.spareDead(aside) && len(l.spares) > 0 {
		return
	}
	if !l.mayGrow() || l.making || l.closed || len(l.spares) > 0 {
		return
	}
	if err := l.makeSpare(); err != nil {
		l.stats.Full = outOfSpace(err)
		l.note("no spare segment can be made", "error", err)
	}
}

// seal writes the summary of the segment before the active one. A segment
// without one is scanned at the next start. l.mu is held at both ends.
func (l *Log) seal() {
	k := len(l.segments) - 2
	if k < 0 || l.active == nil {
		return
	}
	s := l.segments[k]
	if s.summed || s.failed || s.doomed || s.damaged || s.holes > 0 {
		return
	}
	s.summed = true
	off := s.size - page
	p, ok := s.appendSummary(nil, off)
	if !ok || s.end > off {
		return
	}
	l.mu.Unlock()
	f, err := l.fs.Open(s.name, true)
	if err == nil {
		if err = writeAt(f, p, off); err == nil {
			err = f.Sync()
		}
		f.Close()
	}
	l.mu.Lock()
	if err != nil {
		s.failed = true
		return
	}
	l.stats.Syncs++
	l.stats.Written += page
}

// freeDoomed turns the files of given up segments into spares or removes
// them. It is called when the commit that gave them up is durable, and
// reports whether there is more room than before. l.mu is held at both ends.
func (l *Log) freeDoomed() (freed bool) {
	for i := 0; i < len(l.segments); i++ {
		s := l.segments[i]
		if !s.doomed {
			continue
		}
		if s.replacing { // what comes in its place goes instead
			l.cond.Wait()
			i--
			continue
		}
		spare := l.recyclable(s) && len(l.spares) < l.spareLimit() && (len(l.spares) == 0 || l.total+l.keyRoom() <= l.o.MaxSize)
		name := sparePrefix + s.name[:len(s.name)-len(segmentSuffix)]
		keep := false
		if s.damaged {
			name = s.name[:len(s.name)-len(segmentSuffix)] + badSuffix
			keep = l.dropBad() > 0 || l.mayGrow()
		}
		l.mu.Unlock()
		var err error
		switch {
		case spare:
			err = l.fs.Rename(s.name, name)
		case keep:
			err = l.fs.Rename(s.name, name)
		default:
			name = ""
			err = l.fs.Remove(s.name)
		}
		l.mu.Lock()
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				l.note("a segment that was given up cannot be freed", "file", s.name, "error", err)
				continue
			}
			name, spare = "", false
		}
		if name == "" {
			l.dropFile(s.name)
			if l.stats.Full {
				l.given += s.size
			}
		} else {
			l.moveFile(s.name, name)
		}
		if spare {
			l.spares = append(l.spares, name)
		}
		freed = true
		l.stats.Freed++
		if j := slices.Index(l.segments, s); j >= 0 {
			l.segments = slices.Delete(l.segments, j, j+1)
			i = j - 1
		}
	}
	return freed
}

// dropBad removes damaged files that were kept: they give way before any
// record does. l.mu is held at both ends.
func (l *Log) dropBad() (removed int) {
	var bad []string
	for name := range l.files {
		if strings.HasSuffix(name, badSuffix) {
			bad = append(bad, name)
		}
	}
	for _, name := range bad {
		l.mu.Unlock()
		err := l.fs.Remove(name)
		l.mu.Lock()
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			l.dropFile(name)
			removed++
		}
	}
	return removed
}
