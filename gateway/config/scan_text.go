package config

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// basic reads "text" on one line and returns what it means.
func (s *scanner) basic() (string, *syntaxError) {
	start := s.pos
	s.pos++
	var b strings.Builder
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case '"':
			s.pos++
			return b.String(), nil
		case '\n', '\r':
			return "", s.unclosed(start, `"`)
		case '\\':
			r, err := s.escape()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
		default:
			b.WriteByte(c)
			s.pos++
		}
	}
	return "", s.unclosed(start, `"`)
}

// literal reads 'text' on one line.
func (s *scanner) literal() (string, *syntaxError) {
	start := s.pos
	s.pos++
	text := s.until("'")
	s.pos += len(text)
	if s.peek() != '\'' {
		return "", s.unclosed(start, "'")
	}
	s.pos++
	return text, nil
}

// unclosed says where a text that runs to the end of its line should end.
func (s *scanner) unclosed(start int, quote string) *syntaxError {
	s.pos = start
	line := s.line()
	if i := strings.IndexAny(line, "“”„«»‘’"); i >= 0 {
		return s.smartQuotes(start + i)
	}
	return s.fail(start, "the text that begins here has no closing %s on its line", quote)
}

// multiline reads """text""" or ”'text”'. The closing quotes are the last
// three of a run of three to five.
func (s *scanner) multiline(quotes string) *syntaxError {
	start := s.pos
	s.pos += 3
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == quotes[0]:
			run := len(s.rest()) - len(strings.TrimLeft(s.rest(), quotes[:1]))
			s.pos += run
			if run >= 3 {
				return nil
			}
		case c == '\\' && quotes[0] == '"':
			if err := s.multilineEscape(); err != nil {
				return err
			}
		default:
			s.pos++
		}
	}
	return s.fail(start, "the text that begins here has no closing %s", quotes)
}

// multilineEscape also takes a backslash that joins lines.
func (s *scanner) multilineEscape() *syntaxError {
	after := strings.TrimLeft(s.data[s.pos+1:], " \t")
	if strings.HasPrefix(after, "\n") || strings.HasPrefix(after, "\r") {
		s.pos = len(s.data) - len(after)
		return nil
	}
	_, err := s.escape()
	return err
}

var escapes = map[byte]rune{'b': '\b', 't': '\t', 'n': '\n', 'f': '\f', 'r': '\r', 'e': 0x1b, '"': '"', '\\': '\\'}

