package chip

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weir/sensors"
)

// lineFormat turns a line of text into readings. It is not changed after it was
// made.
type lineFormat struct {
	pattern  *regexp.Regexp
	groups   []lineGroup
	checksum string
	mark     string
	faults   []string
}

// lineGroup is a named group of the pattern.
type lineGroup struct {
	converted
	index int // of the group
}

// keyError is an error of newLineFormat: what is wrong with which setting.
func keyError(key, format string, a ...any) error {
	return &sensors.KeyError{Key: key, Text: fmt.Sprintf(format, a...)}
}

func newLineFormat(s sensors.Settings) (*lineFormat, error) {
	pattern := s.Regexp("pattern")
	if id := s.Text("id"); id != "" && strings.Contains(pattern.String(), "{id}") {
		named, err := regexp.Compile(strings.ReplaceAll(pattern.String(), "{id}", regexp.QuoteMeta(id)))
		if err != nil {
			return nil, keyError("pattern", "with id in it: %v", err)
		}
		pattern = named
	}
	f := &lineFormat{pattern: pattern, checksum: s.Text("checksum"), mark: s.Text("checksum_mark"), faults: s.Texts("fault")}
	if f.checksum != "none" && f.mark == "" {
		return nil, keyError("checksum_mark", "empty, want what stands before the checksum")
	}
	var names []string
	for _, name := range f.pattern.SubexpNames() {
		if slices.Contains(names, name) {
			return nil, keyError("pattern", "two groups are called %q in %q", name, f.pattern)
		}
		if name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, keyError("pattern", `no named group in %q, want one for each quantity, such as (?P<temperature>[-\d.]+)`, f.pattern)
	}
	units, err := unitsOf(s.Texts("device_units"), names)
	if err != nil {
		return nil, err
	}
	for i, name := range f.pattern.SubexpNames() {
		if name == "" {
			continue
		}
		unit, err := unitOf(sensors.Quantity(name), units[name])
		if err != nil {
			return nil, keyError("device_units", "%v", err)
		}
		f.groups = append(f.groups, lineGroup{newConverted(sensors.Quantity(name), unit), i})
	}
	return f, nil
}

// check returns the text of a line without its checksum, if both fit.
func (f *lineFormat) check(line string) (string, error) {
	text := line
	if f.checksum != "none" {
		body, sum, found := cutLast(line, f.mark)
		if !found {
			return "", fmt.Errorf("no checksum in %.60q", line)
		}
		got, err := strconv.ParseUint(strings.TrimSpace(sum), 16, 16)
		if want := lineChecksum(f.checksum, body); err != nil || uint16(got) != want {
			return "", fmt.Errorf("checksum of %.60q is wrong, want %02X", line, want)
		}
		text = body
	}
	if !f.pattern.MatchString(text) {
		return "", fmt.Errorf("%.60q does not match the pattern", line)
	}
	return text, nil
}

func cutLast(s, mark string) (before, after string, found bool) {
	i := strings.LastIndex(s, mark)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(mark):], true
}

func lineChecksum(kind, text string) uint16 {
	if kind == "crc16" {
		return crc16([]byte(text))
	}
	var sum byte
	if kind == "xor" {
		text = strings.TrimLeft(text[:min(1, len(text))], "$!") + text[min(1, len(text)):]
	}
	for _, b := range []byte(text) {
		if kind == "xor" {
			sum ^= b
		} else {
			sum += b
		}
	}
	return uint16(sum)
}

// read puts the values of a line that check has passed into s.
func (f *lineFormat) read(s *sensors.Sample, text string) {
	at := f.pattern.FindStringSubmatchIndex(text)
	for i := range f.groups {
		g := &f.groups[i]
		from := -1
		if at != nil {
			from = at[2*g.index]
		}
		if from < 0 {
			s.AddBad(g.measure, sensors.Missing, 0)
			continue
		}
		f.add(s, g, strings.TrimSpace(text[from:at[2*g.index+1]]))
	}
}

func (f *lineFormat) add(s *sensors.Sample, g *lineGroup, text string) {
	if text == "" {
		s.AddBad(g.measure, sensors.Missing, 0)
		return
	}
	v, decimals, ok := parseNumber(text)
	switch {
	case f.isFault(text, v, ok):
		s.AddBad(g.measure, sensors.FaultValue, 0)
	case !ok:
		s.AddBad(g.measure, sensors.NotANumber, 0)
	default:
		g.add(s, v, math.Pow10(-decimals), 0)
	}
	s.Sent(text)
}

// isFault reports whether a text is one the device sends when it has no value.
func (f *lineFormat) isFault(text string, v float64, isNumber bool) bool {
	if !strings.ContainsAny(text, "0123456789") {
		return strings.Contains(text, "*") || strings.Trim(text, "-. ") == ""
	}
	for _, fault := range f.faults {
		n, _, ok := parseNumber(fault)
		if fault == text || isNumber && ok && n == v {
			return true
		}
	}
	return false
}

// parseNumber reads a decimal number as instruments print it: with a sign that
// may stand apart, and a point or a comma. It also returns how many digits behind
// the point are known.
func parseNumber(text string) (v float64, decimals int, ok bool) {
	text = strings.ReplaceAll(text, ",", ".")
	if len(text) > 1 && (text[0] == '-' || text[0] == '+') {
		text = text[:1] + strings.TrimLeft(text[1:], " ")
	}
	if strings.Trim(text, "+-0123456789.eE") != "" {
		return 0, 0, false
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, 0, false
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	if _, after, found := strings.Cut(mantissa, "."); found {
		decimals = len(after)
	}
	if e, err := strconv.Atoi(exponent); err == nil {
		decimals -= e
	}
	return v, decimals, true
}
