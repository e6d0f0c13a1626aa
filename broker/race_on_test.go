//go:build race

package broker

// Under the race detector sync.Pool forgets things at random, so allocations are not counted.
const countAllocations = false
