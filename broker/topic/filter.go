package topic

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxBytes is the longest name or filter, $share prefix included [MQTT-4.7.3-3].
const MaxBytes = 65535

// MaxLevels is the largest number of levels of a filter, not counting the two
// of a $share prefix.
const MaxLevels = 255

const sharePrefix = "$share/"

// A Filter is a topic filter that obeys the rules of MQTT 3.1.1 and 5.0, 4.7
// and 4.8.2: only ParseFilter makes one. The zero value matches nothing.
// Filters are immutable; two with the same String are equal under ==. One costs
// what its text does: whatever else there is to know of it stands in that.
type Filter struct{ text string }

// An Option changes what ParseFilter accepts.
type Option func(*rules)

type rules struct{ inner bool }

// InnerWildcard lets # stand before the last level, meaning zero or more
// levels. The standard forbids it.
func InnerWildcard() Option { return func(r *rules) { r.inner = true } }

// ValidName reports why b may not be the topic of a PUBLISH: it is empty, longer
// than MaxBytes, not UTF-8, or holds a wildcard or U+0000. The error does not
// repeat the name, which may be long and hostile.
func ValidName(b []byte) error {
	if len(b) == 0 {
		return errors.New("topic name is empty, want at least one character") // [MQTT-4.7.3-1]
	}
	if len(b) > MaxBytes {
		return fmt.Errorf("topic name of %d bytes, limit %d", len(b), MaxBytes) // [MQTT-4.7.3-3]
	}
	if i := bytes.IndexAny(b, "+#"); i >= 0 {
		return fmt.Errorf("topic name holds wildcard %q at byte %d", b[i], i) // v5 [MQTT-4.7.0-1], v3 [MQTT-4.7.1-1]
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return fmt.Errorf("topic name holds U+0000 at byte %d", i) // [MQTT-4.7.3-2]
	}
	if !utf8.Valid(b) {
		return errors.New("topic name is not UTF-8") // v5 [MQTT-1.5.4-1], v3 [MQTT-1.5.3-1]
	}
	return nil
}

// ParseFilter returns s as a Filter, or an error that says which rule it breaks.
func ParseFilter(s string, opts ...Option) (Filter, error) {
	var r rules
	for _, o := range opts {
		o(&r)
	}
	if len(s) > MaxBytes {
		return Filter{}, fmt.Errorf("topic filter of %d bytes, limit %d", len(s), MaxBytes) // [MQTT-4.7.3-3]
	}
	if strings.HasPrefix(s, sharePrefix) {
		if err := checkShare(s); err != nil {
			return Filter{}, err
		}
	}
	f := Filter{text: s}
	proper := f.Topic()
	if proper == "" {
		return Filter{}, fmt.Errorf("topic filter %q is empty, want at least one character", clip(s)) // [MQTT-4.7.3-1]
	}
	if i := strings.IndexByte(s, 0); i >= 0 {
		return Filter{}, fmt.Errorf("topic filter %q holds U+0000 at byte %d", clip(s), i) // [MQTT-4.7.3-2]
	}
	if !utf8.ValidString(s) {
		return Filter{}, fmt.Errorf("topic filter %q is not UTF-8", clip(s)) // v5 [MQTT-1.5.4-1], v3 [MQTT-1.5.3-1]
	}
	if n := strings.Count(proper, "/") + 1; n > MaxLevels {
		return Filter{}, fmt.Errorf("topic filter of %d levels, limit %d", n, MaxLevels)
	}
	if err := f.checkWildcards(r); err != nil {
		return Filter{}, err
	}
	return f, nil
}

// checkShare looks at "$share/GROUP/" at the head of s.
func checkShare(s string) error {
	group, _, found := strings.Cut(s[len(sharePrefix):], "/")
	switch {
	case group == "":
		return fmt.Errorf("shared filter %q has no group, want $share/GROUP/FILTER", clip(s)) // [MQTT-4.8.2-1]
	case strings.ContainsAny(group, "+#"):
		return fmt.Errorf("shared filter %q has a wildcard in its group", clip(s)) // [MQTT-4.8.2-2]
	case !found:
		return fmt.Errorf("shared filter %q has no filter, want $share/GROUP/FILTER", clip(s)) // [MQTT-4.8.2-2]
	}
	return nil
}

