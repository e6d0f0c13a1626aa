package gateway

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestUntouched: of a program only the mappings that it has not written to are let go.
func TestUntouched(t *testing.T) {
	const smaps = `00400000-009f4000 r-xp 00000000 fe:01 131 /usr/bin/weir
Size:               6096 kB
Rss:                5372 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
009f4000-00f9f000 r--p 005f4000 fe:01 131                                /usr/bin/weir
Rss:                4528 kB
Anonymous:             4 kB
00f9f000-00fe9000 rw-p 00b9f000 fe:01 131                                /usr/bin/weir
Anonymous:             0 kB
00fe9000-01000000 r--p 00000000 00:00 0
Anonymous:             0 kB
7f0000000000-7f0000002000 r-xp 00000000 fe:01 132                        /usr/lib/other/usr/bin/weir.so
Anonymous:             0 kB
7f0000004000-7f0000006000 r--p 00000000 fe:01 131                        /usr/bin/weir
Anonymous:             0 kB
nonsense
7f0000006000-7f0000004000 r--p 00000000 fe:01 131                        /usr/bin/weir
Anonymous:             0 kB
`
	got := untouched(strings.NewReader(smaps), "/usr/bin/weir")
	if want := []mapping{{0x400000, 0x9f4000}, {0x7f0000004000, 0x7f0000006000}}; !reflect.DeepEqual(got, want) {
		t.Errorf("found %x, want %x", got, want)
	}
}

// TestReleaseMemory: the code of this program is found, and it runs on without its pages.
func TestReleaseMemory(t *testing.T) {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(untouched(f, program)) == 0 {
		t.Error("no mapping of the program file is found")
	}
	for range 3 {
		releaseMemory()
	}
}
