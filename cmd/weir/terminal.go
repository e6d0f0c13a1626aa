package main

import (
	"fmt"
	"io"
	"os"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// What others have published may hold anything, commands for a terminal among it: those could clear the screen, change what
// stands there, or have it type. So a terminal never gets a control character but the ends of lines and tabs, while files and
// pipes get every byte as it is.

// onTerminal tells whether something is written to a terminal.
func onTerminal(w io.Writer) bool {
	switch w := w.(type) {
	case *output:
		return term.IsTerminal(int(w.file.Fd()))
	case *os.File:
		return term.IsTerminal(int(w.Fd()))
	}
	return false
}

// harmless is the console with a visible in front of what is a terminal.
func (c console) harmless() console {
	if onTerminal(c.out) {
		c.out = &visible{to: c.out}
	}
	if onTerminal(c.err) {
		c.err = &visible{to: c.err}
	}
	return c
}

// visible is a writer that writes what cannot be printed as such as \x1b.
type visible struct {
	to   io.Writer
	part []byte // a character whose end has not come
}

// Write writes p. A character that is not whole waits for the rest of it.
func (v *visible) Write(p []byte) (int, error) {
	text := append(v.part, p...)
	whole := len(text)
	for i := max(0, len(text)-utf8.UTFMax+1); i < len(text); i++ {
		if utf8.RuneStart(text[i]) && !utf8.FullRune(text[i:]) {
			whole = i
			break
		}
	}
	out := appendVisible(nil, text[:whole])
	v.part = append([]byte(nil), text[whole:]...)
	if _, err := v.to.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// appendVisible appends text with what cannot be printed written out: such as \x1b for a byte, \u202e for a character.
func appendVisible(b, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == '\n' || r == '\t' || unicode.IsPrint(r) && (r != utf8.RuneError || n > 1):
			b = append(b, text[:n]...)
		case n == 1:
			b = fmt.Appendf(b, `\x%02x`, text[0])
		case r > 0xFFFF:
			b = fmt.Appendf(b, `\U%08x`, r)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		text = text[n:]
	}
	return b
}

// oneLine is text, such as a topic, as a part of a line: quoted if it would break that line or does not show as what it is.
func oneLine(text string) string {
	for _, r := range text {
		if r == ' ' || r == '"' || r == utf8.RuneError || !unicode.IsPrint(r) {
			return fmt.Sprintf("%q", text)
		}
	}
	if text == "" {
		return `""`
	}
	return text
}
