package config

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"weir/sensors"
)

// Field is one key of the configuration file, as explain and the reference show it.
type Field struct {
	Path         string   `json:"path"`                   // "bridge.NAME.forward[].filter"; words in capitals are names to choose
	Type         string   `json:"type"`                   // "duration", "text", "choice", ...
	Want         string   `json:"want"`                   // what is accepted: "a duration of at least 10ms, such as \"10s\""
	Default      string   `json:"default,omitempty"`      // as the file would write it, or a sentence without quotes; "" for none
	Meaning      string   `json:"meaning"`                // one sentence
	Example      string   `json:"example,omitempty"`      // as the file would write it
	Required     bool     `json:"required"`               // an error when missing
	Reload       bool     `json:"-"`                      // a reload applies it without dropping local clients, else it takes a restart
	Secret       bool     `json:"secret"`                 // never printed
	Placeholders []string `json:"placeholders,omitempty"` // those replaced in it: "id", "sensor", "quantity", "Quantity", "user", "client"
	Drivers      []string `json:"drivers,omitempty"`      // for sensor.NAME: the drivers that take it; empty: all

	key  string
	kind kind
	def  any // as the file would hold it; nil: zero value
	put  func(section, v any)
	get  func(section any) any
}

// section is one table of the file, or one pattern of tables.
type section struct {
	pattern string
	meaning string
	reload  bool // of its fields, but for those with the option restart
	fields  []*Field
	// open makes the section a table of the file fills, in the Config or in the
	// section around it, and returns a pointer to it.
	open func(cfg *Config, parent any, name string) any
	// rest takes what is no field of the section.
	rest func(c *checker, t *table)
	// keys are further keys that rest knows, for suggestions.
	keys []string
}

// option changes a Field while the table is written down.
type option func(*Field)

func required(f *Field)                   { f.Required = true }
func restart(f *Field)                    { f.Reload = false }
func secret(f *Field)                     { f.Secret = true }
func example(toml string) option          { return func(f *Field) { f.Example = toml } }
func byDefault(sentence string) option    { return func(f *Field) { f.Default = sentence } }
func placeholders(names ...string) option { return func(f *Field) { f.Placeholders = names } }

// add writes down one field: its key, type, default as the file would hold it,
// the place in the section's struct, and what it means.
func add[T, V any](s *section, key string, k kind, def any, at func(*T) *V, meaning string, options ...option) {
	f := &Field{
		Path: s.pattern + "." + key, Type: k.name, Want: k.want, Meaning: meaning, Reload: s.reload,
		key: key, kind: k, def: def,
		put: func(section, v any) { *at(section.(*T)) = v.(V) },
		get: func(section any) any { return *at(section.(*T)) },
	}
	if def != nil {
		f.Default = tomlText(def)
	}
	for _, o := range options {
		o(f)
	}
	s.fields = append(s.fields, f)
}

// tomlText writes a value of a file the way a file writes it.
func tomlText(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = tomlText(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		parts := make([]string, 0, len(v))
		for k, e := range v {
			parts = append(parts, quotePart(k)+" = "+tomlText(e))
		}
		sort.Strings(parts)
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	return fmt.Sprint(v)
}

// fieldOf describes a key of a driver as a Field.
func fieldOf(pattern string, k *sensors.Key, drivers ...string) Field {
	names := map[sensors.Kind]string{
		sensors.KindString: "text", sensors.KindInt: "integer", sensors.KindFloat: "number", sensors.KindBool: "boolean",
		sensors.KindDuration: "duration", sensors.KindEnum: "choice", sensors.KindAddress: "address",
		sensors.KindRegexp: "pattern", sensors.KindMode: "mode", sensors.KindStrings: "texts", sensors.KindInts: "integers",
		sensors.KindUnit: "unit",
	}
	f := Field{
		Path: pattern + "." + k.Name, Type: names[k.Kind], Want: k.Want(), Meaning: k.Meaning, Example: k.Example,
		Required: k.Required, Drivers: drivers, key: k.Name,
	}
	if k.Default != nil {
		f.Default = tomlText(k.Default)
	}
	if n, ok := k.Default.(int); ok && k.Kind == sensors.KindAddress {
		f.Default = fmt.Sprintf("0x%02x", n)
	}
	return f
}

// Fields is the whole table, in the order people read it: what explain, the
// reference and completion print. The drivers' own keys are part of it.
func Fields(drivers []sensors.Driver) []Field {
	var all []Field
	for _, s := range sections(drivers) {
		for _, f := range s.fields {
			all = append(all, *f)
		}
		switch s.pattern {
		case "sensor.NAME":
			all = append(all, driverFields(drivers)...)
		case "serial.NAME":
			for i := range sensors.SerialKeys {
				all = append(all, fieldOf(s.pattern, &sensors.SerialKeys[i]))
			}
		}
		for _, d := range drivers {
			if d.Table != nil && s.pattern == tablePattern(d.Table) {
				for i := range d.Table.Keys {
					all = append(all, fieldOf(s.pattern, &d.Table.Keys[i]))
				}
				break
			}
		}
	}
	return all
}

// driverFields are the keys of all drivers, those that mean the same together.
func driverFields(drivers []sensors.Driver) []Field {
	var all []Field
	at := map[string]int{}
	for _, d := range drivers {
		for i := range d.Keys {
			f := fieldOf("sensor.NAME", &d.Keys[i], d.Name)
			same := f.key + "\x00" + f.Want + "\x00" + f.Meaning + "\x00" + f.Default
			if n, ok := at[same]; ok {
				all[n].Drivers = append(all[n].Drivers, d.Name)
				continue
			}
			at[same] = len(all)
			all = append(all, f)
		}
	}
	return all
}

func tablePattern(t *sensors.Table) string { return t.Section + ".MAP.QUANTITY" }
