package config

import (
	"fmt"
	"slices"
	"strings"
)

// expand replaces the placeholders of a field whose value is known now, and
// refuses those the field does not have.
func (c *checker) expand(f *Field, t *table, text string) (string, error) {
	var b strings.Builder
	rest := text
	for {
		before, after, ok := strings.Cut(rest, "{")
		if f.kind.name != "text" && strings.Contains(before, "}") {
			return "", fmt.Errorf("got %s, which has a } without its {", quoteClip(text))
		}
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		name, behind, closed := strings.Cut(after, "}")
		if !closed || !isWord(name) {
			if f.kind.name != "text" { // a user name may have braces, a topic of ours has placeholders only
				return "", braceError(f, text, name, closed)
			}
			b.WriteByte('{')
			rest = after
			continue
		}
		if !slices.Contains(f.Placeholders, name) {
			return "", placeholderError(f, name)
		}
		b.WriteString(c.replacement(name, t))
		rest = behind
	}
}

func (c *checker) replacement(name string, t *table) string {
	switch {
	case name == "id" && c.id != "":
		return c.id
	case name == "sensor":
		return t.names[0]
	case name == "user" && t.names[0] != "*":
		return t.names[0]
	}
	return "{" + name + "}"
}

func placeholderError(f *Field, name string) error {
	if len(f.Placeholders) == 0 {
		return fmt.Errorf("got {%s}, but placeholders mean nothing here", name)
	}
	if near := nearest(name, f.Placeholders); near != "" {
		return fmt.Errorf("got {%s}, did you mean {%s}?", name, near)
	}
	return fmt.Errorf("got {%s}, want one of %s", name, known(f))
}

// braceError is about braces with something else than a placeholder between them.
func braceError(f *Field, text, name string, closed bool) error {
	if !closed {
		return fmt.Errorf("got %s, which has a { without its }", quoteClip(text))
	}
	if word := strings.Trim(name, "{ \t"); slices.Contains(f.Placeholders, word) {
		return fmt.Errorf("got %s, did you mean {%s}?", quoteClip("{"+name+"}"), word)
	}
	if len(f.Placeholders) == 0 {
		return fmt.Errorf("got %s, but placeholders mean nothing here", quoteClip("{"+name+"}"))
	}
	return fmt.Errorf("got %s, want one of %s", quoteClip("{"+name+"}"), known(f))
}

// known lists the placeholders of a field as a file writes them.
func known(f *Field) string {
	words := make([]string, len(f.Placeholders))
	for i, p := range f.Placeholders {
		words[i] = "{" + p + "}"
	}
	return strings.Join(words, " ")
}

func isWord(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return s != ""
}
