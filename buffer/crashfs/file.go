package crashfs

import (
	"io"
	"io/fs"
	"syscall"
)

// inode is a file: what reads see, what is on the medium, and the writes
// between the two.
type inode struct {
	seen    []byte
	durable []byte
	pending []write
}

type write struct {
	off  int64
	data []byte
}

// file is an open file.
type file struct {
	d        *Disk
	node     *inode
	name     string
	writable bool
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.crashed {
		return 0, ErrCrashed
	}
	if off >= int64(len(f.node.seen)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.seen[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	d := f.d
	d.mu.Lock()
	defer d.mu.Unlock()
	cut, err := d.step("write " + f.name)
	if err != nil {
		return 0, err
	}
	if !f.writable {
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: fs.ErrPermission}
	}
	end := off + int64(len(p))
	grow := end - int64(len(f.node.seen))
	if grow > 0 && grow > d.room() {
		return 0, noSpace("write", f.name)
	}
	fail := d.writeAt > 0 && d.ops >= d.writeAt
	if fail {
		d.writeAt = 0
		p = p[:len(p)/2]
	}
	w := write{off, append([]byte{}, p...)}
	f.node.pending = append(f.node.pending, w)
	f.node.seen = w.onto(f.node.seen, 0, len(p))
	d.peak = max(d.peak, d.used())
	switch {
	case cut:
		return 0, ErrCrashed
	case fail:
		return len(p), &fs.PathError{Op: "write", Path: f.name, Err: syscall.EIO}
	}
	return len(p), nil
}

// Allocate is here a write of zeros: what a crash leaves of it is a part of what
// one leaves of those.
func (f *file) Allocate(size int64) error {
	_, err := f.WriteAt(make([]byte, size), 0)
	return err
}

// onto writes bytes i to j of w.
func (w *write) onto(data []byte, i, j int) []byte {
	if need := int(w.off) + j; need > len(data) {
		data = append(data, make([]byte, need-len(data))...)
	}
	copy(data[int(w.off)+i:], w.data[i:j])
	return data
}

func (f *file) Sync() error {
	d := f.d
	d.mu.Lock()
	defer d.mu.Unlock()
	cut, err := d.step("sync " + f.name)
	if err != nil {
		return err
	}
	if cut {
		return ErrCrashed
	}
	if d.syncAt > 0 && d.ops >= d.syncAt {
		d.syncAt = 0
		f.node.pending = nil // clean in memory, never on the medium
		return &fs.PathError{Op: "fdatasync", Path: f.name, Err: syscall.EIO}
	}
	for _, w := range f.node.pending {
		f.node.durable = w.onto(f.node.durable, 0, len(w.data))
	}
	f.node.pending = nil
	return nil
}

func (f *file) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.node.seen)), nil
}

func (f *file) Close() error { return nil }
