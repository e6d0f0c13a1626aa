package web

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/gateway/status"
)

// serving runs the control socket of a new directory until the test is over.
func serving(t *testing.T, c Controls) (path string) {
	t.Helper()
	path = Path(t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx, path) }()
	stop := func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
			t.Errorf("%v are left", left)
		}
	}
	t.Cleanup(stop)
	for deadline := time.Now().Add(20 * time.Second); ; {
		if _, err := os.Stat(path); err == nil {
			return path
		}
		select {
		case err := <-done:
			t.Fatalf("Serve: %v", err)
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("no socket")
		}
	}
}

func TestControl(t *testing.T) {
	ctx := context.Background()
	refuse := error(nil)
	path := serving(t, Controls{
		Status: func() status.Snapshot { return status.Snapshot{ID: "one", Broker: status.Broker{Connections: 3}} },
		Reload: func() (status.Config, error) {
			return status.Config{File: "weir.toml", Applied: []string{"a"}, Restart: []string{"b", "c"}}, refuse
		},
	})
	if s, err := Status(ctx, path); err != nil || s.ID != "one" || s.Broker.Connections != 3 {
		t.Errorf("status %+v, %v", s, err)
	}
	if c, err := Reload(ctx, path); err != nil || c.File != "weir.toml" || len(c.Applied) != 1 || len(c.Restart) != 2 {
		t.Errorf("reload %+v, %v", c, err)
	}
	refuse = errors.New("weir.toml:1:1: wrong\nweir.toml:2:1: wrong too")
	var refused *RefusedError
	if _, err := Reload(ctx, path); !errors.As(err, &refused) || refused.Text != refuse.Error() {
		t.Errorf("reload that is refused: %v", err)
	}
	if _, err := ask(ctx, path, "dance"); err == nil || !strings.Contains(err.Error(), `got "dance", want status or reload`) {
		t.Errorf("an unknown request: %v", err)
	}
	if _, err := ask(ctx, path, strings.Repeat("x", 1000)); err == nil {
		t.Error("a long request is answered as if it were none")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("the socket: %v, %v", info.Mode(), err)
	}
}

// TestControlOfNobody: what there is to say when no gateway runs, or one that died left its socket.
func TestControlOfNobody(t *testing.T) {
	path := Path(t.TempDir())
	if _, err := Status(context.Background(), path); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no socket: %v", err)
	}
	l, err := listen(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := Status(context.Background(), path); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a socket without a process: %v", err)
	}
	l, err = listen(path)
	if err != nil {
		t.Fatalf("the socket of a dead process is not replaced: %v", err)
	}
	l.Close()
	if _, err := listen(filepath.Join(t.TempDir(), strings.Repeat("x", maxPath))); err == nil {
		t.Error("a path that is too long is taken")
	}
}

// TestControlOfTheSilent: who connects and says nothing does not keep the gateway from stopping, nor others from asking.
func TestControlOfTheSilent(t *testing.T) {
	path := serving(t, Controls{Status: func() status.Snapshot { return status.Snapshot{ID: "one"} }})
	for range atOnce - 1 {
		nc, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
	}
	if s, err := Status(context.Background(), path); err != nil || s.ID != "one" {
		t.Errorf("status %+v, %v", s, err)
	}
	if _, err := Reload(context.Background(), path); err == nil || !strings.Contains(err.Error(), "want status or reload") {
		t.Errorf("a reload where there is none: %v", err)
	}
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	nc.(*net.UnixConn).CloseWrite()
	if b, err := io.ReadAll(nc); len(b) != 0 || err != nil {
		t.Errorf("an empty request is answered %q, %v", b, err)
	}
}
