package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
)

// maxRules is the most rules of one list.
const maxRules = 1000

// checker walks the tree of a file along the table of sections, fills the
// Config and collects what is wrong.
type checker struct {
	name string
	opts Options
	ix   *index
	cfg  *Config
	in   input
	root *node
	all  []*section

	problems []Problem
	sensors  []pending
	meant    map[string]bool   // paths a suggestion named; they are not missing as well
	bad      map[string]bool   // paths something is wrong with; no rule judges them again
	badIn    map[string]bool   // tables with something wrong inside
	examples map[string]string // of the fields, made when first needed
	id       string            // what {id} means; empty: not known
}

// node is one step of the patterns of all sections.
type node struct {
	next    map[string]*node
	any     *node // a name to choose
	array   bool  // [[...]]
	section *section
}

// table is one table of the file at its section.
type table struct {
	section *section
	path    string
	names   []string // the names chosen: of sensor.NAME one, of modbus.MAP.QUANTITY two
	target  any      // the struct it fills
	values  map[string]any
	left    []string // keys that are no field, in the order of the file
}

func newChecker(name string, opts Options) *checker {
	c := &checker{name: name, opts: opts, ix: newIndex(""), bad: map[string]bool{}, badIn: map[string]bool{}, meant: map[string]bool{}, all: sections(opts.Drivers)}
	if c.opts.Getenv == nil {
		c.opts.Getenv = os.Getenv
	}
	if c.opts.Geteuid == nil {
		c.opts.Geteuid = os.Geteuid
	}
	c.cfg = &Config{
		File: name, Sensor: map[string]*Sensor{}, Serial: map[string]*Serial{}, Tables: Tables{},
		Listener: map[string]*Listener{}, User: map[string]*User{}, Bridge: map[string]*Bridge{},
		origin: map[string]Position{},
	}
	c.in = input{dir: dirOf(name), getenv: c.opts.Getenv, skipFiles: opts.SkipFiles}
	c.root = &node{}
	for _, s := range c.all {
		c.root.grow(s)
	}
	return c
}

func (n *node) grow(s *section) {
	for _, step := range strings.Split(s.pattern, ".") {
		step, array := strings.CutSuffix(step, "[]")
		if isName(step) {
			if n.any == nil {
				n.any = &node{}
			}
			n = n.any
			continue
		}
		if n.next == nil {
			n.next = map[string]*node{}
		}
		if n.next[step] == nil {
			n.next[step] = &node{array: array}
		}
		n = n.next[step]
	}
	n.section = s
}

// isName reports whether a step of a pattern stands for a name to choose.
func isName(step string) bool { return step == strings.ToUpper(step) }

func (c *checker) errorAt(at Position, format string, v ...any) {
	c.problems = append(c.problems, Problem{File: c.name, Position: at, Text: fmt.Sprintf(format, v...)})
}

// mark remembers that something is wrong with a path, and inside the tables
// around it.
func (c *checker) mark(path string) {
	c.bad[path] = true
	for table := parentPath(path); table != "" && !c.badIn[table]; table = parentPath(table) {
		c.badIn[table] = true
	}
}

// wrong reports an error in the value of a path.
func (c *checker) wrong(path, format string, v ...any) {
	c.mark(path)
	c.errorAt(c.ix.value(path), "%s: %s", path, fmt.Sprintf(format, v...))
}

// wrongKey reports an error about a key itself.
func (c *checker) wrongKey(path, format string, v ...any) {
	c.mark(path)
	c.errorAt(c.ix.key(path), "%s: %s", path, fmt.Sprintf(format, v...))
}

func (c *checker) warn(path, format string, v ...any) {
	c.problems = append(c.problems, Problem{File: c.name, Position: c.ix.value(path), Severity: Warning,
		Text: path + ": " + fmt.Sprintf(format, v...)})
}

func (c *checker) finish() (*Config, []Problem, error) {
	sortProblems(c.problems)
	if Failed(c.problems) {
		return nil, c.problems, ErrInvalid
	}
	return c.cfg, c.problems, nil
}

// run checks the whole tree. [gateway] comes first, because {id} is in it.
func (c *checker) run(tree map[string]any) {
	c.single("gateway", tree)
	c.settleGateway()
	c.single("sensors", tree)
	c.single("broker", tree)
	c.single("buffer", tree)
	c.single("home_assistant", tree)
	rest := map[string]any{}
	for k, v := range tree {
		if !slices.Contains([]string{"gateway", "sensors", "broker", "buffer", "home_assistant"}, k) && !strings.HasPrefix(k, "x-") {
			rest[k] = v
		}
	}
	c.walk(c.root, &table{values: rest})
	c.settle()
	c.cross()
}

// single checks a table that is there once, whether the file has it or not.
func (c *checker) single(key string, tree map[string]any) {
	n := c.root.next[key]
	v, ok := tree[key]
	if !ok {
		v = map[string]any{}
	}
	c.step(n, &table{}, key, key, v)
}

// keysOf lists the keys of a table as they stand in the file.
func (c *checker) keysOf(path string, values map[string]any) []string {
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		a, b := c.ix.key(join(path, keys[i])), c.ix.key(join(path, keys[j]))
		if a == b {
			return keys[i] < keys[j]
		}
		return a.before(b)
	})
	return keys
}

