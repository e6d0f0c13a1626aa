//go:build !linux

package bench

import (
	"net"
	"time"
)

// What a process uses is known on Linux only.

func cpuOf(int) (used time.Duration, known bool) { return 0, false }

func residentOf(int) (bytes int64, known bool) { return 0, false }

func processName(int) string { return "" }

func peerProcess(net.Conn) Process { return Process{} }

func sleep(d time.Duration) { time.Sleep(d) }
