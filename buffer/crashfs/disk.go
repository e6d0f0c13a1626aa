package crashfs

import (
	"errors"
	"io/fs"
	"os"
	"sort"
	"sync"
	"syscall"

	"weir/buffer"
)

// ErrCrashed is what every operation gives once the power is off.
var ErrCrashed = errors.New("crashfs: the power is off")

// Sector is the smallest piece a disk writes whole.
const Sector = 512

const page = 4096

// change is one directory operation that is not synced.
type change struct {
	from, to string // from "": a creation; to "": a removal
	node     *inode // gets the name to
	swapped  *inode // gets the name from, in an exchange
}

// Disk is a directory on a disk that can lose power. Safe for concurrent use.
type Disk struct {
	mu       sync.Mutex
	dir      map[string]*inode // as seen
	durable  map[string]*inode
	changes  []change
	ops      int
	crashAt  int // the operation during which power goes; 0: never
	crashed  bool
	fullAt   int
	fullTo   int
	fullBy   int64 // bytes in use when the disk became full; -1: it is not
	syncAt   int
	writeAt  int
	capacity int64
	locked   bool
	peak     int64
	trace    func(op string)
}

var _ buffer.FS = (*Disk)(nil)

// New gives an empty disk of a capacity in bytes.
func New(capacity int64) *Disk {
	return &Disk{dir: map[string]*inode{}, durable: map[string]*inode{}, capacity: capacity, fullBy: -1}
}

// Ops is how many changing operations were made.
func (d *Disk) Ops() int { d.mu.Lock(); defer d.mu.Unlock(); return d.ops }

// Peak is the most bytes that files ever took together.
func (d *Disk) Peak() int64 { d.mu.Lock(); defer d.mu.Unlock(); return d.peak }

// CrashAt cuts power during the n-th changing operation from now (from 1).
func (d *Disk) CrashAt(n int) { d.mu.Lock(); defer d.mu.Unlock(); d.crashAt = d.ops + n }

// FullAt makes the disk full from the n-th operation from now on, for the
// given number of operations; 0 means for good. What is removed then gives room
// again.
func (d *Disk) FullAt(n, last int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fullAt, d.fullTo = d.ops+n, 0
	if last > 0 {
		d.fullTo = d.fullAt + last
	}
}

// FailSyncAt makes the first Sync or SyncDir from the n-th operation on fail.
func (d *Disk) FailSyncAt(n int) { d.mu.Lock(); defer d.mu.Unlock(); d.syncAt = d.ops + n }

// FailWriteAt makes the first write from the n-th operation on fail.
func (d *Disk) FailWriteAt(n int) { d.mu.Lock(); defer d.mu.Unlock(); d.writeAt = d.ops + n }

// Trace calls f with the name of every changing operation.
func (d *Disk) Trace(f func(op string)) { d.mu.Lock(); defer d.mu.Unlock(); d.trace = f }

// Crashed reports whether power went.
func (d *Disk) Crashed() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.crashed }

// step counts an operation. cut: power goes during it.
func (d *Disk) step(op string) (cut bool, err error) {
	if d.crashed {
		return false, ErrCrashed
	}
	d.ops++
	if d.trace != nil {
		d.trace(op)
	}
	if d.crashAt > 0 && d.ops >= d.crashAt {
		d.crashed = true
		return true, nil
	}
	return false, nil
}

func (d *Disk) full() bool {
	return d.fullAt > 0 && d.ops >= d.fullAt && (d.fullTo == 0 || d.ops < d.fullTo)
}

// room is what can still be written: nothing, once the disk is full, but what was
// given back since.
func (d *Disk) room() int64 {
	if !d.full() {
		d.fullBy = -1
		return d.capacity - d.used()
	}
	if d.fullBy < 0 {
		d.fullBy = d.used()
	}
	return max(0, d.fullBy-d.used())
}

func (d *Disk) used() (n int64) {
	for _, f := range d.dir {
		n += int64(len(f.seen))
	}
	return n
}

func noFile(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist} }

func noSpace(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: syscall.ENOSPC} }

// MakeDir does nothing: the directory is there.
func (d *Disk) MakeDir() error { return nil }

// Lock takes the directory until the returned function is called.
func (d *Disk) Lock() (func() error, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		return nil, &buffer.InUseError{Dir: "crashfs", PID: os.Getpid()}
	}
	d.locked = true
	return func() error { d.mu.Lock(); defer d.mu.Unlock(); d.locked = false; return nil }, nil
}

