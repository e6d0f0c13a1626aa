package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// missing says why power cannot be cut here, or "".
func missing() string {
	if os.Geteuid() != 0 {
		return "it needs root"
	}
	for _, file := range []string{"/dev/fuse", "/dev/loop-control"} {
		if _, err := os.Stat(file); err != nil {
			return err.Error()
		}
	}
	for _, program := range []string{"mke2fs", "e2fsck", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			return err.Error()
		}
	}
	return ""
}

// inside runs this program again in namespaces of its own, so that whatever happens to it, its mounts, loop devices and
// processes go with it. It returns the exit status, or -1 when this already is the inner one.
func inside() (int, error) {
	const mark = "POWERCUT_INSIDE"
	if os.Getenv(mark) != "" {
		return -1, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Env = append(os.Environ(), mark+"=1")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	runtime.LockOSThread() // the child goes with this thread
	defer runtime.UnlockOSThread()
	c.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: unix.SIGKILL}
	if err := c.Run(); c.ProcessState == nil {
		return 1, err
	}
	return c.ProcessState.ExitCode(), nil
}

// mountDisk mounts the ext4 on the served file, through a loop device that goes when it is unmounted.
func mountDisk(file, dir string) error { return command("mount", "-o", "loop,noatime", file, dir) }

// unmount waits for those who still have something open there to be gone.
func unmount(path string) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := unix.Unmount(path, 0)
		if err == nil || !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			if err != nil {
				return fmt.Errorf("unmount %s: %w", path, err)
			}
			return nil
		}
		time.Sleep(10 * time.Millisecond) // there is no event to wait for
	}
}

func command(name string, arguments ...string) error {
	out, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
