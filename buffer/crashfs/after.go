package crashfs

import (
	"math/rand/v2"
	"sort"
)

// Mode says which unsynced changes a power cut keeps.
type Mode int

// The modes; see the package comment.
const (
	LoseAll Mode = iota
	KeepAll
	KeepOne
	TornPages
	TornSectors
	Random
	modes
)

// String is the mode's name.
func (m Mode) String() string {
	return [...]string{"lose-all", "keep-all", "keep-one", "torn-pages", "torn-sectors", "random", "?"}[min(m, modes)]
}

// Outcome is one disk that may be found after the crash.
type Outcome struct {
	Mode Mode
	Pick int // which write KeepOne kept, or the seed
	Disk *Disk
}

// After calls f with the disks that may be found when power is back: LoseAll,
// KeepAll, KeepOne for every unsynced write and every prefix of the directory
// changes, and the random modes once for each of seeds.
func (d *Disk) After(seeds []uint64, f func(Outcome)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	nodes := d.nodes()
	total := 0
	for _, n := range nodes {
		total += len(n.pending)
	}
	f(Outcome{LoseAll, 0, d.keep(0, func(*inode) []byte { return nil })})
	f(Outcome{KeepAll, 0, d.keepAll()})
	if total > 1 || len(d.changes) > 0 {
		for i := range max(total, len(d.changes)+1) {
			f(Outcome{KeepOne, i, d.keepOne(nodes, i%max(total, 1), i%(len(d.changes)+1))})
		}
	}
	if total == 0 && len(d.changes) == 0 {
		return
	}
	for _, s := range seeds {
		for _, m := range []Mode{TornPages, TornSectors, Random} {
			f(Outcome{m, int(s), d.torn(m, rand.New(rand.NewPCG(s, uint64(m))))})
		}
	}
}

// nodes are the files with unsynced writes, in the order of the directory.
func (d *Disk) nodes() (nodes []*inode) {
	seen := map[*inode]bool{}
	add := func(n *inode) {
		if n != nil && !seen[n] && len(n.pending) > 0 {
			seen[n] = true
			nodes = append(nodes, n)
		}
	}
	for _, c := range d.changes {
		add(c.node)
		add(c.swapped)
	}
	names := make([]string, 0, len(d.dir))
	for name := range d.dir {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		add(d.dir[name])
	}
	return nodes
}

// keep makes the disk with the first k directory changes. content gives a
// file's bytes; nil means what is durable.
func (d *Disk) keep(k int, content func(*inode) []byte) *Disk {
	dir := map[string]*inode{}
	for name, n := range d.durable {
		dir[name] = n
	}
	for _, c := range d.changes[:k] {
		c.apply(dir)
	}
	return build(dir, d.capacity, func(n *inode) []byte {
		if data := content(n); data != nil {
			return data
		}
		return n.durable
	})
}

func (d *Disk) keepAll() *Disk {
	return d.keep(len(d.changes), func(n *inode) []byte {
		data := append([]byte{}, n.durable...)
		for _, w := range n.pending {
			data = w.onto(data, 0, len(w.data))
		}
		return data
	})
}

func (d *Disk) keepOne(nodes []*inode, pick, changes int) *Disk {
	var chosen *inode
	var one write
	for _, n := range nodes {
		if pick < len(n.pending) {
			chosen, one = n, n.pending[pick]
			break
		}
		pick -= len(n.pending)
	}
	return d.keep(changes, func(n *inode) []byte {
		if n != chosen {
			return nil
		}
		return one.onto(append([]byte{}, n.durable...), 0, len(one.data))
	})
}

func (d *Disk) torn(m Mode, r *rand.Rand) *Disk {
	step := map[Mode]int{TornPages: page, TornSectors: Sector}[m]
	return d.keep(r.IntN(len(d.changes)+1), func(n *inode) []byte {
		data := append([]byte{}, n.durable...)
		for _, w := range n.pending {
			size := step
			if size == 0 {
				size = len(w.data)
			}
			for i := 0; i < len(w.data); i += size {
				if r.IntN(2) == 0 {
					data = w.onto(data, i, min(i+size, len(w.data)))
				}
			}
		}
		return data
	})
}
