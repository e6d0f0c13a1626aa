package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// The part of the FUSE protocol (version 7.31, <linux/fuse.h>) that a file system of one file needs: the root itself is
// that file, so nothing is ever looked up.
const (
	opForget      = 2
	opGetattr     = 3
	opSetattr     = 4
	opOpen        = 14
	opRead        = 15
	opWrite       = 16
	opRelease     = 18
	opFsync       = 20
	opFlush       = 25
	opInit        = 26
	opInterrupt   = 36
	opDestroy     = 38
	opBatchForget = 42

	inHeader  = 40 // length u32, operation u32, unique u64, node u64, uid, gid, pid u32, 4 bytes
	outHeader = 16 // length u32, -errno i32, unique u64
	maxWrite  = 1 << 20

	flagBigWrites = 1 << 5
	flagMaxPages  = 1 << 22
	openDirect    = 1 // no page cache above us: a write is here when it has returned
)

// served is a disk mounted as a file.
type served struct {
	d    *disk
	fd   int
	path string
	wait sync.WaitGroup
}

// serve mounts the disk over the file at path, which must exist, and answers until close.
func serve(d *disk, path string) (*served, error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/fuse: %w", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=100600,user_id=0,group_id=0", fd)
	if err := unix.Mount("powercut", path, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("mount a FUSE file: %w", err)
	}
	s := &served{d: d, fd: fd, path: path}
	for range 4 { // a flush that takes long holds up nobody else
		s.wait.Go(s.answer)
	}
	return s, nil
}

// close unmounts the file and waits for those who answer.
func (s *served) close() error {
	if err := unmount(s.path); err != nil {
		return err
	}
	s.wait.Wait()
	return unix.Close(s.fd)
}

// answer reads one request after the other until the file is unmounted.
func (s *served) answer() {
	in := make([]byte, maxWrite+pageSize)
	out := make([]byte, outHeader+maxWrite)
	for {
		n, err := unix.Read(s.fd, in)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOENT): // ENOENT: it was taken back
			continue
		case err != nil: // ENODEV: unmounted
			return
		case n < inHeader:
			fmt.Fprintf(os.Stderr, "powercut: a request of %d bytes\n", n)
			return
		}
		op, unique := binary.LittleEndian.Uint32(in[4:]), binary.LittleEndian.Uint64(in[8:])
		if op == opForget || op == opBatchForget || op == opInterrupt {
			continue // they want no answer
		}
		clear(out[:outHeader+128])
		size, errno := s.do(op, in[inHeader:n], out[outHeader:])
		binary.LittleEndian.PutUint32(out, uint32(outHeader+size))
		binary.LittleEndian.PutUint32(out[4:], uint32(-int32(errno)))
		binary.LittleEndian.PutUint64(out[8:], unique)
		if _, err := unix.Write(s.fd, out[:outHeader+size]); err != nil && !errors.Is(err, unix.ENOENT) {
			fmt.Fprintf(os.Stderr, "powercut: answer to operation %d: %v\n", op, err)
		}
	}
}

// do carries out a request and returns how many bytes of out are its answer.
func (s *served) do(op uint32, in, out []byte) (int, unix.Errno) {
	le := binary.LittleEndian
	switch op {
	case opInit:
		le.PutUint32(out, 7)
		le.PutUint32(out[4:], 31)
		le.PutUint32(out[8:], le.Uint32(in[8:])) // read ahead
		le.PutUint32(out[12:], flagBigWrites|flagMaxPages)
		le.PutUint16(out[16:], 16) // requests in the background
		le.PutUint16(out[18:], 12) // and from when on it is crowded
		le.PutUint32(out[20:], maxWrite)
		le.PutUint32(out[24:], 1) // nanoseconds
		le.PutUint16(out[28:], maxWrite/pageSize)
		return 64, 0
	case opGetattr, opSetattr:
		attr := out[16:]
		le.PutUint64(attr, 1)
		le.PutUint64(attr[8:], uint64(s.d.size()))
		le.PutUint64(attr[16:], uint64(s.d.size()/sectorSize))
		le.PutUint32(attr[60:], unix.S_IFREG|0o600)
		le.PutUint32(attr[64:], 1) // links
		le.PutUint32(attr[80:], pageSize)
		return 104, 0
	case opOpen:
		le.PutUint32(out[8:], openDirect)
		return 16, 0
	case opRead:
		size := min(int(le.Uint32(in[16:])), maxWrite)
		return s.d.read(out[:size], int64(le.Uint64(in[8:]))), 0
	case opWrite:
		n, ok := s.d.write(in[40:40+le.Uint32(in[16:])], int64(le.Uint64(in[8:])))
		if !ok {
			return 0, unix.ENOSPC
		}
		le.PutUint32(out, uint32(n))
		return 8, 0
	case opFsync:
		s.d.flush()
		return 0, 0
	case opRelease, opFlush, opDestroy:
		return 0, 0
	}
	return 0, unix.ENOSYS
}
