package bus

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"weir/sensors"
)

// inUseError says that a port has another user.
type inUseError struct {
	pid   int      // of who holds the lock; 0: not known
	users []string // in words
}

func (e *inUseError) Error() string {
	users := slices.DeleteFunc(slices.Clone(e.users), func(u string) bool { return u == "" })
	switch {
	case e.pid == os.Getpid():
		return "another [serial] table of this configuration uses the same port"
	case len(users) == 0:
		return "another program uses it, perhaps another weir; sudo fuser -v DEVICE names it"
	}
	return strings.Join(users, ", ") + " has it"
}

// classifyTTY sorts the error of opening a serial port, and says what to do.
func classifyTTY(where string, err error) *sensors.Error {
	e := &sensors.Error{Fault: sensors.Gone, Where: where, Err: err}
	var path *fs.PathError
	if errors.As(err, &path) {
		e.Err = path.Err // the path is said already
	}
	var inUse *inUseError
	switch {
	case errors.As(err, &inUse):
		e.Fault, e.Text = sensors.Refused, "the port is taken"
	case errors.Is(err, fs.ErrPermission):
		e.Fault, e.Text = sensors.Refused, "no permission: add the user to the group dialout"
	case errors.Is(err, syscall.ENOTTY), errors.Is(err, syscall.EINVAL):
		e.Fault, e.Text = sensors.Refused, "this is not a serial port"
	case errors.Is(err, fs.ErrNotExist):
		e.Text = "there is no such port; is it plugged in? weir scan lists the ports"
	}
	return e
}

// usersOf names who else may take bytes from a port: the kernel's console, and
// programs that have it open. Programs of other users are seen only with the
// rights to look.
func usersOf(root func(string) string, device string) []string {
	var users []string
	if resolved, err := filepath.EvalSymlinks(device); err == nil {
		device = resolved
	}
	if active, err := os.ReadFile(root("/sys/class/tty/console/active")); err == nil && slices.Contains(strings.Fields(string(active)), filepath.Base(device)) {
		users = append(users, "the kernel's console (console= in cmdline.txt)")
	}
	proc := root("/proc")
	links, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*")) // the pattern is sound
	for _, link := range links {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(link))))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if target, err := os.Readlink(link); err != nil || target != device {
			continue
		}
		if name := nameOf(proc, pid); !slices.Contains(users, name) {
			users = append(users, name)
		}
	}
	return users
}

// nameOf says which process it is: "agetty, the login prompt (process 412)".
func nameOf(proc string, pid int) string {
	if pid <= 0 {
		return ""
	}
	comm, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "comm"))
	name := strings.TrimSpace(string(comm))
	switch {
	case err != nil || name == "":
		return fmt.Sprintf("process %d", pid)
	case name == "weir":
		name = "another weir"
	case strings.HasSuffix(name, "getty"):
		name += ", the login prompt"
	}
	return fmt.Sprintf("%s (process %d)", name, pid)
}

// explain adds what may be wrong with a port on which nothing has ever come in:
// those of the board itself do not switch an RS-485 adapter's direction unless the
// device tree says so (serial/rs485.yaml of the kernel's bindings).
func (l *line) explain(err error) error {
	var e *sensors.Error
	if l.in.heard || l.port == nil || !errors.As(err, &e) {
		return err
	}
	name := filepath.Base(l.port.Path())
	if !strings.HasPrefix(name, "ttyAMA") && !strings.HasPrefix(name, "ttyS") {
		return err
	}
	told := *e
	told.Text += "; nothing has ever come in on " + name +
		": an RS-485 adapter that is switched by RTS needs linux,rs485-enabled-at-boot-time in the device tree of this port"
	return &told
}

// ensureOpen opens the port, through its link, if it is closed.
func (l *line) ensureOpen() error {
	if l.port != nil {
		return nil
	}
	p, err := l.open(l.path, l.o.Mode)
	if errors.Is(err, syscall.EBUSY) {
		err = &inUseError{users: l.users(l.path)}
	}
	if err != nil {
		l.reopen = min(max(l.reopen*2, firstReopen), lastReopen)
		l.again = time.Now().Add(l.reopen/2 + rand.N(l.reopen))
		e := classifyTTY(l.String(), err)
		if !l.failed {
			l.failed = true
			l.warn("serial port cannot be opened", "line", l.o.Name, "error", e)
		}
		return e
	}
	l.setPort(p)
	l.reopen, l.failed = 0, false
	l.in = inbox{heard: l.in.heard}
	l.tellShared()
	l.tell(nil)
	return nil
}

// tellShared warns of others on the port, who do not ask for its lock: they take
// away bytes, and may change its speed.
func (l *line) tellShared() {
	users := l.users(l.port.Path())
	if len(users) > 0 && !l.shared {
		l.warn("somebody else uses the serial port, and both will lose bytes", "line", l.o.Name, "device", l.port.Path(), "who", strings.Join(users, ", "))
	}
	l.shared = len(users) > 0
}

func (l *line) setPort(p SerialPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.port = p
}

// lose closes a port that is gone; it is opened again when it is needed.
func (l *line) lose(err error) {
	if l.port == nil {
		return
	}
	l.warn("serial port is gone", "line", l.o.Name, "device", l.port.Path(), "error", err)
	l.shut()
	l.again = time.Now().Add(firstReopen/2 + rand.N(firstReopen))
}

func (l *line) shut() {
	p := l.port
	l.setPort(nil)
	if p != nil {
		_ = p.Close() // nothing is left to be written
	}
}
