package sensors

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is the type of a setting, and of the Go value it becomes.
type Kind uint8

// The kinds. In brackets what the file holds and what Settings returns.
const (
	KindString   Kind = iota + 1 // string
	KindInt                      // integer (int64)
	KindFloat                    // float or integer (float64)
	KindBool                     // boolean
	KindDuration                 // string such as "500ms" (time.Duration); Min and Max are in seconds
	KindEnum                     // string, one of Choices
	KindAddress                  // integer or string such as 0x76 (int64)
	KindRegexp                   // string (*regexp.Regexp)
	KindMode                     // string such as "9600 8N1" (Mode)
	KindStrings                  // array of strings ([]string)
	KindInts                     // array of integers ([]int64)
	KindUnit                     // string, a unit (Unit)
)

// Key is one setting as a typed field: enough to check a value, explain it and
// print it.
type Key struct {
	Name     string
	Kind     Kind
	Unit     string   // of the number, for people: "°C", "Pa/s"
	Min, Max float64  // inclusive bounds of a number; both zero: none
	Choices  []string // KindEnum; KindInt, and KindAddress in hexadecimal ("0x28"), when only some numbers make sense
	Default  any      // as it would stand in the file (string, int, float64, bool, []any); nil: none
	Required bool
	Meaning  string // one sentence
	Example  string // how it looks in the file
}

// Table is a family of named tables a driver reads, such as
// [modbus.MAP.QUANTITY]: a setting of the sensor names the MAP, each QUANTITY
// in it is a row.
type Table struct {
	Section string           // "modbus"
	Key     string           // the sensor's setting that names one: "map"
	Keys    []Key            // what each row takes
	Presets map[string][]Row // built-in ones
}

// Row is one row of a table as the file would hold it.
type Row struct {
	Quantity string
	Values   map[string]any
}

// maxPattern is the longest regular expression taken, in bytes.
const maxPattern = 1024

// Check turns a value as a TOML file holds it (string, int64, int, float64,
// bool, time.Duration, []any) into the value of the key's kind. The error says
// what was found and what is wanted: `got "x", want an integer from 1 to 247`.
func (k *Key) Check(v any) (any, error) {
	if n, ok := v.(int); ok {
		v = int64(n)
	}
	switch k.Kind {
	case KindInt, KindAddress:
		return k.checkInt(v)
	case KindFloat:
		return k.checkFloat(v)
	case KindBool:
		if b, ok := v.(bool); ok {
			return b, nil
		}
	case KindDuration:
		return k.checkDuration(v)
	case KindStrings:
		return k.checkStrings(v)
	case KindInts:
		return k.checkInts(v)
	default:
		if s, ok := v.(string); ok {
			return k.checkText(s)
		}
	}
	return nil, k.wrong(v)
}

func (k *Key) checkText(s string) (any, error) {
	switch k.Kind {
	case KindString:
		if k.Required && s == "" {
			return nil, k.wrong(s)
		}
		return s, nil
	case KindEnum:
		if slices.Contains(k.Choices, s) {
			return s, nil
		}
	case KindUnit:
		if u, ok := ParseUnit(s); ok {
			return u, nil
		}
	case KindMode:
		m, err := ParseMode(s)
		if err != nil {
			return nil, err
		}
		return m, nil
	case KindRegexp:
		if len(s) > maxPattern {
			return nil, fmt.Errorf("got a pattern of %d bytes, want at most %d", len(s), maxPattern)
		}
		re, err := regexp.Compile(s)
		if err != nil {
			return nil, fmt.Errorf("got %q, want a regular expression: %w", s, err)
		}
		return re, nil
	}
	return nil, k.wrong(s)
}

func (k *Key) checkInt(v any) (any, error) {
	n, ok := v.(int64)
	if s, isText := v.(string); isText && k.Kind == KindAddress {
		p, err := strconv.ParseInt(s, 0, 32)
		n, ok = p, err == nil
	}
	if !ok || !k.inRange(float64(n)) {
		return nil, k.wrong(v)
	}
	written := itoa(n)
	if k.Kind == KindAddress {
		written = hex(float64(n))
	}
	if len(k.Choices) > 0 && !slices.Contains(k.Choices, written) {
		return nil, k.wrong(v)
	}
	return n, nil
}

