package config

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The limits of a file, checked before anything is built from it.
const (
	maxFile  = 1 << 20 // bytes
	maxDepth = 32      // parts of a key, and arrays and inline tables inside each other

	maxLeftOut = 100 // lines that are no TOML, before reading ends
)

// syntaxError is a rule of TOML broken at a byte offset.
type syntaxError struct {
	offset int
	text   string
	limit  bool // not a rule of TOML but one of ours
}

// scanner reads the structure of a TOML 1.1 file, as far as that is needed to
// say where each key and value stands. It accepts everything BurntSushi/toml
// accepts; what it lets through, such as a day 99 in a date, is found there.
type scanner struct {
	data   string
	pos    int
	depth  int
	secret bool // the value being read belongs to a key with a telling name
	ix     *index
	arrays map[string]int // how many [[path]] were seen

	table []string // the header in force, as keys
	path  string   // the same as a path

	named  string // the path of the statement at hand, once its key and = or : are read
	broken int    // where the last line ends that was left out; 0: none was
}

// scan indexes a file, or says what is wrong with it and where. A line key =
// value with something wrong in its value is left out and told in ix.wrong; what
// is returned is an error behind which the rest cannot be understood.
func scan(data string) (*index, *syntaxError) {
	s := &scanner{data: data, ix: newIndex(data), arrays: map[string]int{}}
	if err := checkBytes(data); err != nil {
		return s.ix, err
	}
	s.pos = len(data) - len(strings.TrimPrefix(data, "\ufeff"))
	for {
		s.blank(true)
		if s.pos >= len(s.data) {
			return s.ix, nil
		}
		var err *syntaxError
		if s.peek() == '[' {
			err = s.header()
			if err == nil {
				err = s.endOfLine()
			}
		} else {
			err = s.statement()
		}
		if err != nil {
			return s.ix, err
		}
	}
}

// statement reads key = value. If it is wrong and ends on the line it began on,
// the line is left out and the error kept; a secret that runs over lines, of
// which the next would be taken for a key and shown, is not passed over.
func (s *scanner) statement() *syntaxError {
	l := line{start: s.pos, end: s.pos + len(s.line()), keys: len(s.ix.keys), twice: len(s.ix.twice)}
	s.named = ""
	err := s.keyValue(s.table, s.path)
	if err == nil {
		err = s.endOfLine()
	}
	l.path = s.named
	if s.named == "" && err != nil && s.broken > 0 && strings.TrimSpace(s.data[s.broken:l.start]) == "" {
		err.text = "want key = value, or a [table]" // it may belong to the value before
	}
	single := s.pos <= l.end
	switch {
	case err == nil && single:
		s.ix.single = append(s.ix.single, l)
	case err != nil && (!single || len(s.ix.wrong) == maxLeftOut || s.named == "" || err.limit || s.private(l.start) || s.private(err.offset)):
		return err
	case err != nil:
		s.ix.wrong = append(s.ix.wrong, err)
		s.ix.keys, s.ix.twice = s.ix.keys[:l.keys], s.ix.twice[:l.twice]
		s.ix.leaveOut(l)
		s.pos, s.depth, s.broken = l.end, 0, l.end
	}
	return nil
}

// checkBytes finds what may stand nowhere in a TOML file.
func checkBytes(data string) *syntaxError {
	if strings.HasPrefix(data, "\xff\xfe") || strings.HasPrefix(data, "\xfe\xff") ||
		strings.IndexByte(data[:min(len(data), 6)], 0) >= 0 {
		return &syntaxError{offset: 0, text: "the file is UTF-16; save it as UTF-8", limit: true}
	}
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRuneInString(data[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return &syntaxError{offset: i, text: fmt.Sprintf("byte 0x%02x is not UTF-8; save the file as UTF-8", data[i])}
		case r == '\r' && !strings.HasPrefix(data[i+1:], "\n"):
			return &syntaxError{offset: i, text: "a carriage return without a newline; save the file with Unix line ends"}
		case r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0x7f:
			return &syntaxError{offset: i, text: fmt.Sprintf("control character 0x%02x; remove it, or write \\u%04X inside the quotes", r, r)}
		}
		i += n
	}
	return nil
}

