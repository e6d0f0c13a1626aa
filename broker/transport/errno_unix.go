//go:build unix

package transport

import (
	"errors"
	"syscall"
)

// outOfResources tells errors of accept(2) that pass when something is freed.
func outOfResources(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
