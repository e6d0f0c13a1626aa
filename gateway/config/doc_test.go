package config

import (
	"os"
	"strings"
	"testing"
)

// The example in doc.go is what it says.
func TestDocExample(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var text, want strings.Builder
	_, example, _ := strings.Cut(string(source), "all that is said about it:\n//\n")
	for line := range strings.Lines(example) {
		code, isCode := strings.CutPrefix(line, "//\t")
		switch {
		case strings.HasPrefix(code, "weir.toml:"):
			want.WriteString(code)
		case isCode:
			text.WriteString(code)
		case line == "//\n":
			text.WriteString("\n")
		default:
			_, problems, _ := Parse("weir.toml", []byte(text.String()), testOptions())
			if got := Report(problems); got != want.String() {
				t.Errorf("doc.go says\n%s\nbut its example gives\n%s", want.String(), got)
			}
			return
		}
	}
}

// Keys and values stand where the index says, in every way TOML writes them.
func TestPositions(t *testing.T) {
	ix, err := scan("\ufefftop = 1\n" +
		"[a.\"b c\"]  # table\r\n" +
		"\tk = \"µ\" # two bytes, one column\n" +
		"  x.y = { z = [ 1, 'two' ], \"w\" = true }\n" +
		"[[l]]\n" +
		"v = \"\"\"\nmore\"\"\"\n" +
		"[[l]]\n" +
		"[l.sub]\nµ.q = 1\n")
	if err == nil {
		t.Fatal("a key with a letter outside ASCII was taken")
	}
	if at := ix.position(err.offset); at != (Position{10, 1}) {
		t.Errorf("the syntax error is at %v, want 10:1", at)
	}
	for path, want := range map[string][2]Position{
		"top": {{1, 1}, {1, 7}}, `a`: {{2, 2}, {2, 2}}, `a."b c"`: {{2, 1}, {2, 1}}, `a."b c".k`: {{3, 2}, {3, 6}},
		`a."b c".x`: {{4, 3}, {4, 3}}, `a."b c".x.y`: {{4, 5}, {4, 9}}, `a."b c".x.y.z`: {{4, 11}, {4, 15}},
		`a."b c".x.y.z[2]`: {{4, 20}, {4, 20}}, `a."b c".x.y.w`: {{4, 29}, {4, 35}},
		"l": {{5, 1}, {5, 1}}, "l[1]": {{5, 1}, {5, 1}}, "l[1].v": {{6, 1}, {6, 5}}, "l[2]": {{8, 1}, {8, 1}}, "l[2].sub": {{9, 1}, {9, 1}},
	} {
		if !ix.has(path) || ix.key(path) != want[0] || ix.value(path) != want[1] {
			t.Errorf("%s: got %v (key %v, value %v), want %v", path, ix.has(path), ix.key(path), ix.value(path), want)
		}
	}
	if got := ix.raw("l[1].v"); got != "\"\"\"\nmore\"\"\"" {
		t.Errorf("got %q, want the value as it is written", got)
	}
	if got := ix.key("l[2].sub.nothing.at.all"); got != (Position{9, 1}) {
		t.Errorf("a key that is not there: got %v, want its table", got)
	}
}