func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) rest() string { return s.data[s.pos:] }

func (s *scanner) fail(offset int, format string, v ...any) *syntaxError {
	return &syntaxError{offset: offset, text: fmt.Sprintf(format, v...)}
}

// blank skips spaces and tabs, and with lines also newlines and comments.
func (s *scanner) blank(lines bool) {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == ' ' || c == '\t':
		case lines && (c == '\n' || c == '\r'):
		case lines && c == '#':
			s.pos += len(s.line())
			continue
		default:
			return
		}
		s.pos++
	}
}

// line is what is left of the current line, without its end. Its length is not
// bounded, so it is not for what happens many times on one line.
func (s *scanner) line() string {
	line, _, _ := strings.Cut(s.rest(), "\n")
	return strings.TrimSuffix(line, "\r")
}

// until is what stands before the first of the given characters or the end of
// the line.
func (s *scanner) until(chars string) string {
	for i := s.pos; i < len(s.data); i++ {
		if c := s.data[i]; c == '\n' || c == '\r' || strings.IndexByte(chars, c) >= 0 {
			return s.data[s.pos:i]
		}
	}
	return s.rest()
}

func (s *scanner) endOfLine() *syntaxError {
	s.blank(false)
	line := s.line()
	if line == "" || line[0] == '#' {
		return nil
	}
	if strings.HasPrefix(line, "//") || line[0] == ';' {
		return s.fail(s.pos, "comments begin with #")
	}
	if after := strings.TrimLeft(line[1:], " \t"); line[0] == ',' && (after == "" || after[0] == '#') {
		return s.fail(s.pos, "a comma ends the line; take it out")
	}
	if s.private(s.pos) {
		return s.fail(s.pos, "unexpected text behind the value, want the end of the line or a comment with #")
	}
	return s.fail(s.pos, "unexpected %s, want the end of the line or a comment with #", clip(line))
}

// header reads [a.b] or [[a.b]].
func (s *scanner) header() *syntaxError {
	start, open, closing := s.pos, "[", "]"
	if strings.HasPrefix(s.rest(), "[[") {
		open, closing = "[[", "]]"
	}
	s.pos += len(open)
	parts, at, err := s.key("a table name")
	if err != nil {
		return err
	}
	if !strings.HasPrefix(s.rest(), closing) {
		return s.fail(s.pos, "the table header ends with %s, want %s", s.found(), closing)
	}
	s.pos += len(closing)
	path := ""
	for i, part := range parts {
		path = join(path, part)
		last := i == len(parts)-1
		if last {
			break
		}
		s.ix.add(path, place{key: at[i]})
		if n := s.arrays[path]; n > 0 {
			path = element(path, n)
		}
	}
	if open == "[[" {
		s.ix.add(path, place{key: start})
		s.arrays[path]++
		path = element(path, s.arrays[path])
	}
	s.ix.add(path, place{key: start, explicit: true, header: true})
	s.ix.keys = append(s.ix.keys, parts)
	s.table, s.path = parts, path
	return nil
}

// key reads the parts of a key and where each begins. what names it in errors.
func (s *scanner) key(what string) (parts []string, at []int, err *syntaxError) {
	for {
		s.blank(false)
		start := s.pos
		part, err := s.keyPart(what)
		if err != nil {
			return nil, nil, err
		}
		parts, at = append(parts, part), append(at, start)
		if len(parts) > maxDepth {
			return nil, nil, &syntaxError{offset: start, text: fmt.Sprintf("a key of more than %d parts", maxDepth), limit: true}
		}
		s.blank(false)
		if s.peek() != '.' {
			return parts, at, nil
		}
		s.pos++
	}
}

func (s *scanner) keyPart(what string) (string, *syntaxError) {
	switch c := s.peek(); {
	case c == '"':
		return s.basic()
	case c == '\'':
		return s.literal()
	case s.pos < len(s.data) && isBareKey(c):
		start := s.pos
		for s.pos < len(s.data) && isBareKey(s.data[s.pos]) {
			s.pos++
		}
		if s.pos < len(s.data) && s.data[s.pos] >= utf8.RuneSelf {
			return "", s.badKey(what)
		}
		return s.data[start:s.pos], nil
	}
	return "", s.badKey(what)
}

