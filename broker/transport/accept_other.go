//go:build !linux

package transport

// door is for pollers, which this system does not have.
type door struct{}

func (*door) close() {}
