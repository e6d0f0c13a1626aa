package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// corpus are the files of testdata and some texts that reach the corners of TOML.
func corpus(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files in testdata", err)
	}
	var all []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(data))
	}
	all = append(all, designFirst, designModbus, designLAN)
	return append(all,
		"", "\n", "#", "\ufeffa = 1\n[b]\nc = 2", "a = 1\r\nb = 2\r\n",
		"a.b.c = 1\na.b.d = 2\n[x.y]\nz.w = 3\n", "a . b = 1\n[ x . y ]\n[[ p . q ]]\nr = 1\n[[p.q]]\n[p.q.s]\nt = 1\n",
		`"a b"."c\u00e9" = 1`+"\n'd' = 2\n\"\" = 3\n", "a = [ [1, 2], [\"x\"], [{ b = 1 }, { b = 2, }] , ] # c\n",
		"a = { b = 1, c.d = 2, e = { f = [ { g = 1 } ] }, }\n", "a = {\n  b = 1, # x\n  c = 2\n}\n",
		"a = \"\"\"\nx \"\" y\\\n   z\"\"\"\"\"\nb = '''x''y'''''\nc = \"\"\"\\\"\"\"\"\n", "a = \"\\\\\"\nb = '\\'\n",
		"a = 1979-05-27 07:32:00 # c\nb = [1979-05-27 , 07:32]\nc = 0xDEAD_beef\nd = 0o17\ne = 0b1\nf = +1.5e-3\ng = -inf\nh = nan\n",
		"a = \"\"\"\\\\\"\"\"\"\"\"\n", "a = ian", "a = 1 2", "a = \"x\ny\"", "[a", "[[a]", "a = [1,,2]", "a = {,}", "= 1", "a", "a =", "a.=1", "[]",
		"a = tru", "a = 1.", "a = .5", "a = 1__0", "a = \x7f", "a = \"\xff\"", "a = '''", "a=1\ra=2", "a = \"\\q\"", "a = \"\\ud800\"",
		strings.Repeat("[", 40), "a = "+strings.Repeat("[", 40)+strings.Repeat("]", 40), strings.Repeat("a.", 40)+"b = 1")
}

// tomlKeys reads a text with BurntSushi/toml alone.
func tomlKeys(data string) (keys []toml.Key, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	var tree map[string]any
	meta, err := toml.Decode(data, &tree)
	return meta.Keys(), err
}

// checkIndex holds the position index against BurntSushi/toml: it accepts what
// that accepts, with the same keys, and each key where it says.
func checkIndex(t *testing.T, data string) {
	t.Helper()
	ix, wrong := scan(data)
	if wrong == nil && len(ix.wrong) > 0 {
		wrong = ix.wrong[0]
	}
	if wrong != nil && wrong.limit {
		return
	}
	keys, err := tomlKeys(data)
	if err != nil {
		return
	}
	if wrong != nil {
		t.Fatalf("%q: got the error %q at byte %d, want none: BurntSushi/toml reads it", data, wrong.text, wrong.offset)
	}
	if len(keys) != len(ix.keys) {
		t.Fatalf("%q: got keys %q, want %q", data, ix.keys, keys)
	}
	for i := range keys {
		if !slices.Equal(keys[i], ix.keys[i]) {
			t.Fatalf("%q: got key %q, want %q", data, ix.keys[i], keys[i])
		}
	}
	for path, p := range ix.places {
		if p.key < 0 || p.key >= len(data) || p.end > len(data) || p.end > 0 && p.start >= p.end {
			t.Fatalf("%q: %s lies at %+v, want a place inside", data, path, *p)
		}
	}
}

// checkProblems holds that each problem names a place that is there, and that
// broken TOML has one.
func checkProblems(t *testing.T, data string) {
	t.Helper()
	cfg, problems, err := Parse("weir.toml", []byte(data), fuzzOptions())
	if (cfg == nil) != (err != nil) || Failed(problems) != (err != nil) {
		t.Fatalf("%q: config %v, error %v, problems\n%s", data, cfg != nil, err, Report(problems))
	}
	lines := strings.Split(strings.TrimPrefix(data, "\ufeff"), "\n")
	for i, p := range problems {
		if p.Line < 1 || p.Line > len(lines) || p.Col < 1 || p.Col > utf8.RuneCountInString(lines[p.Line-1])+1 {
			t.Fatalf("%q: %s, want a place inside", data, p)
		}
		if i > 0 && p.Position.before(problems[i-1].Position) {
			t.Fatalf("%q: %s stands behind %s, want them in the order of the file", data, p, problems[i-1])
		}
		if strings.ContainsAny(p.Text, "\n\r") || !utf8.ValidString(p.Text) {
			t.Fatalf("%q: the problem %q is not one line of text", data, p.Text)
		}
	}
	if _, broken := tomlKeys(data); broken != nil && !Failed(problems) {
		t.Fatalf("%q: TOML is broken (%v), got no error", data, broken)
	}
	if cfg != nil {
		Effective(cfg, testDrivers())
	}
}

// fuzzOptions touch no file.
func fuzzOptions() Options {
	o := testOptions()
	o.SkipFiles = true
	return o
}

func TestCorpus(t *testing.T) {
	for _, data := range corpus(t) {
		checkIndex(t, data)
		checkProblems(t, data)
	}
}

func FuzzParse(f *testing.F) {
	for _, data := range corpus(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data string) {
		if len(data) > 1<<14 {
			return
		}
		checkIndex(t, data)
		checkProblems(t, data)
	})
}
