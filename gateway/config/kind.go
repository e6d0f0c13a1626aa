package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"weir/sensors"
)

// kind is the type of a field: how a value of the file (string, int64, float64,
// bool, []any, map[string]any) becomes the value in Config.
type kind struct {
	name  string // "duration"
	want  string // what is accepted, to stand behind "want"
	parse func(in *input, v any) (any, error)
}

// input is what a kind may know besides the value.
type input struct {
	dir       string              // of the file, for relative paths
	getenv    func(string) string // never nil
	skipFiles bool
	expand    func(string) (string, error) // replaces the placeholders known now; errors name those not allowed
}

// errWant makes the usual message: got what is written, want kind.want.
var errWant = errors.New("wrong")

// inside is an error in one element, from 1, of an array, or in one key of an
// inline table.
type inside struct {
	n    int
	key  string
	name bool // what is wrong is the key itself, not its value
	err  error
}

// at is the path of the part an error is in.
func (e inside) at(path string) string {
	if e.n > 0 {
		return element(path, e.n)
	}
	return join(path, e.key)
}

// parts is everything that is wrong inside one value.
type parts []inside

func (p parts) Error() string { return p[0].err.Error() }

// orNil makes no errors no error.
func (p parts) orNil() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

func text(v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", errWant
	}
	return s, plain(s)
}

// plain refuses what nobody means to write: blanks at the ends, control characters.
func plain(s string) error {
	for _, r := range s {
		switch {
		case r == '\t':
			return fmt.Errorf("got %s, which holds a tab", quoteClip(s))
		case unicode.IsControl(r):
			return fmt.Errorf("got %s, which holds a control character", quoteClip(s))
		case strings.ContainsRune("“”„", r):
			return fmt.Errorf("got %s, which holds the typographic quote %c", quoteClip(s), r)
		}
	}
	if strings.TrimSpace(s) != s {
		return fmt.Errorf("got %s, which begins or ends with a space", quoteClip(s))
	}
	return nil
}

func textKind(want string, most int) kind {
	return kind{"text", want, func(in *input, v any) (any, error) {
		s, err := text(v)
		if err != nil {
			return nil, err
		}
		if s, err = in.expand(s); err != nil {
			return nil, err
		}
		if s == "" || len(s) > most {
			return nil, errWant
		}
		return s, nil
	}}
}

var boolKind = kind{"boolean", "true or false, without quotes", func(_ *input, v any) (any, error) {
	b, ok := v.(bool)
	if !ok {
		return nil, errWant
	}
	return b, nil
}}

func integerKind[T ~int | ~byte](least, most int64) kind {
	want := fmt.Sprintf("a whole number from %d to %d", least, most)
	if most == least+1 {
		want = fmt.Sprintf("%d or %d", least, most)
	} else if most == least+2 {
		want = fmt.Sprintf("%d, %d or %d", least, least+1, most)
	}
	return kind{"integer", want, func(_ *input, v any) (any, error) {
		if s, quoted := v.(string); quoted {
			if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= least && n <= most {
				return nil, fmt.Errorf("got %q, want %d without quotes", s, n)
			}
		}
		n, ok := v.(int64)
		if !ok || n < least || n > most {
			return nil, errWant
		}
		return T(n), nil
	}}
}

func durationKind(least, most time.Duration, example string) kind {
	want := "a duration of at least " + formatDuration(least)
	if least == 0 {
		want = "a duration"
	}
	if most < math.MaxInt64 {
		want = fmt.Sprintf("a duration from %s to %s", formatDuration(least), formatDuration(most))
	}
	want += ", such as " + strconv.Quote(example)
	return kind{"duration", want, func(_ *input, v any) (any, error) {
		switch n := v.(type) {
		case int64:
			return nil, fmt.Errorf(`got %d without a unit, want %s`, n, want)
		case float64:
			return nil, fmt.Errorf(`got %v without a unit, want %s`, n, want)
		}
		s, ok := v.(string)
		if !ok {
			return nil, errWant
		}
		if _, err := strconv.ParseFloat(s, 64); err == nil {
			return nil, fmt.Errorf(`got %q without a unit, want %s`, s, want)
		}
		d, err := ParseDuration(s)
		if err != nil || d < least || d > most {
			return nil, errWant
		}
		return d, nil
	}}
}

