package chip

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"weir/sensors"
)

// readFile returns the first bytes of a kernel file, at most 4 KiB. The kernel
// may take its time: a 1-wire file converts while it is read.
func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", classifyFile(path, err)
	}
	defer f.Close()
	var b [4096]byte
	n, err := f.Read(b[:])
	if err != nil && n == 0 {
		return "", classifyFile(path, err)
	}
	return string(b[:n]), nil
}

// classifyFile sorts the error of a kernel file.
func classifyFile(path string, err error) error {
	e := &sensors.Error{Fault: sensors.NotAnswering, Where: path, Err: err}
	var p *fs.PathError
	if errors.As(err, &p) {
		e.Err = p.Err // the path is said already
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENOTDIR):
		e.Fault = sensors.Gone
	case errors.Is(err, fs.ErrPermission):
		e.Fault = sensors.Refused
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ETIMEDOUT):
		e.Fault = sensors.Timeout
	}
	return e
}

// milli reads a number of thousandths, as the kernel writes temperatures.
func milli(path, text string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil {
		return 0, sensors.Errorf(sensors.Garbage, path, "got %.40q, want thousandths of a degree", text)
	}
	return n, nil
}
