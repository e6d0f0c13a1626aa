package buffer_test

import (
	"bytes"
	"testing"

	"weir/buffer"
	"weir/buffer/crashfs"
)

// onDisk says whether any file of the disk holds the text.
func onDisk(t *testing.T, disk *crashfs.Disk, text string) bool {
	t.Helper()
	files, err := disk.ReadDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range files {
		f, err := disk.Open(info.Name, false)
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, info.Size)
		f.ReadAt(p, 0)
		f.Close()
		if bytes.Contains(p, []byte(text)) {
			return true
		}
	}
	return false
}

// TestMemoryWorld: in workloads with commits, acknowledgements, limits and full stores, what is for memory only is never on
// the disk, and comes to its consumers in the order of the numbers, among what is stored.
func TestMemoryWorld(t *testing.T) {
	capped := small
	capped.MaxSize = 4 * capped.SegmentSize
	newest := capped
	newest.Newest = true
	for i := range uint64(24) {
		o := []buffer.Options{small, capped, newest}[i%3]
		w := newWorld(crashfs.New(diskSize), o, 100+i)
		w.memory, w.keyHeavy = true, i%4 == 3 // with limits, then
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		most := 0
		for k := range 400 {
			err := w.step(k)
			if w.keyHeavy && err == nil { // which appends seldom
				err = w.append(1+w.rng.IntN(6), 900)
			}
			if err == nil && k%9 == 0 {
				w.got = map[string][]buffer.Entry{}
				err = w.check()
			}
			most = max(most, w.log.Stats().InMemory)
			if err != nil {
				t.Fatalf("seed %d, step %d: %v", 100+i, k, err)
			}
		}
		if s := w.log.Stats(); most < 8 || s.Stored == 0 || i%3 > 0 && s.Dropped == 0 {
			t.Errorf("seed %d: the workload does too little: %+v", 100+i, s)
		}
		if err := w.log.Close(); err != nil {
			t.Fatal(err)
		}
		if onDisk(t, w.disk, fleeting) {
			t.Errorf("seed %d: a record for memory only was written", 100+i)
		}
	}
}
