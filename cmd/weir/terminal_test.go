package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestVisible(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"21.5 °C\tok\n", "21.5 °C\tok\n"},
		{"\x1b]0;title\x07\x1b[2J", `\x1b]0;title\x07\x1b[2J`},
		{"a\rb\x7f\x00", `a\x0db\x7f\x00`},
		{"\u009b2J", `\u009b2J`},           // CSI in one character
		{"\x9b2J", `\x9b2J`},               // and in one byte
		{"\u202egpj.exe", `\u202egpj.exe`}, // from right to left
		{"\xe2\x82", `\xe2\x82`},
		{"\U000e0001", `\U000e0001`},
		{"\ufffd 日本 🌡", "\ufffd 日本 🌡"},
	} {
		if got := string(appendVisible(nil, []byte(c.text))); got != c.want {
			t.Errorf("%q shows as %s, want %s", c.text, got, c.want)
		}
		for cut := range len(c.text) { // in two writes, wherever the first one ends
			var out bytes.Buffer
			v := &visible{to: &out}
			for _, part := range []string{c.text[:cut], c.text[cut:], "\n"} {
				if n, err := v.Write([]byte(part)); n != len(part) || err != nil {
					t.Fatalf("%d, %v", n, err)
				}
			}
			if out.String() != c.want+"\n" {
				t.Errorf("%q in two parts, %d bytes the first, shows as %s, want %s", c.text, cut, out.String(), c.want)
			}
		}
	}
}

func FuzzVisible(f *testing.F) {
	f.Add([]byte("\x1b[2J\xc2"), 3)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		var out bytes.Buffer
		v := &visible{to: &out}
		cut = max(0, min(cut, len(text)))
		v.Write(text[:cut])
		v.Write(text[cut:])
		v.Write([]byte("\n"))
		if !utf8.Valid(out.Bytes()) || strings.ContainsFunc(out.String(), func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 }) {
			t.Fatalf("%q shows as %q", text, &out)
		}
		if got := string(appendVisible(nil, text)) + "\n"; got != out.String() {
			t.Fatalf("%q shows as %q in two parts, as %q in one", text, &out, got)
		}
	})
}

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"plant/°C": "plant/°C", "": `""`, "a b": `"a b"`, "a\x1b[2J": `"a\x1b[2J"`, "a\u009b": `"a\u009b"`, "a\u202e": `"a\u202e"`, `"`: `"\""`, "a\tb": `"a\tb"`,
	} {
		if got := oneLine(text); got != want {
			t.Errorf("%q on a line is %s, want %s", text, got, want)
		}
	}
}
