//go:build !linux

package buffer

import (
	"errors"
	"math"
	"os"
)

func syncData(f *os.File) error { return f.Sync() }

func allocate(*os.File, int64) error { return errors.ErrUnsupported }

func forget(*os.File) {}

func exchange(a, b string) error { return errors.ErrUnsupported }

// freeBytes is not asked of other systems: MinFree has no effect there.
func freeBytes(string) (int64, error) { return math.MaxInt64, nil }

// lockFile locks nothing: on other systems the log serves trials and tests.
func lockFile(*os.File) (held bool, err error) { return false, nil }
