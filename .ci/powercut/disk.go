package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
)

const (
	sectorSize = 512
	pageSize   = 4096
)

// disk is a disk with a volatile write cache. Methods are safe for concurrent use.
type disk struct {
	mu      sync.Mutex
	durable []byte
	cache   map[int64][]byte // sector number to what was written since the last flush
	random  *rand.Rand
	lies    bool // answers a flush without doing it
	off     bool // the power is cut
	fuse    int  // writes until it is; 0: not armed
	blown   func()
	said    string // how it was cut
	writes  int
	flushes int
}

func newDisk(image []byte, random *rand.Rand) *disk {
	return &disk{durable: image, cache: map[int64][]byte{}, random: random}
}

func (d *disk) size() int64 { return int64(len(d.durable)) }

// read fills p from offset at; what is in the cache is seen.
func (d *disk) read(p []byte, at int64) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at >= d.size() {
		return 0
	}
	n := copy(p, d.durable[at:])
	for done := 0; done < n; {
		sector, within := (at+int64(done))/sectorSize, int((at+int64(done))%sectorSize)
		k := min(sectorSize-within, n-done)
		if s, ok := d.cache[sector]; ok {
			copy(p[done:done+k], s[within:])
		}
		done += k
	}
	return n
}

// write puts p into the cache. Of a sector that is there already, the disk may have written the older content itself.
func (d *disk) write(p []byte, at int64) (int, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at < 0 || at+int64(len(p)) > d.size() {
		return 0, false
	}
	if d.off {
		return len(p), true
	}
	d.writes++
	if d.fuse == 1 { // this write still comes into the cache
		defer d.cutNow()
	}
	d.fuse = max(0, d.fuse-1)
	for done := 0; done < len(p); {
		sector, within := (at+int64(done))/sectorSize, int((at+int64(done))%sectorSize)
		s, ok := d.cache[sector]
		old := d.durable[sector*sectorSize : (sector+1)*sectorSize]
		switch {
		case !ok:
			s = slices.Clone(old)
			d.cache[sector] = s
		case d.random.IntN(2) == 0:
			copy(old, s)
		}
		done += copy(s[within:], p[done:])
	}
	return len(p), true
}

// flush makes everything durable that was written before.
func (d *disk) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flushes++
	if d.off || d.lies {
		return
	}
	for sector, s := range d.cache {
		copy(d.durable[sector*sectorSize:], s)
	}
	clear(d.cache)
}

// arm cuts the power at one of the next writes, so that there mostly is something at risk. Before that, blown is called,
// with the disk's lock held.
func (d *disk) arm(writes int, blown func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fuse, d.blown = writes, blown
}

// cut takes the power away, unless it is off already, and returns what is on the disk when it comes back, and a sentence
// about it.
func (d *disk) cut() (image []byte, said string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.off {
		d.cutNow()
	}
	return d.durable, d.said
}

// cutNow decides what of the cache was written. The caller holds mu.
func (d *disk) cutNow() {
	if d.blown != nil {
		d.blown()
	}
	d.off = true
	how := []string{"all lost", "all kept", "by page", "by sector", "by page", "by sector"}[d.random.IntN(6)]
	share := 1 + d.random.IntN(9) // of ten
	kept, lastPage, keepPage := 0, int64(-1), false
	for _, sector := range slices.Sorted(maps.Keys(d.cache)) { // sorted: a seed does the same again
		if page := sector / (pageSize / sectorSize); page != lastPage {
			lastPage, keepPage = page, d.random.IntN(10) < share
		}
		if how == "all kept" || how == "by page" && keepPage || how == "by sector" && d.random.IntN(10) < share {
			copy(d.durable[sector*sectorSize:], d.cache[sector])
			kept++
		}
	}
	d.said = fmt.Sprintf("%d writes, %d flushes, %d sectors at risk, %d kept (%s)", d.writes, d.flushes, len(d.cache), kept, how)
}
