package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"weir/broker/auth"
	"weir/gateway/config"
)

// users checks logins against the passwords in the configuration and then against password files: that of the listener,
// or those of all listeners for one that has none. It does not change.
type users struct {
	key   []byte // of the digests below, so that the passwords themselves are not kept
	known map[string][sha256.Size]byte
	files map[string]*auth.Passwords   // by path
	of    map[string][]*auth.Passwords // by listener
}

// readUsers reads what users and listeners of a configuration name. inForce are the password files that hold now.
func (a *access) readUsers(cfg *config.Config, inForce map[string]*auth.Passwords) (*users, error) {
	g := a.g
	var errs []error
	u := &users{key: a.key, known: map[string][sha256.Size]byte{}, files: map[string]*auth.Passwords{}, of: map[string][]*auth.Passwords{}}
	for _, name := range slices.Sorted(maps.Keys(cfg.User)) {
		secret := cfg.User[name].Password
		if secret == nil {
			continue
		}
		password, err := secret.Read()
		if err != nil {
			errs = append(errs, &settingError{"user." + name + ".password", err})
			continue
		}
		u.known[name] = u.digest([]byte(password))
	}
	var all []*auth.Passwords
	for _, name := range slices.Sorted(maps.Keys(cfg.Listener)) {
		path := cfg.Listener[name].Passwords
		if path == "" {
			continue
		}
		if u.files[path] == nil {
			file, err := g.readPasswords(name, path, a.passwords, inForce)
			if err != nil {
				errs = append(errs, err)
			}
			u.files[path] = file
			all = append(all, file)
		}
		u.of[name] = []*auth.Passwords{u.files[path]}
	}
	for name := range cfg.Listener {
		if u.of[name] == nil {
			u.of[name] = all
		}
	}
	return u, errors.Join(errs...)
}

// readPasswords reads a file. At the start it need not be there; in a reload it must, if it was.
func (g *Gateway) readPasswords(listener, path string, turn *auth.Passwords, inForce map[string]*auth.Passwords) (*auth.Passwords, error) {
	file := turn.Another()
	warning, err := file.Load(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && inForce[path] != nil && inForce[path].Len() > 0: // rather than disconnect everyone
		return nil, fileError(listener, "passwords", path, err)
	case errors.Is(err, fs.ErrNotExist):
		g.log.Warn("no password file yet: nobody can log in by it; add users with weir passwd add", "listener", listener, "file", path)
	case err != nil:
		return nil, fileError(listener, "passwords", path, err)
	case warning.Doubtful():
		g.log.Warn(warning.String(), "listener", listener)
	}
	return file, nil
}

// fileError names the setting that a file belongs to with all that is wrong in it, and says what to do if it may not be read.
func fileError(listener, key, path string, err error) error {
	var all []error
	each(err, func(err error) {
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w; let the user that weir runs as read it: chown weir %s", err, path)
		}
		all = append(all, &settingError{settingOf(listener, key), err})
	})
	return errors.Join(all...)
}

func (u *users) digest(password []byte) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, u.key)
	h.Write(password)
	h.Sum(sum[:0])
	return sum
}

// verify tells whether the user exists and has the password.
func (u *users) verify(ctx context.Context, listener, name string, password []byte) (bool, error) {
	want, known := u.known[name]
	got := u.digest(password)
	if hmac.Equal(want[:], got[:]) && known {
		return true, nil
	}
	var err error
	for _, f := range u.of[listener] {
		ok, failed := f.Verify(ctx, name, password)
		if ok {
			return true, nil
		}
		err = errors.Join(err, failed) // of the context; what another file remembers holds all the same
	}
	return false, err
}

// keys are the user's in the first password file of the listener that has some, or made-up ones. A password in the configuration
// makes none.
func (u *users) keys(listener, name string) (keys auth.Keys, offered bool) {
	for _, f := range u.of[listener] {
		k, some := f.Keys(name)
		if some && (!offered || k.Known) {
			keys, offered = k, true
		}
		if k.Known {
			break
		}
	}
	return keys, offered
}

// credential stands for all that the user can log in with on a listener.
func (u *users) credential(listener, name string) uint64 {
	h := hmac.New(sha256.New, u.key)
	if sum, known := u.known[name]; known {
		h.Write(sum[:])
	}
	for _, f := range u.of[listener] {
		h.Write(binary.BigEndian.AppendUint64(nil, f.Credential(name)))
	}
	return binary.BigEndian.Uint64(h.Sum(nil))
}
