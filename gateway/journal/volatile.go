package journal

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"sync"

	"weir/buffer"
)

// OpenVolatile makes a journal without a data directory, for a gateway that must start although its disk is full or
// read-only. The tail works: what upstreams acknowledge is settled. A commit fails with the cause, so nothing is
// acknowledged that only a disk could keep, and Err says so from the start.
func OpenVolatile(cfg Config, cause error) (*Journal, error) {
	disk := &noDisk{cause: cause, files: map[string]*noFile{}}
	cfg.Buffer.FS = disk
	cfg.Buffer.SegmentSize, cfg.Buffer.MaxSize, cfg.Buffer.MinFree = volatileSegment, 16*volatileSegment, 0
	j, err := Open(cfg)
	if err != nil {
		return nil, err
	}
	disk.fail()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.volatile = true
	j.remember(cause)
	return j, nil
}

// volatileSegment is as large as usual, since it bounds the messages and keys that the buffer takes.
const volatileSegment = 4 << 20

// Volatile tells whether there is no data directory behind the journal.
func (j *Journal) Volatile() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.volatile
}

// noDisk is a buffer.FS in memory that takes what opening a log writes and then fails every change with the cause.
type noDisk struct {
	mu      sync.Mutex // guards everything below and the files
	cause   error
	failing bool
	files   map[string]*noFile
}

// fail begins the failing. Nothing was stored, so nothing of the files is read any more.
func (d *noDisk) fail() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failing = true
	for _, f := range d.files {
		f.data = nil
	}
}

// change runs a change unless the disk fails by now.
func (d *noDisk) change(what func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failing {
		return d.cause
	}
	return what()
}

func (d *noDisk) MakeDir() error              { return nil }
func (d *noDisk) Lock() (func() error, error) { return func() error { return nil }, nil }
func (d *noDisk) SyncDir() error              { return d.change(func() error { return nil }) }
func (d *noDisk) Free() (int64, error)        { return 1 << 40, nil }
func (d *noDisk) ReadDir() ([]buffer.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []buffer.FileInfo
	for name, f := range d.files {
		all = append(all, buffer.FileInfo{Name: name, Size: int64(len(f.data))})
	}
	return all, nil
}

func (d *noDisk) Open(name string, _ bool) (buffer.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.files[name]; f != nil {
		return f, nil
	}
	return nil, fs.ErrNotExist
}

func (d *noDisk) Create(name string) (buffer.File, error) {
	f := &noFile{disk: d}
	err := d.change(func() error { d.files[name] = f; return nil })
	return f, err
}

func (d *noDisk) Exchange(a, b string) error { return errors.ErrUnsupported }

func (d *noDisk) Rename(from, to string) error {
	return d.change(func() error {
		f := d.files[from]
		if f == nil {
			return fs.ErrNotExist
		}
		delete(d.files, from)
		d.files[to] = f
		return nil
	})
}

func (d *noDisk) Remove(name string) error {
	return d.change(func() error {
		if d.files[name] == nil {
			return fs.ErrNotExist
		}
		delete(d.files, name)
		return nil
	})
}

// noFile is a file of noDisk.
type noFile struct {
	disk *noDisk
	data []byte
}

func (f *noFile) ReadAt(p []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if off < 0 || off >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *noFile) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off > 1<<24 {
		return 0, errors.New("offset out of range")
	}
	err := f.disk.change(func() error {
		if need := int(off) + len(p); need > len(f.data) {
			f.data = slices.Grow(f.data, need-len(f.data))[:need]
		}
		copy(f.data[off:], p)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *noFile) Sync() error { return f.disk.change(func() error { return nil }) }

func (f *noFile) Size() (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return int64(len(f.data)), nil
}

func (f *noFile) Close() error { return nil }
