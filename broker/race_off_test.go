//go:build !race

package broker

const countAllocations = true
