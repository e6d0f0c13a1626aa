package config

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/broker/topic"
	"weir/sensors"
)

// Setting is one value in force.
type Setting struct {
	Path   string
	Value  string // as a file would write it; *** for a literal secret
	Origin string // "weir.toml:14:9" or "default"
}

// Effective lists every setting of a configuration with where it comes from,
// sections in the order people read them, names sorted. Secrets are shown by
// reference only.
func Effective(cfg *Config, drivers []sensors.Driver) []Setting {
	e := &effective{cfg: cfg}
	for _, s := range sections(drivers) {
		switch s.pattern {
		case "gateway":
			e.fields(s, s.pattern, &cfg.Gateway)
		case "sensors":
			e.fields(s, s.pattern, &cfg.Sensors)
		case "broker":
			e.fields(s, s.pattern, &cfg.Broker)
		case "buffer":
			e.fields(s, s.pattern, &cfg.Buffer)
		case "home_assistant":
			e.fields(s, s.pattern, &cfg.HomeAssistant)
		case "sensor.NAME":
			each(cfg.Sensor, func(name string, v *Sensor) {
				e.fields(s, join("sensor", name), v)
				if d := sensors.Find(drivers, v.Driver); d != nil {
					e.settings(join("sensor", name), d.Keys, v.Settings)
				}
			})
		case "serial.NAME":
			each(cfg.Serial, func(name string, v *Serial) { e.settings(join("serial", name), sensors.SerialKeys, v.Settings) })
		case "listener.NAME":
			each(cfg.Listener, func(name string, v *Listener) { e.fields(s, join("listener", name), v) })
		case "user.NAME":
			each(cfg.User, func(name string, v *User) { e.fields(s, join("user", name), v) })
		case "bridge.NAME":
			each(cfg.Bridge, func(name string, v *Bridge) { e.bridge(drivers, s, join("bridge", name), v) })
		}
	}
	e.tables()
	return e.all
}

type effective struct {
	cfg *Config
	all []Setting
}

func each[V any](m map[string]V, f func(name string, v V)) {
	for _, name := range sortedKeys(m) {
		f(name, m[name])
	}
}

func (e *effective) add(path, value string) {
	origin := "default"
	if at, ok := e.cfg.origin[path]; ok {
		origin = fmt.Sprintf("%s:%d:%d", e.cfg.File, at.Line, at.Col)
	}
	e.all = append(e.all, Setting{Path: path, Value: value, Origin: origin})
}

func (e *effective) fields(s *section, path string, target any) {
	for _, f := range s.fields {
		if text, ok := settingText(f.get(target)); ok {
			e.add(join(path, f.key), text)
		}
	}
}

func (e *effective) bridge(drivers []sensors.Driver, s *section, path string, b *Bridge) {
	e.fields(s, path, b)
	for _, rules := range sections(drivers) {
		switch rules.pattern {
		case "bridge.NAME.forward[]":
			for i, r := range b.Forward {
				e.fields(rules, element(join(path, "forward"), i+1), r)
			}
		case "bridge.NAME.receive[]":
			for i, r := range b.Receive {
				e.fields(rules, element(join(path, "receive"), i+1), r)
			}
		}
	}
}

func (e *effective) settings(path string, keys []sensors.Key, s sensors.Settings) {
	for _, k := range keys {
		if !s.Has(k.Name) {
			continue
		}
		var v any
		switch k.Kind {
		case sensors.KindInt:
			v = s.Int(k.Name)
		case sensors.KindAddress:
			e.add(join(path, k.Name), fmt.Sprintf("0x%02x", s.Int(k.Name)))
			continue
		case sensors.KindFloat:
			v = s.Float(k.Name)
		case sensors.KindBool:
			v = s.Bool(k.Name)
		case sensors.KindDuration:
			v = s.Duration(k.Name)
		case sensors.KindRegexp:
			v = s.Regexp(k.Name).String()
		case sensors.KindMode:
			v = s.Mode(k.Name).String()
		case sensors.KindStrings:
			v = s.Texts(k.Name)
		case sensors.KindInts:
			v = s.Ints(k.Name)
		case sensors.KindUnit:
			v = string(s.Unit(k.Name))
		default:
			v = s.Text(k.Name)
		}
		if text, ok := settingText(v); ok {
			e.add(join(path, k.Name), text)
		}
	}
}

