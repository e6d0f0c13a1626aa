package gateway

import (
	"bufio"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseMemory gives back what a start or a storm of clients has left: garbage, and the pages of the program file that
// only they needed. Nearly all of that file is mapped by a start, because the kernel maps sixteen pages around each one that
// is touched; what runs afterwards is a third of it. What is needed again is mapped again, from the page cache.
func releaseMemory() {
	debug.FreeOSMemory()
	debug.FreeOSMemory() // what pools hold outlives one collection
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer f.Close()
	for _, m := range untouched(f, program) {
		unix.RawSyscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED) // an error leaves things as they are
	}
}

// mapping is the addresses of one, from the first to the one behind the last.
type mapping struct{ from, to uintptr }

// untouched finds the mappings of a file, in the form of smaps (proc_pid_smaps(5)), of which this process has changed
// nothing: read only, without a page of its own. Nothing is lost if these are let go.
func untouched(smaps io.Reader, file string) (found []mapping) {
	var m mapping
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		line := lines.Text()
		if key, value, ok := strings.Cut(line, ":"); ok && !strings.Contains(key, " ") {
			if key == "Anonymous" && m.to > 0 && strings.TrimSpace(value) == "0 kB" {
				found = append(found, m)
			}
			continue
		}
		// from-to rights offset device inode          path
		m = mapping{}
		fields := strings.Fields(line)
		if len(fields) < 6 || strings.Contains(fields[1], "w") || !strings.HasSuffix(line, " "+file) {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		a, err1 := strconv.ParseUint(from, 16, 64)
		b, err2 := strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil && a < b {
			m = mapping{uintptr(a), uintptr(b)}
		}
	}
	return found
}
