package sensors

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Settings are the checked values of one sensor (or of one row of a table),
// with the defaults filled in.
type Settings struct {
	Name   string     // of the sensor; of a row: its quantity
	Rows   []Settings // rows of the table the settings name, in the order of the file; see Table
	values map[string]any
}

// KeyError is one thing wrong with a setting.
type KeyError struct {
	Key  string
	Text string // `got 300, want an integer from 1 to 247`
}

// Error returns "key: text".
func (e *KeyError) Error() string { return e.Key + ": " + e.Text }

// MakeSettings checks the given values against keys, fills in defaults, and
// returns everything that is wrong, in the order of the keys.
func MakeSettings(name string, keys []Key, given map[string]any) (Settings, []*KeyError) {
	s := Settings{Name: name, values: make(map[string]any, len(keys))}
	var wrong []*KeyError
	for i := range keys {
		k := &keys[i]
		v, ok := given[k.Name]
		if !ok {
			v = k.Default
		}
		if v == nil {
			if k.Required {
				wrong = append(wrong, &KeyError{k.Name, "missing, want " + k.Want()})
			}
			continue
		}
		checked, err := k.Check(v)
		if err != nil {
			wrong = append(wrong, &KeyError{k.Name, err.Error()})
			continue
		}
		s.values[k.Name] = checked
	}
	return s, append(wrong, unknown(keys, given)...)
}

func unknown(keys []Key, given map[string]any) []*KeyError {
	var wrong []*KeyError
	for name := range given {
		if !slices.ContainsFunc(keys, func(k Key) bool { return k.Name == name }) {
			wrong = append(wrong, &KeyError{name, "unknown key"})
		}
	}
	slices.SortFunc(wrong, func(a, b *KeyError) int { return strings.Compare(a.Key, b.Key) })
	return wrong
}

// Settings checks given against the driver's keys. rows are those of the table
// the settings name, if the file has it; a preset of the driver is looked up
// here. A table that is neither is reported under the naming key. Settings that
// are sound are checked together.
func (d *Driver) Settings(name string, given map[string]any, rows []Row) (Settings, []*KeyError) {
	s, wrong := MakeSettings(name, d.Keys, given)
	if d.Table != nil {
		wrong = append(wrong, d.addRows(&s, rows)...)
	}
	if len(wrong) == 0 && d.Check != nil {
		wrong = d.Check(s)
	}
	return s, wrong
}

// addRows checks the rows of the table that s names and adds them to it.
func (d *Driver) addRows(s *Settings, rows []Row) (wrong []*KeyError) {
	table := s.Text(d.Table.Key)
	if rows == nil {
		rows = d.Table.Presets[table]
	}
	if len(rows) == 0 && table != "" {
		wrong = append(wrong, &KeyError{d.Table.Key, fmt.Sprintf("no table [%s.%s.QUANTITY], and no such preset (there are: %s)",
			d.Table.Section, table, strings.Join(d.Table.presetNames(), ", "))})
	}
	for _, r := range rows {
		row, bad := MakeSettings(r.Quantity, d.Table.Keys, r.Values)
		for _, e := range bad {
			wrong = append(wrong, &KeyError{d.Table.Section + "." + table + "." + r.Quantity + "." + e.Key, e.Text})
		}
		s.Rows = append(s.Rows, row)
	}
	return wrong
}

func (t *Table) presetNames() []string {
	var names []string
	for n := range t.Presets {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Has reports whether the key has a value, given or by default.
func (s Settings) Has(key string) bool { _, ok := s.values[key]; return ok }

// Text returns a string or enumeration, "" if there is none.
func (s Settings) Text(key string) string { v, _ := s.values[key].(string); return v }

// Int returns an integer or address, 0 if there is none.
func (s Settings) Int(key string) int64 { v, _ := s.values[key].(int64); return v }

// Float returns a number, 0 if there is none.
func (s Settings) Float(key string) float64 { v, _ := s.values[key].(float64); return v }

// Bool returns a boolean, false if there is none.
func (s Settings) Bool(key string) bool { v, _ := s.values[key].(bool); return v }

// Duration returns a duration, 0 if there is none.
func (s Settings) Duration(key string) time.Duration {
	v, _ := s.values[key].(time.Duration)
	return v
}

// Regexp returns a compiled pattern, nil if there is none.
func (s Settings) Regexp(key string) *regexp.Regexp {
	v, _ := s.values[key].(*regexp.Regexp)
	return v
}

// Mode returns the mode of a serial line, the zero Mode if there is none.
func (s Settings) Mode(key string) Mode { v, _ := s.values[key].(Mode); return v }

// Unit returns a unit, "" if there is none.
func (s Settings) Unit(key string) Unit { v, _ := s.values[key].(Unit); return v }

// Texts returns an array of strings, nil if there is none.
func (s Settings) Texts(key string) []string { v, _ := s.values[key].([]string); return v }

// Ints returns an array of integers, nil if there is none.
func (s Settings) Ints(key string) []int64 { v, _ := s.values[key].([]int64); return v }
