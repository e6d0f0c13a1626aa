package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// TestPasswordAtTerminal types passwords at weir passwd. They are never echoed, and Ctrl-C ends it with a terminal that
// echoes again.
func TestPasswordAtTerminal(t *testing.T) {
	for _, c := range []struct {
		name   string
		typed  []string // at each prompt
		status int
		want   string // the last line
	}{
		{"twice the same", []string{"squeamish\r", "squeamish\r"}, 0, "user pump7 added in users; a weir that runs takes it at: systemctl reload weir"},
		{"two that differ", []string{"squeamish\r", "squeemish\r"}, 1, "weir: passwd: the two passwords differ; nothing was changed"},
		{"empty", []string{"\r", "\r"}, 1, "weir: passwd: the password is empty; nothing was changed"},
		{"Ctrl-C at once", []string{"\x03"}, 1, "weir: passwd: interrupt signal received"},
		{"Ctrl-C the second time", []string{"squeamish\r", "sq\x03"}, 1, "weir: passwd: interrupt signal received"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, err := program()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(path, "passwd", "--file", "users", "add", "pump7")
			cmd.Dir = t.TempDir()
			master, slave, err := pty.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer master.Close()
			defer slave.Close()
			cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
			cmd.SysProcAttr = controlling
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			late := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
			defer late.Stop()
			shown := &screen{t: t, master: master}
			for i, typed := range c.typed {
				shown.until([]string{"Password for pump7: ", "Again: "}[i])
				waitNoEcho(t, slave)
				if _, err := master.WriteString(typed); err != nil {
					t.Fatal(err)
				}
			}
			shown.until(c.want)
			var exit *exec.ExitError
			if err := cmd.Wait(); err != nil && !errors.As(err, &exit) || cmd.ProcessState.ExitCode() != c.status {
				t.Errorf("%v, want status %d", cmd.ProcessState, c.status)
			}
			if strings.Contains(shown.text.String(), "sq") {
				t.Errorf("the terminal shows the password:\n%s", shown.text.String())
			}
			if !echoes(t, slave) {
				t.Error("the terminal does not echo any more")
			}
			if _, err := os.Stat(filepath.Join(cmd.Dir, "users")); (err == nil) != (c.status == 0) {
				t.Errorf("status %d, and the file: %v", c.status, err)
			}
		})
	}
}

// controlling makes a terminal the one that Ctrl-C comes from.
var controlling = &syscall.SysProcAttr{Setsid: true, Setctty: true}

// screen is what a program has written to a terminal.
type screen struct {
	t      *testing.T
	master *os.File
	text   bytes.Buffer
}

// until reads until text has appeared.
func (s *screen) until(text string) {
	s.t.Helper()
	var b [1024]byte
	for !strings.Contains(s.text.String(), text) {
		n, err := s.master.Read(b[:])
		s.text.Write(b[:n])
		if err != nil {
			s.t.Fatalf("no %q: %v; the terminal shows:\n%s", text, err, s.text.String())
		}
	}
}

// waitNoEcho waits until the terminal echoes no more: what is typed before is shown.
func waitNoEcho(t *testing.T, terminal *os.File) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); echoes(t, terminal); time.Sleep(time.Millisecond) { // nothing else tells
		if time.Now().After(deadline) {
			t.Fatal("the terminal goes on echoing")
		}
	}
}

func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return s.Lflag&unix.ECHO != 0
}
