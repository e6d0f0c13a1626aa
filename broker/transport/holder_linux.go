package transport

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// holder says who listens on the port of address: the socket's inode from /proc/net/tcp, then the process that has it
// open. Other users' processes can be looked into only by root; then it says how to find out.
func holder(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return ask(address)
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		return ask(port)
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for _, inode := range listening(data, uint16(number)) {
			if pid, name := owner(inode); pid != 0 {
				return fmt.Sprintf("process %d (%s) has port %s: stop it or choose another port", pid, name, port)
			}
		}
	}
	return ask(port)
}

// listening finds the inodes of sockets that listen on a port in the text of /proc/net/tcp or tcp6.
//
//	sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
//	 0: 0100007F:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 41325 1 ...
//
// (proc_pid_net(5): state 0A is LISTEN; the port is the hexadecimal number behind the colon.)
func listening(data []byte, port uint16) (inodes []string) {
	want := fmt.Sprintf(":%04X", port)
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) > 9 && strings.HasSuffix(f[1], want) && f[3] == "0A" {
			inodes = append(inodes, f[9])
		}
	}
	return inodes
}

// owner finds the process that has the socket with this inode open; 0 if it may not be seen.
func owner(inode string) (pid int, name string) {
	want := "socket:[" + inode + "]"
	files, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0, ""
	}
	for _, file := range files {
		if target, err := os.Readlink(file); err != nil || target != want {
			continue
		}
		dir := filepath.Dir(filepath.Dir(file))
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		comm, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err != nil {
			return pid, "name unknown"
		}
		return pid, strings.TrimSpace(string(comm))
	}
	return 0, ""
}
