package sim

// RawWords are what the converters of a barometer yield before any compensation,
// as wide and signed as its sheet has them.
type RawWords struct{ Pressure, Temperature int64 }

// barometer is what the simulated pressure chips have in common, besides their
// registers or commands.
type barometer = converter[RawWords]

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
