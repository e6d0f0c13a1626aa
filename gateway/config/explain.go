package config

import (
	"slices"
	"strings"

	"weir/sensors"
)

// Section is one table of the file, for people.
type Section struct {
	Header  string // "[sensor.NAME]", "[[bridge.NAME.forward]]"; words in capitals are names to choose
	Meaning string // a phrase
}

// Sections are all tables a file may have, in the order people read them.
func Sections(drivers []sensors.Driver) []Section {
	var all []Section
	for _, s := range sections(drivers) {
		header := "[" + s.pattern + "]"
		if list, ok := strings.CutSuffix(s.pattern, "[]"); ok {
			header = "[[" + list + "]]"
		}
		all = append(all, Section{header, s.meaning})
	}
	return all
}

// Explain returns the fields that a text names: those of a table ("sensor", "bridge.cloud.forward", "[buffer]"), one of a
// table ("broker.max_packet", "sensor.room1.every"), or those of one name anywhere ("every", "forward"). Of a table of sensors it
// leaves out what drivers add. If there are none, near is what may be meant, or "".
func Explain(drivers []sensors.Driver, what string) (fields []Field, near string) {
	words := strings.FieldsFunc(what, func(r rune) bool { return strings.ContainsRune("[]. ", r) })
	all := Fields(drivers)
	names := map[string]bool{}
	var table, one, anywhere []Field
	for _, f := range all {
		pattern := strings.Split(strings.ReplaceAll(f.Path, "[]", ""), ".")
		parent := pattern[:len(pattern)-1]
		names[f.key], names[parent[0]] = true, true
		switch {
		case named(parent, words):
			if len(f.Drivers) == 0 {
				table = append(table, f)
			}
		case named(pattern, words):
			one = append(one, f)
		case len(words) == 1 && (f.key == words[0] || slices.Contains(parent, words[0])):
			anywhere = append(anywhere, f)
		}
	}
	for _, found := range [][]Field{table, one, anywhere} {
		if len(found) > 0 {
			return found, ""
		}
	}
	if len(words) == 0 {
		return nil, ""
	}
	list := make([]string, 0, len(names)+len(drivers))
	for name := range names {
		list = append(list, name)
	}
	for _, d := range drivers {
		list = append(list, d.Name)
	}
	slices.Sort(list)
	return nil, suggest(words[len(words)-1], list)
}

// named reports whether words are a path of this pattern, in which names may be left out.
func named(pattern, words []string) bool {
	if len(pattern) == 0 {
		return len(words) == 0
	}
	aName := pattern[0] == strings.ToUpper(pattern[0])
	if len(words) > 0 && (aName || pattern[0] == words[0]) && named(pattern[1:], words[1:]) {
		return true
	}
	return aName && named(pattern[1:], words)
}
