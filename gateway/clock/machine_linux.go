package clock

import (
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	bootIDPath       = "/proc/sys/kernel/random/boot_id"
	synchronizedPath = "/run/systemd/timesync/synchronized"
)

func readBoot(root string) (uint64, error) {
	file, err := os.Open(filepath.Join(root, bootIDPath))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 64))
	if err != nil {
		return 0, err
	}
	return parseBoot(string(text))
}

// sinceBoot is CLOCK_BOOTTIME (clock_gettime(2)): monotonic, time asleep included.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // cannot fail for a clock that every kernel since 2.6.39 has
	return time.Duration(ts.Nano())
}

// Synchronized asks the kernel (adjtimex(2), which needs no privilege to read but
// may be filtered in a service) and looks for the mark of systemd-timesyncd.
func (m *machine) Synchronized() bool {
	var tx unix.Timex
	if _, err := unix.Adjtimex(&tx); err == nil && tx.Status&unix.STA_UNSYNC == 0 {
		return true
	}
	return m.exists(synchronizedPath)
}
