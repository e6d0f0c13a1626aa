package clock

import (
	"cmp"
	"time"
)

// refresh looks at trust again if the last look is a second old. One goroutine
// looks, others go on with what is known, except before the first look.
func (c *Clock) refresh(since time.Duration) {
	last := c.checked.Load()
	if last >= 0 && since-time.Duration(last) < checkEvery {
		return
	}
	if c.checked.CompareAndSwap(last, int64(since)) || last < 0 {
		c.check()
	}
}

// check decides whether the clock is trusted, and learns the offset of this boot.
func (c *Clock) check() {
	c.mu.Lock()
	measured := c.measure() // under the lock, so that an older measurement never replaces a newer one
	witness := c.cfg.Trust == TrustAlways || c.sys.Synchronized()
	known, learnt := c.boots[c.boot]
	wall := time.Unix(0, int64(measured)+int64(c.sys.Since()))
	moved := learnt && apart(int64(measured), int64(known)) > noise
	switch {
	case wall.Before(c.floor):
		c.why = "the wall clock reads " + wall.UTC().Format(time.RFC3339) +
			", before " + c.floor.UTC().Format(time.RFC3339) + ", which has passed"
	case witness:
		c.why = ""
	case !learnt:
		c.why = "NTP has not set the wall clock since the machine started"
	case apart(int64(measured), int64(known)) > maxDrift:
		c.why = "the wall clock was moved without NTP"
	default:
		c.why = ""
	}
	if c.why != "" {
		c.live.Store(0)
		c.mu.Unlock()
		return
	}
	news := !learnt || moved
	if moved {
		c.steps.Add(1)
	}
	if news {
		known = measured
		c.boots[c.boot] = known
	}
	gone := c.trim()
	c.live.Store(int64(known))
	c.mu.Unlock()

	if news && c.cfg.Learned != nil {
		c.cfg.Learned(c.boot, known)
	}
	c.forget(gone)
}

// measure is the offset that the wall clock shows at this moment. The wall clock
// is read between two readings of the time since boot; a process that was
// interrupted there reads again.
func (c *Clock) measure() time.Duration {
	best, offset := time.Duration(-1), time.Duration(0)
	for range 4 {
		before := c.sys.Since()
		wall := c.sys.Wall().UnixNano()
		after := c.sys.Since()
		if gap := after - before; best < 0 || gap < best {
			best, offset = gap, time.Duration(wall)-before-gap/2
		}
		if best < time.Millisecond {
			break
		}
	}
	return offset
}

// trim drops the oldest boots beyond the limit, never the running one. mu is held.
func (c *Clock) trim() (gone []uint64) {
	for len(c.boots) > maxBoots {
		var oldest *Offset
		for boot, offset := range c.boots {
			if boot != c.boot && (oldest == nil || cmp.Less(offset, oldest.Offset)) {
				oldest = &Offset{boot, offset}
			}
		}
		delete(c.boots, oldest.Boot)
		gone = append(gone, oldest.Boot)
	}
	return gone
}

func (c *Clock) forget(boots []uint64) {
	if c.cfg.Forgotten == nil {
		return
	}
	for _, boot := range boots {
		c.cfg.Forgotten(boot)
	}
}
