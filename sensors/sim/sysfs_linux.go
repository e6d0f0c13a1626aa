package sim

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// unreadable is a file whose reading fails with EIO, as that of a chip that does not
// answer its kernel driver: the memory of a process has nothing at address 0.
const unreadable = "/proc/self/mem"

// Slow makes reading one of the device's files take until the returned function is
// called, which gives those who are waiting, and all later ones, what the file holds
// then. It is called once, before the device is unplugged.
func (d *KernelDevice) Slow(file string) (finish func() error, err error) {
	s := d.tree
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.name == "" {
		return nil, errors.New("an unplugged device has no files")
	}
	path := filepath.Join(s.root, d.parent, d.name, file)
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		return nil, err
	}
	return func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		pipe, err := os.OpenFile(path, os.O_RDWR, 0) // for both ends, which waits for nobody
		if err != nil {
			return err
		}
		content := d.files[file]
		err = s.put(path, content) // whoever comes later reads a file
		_, written := pipe.WriteString(content)
		return errors.Join(err, written, pipe.Close())
	}, nil
}