func sizeKind(least, most Size, multiple int64, example string) kind {
	want := fmt.Sprintf("a size of at least %v, such as %q", least, example)
	if least == 0 {
		want = fmt.Sprintf("a size, such as %q", example)
	}
	if most > 0 {
		want = fmt.Sprintf("a size from %v to %v, such as %q", least, most, example)
	}
	if multiple > 1 {
		want += fmt.Sprintf(", in steps of %v", Size(multiple))
	}
	return kind{"size", want, func(_ *input, v any) (any, error) {
		if n, ok := v.(int64); ok {
			return nil, fmt.Errorf("got %d without a unit, want %s", n, want)
		}
		s, ok := v.(string)
		if !ok {
			return nil, errWant
		}
		n, err := ParseSize(s)
		if err != nil {
			return nil, fmt.Errorf("got %s, want %s", quoteClip(s), want)
		}
		if n < least || most > 0 && n > most || int64(n)%multiple != 0 {
			return nil, errWant
		}
		return n, nil
	}}
}

// choiceKind takes one of a few words. later are words that mean something in
// a version to come.
func choiceKind(choices []string, later ...string) kind {
	want := sensors.OrList(choices, true)
	return kind{"choice", want, func(_ *input, v any) (any, error) {
		s, ok := v.(string)
		if !ok {
			return nil, errWant
		}
		for _, c := range choices {
			if c == s {
				return s, nil
			}
		}
		for _, c := range later {
			if c == s {
				return nil, fmt.Errorf("got %q, which is not in this version, want %s", s, want)
			}
		}
		if near := nearest(s, choices); near != "" {
			return nil, fmt.Errorf("got %s, did you mean %q?", quoteClip(s), near)
		}
		return nil, errWant
	}}
}

var qosKind = kind{"qos", `0, 1, 2 or "as published"`, func(_ *input, v any) (any, error) {
	switch q := v.(type) {
	case int64:
		if q >= 0 && q <= 2 {
			return QoS(q), nil
		}
	case string:
		if q == "as published" {
			return AsPublished, nil
		}
		if len(q) == 1 && q[0] >= '0' && q[0] <= '2' {
			return nil, fmt.Errorf("got %q, want %s without quotes", q, q)
		}
	}
	return nil, errWant
}}

var retainKind = kind{"retain", `"as published" or false`, func(_ *input, v any) (any, error) {
	switch v {
	case false:
		return StripRetain, nil
	case "as published":
		return KeepRetain, nil
	}
	return nil, errWant
}}

var versionKind = kind{"choice", `"5" or "3.1.1"`, func(_ *input, v any) (any, error) {
	switch s := fmt.Sprint(v); s {
	case "5", "5.0":
		return V5, nil
	case "3.1.1":
		return V311, nil
	}
	return nil, errWant
}}

var addressKind = kind{"address", `an address and a port, such as "127.0.0.1:1883", or "unix:" and a path`, func(_ *input, v any) (any, error) {
	s, err := text(v)
	if err != nil {
		return nil, err
	}
	return result(ParseAddress(s))
}}

// result makes a pair of value and error into what parse returns.
func result[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

var urlKind = kind{"url", `mqtt://HOST or mqtts://HOST, such as "mqtts://broker.example.com"`, func(_ *input, v any) (any, error) {
	one := func(v any) (URL, error) {
		s, ok := v.(string)
		if !ok {
			return URL{}, errWant
		}
		return ParseURL(s)
	}
	list, ok := v.([]any)
	if !ok {
		u, err := one(v)
		return result([]URL{u}, err)
	}
	if len(list) == 0 {
		return nil, errWant
	}
	urls := make([]URL, len(list))
	var wrong parts
	for i, v := range list {
		u, err := one(v)
		if err != nil {
			wrong = append(wrong, inside{n: i + 1, err: err})
		}
		urls[i] = u
	}
	return urls, wrong.orNil()
}}

var zoneKind = kind{"time zone", `the name of a time zone, such as "Europe/Berlin", "UTC" or "Local"`, func(_ *input, v any) (any, error) {
	s, ok := v.(string)
	if !ok || s == "" {
		return nil, errWant
	}
	zone, err := time.LoadLocation(s)
	if err != nil {
		return nil, errWant
	}
	return zone, nil
}}

var pathKind = kind{"path", "the path of a file or directory", func(in *input, v any) (any, error) {
	s, err := text(v)
	if err != nil {
		return nil, err
	}
	if s == "" {
		return nil, errWant
	}
	return absolute(in.dir, s), nil
}}
