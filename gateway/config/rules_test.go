package config

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"weir/broker/topic"
)

// texts joins up to most of the levels in every way.
func texts(levels []string, most int) []string {
	all := levels
	last := levels
	for range most - 1 {
		var next []string
		for _, t := range last {
			for _, l := range levels {
				next = append(next, t+"/"+l)
			}
		}
		all, last = append(all[:len(all):len(all)], next...), next
	}
	return all
}

// takesEmpty reports whether a filter would take the name without a character,
// which MQTT does not have: the only name that + and /# share.
func takesEmpty(t *testing.T, f topic.Filter) bool {
	below, err := topic.ParseFilter("p/"+f.String(), topic.InnerWildcard())
	if err != nil {
		t.Fatal(err)
	}
	return below.Match([]byte("p/"))
}

// covers and overlap agree with trying all names of up to four levels, which is
// as long as the shortest common name of two filters of three levels can be.
func TestCoversAndOverlap(t *testing.T) {
	var filters []topic.Filter
	for _, text := range append(texts([]string{"a", "b", "", "+", "#"}, 3), "$s", "$s/a", "$s/+", "$s/#", "$s/+/b", "$s/#/b") {
		if f, err := topic.ParseFilter(text, topic.InnerWildcard()); err == nil {
			filters = append(filters, f)
		}
	}
	names := texts([]string{"a", "b", "", "$s", "x"}, 4)
	takes := make([][]bool, len(filters))
	for i, f := range filters {
		takes[i] = make([]bool, len(names))
		for j, n := range names {
			takes[i][j] = n != "" && f.Match([]byte(n))
		}
	}
	for i, a := range filters {
		for j, b := range filters {
			both, onlyB := "", ""
			for k, n := range names {
				switch {
				case takes[i][k] && takes[j][k]:
					both = n
				case takes[j][k]:
					onlyB = n
				}
			}
			if (both != "") != overlap(a, b) && !(takesEmpty(t, a) && takesEmpty(t, b)) {
				t.Fatalf("overlap(%q, %q) = %v, but the name both take is %q", a, b, both == "", both)
			}
			if onlyB != "" && covers(a, b) {
				t.Fatalf("covers(%q, %q) = true, but %q is taken by the second alone", a, b, onlyB)
			}
		}
	}
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"#", "a/b", true}, {"#", "#", true}, {"a/#", "a", true}, {"a/#", "a/+/b", true}, {"a/+", "a/b", true}, {"+/+", "a/#", false},
		{"a/b", "a/+", false}, {"#", "$SYS/x", false}, {"a/#/c", "a/b/b/c", true}, {"a/#", "b/#", false},
	} {
		a, _ := topic.ParseFilter(tt.a, topic.InnerWildcard())
		b, _ := topic.ParseFilter(tt.b, topic.InnerWildcard())
		if got := covers(a, b); got != tt.want {
			t.Errorf("covers(%q, %q) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

// Every field has a meaning, and its example and default are what it accepts.
func TestFieldsAreSound(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sections(testDrivers()) {
		if s.meaning == "" {
			t.Errorf("section %s has no meaning", s.pattern)
		}
	}
	for _, f := range Fields(testDrivers()) {
		same := fmt.Sprint(f.Path, f.Drivers)
		if seen[same] {
			t.Errorf("%s stands in the table twice", f.Path)
		}
		seen[same] = true
		if f.Meaning == "" || f.Want == "" || f.Type == "" {
			t.Errorf("%+v lacks a meaning, a type or what it wants", f)
		}
		if f.put == nil {
			continue // a driver's own
		}
		if f.Example == "" {
			t.Errorf("%s has no example", f.Path)
			continue
		}
		var file map[string]any
		if _, err := toml.Decode("v = "+f.Example, &file); err != nil {
			t.Errorf("the example of %s is no TOML: %v", f.Path, err)
		}
		in := &input{dir: ".", getenv: os.Getenv, skipFiles: true, expand: func(s string) (string, error) { return s, nil }}
		if _, err := f.kind.parse(in, file["v"]); err != nil {
			t.Errorf("the example of %s is refused: %v", f.Path, err)
		}
		if f.def != nil {
			if _, err := f.kind.parse(in, f.def); err != nil {
				t.Errorf("the default of %s is refused: %v", f.Path, err)
			}
		}
	}
}

// The report shows 20 problems, errors before warnings, and counts the rest.
func TestReport(t *testing.T) {
	var problems []Problem
	for line := 1; line <= 30; line++ {
		severity := Warning
		if line > 25 {
			severity = Error
		}
		problems = append(problems, Problem{File: "f", Position: Position{line, 1}, Severity: severity, Text: "x"})
	}
	got := Report(problems)
	if lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n"); len(lines) != 21 || lines[20] != "and 10 more" || lines[19] != "f:30:1: x" || lines[0] != "f:1:1: warning: x" {
		t.Errorf("got\n%s", got)
	}
}
