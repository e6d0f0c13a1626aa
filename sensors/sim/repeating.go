package sim

import "time"

// repeater is a chip that converts by itself.
type repeater[Raw any] struct {
	tuned[Raw]
	repeated repeating
}

// Conversions returns how many conversions were completed since it has power.
func (c *repeater[Raw]) Conversions() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.repeated.count
}

// repeating works out when a chip that converts by itself has converted. The zero
// value converts nothing.
type repeating struct {
	on     bool
	once   bool          // it stops after the conversion that is next
	begins time.Time     // the conversion going on or coming next
	takes  time.Duration // one conversion
	every  time.Duration // from the begin of one to the begin of the next, at least takes
	count  int           // conversions completed
}

// start begins a conversion at this moment, and one after it each time every is
// over unless once is set.
func (r *repeating) start(now time.Time, takes, every time.Duration, once bool) {
	r.on, r.once, r.begins = true, once, now
	r.takes, r.every = takes, max(takes, every, 1)
}

// stop lets the conversion that is going on come to its end, and no other begin.
func (r *repeating) stop(now time.Time) {
	if now.Before(r.begins) {
		r.on = false
	}
	r.once = true
}

// ended returns when the newest conversion ended that is over by now and was not
// returned before.
func (r *repeating) ended(now time.Time) (at time.Time, ok bool) {
	first := r.begins.Add(r.takes)
	if !r.on || now.Before(first) {
		return time.Time{}, false
	}
	if r.once {
		r.on = false
		r.count++
		return first, true
	}
	more := now.Sub(first) / r.every
	r.count += int(more) + 1
	r.begins = r.begins.Add((more + 1) * r.every)
	return first.Add(more * r.every), true
}
