package bridge

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"time"
	"unicode/utf8"
)

// timeLayout is RFC 3339 in UTC with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// moment is what is known about when something was.
type moment struct {
	at      time.Time // zero: not known at all
	certain bool
}

// known reports whether there is a time that can be written.
func (m moment) known() bool {
	return !m.at.IsZero() && m.at.Year() >= 1 && m.at.Year() <= 9999
}

// appendJSON appends the json format of doc.go. unit and quality may be nil.
func appendJSON(dst, payload []byte, m moment, unit, quality []byte) []byte {
	dst = append(dst, '{')
	if m.known() {
		dst = append(dst, `"time":"`...)
		dst = m.at.UTC().AppendFormat(dst, timeLayout)
		dst = append(dst, `",`...)
	}
	if !m.known() || !m.certain {
		dst = append(dst, `"time_quality":"uncertain",`...)
	}
	dst = appendValue(dst, payload)
	if unit != nil {
		dst = appendText(append(dst, `,"unit":`...), unit)
	}
	if quality != nil {
		dst = appendText(append(dst, `,"quality":`...), quality)
	}
	return append(dst, '}')
}

// appendValue appends a payload as "value", if it is JSON or text, or as "base64".
func appendValue(dst, payload []byte) []byte {
	if !utf8.Valid(payload) {
		dst = append(dst, `"base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, payload)
		return append(dst, '"')
	}
	dst = append(dst, `"value":`...)
	if bare := bytes.Trim(payload, " \t\r\n"); isNumber(bare) || isJSON(bare) {
		return append(dst, bare...)
	}
	return appendText(dst, payload)
}

// isJSON reports whether b, which is UTF-8, is one JSON value. Words that cannot be are sorted out first.
func isJSON(b []byte) bool {
	return len(b) > 0 && bytes.IndexByte([]byte(`{["tfn`), b[0]) >= 0 && json.Valid(b)
}

// isNumber reports whether b is a JSON number (RFC 8259, section 6).
func isNumber(b []byte) bool {
	b = bytes.TrimPrefix(b, []byte{'-'})
	whole := digits(b)
	if whole == 0 || whole > 1 && b[0] == '0' {
		return false
	}
	b = b[whole:]
	if len(b) > 0 && b[0] == '.' {
		n := digits(b[1:])
		if n == 0 {
			return false
		}
		b = b[1+n:]
	}
	if len(b) > 0 && (b[0] == 'e' || b[0] == 'E') {
		b = b[1:]
		if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
			b = b[1:]
		}
		n := digits(b)
		return n > 0 && n == len(b)
	}
	return len(b) == 0
}

func digits(b []byte) int {
	n := 0
	for n < len(b) && '0' <= b[n] && b[n] <= '9' {
		n++
	}
	return n
}

// appendText appends a JSON string; what is not UTF-8 in it becomes U+FFFD.
func appendText(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c < 0x20 || c == 0x7F:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRune(text[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		}
		i++
	}
	return append(dst, '"')
}
