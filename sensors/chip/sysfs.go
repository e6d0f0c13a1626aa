package chip

import (
	"context"
	"errors"
	"io/fs"
	"math"
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

// slowFile reads kernel files that may take their time, or never return: reading one
// can be a conversation with a chip. The zero value is ready; one user at a time.
type slowFile struct {
	running chan fileRead // a read that is under way; nil: none
}

// fileRead is a file and what reading it gave.
type fileRead struct {
	path, text string
	err        error
}

// read returns the first bytes of a file, or what the context ended with. A read that
// the kernel does not come back from stays behind, alone, and is waited for by the
// next call.
func (f *slowFile) read(ctx context.Context, path string) (string, error) {
	for {
		before := f.running != nil
		if !before {
			running := make(chan fileRead, 1)
			go func() {
				text, err := readFile(path)
				running <- fileRead{path, text, err}
			}()
			f.running = running
		}
		select {
		case r := <-f.running:
			f.running = nil
			if !before { // else it is an old value
				return r.text, r.err
			}
		case <-ctx.Done():
			if before {
				return "", sensors.Errorf(sensors.Stuck, path, "the kernel has not come back from reading it since the last time")
			}
			e := sensors.Errorf(sensors.Timeout, path, "the kernel takes too long")
			e.Err = context.Cause(ctx)
			return "", e
		}
	}
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
	case errors.Is(err, syscall.EBUSY):
		e.Fault, e.Text = sensors.Refused, "another program has it to itself"
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ETIMEDOUT):
		e.Fault = sensors.Timeout
	}
	return e
}

// lineOf returns the first line of a small kernel file, "" if there is none.
func lineOf(path string) string {
	text, err := readFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimSpace(line)
}

// decimal reads a number as the kernel writes it, with or without a fraction.
func decimal(path, text string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, sensors.Errorf(sensors.Garbage, path, "got %.40q, want a number", text)
	}
	return v, nil
}

// milli reads a number of thousandths, as the kernel writes temperatures.
func milli(path, text string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil {
		return 0, sensors.Errorf(sensors.Garbage, path, "got %.40q, want thousandths of a degree", text)
	}
	return n, nil
}
