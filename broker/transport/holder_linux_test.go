package transport

import (
	"slices"
	"testing"
)

func TestListening(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 41325 1 0000000000000000 100 0 0 10 0
   1: 0100007F:075B 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 41399 1 0000000000000000 20 4 30 10 -1
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 10001 1 0000000000000000 100 0 0 10 0
short line
   3: 00000000:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41400 1 0000000000000000 100 0 0 10 0
`
	if got, want := listening([]byte(table), 1883), []string{"41325", "41400"}; !slices.Equal(got, want) {
		t.Errorf("inodes %q, want %q", got, want)
	}
}
