package topic

import (
	"strings"
	"testing"
)

func TestOverlaps(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/c", false}, {"a/+", "+/b", true}, {"a/#", "a", true}, {"a/#", "b/#", false},
		{"#", "$SYS/a", false}, {"+/a", "$SYS/a", false}, {"$SYS/#", "$SYS/+/x", true}, {"$SYS/#", "#", false},
		{"a/+/c", "a/b/#", true}, {"a/b/c", "a/b", false}, {"+", "a/b", false}, {"+/#", "a", true}, {"/a", "+/a", true},
		{"$share/g/a/#", "a/b", true}, {"$share/g/#", "$SYS/a", false}, {"a/#/c", "b", true}, {"a/#/c", "$x", true}, {"#/c", "$x", false},
	} {
		f, g := mustParse(t, c.a), mustParse(t, c.b)
		if f.Overlaps(g) != c.want || g.Overlaps(f) != c.want {
			t.Errorf("%s and %s: %v, %v, want %v", c.a, c.b, f.Overlaps(g), g.Overlaps(f), c.want)
		}
	}
	if (Filter{}).Overlaps(mustParse(t, "#")) || mustParse(t, "#").Overlaps(Filter{}) {
		t.Error("the zero filter takes something")
	}
}

// TestOverlapsAgainstNames holds Overlaps against all names of up to three levels of a small alphabet, for all filters of
// up to three levels of it, which is enough: where two filters overlap, a name no longer than the longer of them shows it.
func TestOverlapsAgainstNames(t *testing.T) {
	var names []string
	var filters []Filter
	var grow func(levels []string, deep int)
	grow = func(levels []string, deep int) {
		if len(levels) > 0 {
			text := strings.Join(levels, "/")
			if ValidName([]byte(text)) == nil {
				names = append(names, text)
			}
			if f, err := ParseFilter(text); err == nil {
				filters = append(filters, f)
			}
		}
		if deep == 0 {
			return
		}
		for _, level := range []string{"", "a", "b", "$", "+", "#"} {
			grow(append(levels[:len(levels):len(levels)], level), deep-1)
		}
	}
	grow(nil, 3)
	taken := make([][]bool, len(filters))
	for i, f := range filters {
		taken[i] = make([]bool, len(names))
		for j, name := range names {
			taken[i][j] = f.Match([]byte(name))
		}
	}
	for i, f := range filters {
		for j, g := range filters {
			want := false
			for n := range names {
				if want = taken[i][n] && taken[j][n]; want {
					break
				}
			}
			if got := f.Overlaps(g); got != want {
				t.Fatalf("%q and %q: %v, want %v", f, g, got, want)
			}
		}
	}
}
