package sim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Fault is something that goes wrong on the wire. It is a value: the methods
// return a changed copy. Give it to Bus.Inject or Bus.InjectAll.
type Fault struct {
	err      error
	delay    time.Duration
	read     func(r []byte, source *rand.Rand) // alters what the reader gets
	times    int                               // transactions it hits; 0: until cleared
	skip     int                               // transactions it lets pass first
	random   bool                              // it hits only with the probability chance
	chance   float64
	seed     uint64
	only     bool // only transactions that begin by writing register
	register byte
}

// scheduled is a fault in use.
type scheduled struct {
	Fault
	source *rand.Rand
	done   bool
}

func schedule(f Fault) *scheduled {
	return &scheduled{Fault: f, source: rand.New(rand.NewPCG(f.seed, 1))}
}

// Nack lets nobody acknowledge the address, as if the device were absent.
func Nack() Fault { return Fault{err: ErrNack} }

// Timeout lets the adapter give up after AdapterTimeout.
func Timeout() Fault { return Fault{err: ErrTimeout, delay: AdapterTimeout} }

// InputOutput lets the adapter report EIO, as after too long a clock stretch.
func InputOutput() Fault { return Fault{err: ErrIO} }

// Lost lets the adapter lose the arbitration.
func Lost() Fault { return Fault{err: ErrLost} }

// Gone lets the adapter itself be missing, as a USB adapter that was pulled out.
func Gone() Fault { return Fault{err: ErrGone} }

// Zeros makes all bytes that are read 00.
func Zeros() Fault { return Fault{read: func(r []byte, _ *rand.Rand) { clear(r) }} }

// Ones makes all bytes that are read FF.
func Ones() Fault {
	return Fault{read: func(r []byte, _ *rand.Rand) {
		for i := range r {
			r[i] = 0xFF
		}
	}}
}

// Flip inverts one bit of what is read: bit 0 is the lowest of the first byte, bit
// 8 the lowest of the second. A bit beyond what is read changes nothing.
func Flip(bit int) Fault {
	return Fault{read: func(r []byte, _ *rand.Rand) {
		if bit >= 0 && bit/8 < len(r) {
			r[bit/8] ^= 1 << (bit % 8)
		}
	}}
}

// FlipAny inverts one random bit of what is read.
func FlipAny(seed uint64) Fault {
	return Fault{seed: seed, read: func(r []byte, source *rand.Rand) {
		bit := source.IntN(8 * len(r))
		r[bit/8] ^= 1 << (bit % 8)
	}}
}

// Answer replaces what is read by the given bytes, as far as they reach.
func Answer(bytes ...byte) Fault {
	return Fault{read: func(r []byte, _ *rand.Rand) { copy(r, bytes) }}
}

// Times limits the fault to the next n transactions that it can hit.
func (f Fault) Times(n int) Fault { f.times = n; return f }

// After lets n transactions that it could hit pass first.
func (f Fault) After(n int) Fault { f.skip = n; return f }

// At limits the fault to transactions whose first written byte is the register.
func (f Fault) At(register byte) Fault { f.only, f.register = true, register; return f }

// Chance lets the fault hit with a probability from 0 to 1.
func (f Fault) Chance(p float64, seed uint64) Fault {
	f.random, f.chance, f.seed = true, p, seed
	return f
}

// Inject lets the fault act on one address until its Times are used up or clear
// is called. Several faults act together; of several errors the first counts, and
// those of the whole bus come first.
func (b *Bus) Inject(addr uint16, f Fault) (clear func()) {
	s := schedule(f)
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.at(addr)
	p.faults = append(p.faults, s)
	return b.clearing(s)
}

// InjectAll lets the fault act on all addresses of the bus.
func (b *Bus) InjectAll(f Fault) (clear func()) {
	s := schedule(f)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, s)
	return b.clearing(s)
}

func (b *Bus) clearing(s *scheduled) func() {
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		s.done = true
	}
}

// Hang lets a line of the bus be stuck: every transaction takes AdapterTimeout and
// fails with ErrTimeout, until release is called.
func (b *Bus) Hang() (release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hung++
	released := false
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !released {
			released = true
			b.hung--
		}
	}
}

// transaction is what will become of one Tx.
type transaction struct {
	takes   time.Duration
	err     error
	devices []Device
	changes []*scheduled
	altered bool
}

// meet lets the faults act on a transaction and returns those still in use.
func (x *transaction) meet(faults []*scheduled, w, r []byte) []*scheduled {
	for _, f := range faults {
		if !f.hits(w, r) {
			continue
		}
		if f.err != nil {
			if x.err == nil {
				x.err, x.takes = f.err, x.takes+f.delay
			}
			continue
		}
		x.changes = append(x.changes, f)
	}
	return slices.DeleteFunc(faults, func(f *scheduled) bool { return f.done })
}

// hits says whether the fault acts on this transaction, and counts it.
func (f *scheduled) hits(w, r []byte) bool {
	switch {
	case f.done:
		return false
	case f.only && (len(w) == 0 || w[0] != f.register):
		return false
	case f.err == nil && len(r) == 0:
		return false
	}
	if f.skip > 0 {
		f.skip--
		return false
	}
	if f.random && f.source.Float64() >= f.chance {
		return false
	}
	if f.times > 0 {
		f.times--
		f.done = f.times == 0
	}
	return true
}

// exchange lets the devices hear w and fills r from them.
func (x *transaction) exchange(now time.Time, w, r []byte) error {
	if len(w) > 0 && !heard(x.devices, func(d Device) error { return d.Write(now, w) }) {
		return ErrNack
	}
	if len(r) == 0 {
		return nil
	}
	if len(x.devices) == 1 {
		if err := x.devices[0].Read(now, r); err != nil {
			return err
		}
	} else if !wiredAnd(x.devices, now, r) {
		return ErrNack
	}
	if len(x.changes) == 0 {
		return nil
	}
	before := slices.Clone(r)
	for _, change := range x.changes {
		change.read(r, change.source)
	}
	x.altered = !slices.Equal(before, r)
	return nil
}

// heard reports whether at least one device acknowledged.
func heard(devices []Device, f func(Device) error) bool {
	yes := false
	for _, d := range devices {
		yes = f(d) == nil || yes
	}
	return yes
}

// wiredAnd fills r with what several devices at one address answer together: a
// line is low when any of them holds it low.
func wiredAnd(devices []Device, now time.Time, r []byte) bool {
	for i := range r {
		r[i] = 0xFF
	}
	one := make([]byte, len(r))
	return heard(devices, func(d Device) error {
		if err := d.Read(now, one); err != nil {
			return err
		}
		for i := range r {
			r[i] &= one[i]
		}
		return nil
	})
}
