package config

import (
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Position is a place in a configuration file. Lines and columns count from 1;
// a column is a character, a tab is one. The zero value is no place.
type Position struct {
	Line, Col int
}

// IsValid reports whether p is a place.
func (p Position) IsValid() bool { return p.Line > 0 }

// before orders positions as they stand in the file.
func (p Position) before(q Position) bool {
	return p.Line < q.Line || p.Line == q.Line && p.Col < q.Col
}

// index says where the keys and values of a file stand. Paths name a value as
// messages do: parts joined by dots, quoted where TOML would need it, array
// elements counted from 1: bridge.cloud.forward[2].filter.
type index struct {
	data   string
	lines  []int      // byte offset of the first byte of each line
	keys   [][]string // as toml.MetaData.Keys gives them
	places map[string]*place
	twice  []repeat

	single []line         // statements on one line
	wrong  []*syntaxError // of the lines left out
	left   []line         // left out, because they are no TOML
}

// line is a statement on one line, in byte offsets.
type line struct {
	start, end  int
	path        string // of its key
	keys, twice int    // how many there were before it
}

// leaveOut takes a line out of the text that is decoded.
func (ix *index) leaveOut(l line) {
	ix.left = append(ix.left, l)
	for path, p := range ix.places {
		if p.key >= l.start && p.key < l.end {
			delete(ix.places, path)
		}
	}
}

// leaveOutAt does so with the line an offset is in. It reports whether there is
// one that was not left out yet.
func (ix *index) leaveOutAt(offset int) bool {
	i := sort.Search(len(ix.single), func(i int) bool { return ix.single[i].end >= offset })
	if i == len(ix.single) || ix.single[i].start > offset {
		return false
	}
	l := ix.single[i]
	ix.single = slices.Delete(ix.single, i, i+1)
	ix.twice = slices.DeleteFunc(ix.twice, func(r repeat) bool { return r.second >= l.start && r.second < l.end })
	ix.leaveOut(l)
	return true
}

// text is the file without the lines left out, everything else at its place.
func (ix *index) text() string {
	if len(ix.left) == 0 {
		return ix.data
	}
	b := []byte(ix.data)
	for _, l := range ix.left {
		for i := l.start; i < l.end; i++ {
			b[i] = ' '
		}
	}
	return string(b)
}

// place is where one path stands, in byte offsets.
type place struct {
	key        int  // the key, or the "[" of a table header
	start, end int  // the value; end 0: a table
	explicit   bool // written as a key of its own or a header, not just as part of one
	header     bool
}

// repeat is a key written a second time.
type repeat struct {
	path          string
	first, second int
}

func newIndex(data string) *index {
	ix := &index{data: data, places: map[string]*place{}, lines: []int{0}}
	for i := 0; i < len(data); i++ {
		if data[i] == '\n' {
			ix.lines = append(ix.lines, i+1)
		}
	}
	return ix
}

// position turns a byte offset into a line and column inside the file; an
// offset past the end is where the last line that holds something ends.
func (ix *index) position(offset int) Position {
	offset = max(0, min(offset, len(ix.data)))
	line := sort.SearchInts(ix.lines, offset+1) - 1
	if offset == len(ix.data) && offset == ix.lines[line] && line > 0 {
		line-- // behind the last newline: say the end of the line before
		offset = ix.lines[line+1] - 1
		offset -= len(ix.data[ix.lines[line]:offset]) - len(strings.TrimRight(ix.data[ix.lines[line]:offset], "\r"))
	}
	text := strings.TrimPrefix(ix.data[ix.lines[line]:offset], "\ufeff")
	return Position{Line: line + 1, Col: utf8.RuneCountInString(text) + 1}
}

// key is where the key of path stands; a path the file does not hold is where
// the nearest table around it stands.
func (ix *index) key(path string) Position {
	for path != "" {
		if p := ix.places[path]; p != nil {
			return ix.position(p.key)
		}
		path = parentPath(path)
	}
	return Position{Line: 1, Col: 1}
}

// value is where the value of path begins, the key's place for a table.
func (ix *index) value(path string) Position {
	if p := ix.places[path]; p != nil && p.end > 0 {
		return ix.position(p.start)
	}
	return ix.key(path)
}

// has reports whether the file writes path itself.
func (ix *index) has(path string) bool { return ix.places[path] != nil }

// raw is the text of a value as it is written, "" for a table.
func (ix *index) raw(path string) string {
	if p := ix.places[path]; p != nil && p.end > 0 {
		return ix.data[p.start:p.end]
	}
	return ""
}

// add records where path stands. The first place stays; an explicit one
// replaces one that was only part of a longer key.
func (ix *index) add(path string, p place) *place {
	old := ix.places[path]
	switch {
	case old == nil:
		ix.places[path] = &p
		return &p
	case p.explicit && old.explicit:
		ix.twice = append(ix.twice, repeat{path, old.key, p.key})
	case p.explicit:
		*old = p
	}
	return old
}

// join appends a part to a path.
func join(path, part string) string {
	if path == "" {
		return quotePart(part)
	}
	return path + "." + quotePart(part)
}

// element is the path of the nth element, from 1, of an array.
func element(path string, n int) string { return path + "[" + strconv.Itoa(n) + "]" }

func quotePart(part string) string {
	for i := 0; i < len(part); i++ {
		if !isBareKey(part[i]) {
			return strconv.Quote(part)
		}
	}
	if part == "" {
		return `""`
	}
	return part
}

// parentPath takes the last part, or the last element number, off a path.
func parentPath(path string) string {
	quoted := false
	cut := -1
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '.' || c == '['):
			cut = i
		}
	}
	if cut < 0 {
		return ""
	}
	return path[:cut]
}

func isBareKey(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}
