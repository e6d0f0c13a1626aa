package message

import "time"

// A Stamp says when something happened without needing a clock that is right.
// Boot and Since always hold; Wall only if the wall clock was trusted at that
// moment. gateway/clock gives stamps out and turns them into times.
type Stamp struct {
	Boot  uint64        // the first eight bytes of the boot id, big endian
	Since time.Duration // time since that boot, time asleep included (CLOCK_BOOTTIME)
	Wall  int64         // Unix time in nanoseconds, 0 while the clock was not trusted
}
