package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"weir/gateway/status"
)

// Controls are what the control socket can do. Both are called by several goroutines at once.
type Controls struct {
	Status func() status.Snapshot
	// Reload loads the configuration anew. An error says why it was refused, a line for each reason. nil: it cannot be done.
	Reload func() (status.Config, error)
}

// Bounds of the control socket.
const (
	maxPath    = 107 // bytes of the path of a Unix socket (unix(7), sun_path)
	maxRequest = 64
	atOnce     = 8 // requests; others wait
	patience   = 10 * time.Second
)

// Path is where the control socket of a data directory is.
func Path(dataDir string) string { return filepath.Join(dataDir, "control") }

// answer is what a request gets: one of the fields.
type answer struct {
	Status  *status.Snapshot `json:"status,omitempty"`
	Config  *status.Config   `json:"config,omitempty"`
	Refused string           `json:"refused,omitempty"` // why the configuration was
	Error   string           `json:"error,omitempty"`   // why the request was not understood
}

// Serve answers requests at a path until ctx ends, and waits for those under way. A socket that an earlier process has left there
// is replaced: whoever calls it has the data directory to itself. The error says why there is no socket.
func (c Controls) Serve(ctx context.Context, path string) error {
	l, err := listen(path)
	if err != nil {
		return fmt.Errorf("control socket %s: %w", path, err)
	}
	defer os.Remove(path)
	defer context.AfterFunc(ctx, func() { l.Close() })()
	var under sync.WaitGroup
	defer under.Wait()
	slots := make(chan struct{}, atOnce)
	for {
		nc, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("control socket %s: %w", path, err)
		}
		slots <- struct{}{}
		under.Go(func() {
			defer func() { <-slots }()
			defer nc.Close()
			defer context.AfterFunc(ctx, func() { _ = nc.SetReadDeadline(time.Unix(1, 0)) })()
			c.serve(nc)
		})
	}
}

// listen makes the socket where nobody else can reach it before its permissions are set, and then puts it in its place.
func listen(path string) (*net.UnixListener, error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".control")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "s")
	if most := max(len(made), len(path)); most > maxPath {
		return nil, fmt.Errorf("path of %d bytes, a Unix socket can have %d; a shorter gateway.data_dir makes room", most, maxPath)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err = os.Chmod(made, 0o600); err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// serve answers one request. What cannot be written is the peer's loss.
func (c Controls) serve(nc net.Conn) {
	_ = nc.SetDeadline(time.Now().Add(patience))
	line, _, err := bufio.NewReaderSize(nc, maxRequest).ReadLine()
	if err != nil {
		return
	}
	var a answer
	switch request := string(line); {
	case request == "status":
		s := c.Status()
		a.Status = &s
	case request == "reload" && c.Reload != nil:
		if cfg, err := c.Reload(); err != nil {
			a.Refused = err.Error()
		} else {
			a.Config = &cfg
		}
	default:
		a.Error = fmt.Sprintf("got %q, want status or reload", request)
	}
	_ = nc.SetWriteDeadline(time.Now().Add(patience))
	_ = json.NewEncoder(nc).Encode(a)
}

// ErrNotRunning tells that no gateway answers at a control socket.
var ErrNotRunning = errors.New("no weir runs there")

// RefusedError says why a gateway did not take a configuration, a line for each reason.
type RefusedError struct{ Text string }

func (e *RefusedError) Error() string { return e.Text }

// Status asks the gateway of a control socket how it is.
func Status(ctx context.Context, path string) (status.Snapshot, error) {
	a, err := ask(ctx, path, "status")
	if err == nil && a.Status == nil {
		err = errors.New("the answer holds no status; is it another version of weir?")
	}
	if err != nil {
		return status.Snapshot{}, err
	}
	return *a.Status, nil
}

// Reload has the gateway of a control socket load its configuration anew, and says what came of it; a *RefusedError: it holds
// on to the one before.
func Reload(ctx context.Context, path string) (status.Config, error) {
	a, err := ask(ctx, path, "reload")
	switch {
	case err != nil:
		return status.Config{}, err
	case a.Refused != "":
		return status.Config{}, &RefusedError{a.Refused}
	case a.Config == nil:
		return status.Config{}, errors.New("the answer does not say what was taken; is it another version of weir?")
	}
	return *a.Config, nil
}

func ask(ctx context.Context, path, request string) (a answer, err error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) { // the second: its process has died
		return a, fmt.Errorf("%s: %w", path, ErrNotRunning)
	}
	if err != nil {
		return a, err
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	if _, err = nc.Write([]byte(request + "\n")); err == nil {
		err = json.NewDecoder(nc).Decode(&a)
	}
	switch {
	case ctx.Err() != nil:
		return a, ctx.Err()
	case err != nil:
		return a, fmt.Errorf("%s: no answer: %w", path, err)
	case a.Error != "":
		return a, fmt.Errorf("%s: %s", path, a.Error)
	}
	return a, nil
}