// walk goes through the keys of a table: fields, further tables, and what is
// neither.
func (c *checker) walk(n *node, t *table) {
	fields := map[string]*Field{}
	if n.section != nil {
		c.defaults(n.section, t)
		for _, f := range n.section.fields {
			fields[f.key] = f
		}
	}
	for _, key := range c.keysOf(t.path, t.values) {
		path := join(t.path, key)
		switch {
		case fields[key] != nil:
			c.field(fields[key], t, path, t.values[key])
		case n.next[key] != nil:
			c.step(n.next[key], t, key, path, t.values[key])
		case n.any != nil:
			c.named(n, t, key, path)
		default:
			t.left = append(t.left, key)
		}
	}
	if n.section != nil && n.section.rest != nil {
		n.section.rest(c, t)
		c.missing(n.section, t)
		return
	}
	for _, key := range t.left {
		c.unknown(n, t, key)
	}
	if n.section != nil {
		c.missing(n.section, t)
	}
}

// defaults fills a section before its keys are read.
func (c *checker) defaults(s *section, t *table) {
	for _, f := range s.fields {
		if f.def == nil {
			continue
		}
		c.in.expand = func(text string) (string, error) { return c.expand(f, t, text) }
		v, err := f.kind.parse(&c.in, f.def)
		if err == nil {
			f.put(t.target, v)
		}
	}
}

func (c *checker) missing(s *section, t *table) {
	for _, f := range s.fields {
		if _, ok := t.values[f.key]; f.Required && !ok && !c.meant[join(t.path, f.key)] {
			c.wrongKey(join(t.path, f.key), "missing, want %s", f.Want)
		}
	}
}

// step goes down into the table or tables of one key.
func (c *checker) step(n *node, parent *table, name, path string, v any) {
	if n.array {
		c.elements(n, parent, path, v)
		return
	}
	values, ok := v.(map[string]any)
	if !ok {
		c.notTable(n, parent, name, path, v)
		return
	}
	t := &table{section: n.section, path: path, values: values, names: parent.names, target: parent.target}
	if n.section != nil {
		t.target = n.section.open(c.cfg, parent.target, name)
	}
	c.walk(n, t)
}

// named goes down into a table whose name is the user's choice.
func (c *checker) named(n *node, parent *table, name, path string) {
	v := parent.values[name]
	if _, ok := v.(map[string]any); !ok {
		c.noName(n.any, parent, name, path, v)
		return
	}
	if everyone := parent.path == "user" && name == "*"; !everyone && (!isLevel(name) || plain(name) != nil) {
		c.wrongKey(path, "got the name %s, want letters, digits and - _ .", quoteClip(name))
		return
	}
	named := *parent
	named.names = append(slices.Clone(parent.names), name)
	c.step(n.any, &named, name, path, v)
}

// elements goes down into each [[...]] of one key.
func (c *checker) elements(n *node, parent *table, path string, v any) {
	var list []map[string]any
	switch v := v.(type) {
	case []map[string]any:
		list = v
	case []any:
		for i, e := range v {
			values, ok := e.(map[string]any)
			if !ok {
				c.wrong(element(path, i+1), "got %s, want a table: [[%s]]", c.shown(element(path, i+1)), path)
				values = nil
			}
			list = append(list, values)
		}
	case map[string]any:
		c.wrongKey(path, "rules are a list: write [[%s]], with double brackets", path)
		c.step(&node{next: n.next, any: n.any, section: n.section}, parent, "", path, v)
		return
	default:
		c.wrong(path, "got %s, want tables: [[%s]]", c.shown(path), path)
		return
	}
	if len(list) > maxRules {
		c.wrongKey(path, "%d rules, want at most %d", len(list), maxRules)
		return
	}
	for i, values := range list {
		if values != nil {
			c.step(&node{next: n.next, any: n.any, section: n.section}, parent, "", element(path, i+1), values)
		}
	}
}

// field checks one value and stores it.
func (c *checker) field(f *Field, t *table, path string, v any) {
	c.in.expand = func(text string) (string, error) { return c.expand(f, t, text) }
	parsed, err := f.kind.parse(&c.in, v)
	var inParts parts
	if err == nil || errors.As(err, &inParts) && parsed != nil {
		f.put(t.target, parsed) // the sound parts are judged further
	}
	if err == nil {
		c.cfg.origin[path] = c.ix.value(path)
		if _, literal := v.(string); f.Secret && literal && c.opts.Shared {
			c.warn(path, "others can read this file; put the secret into one of its own: %s = %s", f.key, f.Example)
		}
		return
	}
	c.mark(path)
	for _, part := range inParts {
		if part.name {
			c.wrongKey(part.at(path), "%s", part.err)
			continue
		}
		c.fault(f, part.at(path), part.err)
	}
	if inParts == nil {
		c.fault(f, path, err)
	}
}

// fault reports what a kind says about a value or a part of one.
func (c *checker) fault(f *Field, at string, err error) {
	switch {
	case errors.Is(err, errWant) && f.Secret:
		c.wrong(at, "want %s", f.Want)
	case errors.Is(err, errWant):
		c.wrong(at, "got %s, want %s", c.shown(at), f.Want)
	default:
		c.wrong(at, "%s", err)
	}
}

// shown is a value as it is written, cut to a length fit for a message.
func (c *checker) shown(path string) string {
	raw := c.ix.raw(path)
	if raw == "" {
		return "a table"
	}
	line, _, more := strings.Cut(raw, "\n")
	if strings.Contains(line, "@") || privateLike.MatchString(path) || parentPath(path) == "user" {
		return "a value"
	}
	if more {
		return clip(strings.TrimSuffix(line, "\r")) + "..."
	}
	return clip(line)
}
