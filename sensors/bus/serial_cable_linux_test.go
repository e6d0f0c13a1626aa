package bus

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"weir/sensors"
	"weir/sensors/sim"
)

// onCable runs a machine with a line "a" on a port in memory, in a bubble.
func onCable(t *testing.T, device string, i sim.Instrument, f func(b *serialBench, l sensors.Line)) {
	synctest.Test(t, func(t *testing.T) {
		cable := sim.NewCable(device, mode.Character())
		b := &serialBench{}
		b.Machine = New(Options{
			Lines: []LineOptions{{Name: "a", Device: device, Mode: mode}}, Log: slog.New(slog.NewTextHandler(&b.log, nil)),
			Root: t.TempDir(), OpenSerial: func(string, sensors.Mode) (SerialPort, error) { return cable, nil },
		})
		ctx, cancel := context.WithCancel(t.Context())
		b.ctx = ctx
		done := make(chan error, 2)
		go func() { done <- b.Run(ctx) }()
		go func() { done <- cable.Serve(ctx, i) }()
		f(b, b.line(t, "a"))
		cancel()
		<-done
		<-done
	})
}

// call is an exchange that takes a time and is answered or not.
type call struct {
	name     string
	doubtful bool
	length   time.Duration
	answer   error
	told     func(name string)
}

func (c *call) Doubtful() bool { return c.doubtful }

func (c *call) Exchange(context.Context, sensors.Port) error {
	c.told(c.name)
	time.Sleep(c.length)
	return c.answer
}

// What is doubtful comes after everything else, and takes at most half of the time.
func TestDoubtfulExchangesWait(t *testing.T) {
	onCable(t, "/dev/ttyUSB0", sim.NewModbusLine(), func(b *serialBench, l sensors.Line) {
		var order []string // written by the owner only, read after all calls
		start := time.Now()
		at := map[string]time.Duration{}
		told := func(name string) { order = append(order, name); at[name] = time.Since(start) }
		silent := sensors.Errorf(sensors.NotAnswering, "x", "no answer")
		done := make(chan error)
		do := func(name string, doubtful bool, length time.Duration, answer error) {
			go func() { done <- l.Do(b.ctx, &call{name, doubtful, length, answer, told}) }()
			synctest.Wait()
		}
		do("first", false, time.Second, nil) // all others come while it runs
		do("dead 1", true, time.Second, silent)
		do("dead 2", true, time.Second, silent)
		do("sound 1", false, time.Second, nil)
		do("sound 2", false, time.Second, nil)
		for range 5 {
			<-done
		}
		if got := strings.Join(order, ", "); got != "first, sound 1, sound 2, dead 1, dead 2" {
			t.Errorf("got %s, want what is sound first", got)
		}
		if rest := at["dead 2"] - at["dead 1"]; rest < 2*time.Second || rest > 2100*time.Millisecond {
			t.Errorf("the second doubtful one came %v after the first, want its length and as long again", rest)
		}
		do("dead 3", true, time.Second, silent)
		do("sound 3", false, time.Second, nil) // does not rest
		<-done
		<-done
		if got := strings.Join(order[5:], ", "); got != "sound 3, dead 3" {
			t.Errorf("got %s, want what is sound while doubtful ones rest", got)
		}
	})
}

// A port of the board on which nothing ever comes in may need its direction
// switched. Once something came, the port is right.
func TestDirectionControlIsNamed(t *testing.T) {
	const hint = "linux,rs485-enabled-at-boot-time"
	answerless := &call{length: time.Second, answer: sensors.Errorf(sensors.NotAnswering, "slave 1", "no answer within 1s"), told: func(string) {}}
	for device, want := range map[string]bool{"/dev/ttyAMA0": true, "/dev/ttyS0": true, "/dev/ttyUSB0": false, "/dev/ttyACM0": false} {
		onCable(t, device, parrot{}, func(b *serialBench, l sensors.Line) {
			err := l.Do(b.ctx, answerless)
			if got := strings.Contains(err.Error(), hint); got != want || sensors.FaultOf(err) != sensors.NotAnswering || !strings.Contains(err.Error(), "no answer within 1s") {
				t.Errorf("%s: %v, want the property named: %v", device, err, want)
			}
			if got, err := b.ask(l, "abcd", time.Second); err != nil || got != "ABCD" {
				t.Errorf("%s: got %q, %v", device, got, err)
			}
			if err := l.Do(b.ctx, answerless); strings.Contains(err.Error(), hint) {
				t.Errorf("%s, on which something came: %v", device, err)
			}
		})
	}
}

// process makes a process of a temporary /proc that has a file open.
func process(t *testing.T, root, pid, comm, target string) {
	t.Helper()
	write(t, filepath.Join(root, "proc", pid, "comm"), comm+"\n")
	fd := filepath.Join(root, "proc", pid, "fd")
	if err := os.MkdirAll(fd, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(fd, "3")); err != nil {
		t.Fatal(err)
	}
}

func TestUsersOfAPort(t *testing.T) {
	root := t.TempDir()
	in := func(path string) string { return filepath.Join(root, path) }
	if got := usersOf(in, "/dev/ttyAMA0"); len(got) != 0 {
		t.Errorf("nobody: got %q", got)
	}
	write(t, in("/sys/class/tty/console/active"), "tty1 ttyAMA0\n")
	process(t, root, "412", "agetty", "/dev/ttyAMA0")
	process(t, root, "77", "weir", "/dev/ttyAMA0")
	process(t, root, "78", "minicom", "/dev/ttyUSB0")
	write(t, in("/proc/self-is-no-number/comm"), "x")
	got := strings.Join(usersOf(in, "/dev/ttyAMA0"), "; ")
	if want := "the kernel's console (console= in cmdline.txt); agetty, the login prompt (process 412); another weir (process 77)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A port that refuses a second user says who has it; one that does not is warned of.
func TestOthersOnThePortAreTold(t *testing.T) {
	root := t.TempDir()
	process(t, root, "412", "agetty", "/dev/ttyAMA0")
	for name, c := range map[string]struct {
		open     error
		err, log string
	}{
		"exclusive": {&os.PathError{Op: "open", Path: "/dev/ttyAMA0", Err: syscall.EBUSY}, "refused: the port is taken: agetty, the login prompt (process 412) has it", "cannot be opened"},
		"shared":    {nil, "", "somebody else uses the serial port"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := &serialBench{}
			b.Machine = New(Options{
				Lines: []LineOptions{{Name: "a", Device: "/dev/ttyAMA0", Mode: mode}}, Log: slog.New(slog.NewTextHandler(&b.log, nil)), Root: root,
				OpenSerial: func(path string, _ sensors.Mode) (SerialPort, error) {
					return sim.NewCable("/dev/ttyAMA0", 0), c.open
				},
			})
			b.Machine.lines["a"].path = "/dev/ttyAMA0" // the root is for /proc only
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- b.Run(ctx) }()
			err := b.line(t, "a").Do(ctx, &call{told: func(string) {}})
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got %v, want %q", name, err, c.err)
			}
			if log := b.log.String(); !strings.Contains(log, c.log) || c.open == nil && !strings.Contains(log, "agetty") {
				t.Errorf("%s: logged %s", name, log)
			}
			cancel()
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}
