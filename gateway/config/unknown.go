package config

import (
	"slices"
	"strings"
)

// later are keys of versions to come, by the pattern of their table.
var later = map[string][]string{
	"": {"page", "history", "discovery", "remote", "metrics", "log", "budget", "profile", "template", "derive", "alert"},
	"bridge.NAME": {"budget", "cluster", "order", "backlog", "history_prefix", "rate", "expiry", "session", "session_expiry",
		"proxy", "websocket", "alpn", "compress", "spread"},
	"bridge.NAME.forward[]": {"template", "batch", "expiry", "rate", "order", "backlog", "history_prefix", "encoding", "compress",
		"policy", "max_size", "max_age", "deadband"},
	"bridge.NAME.receive[]": {"template", "retain", "exclude"},
	"listener.NAME":         {"proxy"},
	"user.NAME":             {"deny", "acl"},
	"sensor.NAME":           {"batch", "template", "oversample", "mux"},
	"sensors":               {"topic", "format", "qos", "retain", "units", "deadband", "derive"},
	"buffer":                {"policy"},
	"gateway":               {"location", "group"},
}

// unknown says about a key of a table that it means nothing there.
func (c *checker) unknown(n *node, t *table, key string) {
	path := join(t.path, key)
	if t.path == "" && isRule(key) && tableLike(t.values[key]) {
		c.wrongKey(path, "rules belong to a bridge: write [[bridge.%s.%s]]", c.someBridge(), key)
		return
	}
	if c.hasFuture(t, key) {
		c.wrongKey(path, "not in this version of weir; take it out, or put # in front")
		return
	}
	if c.astray(t, key, true) {
		return
	}
	words := c.words(n)
	if near := suggest(key, words); near != "" {
		c.didYouMean(n, t, key, near)
		return
	}
	if c.astray(t, key, false) {
		return
	}
	if t.path == "" {
		c.wrongKey(path, "unknown, want one of the tables %s", strings.Join(words, ", "))
		return
	}
	c.wrongKey(path, "unknown key; %s takes %s", t.path, strings.Join(words, ", "))
}

// didYouMean proposes a key; for a word of another program also how it is used here.
func (c *checker) didYouMean(n *node, t *table, key, near string) {
	path := join(t.path, key)
	c.meant[join(t.path, near)] = true
	switch example := c.exampleOf(n, near); {
	case t.path == "":
		c.wrongKey(path, "unknown table, did you mean [%s]?", near)
	case example != "" && slices.Contains(foreign[strings.ToLower(key)], near):
		c.wrongKey(path, "unknown key, did you mean %q, as in %s = %s?", near, near, example)
	default:
		c.wrongKey(path, "unknown key, did you mean %q?", near)
	}
}

// exampleOf is how a key of a table is used.
func (c *checker) exampleOf(n *node, key string) string {
	if n.section == nil {
		return ""
	}
	if c.examples == nil {
		c.examples = map[string]string{}
		for _, f := range Fields(c.opts.Drivers) {
			c.examples[f.Path] = f.Example
		}
	}
	return c.examples[n.section.pattern+"."+key]
}

// hasFuture reports whether a key is one of a version to come.
func (c *checker) hasFuture(t *table, key string) bool {
	pattern := ""
	if t.section != nil {
		pattern = t.section.pattern
	}
	return slices.Contains(later[pattern], key)
}

// words are the keys that may stand in a table.
func (c *checker) words(n *node) []string {
	var words []string
	if n.section != nil {
		for _, f := range n.section.fields {
			words = append(words, f.key)
		}
		words = append(words, n.section.keys...)
	}
	var tables []string
	for k := range n.next {
		tables = append(tables, k)
	}
	slices.Sort(tables)
	return append(words, tables...)
}

// astray tells where a key belongs that stands in the wrong table: around says
// to look only at the tables around this one.
func (c *checker) astray(t *table, key string, around bool) bool {
	path := join(t.path, key)
	if _, isTable := t.values[key].(map[string]any); isTable && around {
		return false
	}
	var homes []string
	for _, s := range c.all {
		if s == t.section || !s.takes(key) {
			continue
		}
		if t.section != nil && strings.HasPrefix(t.section.pattern, s.pattern+".") {
			c.belongsAbove(t, s, path, key)
			return true
		}
		homes = append(homes, headerOf(s.pattern))
	}
	if around || len(homes) == 0 {
		return false
	}
	c.mark(path)
	where := "stands in " + t.path
	if t.path == "" {
		where = "stands above the first table"
	}
	if len(homes) > 3 {
		homes = append(homes[:3], "others")
	}
	c.errorAt(c.ix.key(path), "%q %s; it belongs to %s", key, where, joinOr(homes))
	return true
}