func (k *Key) checkFloat(v any) (any, error) {
	f, ok := v.(float64)
	if n, isInt := v.(int64); isInt {
		f, ok = float64(n), true
	}
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) || !k.inRange(f) {
		return nil, k.wrong(v)
	}
	return f, nil
}

func (k *Key) checkDuration(v any) (any, error) {
	d, ok := v.(time.Duration)
	if s, isText := v.(string); isText {
		p, err := time.ParseDuration(s)
		d, ok = p, err == nil
	}
	if !ok || !k.inRange(d.Seconds()) {
		return nil, k.wrong(v)
	}
	return d, nil
}

func (k *Key) checkStrings(v any) (any, error) {
	if s, ok := v.([]string); ok {
		return s, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, k.wrong(v)
	}
	out := make([]string, 0, len(list))
	for _, x := range list {
		s, ok := x.(string)
		if !ok {
			return nil, k.wrong(v)
		}
		out = append(out, s)
	}
	return out, nil
}

func (k *Key) checkInts(v any) (any, error) {
	if s, ok := v.([]int64); ok {
		return s, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, k.wrong(v)
	}
	out := make([]int64, 0, len(list))
	for _, x := range list {
		if n, isInt := x.(int); isInt {
			x = int64(n)
		}
		n, ok := x.(int64)
		if !ok || !k.inRange(float64(n)) {
			return nil, k.wrong(v)
		}
		out = append(out, n)
	}
	return out, nil
}

func (k *Key) inRange(f float64) bool {
	return k.Min == 0 && k.Max == 0 || f >= k.Min && f <= k.Max
}

func (k *Key) wrong(v any) error {
	got := fmt.Sprint(v)
	if s, ok := v.(string); ok {
		got = strconv.Quote(s)
	}
	return fmt.Errorf("got %s, want %s", got, k.Want())
}

// Want says what the key accepts: "an integer from 1 to 247".
func (k *Key) Want() string {
	switch k.Kind {
	case KindInt:
		if len(k.Choices) > 0 {
			return orList(k.Choices, false)
		}
		return "an integer" + k.bounds(number)
	case KindAddress:
		switch {
		case len(k.Choices) > 0:
			return orList(k.Choices, false)
		case k.Min == k.Max && k.Min != 0:
			return "the address " + hex(k.Min)
		}
		return "an address" + k.bounds(hex)
	case KindFloat:
		return "a number" + k.bounds(number)
	case KindBool:
		return "true or false"
	case KindDuration:
		return "a duration" + k.bounds(seconds) + `, such as "500ms"`
	case KindEnum:
		return orList(k.Choices, true)
	case KindRegexp:
		return "a regular expression"
	case KindMode:
		return `speed and framing, such as "9600 8N1"`
	case KindStrings:
		return "an array of strings"
	case KindInts:
		return "an array of integers" + k.bounds(number)
	case KindUnit:
		return "a unit, such as " + `"°C" or "hPa"`
	}
	if k.Required {
		return "a text that is not empty"
	}
	return "a text"
}

func (k *Key) bounds(show func(float64) string) string {
	switch {
	case k.Min == 0 && k.Max == 0:
		return ""
	case math.IsInf(k.Max, 1):
		return " of at least " + show(k.Min)
	case math.IsInf(k.Min, -1):
		return " of at most " + show(k.Max)
	}
	return " from " + show(k.Min) + " to " + show(k.Max)
}

func number(f float64) string  { return strconv.FormatFloat(f, 'g', -1, 64) }
func hex(f float64) string     { return fmt.Sprintf("0x%02x", int64(f)) }
func seconds(f float64) string { return time.Duration(f * float64(time.Second)).String() }

// orList writes "1, 2 or 4", with quotes if asked.
func orList(list []string, quote bool) string {
	var b strings.Builder
	for i, s := range list {
		switch {
		case i > 0 && i == len(list)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		if quote {
			s = strconv.Quote(s)
		}
		b.WriteString(s)
	}
	return b.String()
}
