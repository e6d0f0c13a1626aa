package broker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"weir/broker/topic"
)

func newSubscription(t testing.TB, filter string) *subscription {
	return &subscription{filter: mustFilter(t, filter)}
}

// TestMatches: what is remembered is what the tree finds, for more topics than there is room for, while subscriptions come
// and go, with lists and names too long to be remembered among them.
func TestMatches(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var tree subscriptions
	var memory matches
	var subs []*subscription
	hits := 0
	for step := range 60_000 {
		switch r.IntN(200) {
		case 0:
			s := newSubscription(t, fmt.Sprintf("%c/%d", "a+"[r.IntN(2)], r.IntN(900)))
			tree.Add(s.filter, s)
			subs = append(subs, s)
		case 1:
			if len(subs) > 0 {
				i := r.IntN(len(subs))
				tree.Remove(subs[i].filter, subs[i])
				subs = slices.Delete(subs, i, i+1)
			}
		case 2:
			for range matchList + 1 {
				s := newSubscription(t, "a/1")
				tree.Add(s.filter, s)
				subs = append(subs, s)
			}
		}
		name := fmt.Appendf(nil, "a/%d", r.IntN(1+step/64))
		if r.IntN(50) == 0 {
			name = append(name, make([]byte, matchName)...)
		}
		before := memory.version
		got := memory.find(&tree, name)
		if memory.version == before && len(got) > 0 && (cap(memory.found) == 0 || &got[0] != &memory.found[:1][0]) {
			hits++
		}
		want := tree.Match(name, nil)
		same := len(got) == len(want)
		for _, s := range want {
			same = same && slices.Contains(got, s)
		}
		if !same {
			t.Fatalf("step %d: %q has %d subscriptions, want %d", step, name, len(got), len(want))
		}
		if memory.rest(); len(memory.topics) > matchMost || len(memory.used) > len(memory.topics) {
			t.Fatalf("%d topics, %d in use", len(memory.topics), len(memory.used))
		}
	}
	if hits == 0 || len(memory.topics) != matchMost {
		t.Errorf("%d hits, table of %d: nothing was tested", hits, len(memory.topics))
	}
	if size := matchMost * (int(unsafe.Sizeof(matched{})) + matchName + 8*matchList + 2); size > 160<<10 {
		t.Errorf("at most %d bytes, want 160 KiB", size)
	}
}

// TestMatchesForget: nothing refers to a subscription that has ended once the tree has another version.
func TestMatchesForget(t *testing.T) {
	var tree subscriptions
	var memory matches
	gone, stays := newSubscription(t, "a/+"), newSubscription(t, "b")
	tree.Add(gone.filter, gone)
	tree.Add(stays.filter, stays)
	for i := range 200 {
		memory.find(&tree, fmt.Append(nil, "a/", i))
	}
	tree.Remove(gone.filter, gone)
	memory.find(&tree, []byte("b"))
	memory.rest()
	lists := [][]*subscription{memory.found}
	for i := range memory.topics {
		lists = append(lists, memory.topics[i].list)
	}
	for _, l := range lists {
		if slices.Contains(l[:cap(l)], gone) {
			t.Fatal("a subscription that has ended is still referred to")
		}
	}
}

// TestMatchesConcurrent: who has subscribed is found from then on, who has unsubscribed is not, whatever others do
// at the same moment.
func TestMatchesConcurrent(t *testing.T) {
	var tree subscriptions
	var g sync.WaitGroup
	for w := range 4 {
		g.Go(func() {
			var memory matches
			name := fmt.Appendf(nil, "a/%d", w%2) // two share a topic
			mine := newSubscription(t, [...]string{"a/+", "#"}[w/2])
			for i := range 2000 {
				tree.Add(mine.filter, mine)
				for range 1 + i%3 {
					if !slices.Contains(memory.find(&tree, name), mine) {
						t.Error("a subscription is not found")
						return
					}
				}
				tree.Remove(mine.filter, mine)
				for range 1 + i%3 {
					if slices.Contains(memory.find(&tree, name), mine) {
						t.Error("a subscription that was removed is found")
						return
					}
				}
			}
		})
	}
	g.Wait()
}

func TestMatchesAllocateNothing(t *testing.T) {
	var tree subscriptions
	var memory matches
	s := newSubscription(t, "a/+")
	tree.Add(s.filter, s)
	var names [][]byte
	for i := range 4 * matchMost {
		names = append(names, fmt.Appendf(nil, "a/%06d", i))
	}
	all := func() {
		for _, name := range names {
			if len(memory.find(&tree, name)) != 1 {
				t.Fatal("not found")
			}
		}
	}
	all()
	if n := testing.AllocsPerRun(20, all); n > 0 {
		t.Errorf("%v allocations for %d topics, want none", n, len(names))
	}
}

// BenchmarkMatches looks one topic up among many filters, remembered or not, and far more topics than are remembered.
func BenchmarkMatches(b *testing.B) {
	for _, others := range []int{0, 100_000} {
		var tree topic.Tree[*subscription]
		s := newSubscription(b, "bench/filters/+/probe/value")
		tree.Add(s.filter, s)
		for i := range others {
			s := newSubscription(b, fmt.Sprintf([...]string{"bench/filters/+/a%d/value", "bench/filters/s7/a%d/#"}[i%2], i))
			tree.Add(s.filter, s)
		}
		name := []byte("bench/filters/s7/probe/value")
		var memory matches
		b.Run(fmt.Sprint("remembered/", others), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				memory.find(&tree, name)
			}
		})
		b.Run(fmt.Sprint("asked/", others), func(b *testing.B) {
			var found []*subscription
			b.ReportAllocs()
			for b.Loop() {
				found = tree.Match(name, found[:0])
			}
		})
		names := make([][]byte, 20*matchMost)
		for i := range names {
			names[i] = fmt.Appendf(nil, "bench/filters/s%d/probe/value", i)
		}
		b.Run(fmt.Sprint("overflowing/", others), func(b *testing.B) {
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				memory.find(&tree, names[i%len(names)])
				i++
			}
		})
	}
}
