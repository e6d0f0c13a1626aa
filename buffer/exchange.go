package buffer

import (
	"errors"
	"fmt"
	"strings"
)

// openSegment opens the file of a segment for reading. errReplaced: another
// segment stands in its place by now. l.mu is not held.
func (l *Log) openSegment(s *segment) (File, error) {
	l.exchange.RLock()
	defer l.exchange.RUnlock()
	l.mu.Lock()
	name, replaced := s.name, s.replaced
	l.mu.Unlock()
	if replaced {
		return nil, errReplaced
	}
	return l.fs.Open(name, false)
}

var errReplaced = errors.New("segment was rewritten")

// replace puts the new file in the place of the old one, and makes that a spare
// if it can: then the two exchange their names. Nothing is written into the old
// file before that is durable: until then a power cut may bring it back. l.mu is
// held at both ends.
func (r *rewriting) replace() error {
	l, s := r.l, r.s
	swap := !l.noSwap && l.recyclable(s) && len(l.spares) < l.spareLimit() &&
		l.total-l.files[r.temp]+r.next.size+l.keyRoom() <= l.o.MaxSize && (!l.stats.Full || l.given >= r.next.size)
	s.replacing = true
	l.mu.Unlock()
	swapped, err := r.rename(swap)
	l.mu.Lock()
	s.replacing = false
	l.cond.Broadcast()
	if err != nil {
		return err
	}
	if swapped {
		l.given -= min(l.given, r.next.size)
	} else if l.stats.Full {
		l.given += s.size - r.next.size
	}
	l.noSwap = l.noSwap || swap && !swapped
	l.stats.Rewritten++
	l.stats.Syncs++
	l.stats.Written += dataStart + page
	l.stats.Rewriting += dataStart + page
	l.mu.Unlock()
	if err = l.fs.SyncDir(); err != nil {
		err = fmt.Errorf("after %s was rewritten: %w", s.name, err)
	}
	spare := ""
	if swapped && err == nil {
		spare = sparePrefix + strings.TrimSuffix(s.name, segmentSuffix)
		err = l.fs.Rename(r.temp, spare)
	}
	if swapped && err != nil {
		l.fs.Remove(r.temp) // what is left is swept at the next start
	}
	l.mu.Lock()
	switch {
	case !swapped:
	case err != nil:
		l.dropFile(r.temp)
	default:
		l.moveFile(r.temp, spare)
		l.spares = append(l.spares, spare)
	}
	return err
}

// rename gives the new file the name of the old one, and takes it into memory
// under the lock that readers need to open a file: they have either the old file
// with the old checksums or the new one with the new. swapped: the old file has
// the other name now. l.mu is not held.
func (r *rewriting) rename(swap bool) (swapped bool, err error) {
	l, s := r.l, r.s
	l.exchange.Lock()
	defer l.exchange.Unlock()
	err = errors.ErrUnsupported
	if swap {
		err = l.fs.Exchange(r.temp, s.name)
	}
	swapped = err == nil
	if errors.Is(err, errors.ErrUnsupported) {
		err = l.fs.Rename(r.temp, s.name)
	}
	if err != nil {
		l.fs.Remove(r.temp)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropFile(r.temp)
	if err != nil {
		return false, err
	}
	if swapped {
		l.addFile(r.temp, s.size)
	}
	r.takeOver()
	return swapped, nil
}

// takeOver makes the new segment the one that counts. What was acknowledged or
// dropped since its records were looked at is counted in it. l.mu is held.
func (r *rewriting) takeOver() {
	l, s, n := r.l, r.s, r.next
	for i := range r.kept {
		k := &r.kept[i]
		for _, id := range k.dests {
			h := n.share(id)
			if c := l.consumers[id]; c == nil || !c.counts(k.number) {
				n.finish(h, 1, int64(k.size))
			}
		}
	}
	for i, old := range l.segments {
		if old == s {
			l.segments[i] = n
		}
	}
	s.replaced = true
	n.doomed = s.doomed
	l.addFile(n.name, n.size)
}
