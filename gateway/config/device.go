package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weir/sensors"
)

// maxRows is the most quantities of one register map.
const maxRows = 256

// driverKeys takes the keys of [sensor.NAME] that belong to its driver. The
// driver judges them only after everything is read, because its register map
// may stand further down.
func (c *checker) driverKeys(t *table) {
	s := t.target.(*Sensor)
	d := sensors.Find(c.opts.Drivers, s.Driver)
	if d == nil {
		c.strayKeys(t)
		return
	}
	given := map[string]any{}
	for _, key := range t.left {
		path := join(t.path, key)
		k := findKey(d.Keys, key)
		if k == nil {
			c.notOfDriver(t, d, key, path)
			continue
		}
		given[key] = t.values[key]
		if n, ok := given[key].(int64); ok && k.Kind == sensors.KindString {
			given[key] = strconv.FormatInt(n, 10) // bus = 1
		}
	}
	c.sensors = append(c.sensors, pending{sensor: s, driver: d, path: t.path, given: given})
}

// pending is a sensor whose driver has not judged its keys yet.
type pending struct {
	sensor *Sensor
	driver *sensors.Driver
	path   string
	given  map[string]any
	sound  bool // the driver had nothing to say against them
}

func findKey(keys []sensors.Key, name string) *sensors.Key {
	for i := range keys {
		if keys[i].Name == name {
			return &keys[i]
		}
	}
	return nil
}

// strayKeys judges the further keys of a sensor whose driver is not known: only
// those that no driver takes are wrong.
func (c *checker) strayKeys(t *table) {
	for _, key := range t.left {
		if !slices.Contains(t.section.keys, key) {
			c.unknown(c.nodeOf(t), t, key)
		}
	}
}

func (c *checker) nodeOf(t *table) *node { return &node{section: t.section} }

// notOfDriver is the message for a key that the driver does not take.
func (c *checker) notOfDriver(t *table, d *sensors.Driver, key, path string) {
	own := make([]string, 0, len(d.Keys)+1)
	for _, k := range d.Keys {
		own = append(own, k.Name)
	}
	if slices.Contains(t.section.keys, key) {
		c.wrongKey(path, "not used by driver %s (it takes %s)", d.Name, strings.Join(own, ", "))
		return
	}
	section := *t.section
	section.keys = own
	narrowed := *t
	narrowed.section = &section
	c.unknown(&node{section: &section}, &narrowed, key)
}

// serialKeys takes the keys of [serial.NAME].
func (c *checker) serialKeys(t *table) {
	s := t.target.(*Serial)
	given := c.known(t, sensors.SerialKeys)
	settings, wrong := sensors.MakeSettings(s.Name, sensors.SerialKeys, given)
	c.keyErrors(t.path, wrong, nil)
	s.Settings, s.Device, s.Mode = settings, settings.Text("device"), settings.Mode("mode")
}

// rowKeys takes the keys of one row of a driver's table, such as
// [modbus.MAP.QUANTITY].
func (c *checker) rowKeys(table *sensors.Table, t *table) {
	name, quantity := t.names[0], t.names[1]
	given := c.known(t, table.Keys)
	_, wrong := sensors.MakeSettings(quantity, table.Keys, given)
	c.keyErrors(t.path, wrong, nil)
	maps := c.cfg.Tables[table.Section]
	if maps == nil {
		maps = map[string][]sensors.Row{}
		c.cfg.Tables[table.Section] = maps
	}
	if len(maps[name]) >= maxRows {
		c.wrongKey(t.path, "the map %s has more than %d quantities", name, maxRows)
		return
	}
	maps[name] = append(maps[name], sensors.Row{Quantity: quantity, Values: given})
}

// known returns the values of a table whose keys are in the list, and reports
// the others.
func (c *checker) known(t *table, keys []sensors.Key) map[string]any {
	given := map[string]any{}
	for _, key := range t.left {
		if findKey(keys, key) == nil {
			c.unknown(c.nodeOf(t), t, key)
			continue
		}
		given[key] = t.values[key]
		c.cfg.origin[join(t.path, key)] = c.ix.value(join(t.path, key))
	}
	return given
}

// keyErrors reports what a room said about the keys of a table; i2c are the addresses its chip can have, if it has any.
func (c *checker) keyErrors(path string, wrong []*sensors.KeyError, i2c []uint16) {
	for _, e := range wrong {
		at := join(path, e.Key)
		if c.meant[at] && !c.ix.has(at) {
			continue
		}
		text := e.Text
		if got, want, ok := strings.Cut(text, ", want "); ok && isNumber(strings.Trim(strings.TrimPrefix(got, "got "), `"`)) {
			text = "got " + c.shownOr(at, strings.TrimPrefix(got, "got ")) + ", want " + want // 0xEC, not 236
		}
		if e.Key == "address" && i2c != nil {
			text += otherForm(strings.Trim(c.ix.raw(at), `"'`), i2c)
		}
		c.wrong(at, "%s", text)
	}
}

func isNumber(s string) bool {
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}

// otherForm explains an address that is one of these in another form: with the bus's bit for reading or writing behind it, or
// in hexadecimal digits without 0x in front.
func otherForm(written string, addresses []uint16) string {
	if n, err := strconv.ParseUint(written, 0, 8); err == nil && slices.Contains(addresses, uint16(n/2)) {
		return fmt.Sprintf("; 0x%02x is the 8-bit form of 0x%02x", n, n/2)
	}
	if n, err := strconv.ParseUint(written, 16, 8); err == nil && slices.Contains(addresses, uint16(n)) {
		return fmt.Sprintf(", did you mean 0x%02x?", n)
	}
	return ""
}
