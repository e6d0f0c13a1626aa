//go:build !linux

package sim

// unreadable is a file whose reading fails; there is none here, so that a directory
// stands for it.
const unreadable = ""