// escape reads a backslash and what belongs to it.
func (s *scanner) escape() (rune, *syntaxError) {
	start := s.pos
	s.pos++
	c := s.peek()
	if r, ok := escapes[c]; ok {
		s.pos++
		return r, nil
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	if digits > 0 && s.pos+1+digits <= len(s.data) {
		n, err := strconv.ParseUint(s.data[s.pos+1:s.pos+1+digits], 16, 32)
		if err == nil && n <= unicode.MaxRune && utf8.ValidRune(rune(n)) {
			s.pos += 1 + digits
			return rune(n), nil
		}
		if err == nil {
			return 0, s.fail(start, "%s is no character", s.data[start:s.pos+1+digits])
		}
	}
	next, _ := utf8.DecodeRuneInString(s.rest())
	if next == '\n' || next == '\r' || s.pos == len(s.data) {
		return 0, s.fail(start, `a single backslash at the end of the line; write \\ for a plain one`)
	}
	return 0, s.fail(start, `\%c means nothing in double quotes; for a plain backslash use single quotes, as in 'C:\path', or write \\`, next)
}

var (
	numberLike = regexp.MustCompile(`^[+-]?[0-9][0-9A-Fa-fxob_.eE+-]*$`)
	dateLike   = regexp.MustCompile(`^[0-9][0-9:TtZz .+-]*$`)
	ipLike     = regexp.MustCompile(`^[0-9]+(\.[0-9]+){3}(:[0-9]*)?(/[0-9]+)?$`)
	zeroLike   = regexp.MustCompile(`^0[0-9]+$`)
	commaLike  = regexp.MustCompile(`^[+-]?[0-9]+,[0-9]+$`)
	signLike   = regexp.MustCompile(`^[+-]?(inf|nan)$`)
	hexLike    = regexp.MustCompile(`^0X[0-9A-Fa-f]+$`)
	hexBegun   = regexp.MustCompile(`^0[xX][0-9A-Za-z_]*$`)
	hexWhole   = regexp.MustCompile(`^0x[0-9A-Fa-f]+(_[0-9A-Fa-f]+)*$`)
)

// bare reads a value without quotes: a boolean, a number or a date.
func (s *scanner) bare(key []string) *syntaxError {
	start := s.pos
	token := strings.TrimRight(s.until(",]}#"), " \t")
	name := key[len(key)-1]
	if token == "" {
		return s.noValue(name)
	}
	if token == "true" || token == "false" || signLike.MatchString(token) {
		s.pos += len(token)
		return nil
	}
	number := numberLike.MatchString(token) || dateLike.MatchString(token)
	if !number || s.depth == 1 || zeroLike.MatchString(token) || ipLike.MatchString(token) {
		if err := s.mistake(start, name, token); err != nil {
			return err
		}
	}
	if number {
		s.pos += len(token)
		return nil
	}
	if s.private(start) {
		return s.fail(start, "text must stand in quotes: %s = \"...\"", quotePart(name))
	}
	if first, _, more := strings.Cut(token, " "); more && s.depth > 1 && numberLike.MatchString(first) {
		s.pos += len(first) // { a = 1 b = 2 }: what is missing is a comma
		return nil
	}
	if strings.HasPrefix(s.rest()[len(token):], "#") { // /Home/#: here it is a wildcard, not a comment
		token = s.until(" \t,]}")
	}
	return s.fail(start, "text must stand in quotes: %s = %s", quotePart(name), quoteClip(token))
}

// mistake knows the usual ways to write a value wrong.
func (s *scanner) mistake(start int, name, token string) *syntaxError {
	first, _ := utf8.DecodeRuneInString(token)
	if s.private(start) && !unicode.IsPunct(first) && !unicode.IsSpace(first) {
		return nil // nothing of it is shown
	}
	switch word := strings.ToLower(token); {
	case strings.ContainsRune("“”„«»‘’‚‹›", first):
		return s.smartQuotes(start)
	case first == '\u00a0' || first == '\u200b' || first == '\ufeff':
		return s.fail(start, "an invisible character (U+%04X) that is not a space; delete it and type a space", first)
	case word == "true" || word == "yes" || word == "on":
		return s.fail(start, "got %s, want true, in small letters and without quotes", token)
	case word == "false" || word == "no" || word == "off":
		return s.fail(start, "got %s, want false, in small letters and without quotes", token)
	case word == "null" || word == "none" || word == "nil":
		return s.fail(start, "got %s, but TOML has no empty value; leave %s out", token, quotePart(name))
	case ipLike.MatchString(token):
		return s.fail(start, "an address must stand in quotes: %s = %q", quotePart(name), token)
	case zeroLike.MatchString(token):
		return s.fail(start, "got %s, want a number without a zero in front: %s", token, trimZeros(token))
	case hexLike.MatchString(token):
		return s.fail(start, "got %s, want a small x: 0x%s", token, token[2:])
	case hexBegun.MatchString(token) && !hexWhole.MatchString(token):
		return s.fail(start, "got %s, want digits 0 to 9 and letters A to F behind 0x", clip(token))
	case first == '=':
		return s.fail(start, "got a second =, want the value of %s", quotePart(name))
	case s.depth == 1 && commaLike.MatchString(strings.TrimRight(s.until("#"), " \t")):
		whole := strings.TrimRight(s.until("#"), " \t")
		return s.fail(start, "got %s, want a point, not a comma: %s", whole, strings.Replace(whole, ",", ".", 1))
	case first == '.':
		return s.fail(start, "got %s, want a digit before the point: 0%s", clip(token), clip(token))
	}
	return nil
}

func trimZeros(digits string) string {
	if t := strings.TrimLeft(digits, "0"); t != "" {
		return t
	}
	return "0"
}

func (s *scanner) smartQuotes(offset int) *syntaxError {
	r, _ := utf8.DecodeRuneInString(s.data[offset:])
	return s.fail(offset, `got the typographic quote %c, want the plain one: "`, r)
}

// noValue explains an = without a value.
func (s *scanner) noValue(name string) *syntaxError {
	return s.fail(s.pos, "%s has no value after the =", quotePart(name))
}

// noEquals explains a key that no = follows.
func (s *scanner) noEquals(key string) *syntaxError {
	key = strings.TrimRight(key, " \t")
	line := s.line()
	switch {
	case strings.HasPrefix(line, ":"):
		return s.fail(s.pos, `got ":" after %s, want "="`, clip(key))
	case line == "" || line[0] == '#':
		return s.fail(s.pos, "%s has no = and no value", clip(key))
	}
	return s.fail(s.pos, `got %s after the key %s, want "="`, s.found(), clip(key))
}

// badKey explains what stands where a key should begin.
func (s *scanner) badKey(what string) *syntaxError {
	line := s.line()
	first, size := utf8.DecodeRuneInString(line)
	switch {
	case line == "" || line[0] == '#':
		return s.fail(s.pos, "the line ends where %s should stand", what)
	case strings.HasPrefix(line, "//") || line[0] == ';':
		return s.fail(s.pos, "comments begin with #")
	case strings.HasPrefix(line, "<<<<<<<") || strings.HasPrefix(line, ">>>>>>>") || strings.HasPrefix(line, "======="):
		return s.fail(s.pos, "a conflict marker of a version control system; choose one side and remove it")
	case strings.ContainsRune("“”„«»‘’‚‹›", first):
		return s.smartQuotes(s.pos)
	case first == '\u00a0' || first == '\u200b' || first == '\ufeff':
		return s.fail(s.pos, "an invisible character (U+%04X) that is not a space; delete it and type a space", first)
	case first == '=':
		return s.fail(s.pos, `%s is missing before the "="`, what)
	case first == ']' && what == "a table name":
		return s.fail(s.pos, "the table has no name")
	case unicode.IsLetter(first):
		return s.fail(s.pos, "the letter %s stands in a key; keys without quotes have letters a to z, digits, - and _", line[:size])
	}
	return s.fail(s.pos, "unexpected %s, want %s", s.found(), what)
}

var privateLike = regexp.MustCompile(`(?i)pass|secret|token|credential|(^|[^a-z])(key|pin|psk)([^a-z]|$)`)

// privateKey reports whether the value of a key may be a secret: it has a telling
// name, or is user.NAME itself, where a table should stand.
func privateKey(key []string) bool {
	return privateLike.MatchString(strings.Join(key, " ")) || len(key) == 2 && key[0] == "user"
}

// private reports whether the text at an offset may be a secret, going by the
// names around it, so that no message repeats it.
func (s *scanner) private(offset int) bool {
	if s.secret {
		return true
	}
	const near = 500 // bytes of a long line
	start := max(0, offset-near)
	start += strings.LastIndexByte(s.data[start:offset], '\n') + 1
	line, _, _ := strings.Cut(s.data[start:min(offset+near, len(s.data))], "\n")
	return privateLike.MatchString(line) || strings.Contains(line, "@")
}

// found names the character at hand.
func (s *scanner) found() string {
	if s.pos >= len(s.data) {
		return "the end of the file"
	}
	if s.private(s.pos) && isBareKey(s.peek()) {
		return "text"
	}
	r, size := utf8.DecodeRuneInString(s.rest())
	if r == '\n' || r == '\r' {
		return "the end of the line"
	}
	return strconv.Quote(s.rest()[:size])
}

// clip shortens text of the file for a message.
func clip(text string) string {
	const limit = 60
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit]) + "..."
}

func quoteClip(text string) string { return strconv.Quote(clip(text)) }
