//go:build !linux

package clock

import "time"

var start = time.Now()

func readBoot(string) (uint64, error) { return 0, nil }

func sinceBoot() time.Duration { return time.Since(start) }

// Synchronized is always true: such machines have a battery clock.
func (m *machine) Synchronized() bool { return true }
