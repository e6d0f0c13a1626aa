package buffer

// FS is the handful of file operations the log uses. Names are relative to
// the data directory, without a separator. Implementations are safe for
// concurrent use.
type FS interface {
	// MakeDir makes the data directory (and its parents) if it is missing.
	MakeDir() error
	// Lock takes the directory for this process until the returned function
	// is called. Held by another: an *InUseError.
	Lock() (unlock func() error, err error)
	// ReadDir lists the regular files of the directory.
	ReadDir() ([]FileInfo, error)
	// Open opens an existing file for reading, and for writing if write is set.
	Open(name string, write bool) (File, error)
	// Create makes a new, empty file open for reading and writing; a file of
	// that name is truncated.
	Create(name string) (File, error)
	// Rename moves a file, replacing one of the new name. It is durable after
	// SyncDir.
	Rename(from, to string) error
	// Exchange gives each of two files the name of the other, at once: whatever
	// happens, both names are there. It is durable after SyncDir. Where it cannot
	// be done the error is errors.ErrUnsupported.
	Exchange(a, b string) error
	// Remove deletes a file. It is durable after SyncDir.
	Remove(name string) error
	// SyncDir makes creations, renames and removals durable.
	SyncDir() error
	// Free is how many bytes an unprivileged process can still write.
	Free() (int64, error)
}

// FileInfo is one file of the directory.
type FileInfo struct {
	Name string
	Size int64
}

// An Allocator is a File that can be given room on the disk without being
// written: all of it, which reads as zeros, or an error. Where it cannot be done
// that is errors.ErrUnsupported.
type Allocator interface {
	Allocate(size int64) error
}

// File is an open file; it may be an Allocator.
type File interface {
	// ReadAt reads like io.ReaderAt.
	ReadAt(p []byte, off int64) (int, error)
	// WriteAt writes all of p, or fails.
	WriteAt(p []byte, off int64) (int, error)
	// Sync makes what was written durable (fdatasync). After an error nothing
	// is known of any write since the last good Sync.
	Sync() error
	// Size is the size in bytes.
	Size() (int64, error)
	// Close closes the file without syncing it.
	Close() error
}
