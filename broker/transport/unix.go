package transport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// UnixPathMax is the longest path of a Unix socket, in bytes: sun_path of unix(7) with its closing zero.
const UnixPathMax = 107

// staleWait is how long somebody may take to answer before a socket is taken for one that nobody listens on. The kernel
// answers at once; a queue that is full is an answer too.
const staleWait = 2 * time.Second

// listenUnix opens a Unix socket with the permissions of mode. A socket that is there and that nobody listens on, as a
// process leaves it that was killed, is removed; anything else that is there is an error.
//
// The permissions hold from the start: on Linux bind gives the file those of the socket, which are narrowed before it, and
// chmod then sets them whatever the umask is.
func listenUnix(path string, mode fs.FileMode) (net.Listener, error) {
	if mode == 0 {
		mode = 0o660
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { syscall.Fchmod(int(fd), 0o600&uint32(mode)) }) // other systems may not know it
	}}
	l, err := config.Listen(context.Background(), "unix", path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: the folder %s must exist; systemd makes one in /run with RuntimeDirectory=", err, filepath.Dir(path))
	case err != nil:
		return nil, err
	}
	if err := os.Chmod(path, mode.Perm()); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// removeStale makes room for a socket at path.
func removeStale(path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case st.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there and no socket: remove it or choose another path", path)
	}
	nc, err := net.DialTimeout("unix", path, staleWait)
	switch {
	case err == nil:
		nc.Close()
		return fmt.Errorf("%w: a program answers at %s: stop it or choose another path", syscall.EADDRINUSE, path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, fs.ErrNotExist): // gone meanwhile
		return nil
	}
	return fmt.Errorf("%w: it could not be found out whether a program listens at %s: %w", syscall.EADDRINUSE, path, err)
}
