package buffer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const lockName = "lock"

// DirFS gives the operating system's files of one directory.
func DirFS(dir string) FS { return &osFS{dir: dir} }

type osFS struct{ dir string }

func (o *osFS) path(name string) string { return filepath.Join(o.dir, name) }

func (o *osFS) MakeDir() error { return os.MkdirAll(o.dir, 0o700) }

func (o *osFS) ReadDir() ([]FileInfo, error) {
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return nil, err
	}
	var files []FileInfo
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files = append(files, FileInfo{e.Name(), info.Size()})
	}
	return files, nil
}

func (o *osFS) Open(name string, write bool) (File, error) {
	mode := os.O_RDONLY
	if write {
		mode = os.O_RDWR
	}
	f, err := os.OpenFile(o.path(name), mode, 0)
	if err != nil {
		return nil, err
	}
	return &osFile{f: f}, nil
}

func (o *osFS) Create(name string) (File, error) {
	f, err := os.OpenFile(o.path(name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &osFile{f: f, created: true}, nil
}

func (o *osFS) Rename(from, to string) error { return os.Rename(o.path(from), o.path(to)) }
func (o *osFS) Exchange(a, b string) error   { return exchange(o.path(a), o.path(b)) }
func (o *osFS) Remove(name string) error     { return os.Remove(o.path(name)) }
func (o *osFS) Free() (int64, error)         { return freeBytes(o.dir) }

func (o *osFS) SyncDir() error {
	d, err := os.Open(o.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (o *osFS) Lock() (func() error, error) {
	f, err := os.OpenFile(o.path(lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if held, err := lockFile(f); err != nil || held {
		pid := holder(f)
		f.Close()
		if held {
			return nil, &InUseError{Dir: o.dir, PID: pid}
		}
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	// Who holds it is for the message of the next one only: not synced, and a
	// full disk does not matter.
	if f.Truncate(0) == nil {
		f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f.Close, nil
}

func holder(f *os.File) int {
	var p [16]byte
	n, _ := f.ReadAt(p[:], 0)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(p[:n])))
	return pid
}

type osFile struct {
	f       *os.File
	created bool // to be written over later: nobody reads what stands in it now
}

func (o *osFile) ReadAt(p []byte, off int64) (int, error)  { return o.f.ReadAt(p, off) }
func (o *osFile) WriteAt(p []byte, off int64) (int, error) { return o.f.WriteAt(p, off) }
func (o *osFile) Sync() error                              { return syncData(o.f) }

func (o *osFile) Allocate(size int64) error { return allocate(o.f, size) }

func (o *osFile) Close() error {
	if o.created {
		forget(o.f)
	}
	return o.f.Close()
}

func (o *osFile) Size() (int64, error) {
	info, err := o.f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
