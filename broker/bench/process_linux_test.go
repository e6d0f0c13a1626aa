package bench

import (
	"os"
	"testing"
	"time"
)

func TestPeerInode(t *testing.T) {
	table := []byte(`  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 630 1 0 100 0 0 10 0
   1: 0100007F:D2F4 0100007F:075B 01 00000000:00000000 00:00000000 00000000     0        0 631 1 0 20 4 30 10 -1
   2: 0100007F:075B 0100007F:D2F4 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0 20 4 30 10 -1
   3: 0100007F:075B 0100007F:D2F4 01 00000000:00000000 00:00000000 00000000  1000        0 41325 1 0 20 4 30 10 -1
`)
	if got := peerInode(table, 0x75B, 0xD2F4); got != "41325" {
		t.Errorf("got %q, want 41325", got)
	}
	if got := peerInode(table, 0x75B, 0xD2F5); got != "" {
		t.Errorf("got %q for a connection that is not there", got)
	}
}

func TestOwnProcess(t *testing.T) {
	pid := os.Getpid()
	before, known := cpuOf(pid)
	for until := time.Now().Add(5 * time.Millisecond); time.Now().Before(until); {
	}
	after, knownAfter := cpuOf(pid)
	if !known || !knownAfter || after <= before {
		t.Errorf("CPU %v, then %v", before, after)
	}
	if size, known := residentOf(pid); !known || size < 1<<20 {
		t.Errorf("%d bytes resident", size)
	}
	for _, nobody := range []int{0, -1, 1 << 30} {
		if _, known := cpuOf(nobody); known {
			t.Errorf("CPU of process %d is known", nobody)
		}
		if _, known := residentOf(nobody); known {
			t.Errorf("memory of process %d is known", nobody)
		}
	}
	if name := processName(pid); name == "" {
		t.Error("no name")
	}
}
