//go:build !linux

package gateway

import "runtime/debug"

// releaseMemory gives back what a start or a storm of clients has left.
func releaseMemory() { debug.FreeOSMemory() }
