package topic

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// model is what a Tree must do, by the naive matcher.
type model map[modelKey]int

type modelKey struct {
	filter Filter
	key    int
}

func (m model) match(name string) []int {
	var out []int
	for k, v := range m {
		if k.filter.Match([]byte(name)) {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

// checkShape fails if a tree keeps nodes it does not need.
func checkShape[T content](t *testing.T, n *node[T], root bool) {
	t.Helper()
	if n.branch == nil {
		if !root && n.value.empty() {
			t.Fatalf("node %q holds nothing", n.label)
		}
		return
	}
	if n.branch.empty() {
		t.Fatalf("node %q has an empty branch", n.label)
	}
	if only := n.branch.only(); !root && n.value.empty() && only != nil && n.label != "#" && only.label != "#" {
		t.Fatalf("nodes %q and %q should be one", n.label, only.label)
	}
	if many := n.branch.many; len(n.branch.few) > fewChildren || many != nil && (many.count <= fewChildren/2 || n.branch.few != nil) {
		t.Fatalf("node %q has %d children, and a table %v", n.label, len(n.branch.few), many)
	}
	if many := n.branch.many; many != nil {
		checkTable(t, many)
	}
	n.branch.each(func(c *node[T]) bool { checkShape(t, c, false); return true })
}

var (
	treeFilters = []string{"a", "a/b", "a/b/c", "a/b/d", "a/+", "a/#", "+", "#", "+/b", "+/+/c", "/", "/a", "a/", "//", "a//b",
		"$SYS/#", "$SYS/+", "+/+", "a/+/#", "$share/g/a/b", "$share/h/a/b", "$share/g/#", "a/#/c", "a/#/c/#", "#/b", "#/b/#/c",
		"a/#/b/c", "a/#/b/d", "#/+/c", "a/#/b/#/d", "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9"}
	treeNames = []string{"a", "b", "a/b", "a/b/c", "a/b/d", "a/x/b/c", "a/b/b/c", "/", "/a", "a/", "//", "a//b", "$SYS", "$SYS/a",
		"$SYS/a/b", "c", "a/c", "a/c/c/c", "b/b/b", "x0", "x7", "x9/y", "a/b/c/d/b/c/d", "$SYS/b/c"}
)

// runTree applies one operation per two bytes to a tree and to the model.
func runTree(t *testing.T, script []byte) {
	var tree Tree[int]
	m := model{}
	for i := 0; i+1 < len(script); i += 2 {
		f := mustParse(t, treeFilters[int(script[i])%len(treeFilters)])
		key := int(script[i+1]>>1) % 40
		version := tree.Version()
		k := modelKey{f, key}
		_, had := m[k]
		if script[i+1]&1 == 0 {
			if got := tree.Add(f, key); got != had {
				t.Fatalf("Add(%q, %d): %v, want %v", f, key, got, had)
			}
			m[k] = key
		} else {
			if got := tree.Remove(f, key); got != had {
				t.Fatalf("Remove(%q, %d): %v, want %v", f, key, got, had)
			}
			delete(m, k)
		}
		if changed := (script[i+1]&1 == 0) != had; (tree.Version() > version) != changed {
			t.Fatalf("version %d after %d, changed %v", tree.Version(), version, changed)
		}
	}
	if tree.Len() != len(m) {
		t.Fatalf("Len %d, want %d", tree.Len(), len(m))
	}
	checkShape(t, &tree.root, true)
	for _, name := range treeNames {
		got := tree.Match([]byte(name), nil)
		slices.Sort(got)
		if want := m.match(name); !slices.Equal(got, want) {
			t.Fatalf("%q: got %v, want %v", name, got, want)
		}
	}
	for k := range m {
		tree.Remove(k.filter, k.key)
	}
	if tree.root.branch != nil || tree.Len() != 0 {
		t.Fatal("nodes are left when all is removed")
	}
}

// scripts are made without randomness: they use every filter and many keys.
func scripts() [][]byte {
	var all [][]byte
	for step := 1; step < 40; step += 3 {
		var s []byte
		for i := range 400 {
			s = append(s, byte(i*step), byte(i*i*step+i/7))
		}
		all = append(all, s)
	}
	var crowd []byte // many keys of one filter, then most of them away
	for i := range 40 {
		crowd = append(crowd, 1, byte(2*i))
	}
	for i := range 35 {
		crowd = append(crowd, 1, byte(2*i+1))
	}
	return append(all, crowd)
}

func TestTree(t *testing.T) {
	for _, s := range scripts() {
		runTree(t, s)
	}
}

func FuzzTree(f *testing.F) {
	for _, s := range scripts() {
		f.Add(s[:min(len(s), 120)])
	}
	f.Fuzz(runTree)
}

// FuzzTreeTexts lets the fuzzer write the filters itself, one per line.
func FuzzTreeTexts(f *testing.F) {
	f.Add(strings.Join(treeFilters, "\n"), "a/b/c")
	f.Add("a/#/b/#/c\na/#/b/#/d\n#/c", "a/b/b/c")
	f.Add("é/+\né/e/e\n/#", "é/e")
	f.Fuzz(func(t *testing.T, texts, name string) {
		var tree Tree[int]
		var names Names[int]
		m := model{}
		for i, s := range strings.SplitN(texts, "\n", 64) {
			if parsed, err := ParseFilter(s, InnerWildcard()); err == nil && strings.Count(s, "/") < 12 {
				tree.Add(parsed, i)
				m[modelKey{parsed, i}] = i
			}
		}
		if ValidName([]byte(name)) != nil {
			return
		}
		checkShape(t, &tree.root, true)
		got := tree.Match([]byte(name), nil)
		slices.Sort(got)
		if want := m.match(name); !slices.Equal(got, want) {
			t.Fatalf("%q in %q: got %v, want %v", name, texts, got, want)
		}
		names.Set(name, new(int))
		for k := range m {
			found := false
			names.Match(k.filter, func(*int) bool { found = true; return true })
			if want := k.filter.Match([]byte(name)); found != want {
				t.Fatalf("Names: %q takes %q: %v, want %v", k.filter, name, found, want)
			}
			tree.Remove(k.filter, k.key)
		}
		if tree.root.branch != nil {
			t.Fatal("nodes are left when all is removed")
		}
	})
}

func TestTreeSharedAndPlainAreTwo(t *testing.T) {
	var tree Tree[string]
	plain, shared, other := mustParse(t, "a/+"), mustParse(t, "$share/g/a/+"), mustParse(t, "$share/h/a/+")
	tree.Add(plain, "plain")
	tree.Add(shared, "shared")
	if tree.Remove(other, "shared") {
		t.Error("removed a group that is not there")
	}
	got := tree.Match([]byte("a/b"), nil)
	slices.Sort(got)
	if want := []string{"plain", "shared"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !tree.Remove(plain, "plain") || !slices.Equal(tree.Match([]byte("a/b"), nil), []string{"shared"}) {
		t.Error("removing the plain one took the shared one")
	}
	if !tree.Remove(shared, "shared") || tree.Len() != 0 {
		t.Error("the shared one is still there")
	}
}

func TestTreeZeroFilter(t *testing.T) {
	var tree Tree[int]
	if tree.Add(Filter{}, 1) || tree.Len() != 0 || tree.Remove(Filter{}, 1) || len(tree.Match(nil, nil)) != 0 {
		t.Error("the zero filter was stored")
	}
}

// TestTreeConcurrent runs matchers beside writers; -race and the values that
// never change are the proof.
func TestTreeConcurrent(t *testing.T) {
	var tree Tree[int]
	tree.Add(mustParse(t, "a/#/c"), -1)
	tree.Add(mustParse(t, "a/#/b/#/c"), -1)
	var writers, matchers sync.WaitGroup
	stop := make(chan struct{})
	for w := range 2 {
		writers.Go(func() {
			for i := range 2000 {
				f := mustParse(t, treeFilters[(i*7+w)%len(treeFilters)])
				tree.Add(f, w)
				tree.Remove(f, w)
			}
		})
	}
	for range 2 {
		matchers.Go(func() {
			var dst []int
			for {
				select {
				case <-stop:
					return
				default:
				}
				version := tree.Version()
				dst = tree.Match([]byte("a/b/c"), dst[:0])
				stay := 0
				for _, v := range dst {
					if v == -1 {
						stay++
					}
				}
				if stay != 2 || tree.Version() < version {
					t.Errorf("found %d of the 2 values that stay", stay)
					return
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	matchers.Wait()
	if tree.Len() != 2 {
		t.Errorf("Len %d, want 2", tree.Len())
	}
}

// sink is like what a broker keeps per subscription.
type sink struct {
	session *int
	qos     byte
}

const many = 100_000

// bigTree holds 100,000 filters of four shapes, all with wildcards.
func bigTree(tb testing.TB) *Tree[*sink] {
	tree := &Tree[*sink]{}
	for i := range many {
		var s string
		switch i % 4 {
		case 0:
			s = fmt.Sprintf("site/device%06d/+/temperature", i)
		case 1:
			s = fmt.Sprintf("site/device%06d/#", i)
		case 2:
			s = fmt.Sprintf("site/+/room%06d/#", i)
		case 3:
			s = fmt.Sprintf("/Home/Floor%d/Room%d/+/state", i%100, i)
		}
		f, err := ParseFilter(s)
		if err != nil {
			tb.Fatal(err)
		}
		tree.Add(f, &sink{qos: 1})
	}
	return tree
}

func TestTreeMemory(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before := heap()
	tree := bigTree(t)
	per := float64(heap()-before) / many
	runtime.KeepAlive(tree)
	t.Logf("%.0f bytes per filter", per)
	if per > 450 {
		t.Errorf("%.0f bytes per filter, want at most 450", per)
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	tree := bigTree(t)
	tree.Add(mustParse(t, "site/#/temperature"), &sink{})
	tree.Add(mustParse(t, "site/#/x/#/temperature"), &sink{})
	dst := make([]*sink, 0, 64)
	for _, c := range []struct {
		name string
		want int
	}{
		{"site/device000400/x/temperature", 3},
		{"site/device000401/x/temperature", 3},
		{"site/device000401/room000402/x", 2},
		{"/Home/Floor3/Room3/door/state", 1},
		{"nobody/wants/this", 0},
	} {
		name := []byte(c.name)
		if dst = tree.Match(name, dst[:0]); len(dst) != c.want {
			t.Errorf("%s: %d values, want %d", c.name, len(dst), c.want)
		}
		if n := testing.AllocsPerRun(200, func() { dst = tree.Match(name, dst[:0]) }); n != 0 {
			t.Errorf("%s: %v allocations, want none", c.name, n)
		}
	}
	f, name := mustParse(t, "site/+/room/#/x"), []byte("site/a/room/b/c/x")
	if n := testing.AllocsPerRun(200, func() { f.Match(name) }); n != 0 {
		t.Errorf("Filter.Match: %v allocations, want none", n)
	}
	if n := testing.AllocsPerRun(200, func() { _ = ValidName(name) }); n != 0 {
		t.Errorf("ValidName: %v allocations, want none", n)
	}
}

func BenchmarkTreeMatch(b *testing.B) {
	tree := bigTree(b)
	name := []byte("site/device000401/room000402/temperature")
	dst := make([]*sink, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		dst = tree.Match(name, dst[:0])
	}
	if len(dst) != 2 {
		b.Fatalf("%d values, want 2", len(dst))
	}
}

func BenchmarkTreeMatchParallel(b *testing.B) {
	tree := bigTree(b)
	name := []byte("site/device000401/room000402/temperature")
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		dst := make([]*sink, 0, 64)
		for p.Next() {
			dst = tree.Match(name, dst[:0])
		}
	})
}

func BenchmarkTreeAddRemove(b *testing.B) {
	tree := bigTree(b)
	f := mustParse(b, "site/device999999/+/temperature")
	key := &sink{}
	b.ReportAllocs()
	for b.Loop() {
		tree.Add(f, key)
		tree.Remove(f, key)
	}
}

func BenchmarkFilterMatch(b *testing.B) {
	f, name := mustParse(b, "site/+/room000402/#"), []byte("site/device000401/room000402/temperature")
	b.ReportAllocs()
	for b.Loop() {
		f.Match(name)
	}
}

func BenchmarkValidName(b *testing.B) {
	name := []byte("site/device000401/room000402/temperature")
	b.ReportAllocs()
	for b.Loop() {
		_ = ValidName(name)
	}
}

// manyFilter is one of many filters with wildcards: as in the benchmark of whole brokers.
func manyFilter(i int) string {
	switch i % 3 {
	case 0:
		return fmt.Sprintf("bench/filters/+/a%d/value", i)
	case 1:
		return fmt.Sprintf("bench/filters/s%d/a%d/#", i%100, i)
	}
	return fmt.Sprintf("bench/filters/+/a%d/+/#", i)
}

func BenchmarkTreeFill(b *testing.B) {
	filters := make([]Filter, many)
	for i := range filters {
		filters[i] = mustParse(b, manyFilter(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		var t Tree[int]
		for _, f := range filters {
			t.Add(f, 1)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*many), "ns/filter")
}

func BenchmarkTreeMatchAmong(b *testing.B) {
	for _, n := range []int{0, many} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var t Tree[int]
			t.Add(mustParse(b, "bench/filters/+/probe/value"), 1)
			for i := range n {
				t.Add(mustParse(b, manyFilter(i)), 1)
			}
			name := []byte("bench/filters/s7/probe/value")
			dst := make([]int, 0, 8)
			b.ReportAllocs()
			for b.Loop() {
				if dst = t.Match(name, dst[:0]); len(dst) != 1 {
					b.Fatal(dst)
				}
			}
		})
	}
}
