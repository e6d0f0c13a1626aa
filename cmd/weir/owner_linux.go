package main

import (
	"os"
	"syscall"
)

// ownerOf is the user to whom a directory belongs.
func ownerOf(dir string) (uid int, known bool) {
	info, err := os.Stat(dir)
	if err != nil {
		return 0, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}
