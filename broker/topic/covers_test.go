package topic

import (
	"strings"
	"testing"
)

// coverCases: does the first filter cover the second? 4.7.1 and 4.7.2 say what either takes.
var coverCases = []struct {
	f, g string
	want bool
}{
	{"a/b", "a/b", true},
	{"a/b", "a/B", false}, // [MQTT-4.7.3-4]
	{"a/b", "a", false},
	{"a", "a/b", false},
	{"#", "a", true},
	{"#", "a/b/#", true},
	{"#", "+", true},
	{"#", "+/+", true},
	{"#", "#", true},
	{"+/#", "#", true},   // no name is empty, [MQTT-4.7.3-1]
	{"/+/#", "/#", true}, // the same
	{"#", "+/#", true},
	{"+/+/#", "#", false},
	{"+", "#", false},
	{"a/#", "#", false},
	{"a/#", "a", true}, // 4.7.1.2
	{"a/#", "a/", true},
	{"a/#", "a/+", true},
	{"a/#", "a/+/#", true},
	{"a/#", "a/b/c", true},
	{"a/#", "ab", false},
	{"a/#", "+", false},
	{"a/#", "+/b", false},
	{"a/+/#", "a/#", false}, // a itself
	{"a/+", "a/b", true},    // 4.7.1.3
	{"a/+", "a/+", true},
	{"a/+", "a/#", false},
	{"a/+", "a", false},
	{"a/b", "a/+", false},
	{"+/b", "a/b", true},
	{"+/b", "+/+", false},
	{"+/+", "/", true},
	{"/#", "/a", true},
	{"/#", "a", false},

	{"#", "$SYS", false}, // [MQTT-4.7.2-1]
	{"#", "$SYS/#", false},
	{"+/#", "$SYS/#", false},
	{"+/x", "$SYS/x", false},
	{"$SYS/#", "$SYS/#", true},
	{"$SYS/#", "$SYS/a/+", true},
	{"$SYS/#", "#", false},
	{"$SYS", "+", false},
	{"a/+", "a/$b", true},

	{"a/#", "$share/g/a/+", true}, // 4.8.2
	{"a/#", "$share/g/b", false},
	{"#", "$share/g/#", true},
	{"#", "$share/g/$SYS/#", false},
	{"$share/g/a/#", "a/b", true},

	{"#", "#/a", true},
	{"+/#", "#/a", true},
	{"+/+/#", "#/a", false},
	{"+/+/#", "#/a/b", true},
	{"a/#", "a/#/b", true},
	{"a/+/#", "a/#/b", true},
	{"a/b/#", "a/#/b", false},
	{"a/+/b", "a/#/b", false},
	{"a/#/b", "a/#/b", true}, // itself
	{"a/#/b", "a/x/b", true},
	{"a/#/b", "a/x/c", false},
	{"a/#/b", "a/+/b", false}, // true, but refused
	{"+/+/#", "#/", false},    // true, but refused: the empty name
	{"+/+/#", "#/$", false},   // true, but refused: a name that begins with $
}

func TestCovers(t *testing.T) {
	for _, c := range coverCases {
		f, g := mustParse(t, c.f), mustParse(t, c.g)
		if got := f.Covers(g); got != c.want {
			t.Errorf("%q covers %q: %v, want %v", c.f, c.g, got, c.want)
		}
	}
	if (Filter{}).Covers(mustParse(t, "a")) || mustParse(t, "#").Covers(Filter{}) {
		t.Error("the zero filter covers or is covered")
	}
}

// namesOf lists names that g takes, straight from the words of 4.7: for each + every text there is, for each # up to
// most levels in all. With a text that the other filter does not have, and more levels than it has, a name outside it
// is among them if there is one at all.
func namesOf(g string, texts []string, most int, yield func(name string) bool) {
	var grow func(head []string, rest []string, left int) bool
	grow = func(head, rest []string, left int) bool {
		switch {
		case len(rest) == 0:
			name := strings.Join(head, "/")
			return name == "" || strings.HasPrefix(name, "$") && strings.ContainsAny(g[:1], "+#") || yield(name)
		case rest[0] == "#" && left == 0:
			return grow(head, rest[1:], 0)
		case rest[0] == "#" && !grow(head, rest[1:], most):
			return false
		case rest[0] != "#" && rest[0] != "+":
			return grow(append(head[:len(head):len(head)], rest[0]), rest[1:], left)
		}
		for _, text := range texts {
			next, l := rest, left-1
			if rest[0] == "+" {
				next, l = rest[1:], left
			}
			if !grow(append(head[:len(head):len(head)], text), next, l) {
				return false
			}
		}
		return true
	}
	grow(nil, strings.Split(g, "/"), most)
}

// oracleCovers asks the naive matcher about every name of namesOf.
func oracleCovers(f, g string) bool {
	texts := []string{"\x01", "$"}
	for _, level := range strings.Split(f, "/") {
		if level != "+" && level != "#" && len(texts) < 4 {
			texts = append(texts, level)
		}
	}
	all := true
	namesOf(g, texts, strings.Count(f, "/")+2, func(name string) bool {
		all = oracle(f, name)
		return all
	})
	return all
}

// TestCoversAll compares all pairs of filters of up to three levels out of a few texts with the naive answer.
func TestCoversAll(t *testing.T) {
	var all []string
	var grow func(head string, left int)
	grow = func(head string, left int) {
		for _, level := range []string{"a", "", "$", "+", "#"} {
			s := head + level
			if _, err := ParseFilter(s, InnerWildcard()); err == nil {
				all = append(all, s)
			}
			if left > 1 {
				grow(s+"/", left-1)
			}
		}
	}
	grow("", 3)
	yes := 0
	for _, f := range all {
		for _, g := range all {
			checkCovers(t, f, g)
			if mustParse(t, f).Covers(mustParse(t, g)) {
				yes++
			}
		}
	}
	if yes < len(all) || yes > len(all)*len(all)/2 {
		t.Errorf("%d of %d pairs cover: the test tests nothing", yes, len(all)*len(all))
	}
}

func checkCovers(t *testing.T, fs, gs string) {
	t.Helper()
	f, g := mustParse(t, fs), mustParse(t, gs)
	got, want := f.Covers(g), oracleCovers(f.Topic(), g.Topic())
	safe := f.inner() && g.Wildcard() && f.Topic() != g.Topic() || g.inner() && g.Topic()[0] == '#' // may be refused
	if got && !want || want && !got && !safe {
		t.Fatalf("%q covers %q: %v, want %v", fs, gs, got, want)
	}
}

func FuzzCovers(f *testing.F) {
	for _, c := range coverCases {
		f.Add(c.f, c.g)
	}
	f.Fuzz(func(t *testing.T, f, g string) {
		if strings.Count(f, "/") > 3 || strings.Count(g, "/") > 3 || strings.Count(g, "#") > 2 || strings.ContainsRune(f+g, 1) {
			return
		}
		if _, err := ParseFilter(f, InnerWildcard()); err != nil {
			return
		}
		if _, err := ParseFilter(g, InnerWildcard()); err != nil {
			return
		}
		checkCovers(t, f, g)
	})
}

// TestCoversIsNotExponential counts on the deadline of the test run.
func TestCoversIsNotExponential(t *testing.T) {
	wide := mustParse(t, strings.Repeat("+/", MaxLevels-1)+"#")
	g := mustParse(t, strings.Repeat("#/+/", MaxLevels/2)+"#")
	for range 100 {
		if wide.Covers(g) || g.Covers(wide) || !mustParse(t, "#").Covers(g) {
			t.Fatal("wrong")
		}
	}
}
