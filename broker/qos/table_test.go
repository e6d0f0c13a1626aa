package qos

import (
	"math/rand/v2"
	"slices"
	"testing"

	"weir/broker/packet"
)

// TestTableAgainstAMap does the same random additions and removals to a table and to a map with a slice, with ids that
// collide in the index, and compares them.
func TestTableAgainstAMap(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		most := []int{3, 40, 3000}[seed%3]
		stride := []int{1, 64, 256}[seed/3%3]
		var tab table
		var order []uint16
		refs := map[uint16]uint64{}
		for step := range 6000 {
			if len(order) < most && r.IntN(100) < 55 {
				id := uint16(r.IntN(maxIDs/stride)*stride + 1)
				if r.IntN(2) == 0 {
					id, _ = tab.freeID()
				}
				if _, used := refs[id]; used != (tab.find(id) != 0) {
					t.Fatalf("seed %d: id %d in use: %t, the table says otherwise", seed, id, used)
				} else if used {
					continue
				}
				tab.add(id, received, uint64(step))
				order, refs[id] = append(order, id), uint64(step)
			} else if len(order) > 0 {
				i := r.IntN(len(order))
				tab.remove(tab.find(order[i]))
				delete(refs, order[i])
				order = slices.Delete(order, i, i+1)
			}
			if step%500 == 0 {
				compare(t, &tab, order, refs)
			}
		}
		compare(t, &tab, order, refs)
	}
}

func compare(t *testing.T, tab *table, order []uint16, refs map[uint16]uint64) {
	t.Helper()
	var got []uint16
	for place := range tab.ring() {
		s := tab.slots[place]
		got = append(got, s.id)
		if s.ref != refs[s.id] || tab.find(s.id) != place {
			t.Fatalf("id %d: ref %d at place %d, found at %d; want ref %d", s.id, s.ref, place, tab.find(s.id), refs[s.id])
		}
	}
	if !slices.Equal(got, order) || int(tab.used) != len(order) {
		t.Fatalf("%d in use in the order %v, want %v", tab.used, got, order)
	}
	if tab.cells != nil && tab.bitmap != nil {
		for id := range maxIDs {
			marked := tab.bitmap[(id+1)>>6]>>((id+1)&63)&1 == 1
			if _, used := refs[uint16(id+1)]; used != marked {
				t.Fatalf("id %d in use: %t, bitmap: %t", id+1, used, marked)
			}
		}
	}
}

// TestMemory holds the table to what the package comment promises.
func TestMemory(t *testing.T) {
	o := NewOutbound(1000)
	for i := range 1000 {
		o.Send(1, uint64(i))
	}
	if n := 2 * cap(o.table.index); n > 8*1001 {
		t.Errorf("the index takes %d bytes for 1000 messages", n)
	}
	if o.table.bitmap != nil {
		t.Error("a bitmap for 1000 messages")
	}
}

// TestManyIDsCountOn: also with a bitmap an id just freed is not the next one given out.
func TestManyIDsCountOn(t *testing.T) {
	o := NewOutbound(maxIDs)
	for range 2 * bitmapFrom {
		o.Send(1, 0)
	}
	for want := 2*bitmapFrom + 1; want <= maxIDs; want++ {
		o.Receive(packet.TypePuback, uint16(want-1), packet.Success)
		if id := send(t, o, 1, 0); int(id) != want {
			t.Fatalf("id %d, want %d", id, want)
		}
	}
}

func TestStepNames(t *testing.T) {
	for got, want := range map[string]string{
		SendPubrel.String(): "send PUBREL", Wrong.String(): "wrong", Step(9).String(): "step(9)",
		New.String(): "new", Conflict.String(): "conflict", InStep(9).String(): "step(9)",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
