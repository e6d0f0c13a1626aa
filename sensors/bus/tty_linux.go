package bus

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tarm/serial"
	"golang.org/x/sys/unix"

	"weir/sensors"
)

// tty is an open serial port, locked against others by a second descriptor.
type tty struct {
	*serial.Port
	path string // the device a link led to
	lock *os.File
}

// openTTY follows the link, locks the port and opens it. The lock is advisory
// (flock) for those who ask, and TIOCEXCL for those who do not.
func openTTY(path string, m sensors.Mode) (SerialPort, error) {
	device, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(device, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder := lockHolder(lock)
		lock.Close()
		return nil, &inUseError{pid: holder, users: []string{nameOf("/proc", holder)}}
	}
	p, err := serial.OpenPort(&serial.Config{
		Name: device, Baud: m.Baud, Size: byte(m.DataBits), Parity: serial.Parity(m.Parity), StopBits: serial.StopBits(m.StopBits),
		ReadTimeout: readTimeout,
	})
	if err != nil {
		lock.Close()
		return nil, err
	}
	// Best effort: the flock is what weir itself relies on.
	_ = unix.IoctlSetInt(int(lock.Fd()), unix.TIOCEXCL, 0)
	return &tty{Port: p, path: device, lock: lock}, nil
}

// Close gives the port back.
func (t *tty) Close() error {
	err := t.Port.Close()
	_ = unix.IoctlSetInt(int(t.lock.Fd()), unix.TIOCNXCL, 0) // a port that is gone needs it no more
	if lockErr := t.lock.Close(); err == nil {
		err = lockErr
	}
	return err
}

// DiscardOutput throws away what was written and not sent, so that a write that
// waits for room returns. Stopping and starting the output wakes the writer where
// the driver does not. Unlike the other methods it may be called meanwhile.
func (t *tty) DiscardOutput() {
	fd := int(t.lock.Fd())
	_ = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCOFLUSH) // nothing else can be tried if these fail
	_ = unix.IoctlSetInt(fd, unix.TCXONC, unix.TCOOFF)
	_ = unix.IoctlSetInt(fd, unix.TCXONC, unix.TCOON)
}

// Path implements SerialPort.
func (t *tty) Path() string { return t.path }

// Present implements SerialPort.
func (t *tty) Present() bool { return exists(t.path) }

// lockHolder looks up in /proc/locks who has locked the file; 0 if unknown.
func lockHolder(f *os.File) int {
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return 0
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer locks.Close()
	want := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	for s := bufio.NewScanner(locks); s.Scan(); {
		// 1: FLOCK  ADVISORY  WRITE 1234 00:05:678 0 EOF
		if fields := strings.Fields(s.Text()); len(fields) > 5 && fields[1] == "FLOCK" && fields[5] == want {
			pid, _ := strconv.Atoi(fields[4])
			return max(pid, 0)
		}
	}
	return 0
}
