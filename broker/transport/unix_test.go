package transport

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mqtt.sock")
	l, err := Listen(Options{Name: "local", Address: "unix:" + path, Mode: 0o622})
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o622 {
		t.Errorf("%v, %v, want the mode 0622", st.Mode(), err)
	}
	if !Loopback(l.Addr()) {
		t.Error("a Unix socket is not of this machine only")
	}
	handlers, stop := serve(t, l, func() *echo { return &echo{} })
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	const size = 4 << 20
	go nc.Write(make([]byte, size))
	if _, err := io.ReadFull(nc, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	e := <-handlers
	if a := e.conn.RemoteAddr().String(); a != path {
		t.Errorf("peer %q, want the socket's path", a)
	}
	nc.Close()
	<-e.closed
	if _, err := Listen(Options{Address: "unix:" + path}); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "a program answers at "+path) {
		t.Errorf("a second listener: %v", err)
	}
	<-handlers // the look whether somebody answers
	stop()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// TestUnixStale: a socket that nobody listens on is replaced, and nothing else is.
func TestUnixStale(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mqtt.sock")
	old, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	old.(*net.UnixListener).SetUnlinkOnClose(false)
	old.Close() // as after kill -9
	l, err := Listen(Options{Address: "unix:" + path})
	if err != nil {
		t.Fatalf("over a stale socket: %v", err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v, want the mode 0660", st.Mode(), err)
	}
	l.Close()

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(Options{Address: "unix:" + file}); err == nil || !strings.Contains(err.Error(), "is there and no socket") {
		t.Errorf("over a file: %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file is %q, %v", b, err)
	}
	if _, err := Listen(Options{Address: "unix:" + filepath.Join(dir, "none", "mqtt.sock")}); err == nil || !strings.Contains(err.Error(), "must exist") {
		t.Errorf("in a folder that is not there: %v", err)
	}
}
