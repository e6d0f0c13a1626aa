package sim

import (
	"sync"
	"time"
)

// RawWords are what the converters of a barometer yield before any compensation,
// as wide and signed as its sheet has them.
type RawWords struct{ Pressure, Temperature int64 }

// barometer is what the simulated pressure chips have in common, besides their
// registers or commands.
type barometer struct {
	mu          sync.Mutex // guards the fields below and all that the chip adds
	tuning      tuning
	held        *RawWords
	conversions int
	ready       time.Time // when it answers at all
}

// Tune changes what the options of the chip's constructor set.
func (b *barometer) Tune(options ...ChipOption) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tuning.apply(options)
}

// Hold makes every conversion from now on yield these words. Nil ends it.
func (b *barometer) Hold(raw *RawWords) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = raw
}

// Conversions returns how many conversions were completed.
func (b *barometer) Conversions() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.conversions
}

// takes is how long a conversion takes: by the sheet's longest or typical time.
func (b *barometer) takes(longest, typical time.Duration) time.Duration {
	if b.tuning.typical {
		longest = typical
	}
	return b.tuning.scaled(longest)
}

// clipped rounds v to the nearest word of so many bits, with a sign.
func clipped(v float64, bits uint) int64 {
	limit := float64(int64(1) << (bits - 1))
	switch {
	case !(v >= -limit): // NaN as well
		return -int64(limit)
	case v > limit-1:
		return int64(limit) - 1
	case v < 0:
		return int64(v - 0.5)
	}
	return int64(v + 0.5)
}

// wrapped is what is left of v in a word of so many bits, with a sign.
func wrapped(v int64, bits uint) int64 { return v << (64 - bits) >> (64 - bits) }
