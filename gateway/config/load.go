package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"

	"weir/sensors"
)

// Options are what a configuration is checked against. The zero value works:
// it knows no driver and takes the environment of the process.
type Options struct {
	Drivers []sensors.Driver
	// ID finds the name of this gateway when the file does not give it. It is
	// called once, with the data directory. Nil: {id} stays in the topics.
	ID func(dataDir string) (string, error)
	// Getenv looks up an environment variable; nil: os.Getenv.
	Getenv func(string) string
	// Geteuid returns the user the process runs as; nil: os.Geteuid.
	Geteuid func() int
	// SkipFiles looks at no other file and at no secret: for a file that is
	// meant for another machine.
	SkipFiles bool
	// Optional makes a file that does not exist the same as an empty one.
	Optional bool
	// Shared says that others than the owner can read the file, so that a
	// password in it deserves a warning. Load finds out by itself.
	Shared bool
}

// Load reads and checks a file. The problems are all there are, ordered by
// place; with an error among them the Config is nil and the error ErrInvalid.
// Any other error means that the file could not be read. Nothing is written.
func Load(path string, opts Options) (*Config, []Problem, error) {
	data, err := readConfig(path)
	if errors.Is(err, fs.ErrNotExist) && opts.Optional {
		return Parse("", nil, opts)
	}
	if err != nil {
		return nil, nil, err
	}
	if st, err := os.Stat(path); err == nil {
		opts.Shared = st.Mode().Perm()&0o077 != 0
	}
	return Parse(path, data, opts)
}

func readConfig(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err == nil && st.IsDir() {
		return nil, fmt.Errorf("%s is a directory, want a TOML file", path)
	}
	if err == nil && st.Size() > maxFile {
		return nil, fmt.Errorf("%s has %d bytes, want at most %d", path, st.Size(), maxFile)
	}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the configuration: %w; an empty file is a valid one: touch %s", err, path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("read the configuration: %w; run it as a user that may read the file, such as with sudo", err)
	case err != nil:
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return data, nil
}

// Parse checks the text of a file. name stands in messages, and the directory
// it is in is where relative paths begin; empty: the working directory.
func Parse(name string, data []byte, opts Options) (*Config, []Problem, error) {
	c := newChecker(name, opts)
	if len(data) > maxFile {
		c.errorAt(Position{1, 1}, "the file has %d bytes, want at most %d", len(data), maxFile)
		return c.finish()
	}
	ix, syntax := scan(string(data))
	c.ix = ix
	for _, e := range ix.wrong {
		c.errorAt(ix.position(e.offset), "%s", e.text)
	}
	if syntax != nil {
		c.errorAt(ix.position(syntax.offset), "%s", syntax.text)
		return c.finish()
	}
	tree, problem := decode(ix)
	for range maxShown {
		if problem == nil {
			break
		}
		c.errorAt(ix.position(problem.offset), "%s", problem.text)
		if !ix.leaveOutAt(problem.offset) {
			for _, r := range ix.twice { // a table written twice, and others that are
				if e := ix.repeated(r); r.second > problem.offset {
					c.errorAt(ix.position(e.offset), "%s", e.text)
				}
			}
			return c.finish()
		}
		tree, problem = decode(ix)
	}
	if problem != nil {
		return c.finish()
	}
	c.runWithout(ix.left, tree)
	return c.finish()
}

// runWithout checks the tree of a file some lines of which were left out. Their
// keys are not missing, no rule judges them, and warnings wait until all is read.
func (c *checker) runWithout(left []line, tree map[string]any) {
	for _, l := range left {
		c.mark(l.path)
		c.meant[l.path] = true
	}
	c.run(tree)
	if len(left) > 0 {
		c.problems = slices.DeleteFunc(c.problems, func(p Problem) bool { return p.Severity == Warning })
	}
}

// decode reads the values. What is wrong comes back with its place, which
// BurntSushi/toml only gives as an offset that may lie past the end.
func decode(ix *index) (tree map[string]any, problem *syntaxError) {
	defer func() {
		if r := recover(); r != nil {
			tree, problem = nil, &syntaxError{text: "the file cannot be read as TOML"}
		}
	}()
	_, err := toml.Decode(ix.text(), &tree)
	if err == nil {
		return tree, nil
	}
	var parse toml.ParseError
	if !errors.As(err, &parse) {
		return nil, &syntaxError{text: "the file cannot be read as TOML"}
	}
	offset := parse.Position.Start
	if strings.HasPrefix(ix.data, "\ufeff") {
		offset += len("\ufeff")
	}
	return nil, explain(ix, parse, offset)
}

// explain words an error of BurntSushi/toml.
func explain(ix *index, parse toml.ParseError, offset int) *syntaxError {
	if len(ix.twice) > 0 && strings.Contains(parse.Message, "already") {
		return ix.repeated(ix.twice[0])
	}
	message := parse.Message
	if i := strings.Index(message, "Key '"); i == 0 {
		message = strings.NewReplacer("Key '", "the key ", "'", "").Replace(message)
	}
	if len(message) > 0 {
		message = strings.ToLower(message[:1]) + message[1:]
	}
	if line := lineAt(ix, offset); privateLike.MatchString(line) || strings.Contains(line, "@") {
		message = "the value is not valid TOML"
	}
	message = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, message)
	return &syntaxError{offset: offset, text: strings.TrimSuffix(message, ".")}
}

// repeated is the error of a key or table that is written twice.
func (ix *index) repeated(r repeat) *syntaxError {
	what := "is written twice"
	if p := ix.places[r.path]; p != nil && p.header {
		what = "this table is written twice"
	}
	return &syntaxError{offset: r.second, text: fmt.Sprintf("%s: %s, first in line %d", r.path, what, ix.position(r.first).Line)}
}

// lineAt is the line an offset is in.
func lineAt(ix *index, offset int) string {
	n := ix.position(offset).Line
	line, _, _ := strings.Cut(ix.data[ix.lines[n-1]:], "\n")
	return line
}

// dirOf is where relative paths of a file begin.
func dirOf(name string) string {
	if name == "" {
		return "."
	}
	return filepath.Dir(name)
}
