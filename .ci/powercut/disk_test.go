package main

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// What was flushed survives every cut; what was not survives in none, all or some of its sectors, as the seed says.
func TestDisk(t *testing.T) {
	page := func(b byte) []byte { return bytes.Repeat([]byte{b}, pageSize) }
	lost, kept, torn, older := 0, 0, 0, 0
	for seed := range uint64(200) {
		d := newDisk(make([]byte, 4*pageSize), rand.New(rand.NewPCG(seed, 1)))
		d.write(page('a'), 0)
		d.write(page('b'), pageSize)
		d.flush()
		d.write(page('c'), pageSize)
		d.write(page('d'), pageSize)
		d.write([]byte("unaligned"), 3*pageSize-4)
		p := make([]byte, 4*pageSize)
		if n := d.read(p, 0); n != len(p) || !bytes.Equal(p[pageSize:2*pageSize], page('d')) || string(p[3*pageSize-4:3*pageSize+5]) != "unaligned" {
			t.Fatalf("seed %d: what was written is not read, %d bytes", seed, n)
		}
		image, _ := d.cut()
		d.write(page('e'), 0)
		d.flush()
		if !bytes.Equal(image[:pageSize], page('a')) {
			t.Fatalf("seed %d: a page that was flushed, or not written since, is %q...", seed, image[:8])
		}
		letters := map[byte]bool{}
		for at := pageSize; at < 2*pageSize; at += sectorSize {
			if s := image[at : at+sectorSize]; !bytes.Equal(s, bytes.Repeat(s[:1], sectorSize)) || s[0] < 'b' || s[0] > 'd' {
				t.Fatalf("seed %d: a sector is torn: %q...", seed, s[:8])
			}
			letters[image[at]] = true
		}
		switch {
		case letters['c']:
			older++
		case len(letters) > 1:
			torn++
		case letters['d']:
			kept++
		default:
			lost++
		}
	}
	if lost == 0 || kept == 0 || torn == 0 || older == 0 {
		t.Errorf("of 200 cuts %d lost all, %d kept all, %d tore the page, %d left something older: want some of each", lost, kept, torn, older)
	}
	if n, ok := newDisk(make([]byte, pageSize), nil).write(page('a'), 1); ok || n != 0 {
		t.Errorf("a write beyond the end: %d bytes, %v", n, ok)
	}
}

func TestArmedCut(t *testing.T) {
	d := newDisk(make([]byte, pageSize), rand.New(rand.NewPCG(1, 1)))
	at := 0
	writes := 0
	d.arm(3, func() { at = writes })
	for writes = 1; writes <= 5; writes++ {
		d.write([]byte{byte(writes)}, 0)
		d.flush()
	}
	if image, _ := d.cut(); at != 3 || image[0] > 3 {
		t.Errorf("cut at write %d with %d on the disk, want at the third", at, image[0])
	}
}

// stateAfter of n commits is what changing a map n times leaves.
func TestStateAfter(t *testing.T) {
	m := map[string]string{}
	for n := 1; n < 3000; n++ {
		for i := range keysPerStep {
			if k, v := change(n, i); v == nil {
				delete(m, k)
			} else {
				m[k] = string(v)
			}
		}
		if n%97 != 0 {
			continue
		}
		s := stateAfter(n)
		if len(s) != len(m)+1 {
			t.Fatalf("%d keys after %d commits, want %d", len(s)-1, n, len(m))
		}
		for k, v := range m {
			if s[k] != v {
				t.Fatalf("%s is %.20q after %d commits, want %.20q", k, s[k], n, v)
			}
		}
	}
}