func (e *effective) tables() {
	each(e.cfg.Tables, func(sectionName string, maps map[string][]sensors.Row) {
		each(maps, func(name string, rows []sensors.Row) {
			for _, row := range rows {
				each(row.Values, func(key string, v any) {
					e.add(join(join(join(sectionName, name), row.Quantity), key), tomlText(v))
				})
			}
		})
	})
}

// settingText writes a value of Config as a file would; ok is false for one
// that is not set.
func settingText(v any) (text string, ok bool) {
	switch v := v.(type) {
	case *Secret:
		if v == nil {
			return "", false
		}
		return v.Reference(), true
	case string:
		return strconv.Quote(v), v != ""
	case Template:
		return strconv.Quote(string(v)), v != ""
	case time.Duration:
		return strconv.Quote(formatDuration(v)), true
	case Size:
		return strconv.Quote(v.String()), v != 0
	case *time.Location:
		return strconv.Quote(v.String()), true
	case Address:
		return strconv.Quote(v.String()), true
	case topic.Filter:
		return strconv.Quote(v.String()), !v.IsZero()
	case []topic.Filter:
		return list(v, topic.Filter.String)
	case []URL:
		text, ok := list(v, URL.String)
		if len(v) == 1 {
			text = strconv.Quote(v[0].String())
		}
		return text, ok
	case []string:
		return list(v, func(s string) string { return s })
	case []int64:
		text, ok := list(v, func(n int64) string { return strconv.FormatInt(n, 10) })
		return strings.ReplaceAll(text, `"`, ""), ok
	case map[sensors.Quantity]float64:
		return quantityText(v, func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) })
	case map[sensors.Quantity]time.Duration:
		return quantityText(v, func(d time.Duration) string { return strconv.Quote(formatDuration(d)) })
	case map[sensors.Quantity]string:
		return quantityText(v, strconv.Quote)
	case map[sensors.Quantity][][2]float64:
		return quantityText(v, pointsText)
	case []sensors.Quantity:
		return list(v, func(q sensors.Quantity) string { return string(q) })
	case *float64:
		if v == nil {
			return "", false
		}
		return strconv.FormatFloat(*v, 'g', -1, 64), true
	case map[sensors.Quantity]int:
		return quantityText(v, strconv.Itoa)
	case map[sensors.Quantity]sensors.Unit:
		return quantityText(v, func(u sensors.Unit) string { return strconv.Quote(string(u)) })
	case Version:
		return v.String(), v != 0
	case fs.FileMode:
		return strconv.Quote(fmt.Sprintf("%04o", v)), true
	}
	return fmt.Sprint(v), true
}

func pointsText(points [][2]float64) string {
	parts := make([]string, len(points))
	for i, p := range points {
		parts[i] = "[" + strconv.FormatFloat(p[0], 'g', -1, 64) + ", " + strconv.FormatFloat(p[1], 'g', -1, 64) + "]"
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func list[T any](v []T, one func(T) string) (string, bool) {
	parts := make([]string, len(v))
	for i, e := range v {
		parts[i] = strconv.Quote(one(e))
	}
	return "[" + strings.Join(parts, ", ") + "]", len(v) > 0
}

func quantityText[V any](m map[sensors.Quantity]V, one func(V) string) (string, bool) {
	if v, single := m[""]; single {
		return one(v), true
	}
	parts := make([]string, 0, len(m))
	for q, v := range m {
		parts = append(parts, quotePart(string(q))+" = "+one(v))
	}
	slices.Sort(parts)
	return "{ " + strings.Join(parts, ", ") + " }", len(m) > 0
}