// ReadDir lists the files by name.
func (d *Disk) ReadDir() (files []buffer.FileInfo, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.crashed {
		return nil, ErrCrashed
	}
	for name, f := range d.dir {
		files = append(files, buffer.FileInfo{Name: name, Size: int64(len(f.seen))})
	}
	sort.Slice(files, func(i, j int) bool { return files[i].Name < files[j].Name })
	return files, nil
}

// Open opens a file.
func (d *Disk) Open(name string, write bool) (buffer.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.crashed {
		return nil, ErrCrashed
	}
	f := d.dir[name]
	if f == nil {
		return nil, noFile("open", name)
	}
	return &file{d: d, node: f, name: name, writable: write}, nil
}

// Create makes an empty file.
func (d *Disk) Create(name string) (buffer.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	cut, err := d.step("create " + name)
	if err != nil {
		return nil, err
	}
	if d.room() <= 0 {
		return nil, noSpace("create", name)
	}
	f := &inode{}
	d.dir[name] = f
	if err := d.note(cut, change{to: name, node: f}); err != nil {
		return nil, err
	}
	return &file{d: d, node: f, name: name, writable: true}, nil
}

// Rename moves a file.
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	cut, err := d.step("rename " + from + " " + to)
	if err != nil {
		return err
	}
	f := d.dir[from]
	if f == nil {
		return noFile("rename", from)
	}
	delete(d.dir, from)
	d.dir[to] = f
	return d.note(cut, change{from: from, to: to, node: f})
}

// Exchange gives two files each other's name: a power cut finds both as they
// were, or both exchanged.
func (d *Disk) Exchange(a, b string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	cut, err := d.step("exchange " + a + " " + b)
	if err != nil {
		return err
	}
	f, g := d.dir[a], d.dir[b]
	if f == nil || g == nil {
		return noFile("exchange", a)
	}
	d.dir[a], d.dir[b] = g, f
	return d.note(cut, change{from: a, to: b, node: f, swapped: g})
}

// Remove deletes a file.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	cut, err := d.step("remove " + name)
	if err != nil {
		return err
	}
	f := d.dir[name]
	if f == nil {
		return noFile("remove", name)
	}
	delete(d.dir, name)
	return d.note(cut, change{from: name, node: f})
}

// SyncDir makes the directory durable.
func (d *Disk) SyncDir() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	cut, err := d.step("syncdir")
	if err != nil {
		return err
	}
	if cut {
		return ErrCrashed
	}
	if d.syncAt > 0 && d.ops >= d.syncAt {
		d.syncAt = 0
		return &fs.PathError{Op: "fsync", Path: ".", Err: syscall.EIO}
	}
	for _, c := range d.changes {
		c.apply(d.durable)
	}
	d.changes = nil
	return nil
}

// note keeps a change, which is the last one if power goes during it.
func (d *Disk) note(cut bool, c change) error {
	d.changes = append(d.changes, c)
	if cut {
		return ErrCrashed
	}
	return nil
}

func (c *change) apply(dir map[string]*inode) {
	if c.swapped != nil {
		dir[c.from] = c.swapped
	} else if c.from != "" {
		delete(dir, c.from)
	}
	if c.to != "" {
		dir[c.to] = c.node
	}
}

// Free is what is left of the capacity.
func (d *Disk) Free() (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.crashed {
		return 0, ErrCrashed
	}
	return d.room(), nil
}

// Corrupt changes a file in place, as the medium might. It is not counted.
func (d *Disk) Corrupt(name string, f func(data []byte) []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.dir[name]; n != nil {
		n.seen = f(n.seen)
		n.durable = append([]byte{}, n.seen...)
		n.pending = nil
	}
}

// Clone copies the disk as it is seen, all of it durable, power on, no fault
// set.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return build(d.dir, d.capacity, func(f *inode) []byte { return f.seen })
}

func build(dir map[string]*inode, capacity int64, content func(*inode) []byte) *Disk {
	n := New(capacity)
	for name, f := range dir {
		data := content(f)
		g := &inode{seen: append([]byte{}, data...), durable: append([]byte{}, data...)}
		n.dir[name], n.durable[name] = g, g
	}
	n.peak = n.used()
	return n
}
