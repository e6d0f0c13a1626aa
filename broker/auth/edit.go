package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Set gives the user a password, adding the user if there is none of that name,
// and the file if it does not exist. It reports whether there was one. Other
// lines stay as they are, sound or not. A broker sees the change at its next Load.
func Set(path, name string, password []byte) (replaced bool, err error) {
	return set(path, name, password, func(data []byte) (hash, []byte) { return newHashOf(password, standard), data })
}

// set is Set with an entry, and the rest of the file, as change makes them.
func set(path, name string, password []byte, change func(data []byte) (hash, []byte)) (replaced bool, err error) {
	if err := checkName(name); err != nil {
		return false, err
	}
	if len(password) == 0 {
		return false, fmt.Errorf("user %q: the password is empty", name)
	}
	if len(password) > maxPassword {
		return false, fmt.Errorf("user %q: a password of %d bytes, limit %d", name, len(password), maxPassword)
	}
	data, _, err := readFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	entry, data := change(data)
	data, replaced = edit(data, name, []byte(name+":"+entry.String()))
	return replaced, replace(path, data)
}

// Delete takes the user out of the file and reports whether there was one. A
// file that does not exist is an error.
func Delete(path, name string) (deleted bool, err error) {
	data, _, err := readFile(path)
	if err != nil {
		return false, err
	}
	if data, deleted = edit(data, name, nil); !deleted {
		return false, nil
	}
	return true, replace(path, data)
}

// edit puts line, without its line end, in place of the first line of that user,
// or at the end, and drops further lines of that user. A nil line only drops.
func edit(data []byte, name string, line []byte) (out []byte, found bool) {
	for len(data) > 0 {
		var old []byte
		old, data, _ = bytes.Cut(data, []byte{'\n'})
		if got, _, ok, _ := splitLine(old); !ok || got != name {
			out = append(append(out, old...), '\n')
			continue
		}
		if !found && line != nil {
			out = append(append(out, line...), '\n')
		}
		found = true
	}
	if !found && line != nil {
		out = append(append(out, line...), '\n')
	}
	return out, found
}

// replace writes the file anew: beside it, synced, renamed over, directory synced.
func replace(path string, data []byte) (err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link stays a link
	}
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	_, err = file.Write(data)
	if err == nil {
		err = keepAccess(path, file)
	}
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncDir(dir)
}

// keepAccess gives the new file the owner and group of the old one, if there is
// one, and its group's read permission.
func keepAccess(path string, file *os.File) error {
	old, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := keepOwner(old, file); err != nil {
		return fmt.Errorf("%s: keep its owner: %w", path, err)
	}
	return file.Chmod(0o600 | old.Mode().Perm()&0o040)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
