package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"weir/broker/auth"
)

// users checks logins against the passwords in the configuration and then against the password files, all files for
// all listeners. It implements broker.Authenticator.
type users struct {
	key   [32]byte // of the digests below, so that the passwords themselves are not kept
	known map[string][sha256.Size]byte
	files []*auth.Passwords
}

// passwords reads what listeners and users of the configuration name.
func (g *Gateway) passwords() (*users, error) {
	u := &users{known: map[string][sha256.Size]byte{}}
	if _, err := rand.Read(u.key[:]); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(g.cfg.User)) {
		secret := g.cfg.User[name].Password
		if secret == nil {
			continue
		}
		password, err := secret.Read()
		if err != nil {
			return nil, fmt.Errorf("user.%s.password: %w", name, err)
		}
		u.known[name] = u.digest([]byte(password))
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(g.cfg.Listener)) {
		path := g.cfg.Listener[name].Passwords
		if path == "" || seen[path] {
			continue
		}
		seen[path] = true
		file := auth.NewPasswords()
		warning, err := file.Load(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			g.log.Warn("no password file yet: nobody can log in by it; add users with weir passwd add", "listener", name, "file", path)
		case errors.Is(err, fs.ErrPermission):
			return nil, fmt.Errorf("listener.%s.passwords: %w; let the user that weir runs as read it: chown weir %s", name, err, path)
		case err != nil:
			return nil, fmt.Errorf("listener.%s.passwords: %w", name, err)
		case warning.Doubtful():
			g.log.Warn(warning.String(), "listener", name)
		}
		u.files = append(u.files, file)
	}
	return u, nil
}

func (u *users) digest(password []byte) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, u.key[:])
	h.Write(password)
	h.Sum(sum[:0])
	return sum
}

// Verify tells whether the user exists and has the password.
func (u *users) Verify(ctx context.Context, name string, password []byte) (bool, error) {
	want, known := u.known[name]
	got := u.digest(password)
	if hmac.Equal(want[:], got[:]) && known {
		return true, nil
	}
	for _, f := range u.files {
		if ok, err := f.Verify(ctx, name, password); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}
