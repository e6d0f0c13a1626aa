package topic

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// named is a value that knows its name.
type named struct {
	name  string
	value int
}

// runNames applies one operation per byte to Names and to a map, then searches
// with every filter.
func runNames(t *testing.T, script []byte) {
	var names Names[named]
	m := map[string]*named{}
	for i, op := range script {
		name := treeNames[int(op>>1)%len(treeNames)]
		if op&1 == 0 {
			v := &named{name, i}
			if got := names.Set(name, v); got != m[name] {
				t.Fatalf("Set(%q) replaced %v, want %v", name, got, m[name])
			}
			m[name] = v
		} else {
			if got := names.Remove(name); got != m[name] {
				t.Fatalf("Remove(%q): %v, want %v", name, got, m[name])
			}
			delete(m, name)
		}
	}
	if names.Len() != len(m) {
		t.Fatalf("Len %d, want %d", names.Len(), len(m))
	}
	checkShape(t, &names.root, true)
	for _, name := range treeNames {
		if got := names.Get(name); got != m[name] {
			t.Fatalf("Get(%q): %v, want %v", name, got, m[name])
		}
	}
	for _, text := range treeFilters {
		f := mustParse(t, text)
		var got, want []string
		names.Match(f, func(v *named) bool {
			if m[v.name] != v {
				t.Fatalf("%q has %v, want %v", v.name, v, m[v.name])
			}
			got = append(got, v.name)
			return true
		})
		for name := range m {
			if f.Match([]byte(name)) {
				want = append(want, name)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%q: got %q, want %q", text, got, want)
		}
	}
	for name := range m {
		names.Remove(name)
	}
	if names.root.branch != nil {
		t.Fatal("nodes are left when all is removed")
	}
}

func TestNames(t *testing.T) {
	for _, s := range scripts() {
		runNames(t, s)
	}
	var names Names[int]
	if names.Set("", new(int)) != nil || names.Set("a", nil) != nil || names.Len() != 0 || names.Remove("") != nil {
		t.Error("the empty name was stored, or nothing")
	}
	names.Match(Filter{}, func(*int) bool { t.Error("the zero filter matched"); return true })
}

func FuzzNames(f *testing.F) {
	for _, s := range scripts() {
		f.Add(s[:min(len(s), 120)])
	}
	f.Fuzz(runNames)
}

func TestNamesStop(t *testing.T) {
	var names Names[int]
	for i := range 20 {
		names.Set(fmt.Sprintf("a/%d/b", i), &i)
	}
	calls := 0
	names.Match(mustParse(t, "a/#"), func(*int) bool { calls++; return calls < 3 })
	if calls != 3 {
		t.Errorf("%d calls after yield said stop at 3", calls)
	}
}

// TestNamesDeep stores names of many levels: names have no limit of levels.
func TestNamesDeep(t *testing.T) {
	var names Names[int]
	for i := 1; i <= 2000; i++ {
		names.Set(strings.Repeat("/", i), &i)
	}
	count := func(filter string) (n int) {
		names.Match(mustParse(t, filter), func(*int) bool { n++; return true })
		return n
	}
	if n := count("#"); n != 2000 {
		t.Errorf("# finds %d names, want 2000", n)
	}
	if n := count("#/+"); n != MaxLevels-1 { // names of 2 to MaxLevels levels
		t.Errorf("#/+ finds %d names, want %d", n, MaxLevels-1)
	}
	for i := 1; i <= 2000; i++ {
		if names.Remove(strings.Repeat("/", i)) == nil {
			t.Fatalf("name of %d slashes is gone", i)
		}
	}
	if names.root.branch != nil {
		t.Error("nodes are left when all is removed")
	}
}

func TestNamesConcurrent(t *testing.T) {
	var names Names[int]
	names.Set("a/stays", new(int))
	all := mustParse(t, "a/#")
	var g sync.WaitGroup
	for w := range 2 {
		g.Go(func() {
			for i := range 500 {
				name := fmt.Sprintf("a/%d/%d", w, i%20)
				names.Set(name, &i)
				found := 0
				names.Match(all, func(*int) bool { found++; return true })
				if found < 2 {
					t.Errorf("found %d names, want at least 2", found)
				}
				names.Remove(name)
			}
		})
	}
	g.Wait()
	if names.Get("a/stays") == nil || names.Len() != 1 {
		t.Errorf("Len %d, want 1", names.Len())
	}
}

func bigNames() *Names[int] {
	names := &Names[int]{}
	stored := new(int)
	for i := range many {
		names.Set(fmt.Sprintf("site/device%06d/room%d/temperature", i, i%50), stored)
	}
	return names
}

func BenchmarkNamesMatchOne(b *testing.B) {
	names := bigNames()
	f := mustParse(b, "site/device000401/+/temperature")
	b.ReportAllocs()
	for b.Loop() {
		found := 0
		names.Match(f, func(*int) bool { found++; return true })
		if found != 1 {
			b.Fatal(found)
		}
	}
}

func BenchmarkNamesMatchAll(b *testing.B) {
	names := bigNames()
	f := mustParse(b, "site/#")
	b.ReportAllocs()
	for b.Loop() {
		found := 0
		names.Match(f, func(*int) bool { found++; return true })
		if found != many {
			b.Fatal(found)
		}
	}
	runtime.KeepAlive(names)
}