// checkWildcards finishes ParseFilter: where + and # stand in the filter proper.
func (f Filter) checkWildcards(r rules) error {
	proper := f.Topic()
	after := "" // the level before
	for pos := 0; pos <= len(proper); {
		var level string
		level, pos = nextLevel(proper, pos)
		last := pos > len(proper)
		switch {
		case level == "#" && !last && !r.inner:
			return fmt.Errorf("topic filter %q has # before its last level", clip(f.text)) // v5 [MQTT-4.7.1-1], v3 [MQTT-4.7.1-2]
		case level == "#" && after == "#":
			return fmt.Errorf("topic filter %q has two # side by side, one does the same", clip(f.text))
		case level == "#" && !last:
		case len(level) > 1 && strings.IndexByte(level, '#') >= 0:
			return fmt.Errorf("topic filter %q has # beside other characters of a level, want it alone", clip(f.text)) // v5 [MQTT-4.7.1-1], v3 [MQTT-4.7.1-2]
		case len(level) > 1 && strings.IndexByte(level, '+') >= 0:
			return fmt.Errorf("topic filter %q has + beside other characters of a level, want it alone", clip(f.text)) // v5 [MQTT-4.7.1-2], v3 [MQTT-4.7.1-3]
		}
		after = level
	}
	return nil
}

// clip shortens a text from outside for an error.
func clip(s string) string {
	const limit = 100
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "..."
}

// String is the filter as it was given, $share prefix included.
func (f Filter) String() string { return f.text }

// Topic is the filter without its "$share/GROUP/": what names are matched with.
func (f Filter) Topic() string { return f.text[f.start():] }

// start is where the filter proper begins, behind "$share/GROUP/"; 0 if that is not there.
func (f Filter) start() int {
	if !strings.HasPrefix(f.text, sharePrefix) {
		return 0
	}
	return len(sharePrefix) + strings.IndexByte(f.text[len(sharePrefix):], '/') + 1
}

// inner reports whether a # stands before the last level.
func (f Filter) inner() bool { return strings.Contains(f.text, "#/") }

// IsZero reports whether f is the zero value, which matches nothing.
func (f Filter) IsZero() bool { return f.text == "" }

// Shared returns the group of a shared filter; ok is false for any other.
func (f Filter) Shared() (group string, ok bool) {
	start := f.start()
	if start == 0 {
		return "", false
	}
	return f.text[len(sharePrefix) : start-1], true
}

// Wildcard reports whether f holds + or #, so may match more than one name.
func (f Filter) Wildcard() bool { return strings.ContainsAny(f.Topic(), "+#") }

// Match reports whether the filter takes the name, which must be valid
// (ValidName). Bytes are compared, nothing is normalised [MQTT-4.7.3-4]. It looks at
// this one filter only and allocates nothing.
func (f Filter) Match(name []byte) bool {
	filter := f.Topic()
	if filter == "" || len(name) == 0 || name[0] == '$' && startsWild(filter) {
		return false // [MQTT-4.7.2-1]
	}
	if f.inner() && tooDeep(name) {
		return false
	}
	// Levels are compared from the left. Behind a # the rest of the filter is
	// tried at each later level in turn; a later # makes the earlier one's
	// choice final, so the time is at most levels of f times levels of name.
	fpos, npos := 0, 0
	againFilter, againName := -1, 0
	for fpos <= len(filter) || npos <= len(name) {
		if fpos <= len(filter) {
			level, after := nextLevel(filter, fpos)
			if level == "#" {
				if after > len(filter) {
					return true
				}
				fpos, againFilter, againName = after, after, npos
				continue
			}
			if npos <= len(name) {
				got, next := nextLevel(name, npos)
				if level == "+" || level == string(got) {
					fpos, npos = after, next
					continue
				}
			}
		}
		if againFilter < 0 || againName > len(name) {
			return false
		}
		_, againName = nextLevel(name, againName)
		fpos, npos = againFilter, againName
	}
	return true
}

// nextLevel returns the level of s that begins at pos and where the next one
// begins, which is len(s)+1 after the last. pos must be at most len(s).
func nextLevel[S string | []byte](s S, pos int) (level S, next int) {
	for i := pos; i < len(s); i++ {
		if s[i] == '/' {
			return s[pos:i], i + 1
		}
	}
	return s[pos:], len(s) + 1
}

// startsWild reports whether the first level of a filter is a wildcard.
func startsWild(filter string) bool { return filter[0] == '+' || filter[0] == '#' }

// tooDeep reports whether a name has more levels than an inner # looks at.
func tooDeep(name []byte) bool {
	return len(name) >= MaxLevels && bytes.Count(name, []byte{'/'}) >= MaxLevels
}
