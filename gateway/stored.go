package gateway

import (
	"encoding/binary"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"weir/buffer"
	"weir/gateway/clock"
	"weir/gateway/config"
)

// loadOffsets gives a clock the offsets of earlier boots.
func loadOffsets(c *clock.Clock, each func(prefix string, f func(key string, value []byte) bool)) {
	each(clockPrefix, func(key string, value []byte) bool {
		boot, err := strconv.ParseUint(strings.TrimPrefix(key, clockPrefix), 16, 64)
		if err == nil && len(value) == 8 {
			c.Load(boot, time.Duration(binary.LittleEndian.Uint64(value)))
		}
		return true
	})
}

// StoredClock is a clock of this machine that knows what a store that is only looked at says of earlier boots. It keeps
// nothing.
func StoredClock(v *buffer.View) *clock.Clock {
	machine, _ := clock.Machine() // without a boot, times of the running one are not certain
	c := clock.New(machine, clock.Config{})
	loadOffsets(c, v.Range)
	return c
}

// StoreOptions are the settings of the log in a data directory.
func StoreOptions(cfg *config.Config, log *slog.Logger) buffer.Options {
	return bufferOptions(cfg, log)
}
