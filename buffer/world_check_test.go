package buffer_test

import (
	"fmt"
	"slices"
	"strings"

	"weir/buffer"
	"weir/buffer/crashfs"
)

// check compares what an open log gives with what was promised. lossy: drops
// are allowed as far as they are counted.
func (w *world) check() error {
	high := noLimit
	if v, ok := w.log.Get("high"); ok && w.fresh {
		high = 0
		fmt.Sscan(string(v), &high)
	}
	for n, r := range w.records {
		if r.tied == "" {
			continue
		}
		if _, ok := w.log.Get(r.tied); ok {
			r.settled = true // it has to be there
		} else if r.settled {
			return fmt.Errorf("record %#x is settled, and the key %s put along with it is missing", n, r.tied)
		}
	}
	for _, name := range consumerNames {
		if err := w.checkConsumer(name, high); err != nil {
			return fmt.Errorf("consumer %s: %w", name, err)
		}
	}
	for key, v := range w.keys {
		value, ok := w.log.Get(key)
		is := string(value)
		if !ok {
			is = deleted
		}
		if !slices.Contains(v.may, is) {
			return fmt.Errorf("key %s is %q, want one of %q", key, is, v.may)
		}
		if w.fresh {
			v.may = []string{is} // it was read from the disk
			v.cut++
		}
	}
	if r := w.log.Recovery(); r.LostRecords() > 0 || r.KeysLost {
		return fmt.Errorf("losses reported without damage: %+v, keys %t", r.Lost, r.KeysLost)
	}
	if s := w.log.Stats(); s.Bytes > w.o.MaxSize || w.disk.Peak() > w.o.MaxSize {
		return fmt.Errorf("%d bytes on disk, at most %d, cap %d", s.Bytes, w.disk.Peak(), w.o.MaxSize)
	}
	return nil
}

const noLimit = ^uint64(0)

func (w *world) checkConsumer(name string, high uint64) error {
	c := w.cons[name]
	before := c.Backlog()
	c.Rewind()
	seen := map[uint64]bool{}
	var last uint64
	dst := make([]buffer.Entry, 7)
	for {
		n, err := c.Next(dst)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		for _, e := range dst[:n] {
			if e.Number <= last {
				return fmt.Errorf("record %#x after %#x", e.Number, last)
			}
			last, seen[e.Number] = e.Number, true
			r := w.records[e.Number]
			switch {
			case e.Number > high:
				return fmt.Errorf("record %#x came without the key that was put with it: that says %#x", e.Number, high)
			case r == nil:
				return fmt.Errorf("record %#x was never appended", e.Number)
			case r.dests[name] != string(e.Data) || r.body != string(e.Body):
				return fmt.Errorf("record %#x: got %q %q, want %q %q", e.Number, e.Data, e.Body, r.dests[name], r.body)
			case r.reborn && strings.HasPrefix(r.body, fleeting):
				return fmt.Errorf("record %#x was for memory only and came after power was cut", e.Number)
			case r.acked[name].durable:
				return fmt.Errorf("record %#x was acknowledged for good and came again", e.Number)
			case r.aside[name].durable:
				return fmt.Errorf("record %#x was set aside for good and came again", e.Number)
			}
		}
	}
	if uint64(len(seen)) != before.Records {
		return fmt.Errorf("%d records came, backlog said %d", len(seen), before.Records)
	}
	missing, aside := uint64(0), uint64(0)
	for n, r := range w.records {
		if _, named := r.dests[name]; !named || r.reborn && r.memory[name] || seen[n] || !r.settled || r.acked[name].said {
			continue
		}
		if r.aside[name].said {
			aside++
			continue
		}
		missing++
		if missing > before.Dropped {
			return fmt.Errorf("record %#x is settled, not acknowledged, and missing; %d dropped by count", n, before.Dropped)
		}
	}
	if before.Aside+before.Dropped < aside {
		return fmt.Errorf("%d records are aside, want %d less %d dropped", before.Aside, aside, before.Dropped)
	}
	if before.Dropped < w.drops[name] {
		return fmt.Errorf("drop count went back from %d to %d", w.drops[name], before.Dropped)
	}
	w.drops[name] = before.Dropped
	c.Rewind()
	return nil
}

// fork is the same memory of promises on another disk.
func (w *world) fork(disk *crashfs.Disk, seed uint64) *world {
	n := newWorld(disk, w.o, seed)
	n.keyHeavy, n.sparse, n.chores, n.memory = w.keyHeavy, w.sparse, w.chores, w.memory
	n.highest, n.serial = w.highest, w.serial+1000
	for k, r := range w.records {
		c := *r
		c.reborn = true
		c.acked, c.aside = map[string]mark{}, map[string]mark{}
		for name, m := range r.acked {
			c.acked[name] = mark{said: true, durable: m.durable}
		}
		for name, m := range r.aside {
			c.aside[name] = mark{said: true, durable: m.durable}
		}
		n.records[k] = &c
	}
	for k, v := range w.keys {
		n.keys[k] = &versions{may: slices.Clone(v.may), cut: v.cut}
	}
	for k, v := range w.drops {
		n.drops[k] = v
	}
	return n
}
