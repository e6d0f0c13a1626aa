package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuOf is the CPU time a process has used, in all its threads and in the kernel for it: its clock is good to nanoseconds where
// /proc/PID/stat counts in hundredths of a second. known is false for PID 0 and a process that is gone.
func cpuOf(pid int) (used time.Duration, known bool) {
	if pid <= 0 || pid > math.MaxInt32>>3 {
		return 0, false
	}
	var t unix.Timespec
	id := int32(^pid<<3 | 2) // the CPU clock of another process: clock_getcpuclockid(3), CPUCLOCK_SCHED
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0, false
	}
	return time.Duration(t.Nano()), true
}

// residentOf is the resident memory of a process in bytes; smaps_rollup counts exactly, and needs the right to look.
func residentOf(pid int) (bytes int64, known bool) {
	if pid <= 0 {
		return 0, false
	}
	for _, file := range []struct{ name, key string }{{"smaps_rollup", "Rss:"}, {"status", "VmRSS:"}} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file.name))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) >= 2 && f[0] == file.key {
				if kilobytes, err := strconv.ParseInt(f[1], 10, 64); err == nil {
					return kilobytes << 10, true
				}
			}
		}
	}
	return 0, false
}

// processName is the short name of a process; "" if it is gone.
func processName(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(text))
}

// peerProcess finds the process at the other end of a connection. PID 0: it is on another machine, or may not be seen.
func peerProcess(nc net.Conn) Process {
	near, ok := nc.LocalAddr().(*net.TCPAddr)
	far, ok2 := nc.RemoteAddr().(*net.TCPAddr)
	if !ok || !ok2 {
		return Process{}
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		if inode := peerInode(text, far.Port, near.Port); inode != "" {
			return holder(inode)
		}
	}
	return Process{}
}

// peerInode finds the socket at the far end of a connection in the text of /proc/net/tcp or tcp6: the one whose own port is the
// broker's and whose remote port is ours.
//
//	sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
//	 3: 0100007F:075B 0100007F:D2F4 01 00000000:00000000 00:00000000 00000000  1000        0 41325 1 ...
//
// (proc_pid_net(5): state 01 is ESTABLISHED; the port is the hexadecimal number behind the colon.)
func peerInode(text []byte, local, remote int) string {
	from, to := fmt.Sprintf(":%04X", local), fmt.Sprintf(":%04X", remote)
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) > 9 && strings.HasSuffix(f[1], from) && strings.HasSuffix(f[2], to) && f[3] == "01" && f[9] != "0" {
			return f[9]
		}
	}
	return ""
}

// holder finds the process that has the socket with this inode open.
func holder(inode string) Process {
	want := "socket:[" + inode + "]"
	dirs, err := filepath.Glob("/proc/[0-9]*/fd")
	if err != nil {
		return Process{}
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // not ours to see, or gone
		}
		for _, e := range entries {
			if target, err := os.Readlink(filepath.Join(dir, e.Name())); err != nil || target != want {
				continue
			}
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
			if err != nil {
				continue
			}
			return Process{PID: pid, Name: processName(pid)}
		}
	}
	return Process{}
}

// sleep is good to some microseconds; that of the runtime is good to a millisecond.
func sleep(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	for unix.Nanosleep(&t, &t) == unix.EINTR { // the rest is in t
	}
}
