package sim

import (
	"sync"
	"time"
)

// tuned is what every simulated chip has that turns its world into words. Raw are
// those words. Its exported methods are safe for concurrent use.
type tuned[Raw any] struct {
	mu     sync.Mutex // guards the fields below and all that the chip adds
	tuning tuning
	ready  time.Time // when it answers at all
	held   *Raw
	shown  *Raw // the data registers, of a chip that Hold freezes at once
}

// Tune changes what the options of the chip's constructor set.
func (c *tuned[Raw]) Tune(options ...ChipOption) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tuning.apply(options)
}

// Hold makes every conversion from now on yield these words; where the data
// registers hold the same words, they have them at once. Nil ends it.
func (c *tuned[Raw]) Hold(raw *Raw) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = raw
	if raw != nil && c.shown != nil {
		*c.shown = *raw
	}
}

// converter is a tuned chip that counts.
type converter[Raw any] struct {
	tuned[Raw]
	conversions int
}

// Conversions returns how many conversions were completed, as of the last time the
// chip was spoken to.
func (c *converter[Raw]) Conversions() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conversions
}

// takes is how long a conversion takes: by the sheet's longest or typical time.
func (c *converter[Raw]) takes(longest, typical time.Duration) time.Duration {
	if c.tuning.typical {
		longest = typical
	}
	return c.tuning.scaled(longest)
}