// belongsAbove is the message for a key behind a header of a table inside the
// one it belongs to: TOML gives it to the inner one.
func (c *checker) belongsAbove(t *table, s *section, path, key string) {
	outer := t.path
	for range strings.Count(t.section.pattern, ".") - strings.Count(s.pattern, ".") {
		outer = parentPath(strings.TrimRight(outer, "[]0123456789"))
	}
	c.mark(path)
	c.meant[join(outer, key)] = true
	first := c.firstInside(outer)
	c.errorAt(c.ix.key(path), "%q stands in %s; it belongs to [%s], above line %d", key, t.path, outer, first)
}

// firstInside is the line of the first header of a table inside another.
func (c *checker) firstInside(outer string) int {
	first := 0
	for path, p := range c.ix.places {
		if p.header && strings.HasPrefix(path, outer+".") {
			if line := c.ix.position(p.key).Line; first == 0 || line < first {
				first = line
			}
		}
	}
	return first
}

func (s *section) takes(key string) bool {
	return slices.ContainsFunc(s.fields, func(f *Field) bool { return f.key == key }) || slices.Contains(s.keys, key)
}

// headerOf is how a file opens a table of a pattern.
func headerOf(pattern string) string {
	if name, array := strings.CutSuffix(pattern, "[]"); array {
		return "[[" + name + "]]"
	}
	return "[" + pattern + "]"
}

func joinOr(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// notTable says about a value that should be a table how to write one.
func (c *checker) notTable(n *node, parent *table, name, path string, v any) {
	list, double := v.([]map[string]any)
	switch {
	case double && n.any != nil:
		sample := "NAME"
		if s, ok := list[0]["name"].(string); ok && isLevel(s) {
			sample = quotePart(s)
		}
		c.wrongKey(path, "tables here have names: write [%s.%s] instead of [[%s]]", path, sample, path)
	case double:
		c.wrongKey(path, "written [[%s]], want single brackets: [%s]", path, path)
		for i, values := range list {
			c.step(n, parent, name, element(path, i+1), values)
		}
	case n.any != nil:
		c.wrong(path, "got %s, want a table: [%s.NAME]", c.shown(path), path)
	default:
		c.wrong(path, "got %s, want a table: [%s]", c.shown(path), path)
	}
}

// noName says about a key of [sensor] and its like that a name is missing.
func (c *checker) noName(n *node, parent *table, key, path string, v any) {
	if list, double := v.([]map[string]any); double && len(list) > 0 {
		if parent.path == "bridge" && isRule(key) {
			c.wrongKey(path, "rules belong to a bridge: write [[bridge.%s.%s]]", c.someBridge(), key)
			return
		}
		c.wrongKey(path, "written [[%s]], want single brackets: [%s]", path, path)
		named := *parent
		named.names = append(slices.Clone(parent.names), key)
		for i, values := range list {
			c.step(n, &named, key, element(path, i+1), values)
		}
		return
	}
	if c.bad[parent.path] {
		return // said already
	}
	c.mark(parent.path)
	if n.section != nil && n.section.takes(key) {
		c.errorAt(c.ix.key(parent.path), "%s: this table needs a name, such as [%s.%s]", parent.path, parent.path, sampleName(parent.path))
		return
	}
	c.wrong(path, "got %s, want a table: [%s]", c.shown(path), path)
	delete(c.bad, parent.path)
}

// isRule reports whether a key is that of the rules of a bridge.
func isRule(key string) bool { return key == "forward" || key == "receive" }

func tableLike(v any) bool {
	_, one := v.(map[string]any)
	_, list := v.([]map[string]any)
	return one || list
}

// someBridge is the name of the only bridge of a file, or a sample.
func (c *checker) someBridge() string {
	name := ""
	for path, p := range c.ix.places {
		if rest, ok := strings.CutPrefix(path, "bridge."); ok && p.header && !strings.ContainsAny(rest, ".[") && !isRule(rest) {
			if name != "" {
				return sampleName("bridge")
			}
			name = rest
		}
	}
	if name == "" {
		return sampleName("bridge")
	}
	return name
}

func sampleName(table string) string {
	names := map[string]string{"sensor": "room1", "serial": "rs485", "listener": "lan", "user": "pump7", "bridge": "cloud"}
	switch first, _, inside := strings.Cut(table, "."); {
	case inside:
		return "pressure" // a quantity of [modbus.MAP]
	case names[first] != "":
		return names[first]
	}
	return "NAME"
}