// keyValue reads key = value in the table with the given name.
func (s *scanner) keyValue(table []string, path string) *syntaxError {
	start := s.pos
	parts, at, err := s.key("a key")
	if err != nil {
		return err
	}
	if s.depth == 0 && (s.peek() == '=' || s.peek() == ':') {
		s.named = path
		for _, part := range parts {
			s.named = join(s.named, part)
		}
	}
	if s.peek() != '=' {
		return s.noEquals(s.data[start:s.pos])
	}
	s.pos++
	for i, part := range parts[:len(parts)-1] {
		path = join(path, part)
		s.ix.add(path, place{key: at[i]})
	}
	path = join(path, parts[len(parts)-1])
	full := append(append(make([]string, 0, len(table)+len(parts)), table...), parts...)
	s.ix.keys = append(s.ix.keys, full)
	s.blank(false)
	p := s.ix.add(path, place{key: at[len(at)-1], start: s.pos, explicit: true})
	if s.depth == 0 {
		s.secret = privateKey(full)
	}
	err = s.value(full, path)
	if err == nil && p.end == 0 && p.start > 0 {
		p.end = s.pos
	}
	return err
}

// value reads one value, adding the keys inside it.
func (s *scanner) value(key []string, path string) *syntaxError {
	s.depth++
	defer func() { s.depth-- }()
	if s.depth > maxDepth {
		return &syntaxError{offset: s.pos, text: fmt.Sprintf("more than %d arrays and tables inside each other", maxDepth), limit: true}
	}
	switch rest := s.rest(); {
	case strings.HasPrefix(rest, `"""`):
		return s.multiline(`"""`)
	case strings.HasPrefix(rest, "'''"):
		return s.multiline("'''")
	case strings.HasPrefix(rest, `"`):
		_, err := s.basic()
		return err
	case strings.HasPrefix(rest, "'"):
		_, err := s.literal()
		return err
	case strings.HasPrefix(rest, "["):
		return s.array(key, path)
	case strings.HasPrefix(rest, "{"):
		return s.inline(key, path)
	}
	return s.bare(key)
}

func (s *scanner) array(key []string, path string) *syntaxError {
	open := s.pos
	s.pos++
	for n := 1; ; n++ {
		s.blank(true)
		if s.peek() == ']' {
			s.pos++
			return nil
		}
		if s.pos >= len(s.data) {
			return s.fail(open, "the array that begins here has no closing ]")
		}
		if s.peek() == ',' {
			return s.fail(s.pos, "a comma without a value before it")
		}
		start := s.pos
		if err := s.value(key, element(path, n)); err != nil {
			return err
		}
		s.ix.add(element(path, n), place{key: start, start: start, end: s.pos})
		if err := s.comma(open, "]", "array"); err != nil {
			return err
		}
	}
}

func (s *scanner) inline(key []string, path string) *syntaxError {
	open := s.pos
	s.pos++
	for {
		s.blank(true)
		if s.peek() == '}' {
			s.pos++
			return nil
		}
		if s.pos >= len(s.data) {
			return s.fail(open, "the table that begins here has no closing }")
		}
		if s.peek() == ',' {
			return s.fail(s.pos, "a comma without a key before it")
		}
		if err := s.keyValue(key, path); err != nil {
			return err
		}
		if err := s.comma(open, "}", "table"); err != nil {
			return err
		}
	}
}

// comma reads the comma after an element, or stops before the closing bracket.
func (s *scanner) comma(open int, closing, what string) *syntaxError {
	s.blank(true)
	switch {
	case s.peek() == ',':
		s.pos++
		return nil
	case s.pos >= len(s.data):
		return s.fail(open, "the %s that begins here has no closing %s", what, closing)
	case s.peek() == closing[0]:
		return nil
	}
	return s.fail(s.pos, "unexpected %s in the %s, want a comma or %s", s.found(), what, closing)
}
