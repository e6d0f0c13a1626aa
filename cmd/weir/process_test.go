package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// builtIn is where program builds, made by TestMain.
var builtIn string

// program builds weir once per test run.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(builtIn, "weir")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	return path, nil
})

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "weir-test")
	if err != nil {
		panic(err)
	}
	builtIn = dir
	if signal.Ignored(syscall.SIGHUP) { // under nohup: programs that are started would inherit it, and scripts hang up on them
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// weir is a running weir in a process of its own, with a data directory that outlives it.
type weir struct {
	t         *testing.T
	path, dir string
	config    string
	address   string // of its first listener, as the configuration names it

	mu     sync.Mutex // guards what stands below
	cmd    *exec.Cmd
	output bytes.Buffer
}

var listenerAddress = regexp.MustCompile(`(?m)^address = "([0-9.]+:[0-9]+)"`)

func newWeir(t *testing.T, config string) *weir {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	w := &weir{t: t, path: path, dir: t.TempDir()}
	w.config = filepath.Join(w.dir, "weir.toml")
	if m := listenerAddress.FindStringSubmatch(config); m != nil {
		w.address = m[1]
	}
	if err := os.WriteFile(w.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.kill() })
	return w
}

// start runs it and waits until it listens.
func (w *weir) start() {
	w.t.Helper()
	w.launch()
	if err := listens(w.address); err != nil {
		w.t.Fatalf("%v; weir said:\n%s", err, w.said())
	}
}

func (w *weir) launch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cmd = exec.Command(w.path, "run", "--config", w.config)
	w.cmd.Env = append(os.Environ(), "STATE_DIRECTORY="+filepath.Join(w.dir, "data"))
	w.cmd.Stdout, w.cmd.Stderr = &lockedWriter{mu: &w.mu, to: &w.output}, &lockedWriter{mu: &w.mu, to: &w.output}
	if err := w.cmd.Start(); err != nil {
		w.t.Error(err)
	}
}

// kill ends it at once, as kill -9 does.
func (w *weir) kill() *exec.Cmd {
	w.mu.Lock()
	cmd := w.cmd
	w.cmd = nil
	w.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	return cmd
}

// killAndStart is for goroutines other than the test's: it does not wait for the listener.
func (w *weir) killAndStart() {
	if cmd := w.kill(); cmd == nil || cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != -1 { // -1: by a signal
		w.t.Errorf("it was not running when it was to be killed; it said:\n%s", w.said())
	}
	w.launch()
}

// stop ends it in order and wants status 0.
func (w *weir) stop() {
	w.t.Helper()
	w.mu.Lock()
	cmd := w.cmd
	w.cmd = nil
	w.mu.Unlock()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		w.t.Errorf("orderly stop: %v; it said:\n%s", err, w.said())
	}
}

func (w *weir) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.output.String()
}

type lockedWriter struct {
	mu *sync.Mutex
	to *bytes.Buffer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(p)
}

// freePort is a TCP port of the loopback interface that nobody uses now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// waitListening waits until an address takes connections.
func waitListening(t *testing.T, address string) {
	t.Helper()
	if err := listens(address); err != nil {
		t.Fatal(err)
	}
}

func listens(address string) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("nobody listens on %s: %w", address, err)
		}
		time.Sleep(10 * time.Millisecond) // polling a process that has no other way to tell
	}
}
