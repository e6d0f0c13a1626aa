package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weir/sensors"
)

// delivered is what a sensor measures and what is computed from it; nil when
// only its data will tell what it measures.
func (p *pending) delivered() []sensors.Measure {
	measures := p.measured()
	if len(measures) == 0 {
		return nil
	}
	for _, q := range p.sensor.Derive {
		measures = append(measures[:len(measures):len(measures)], sensors.Measure{Quantity: q, Unit: sensors.Derive(q).Unit})
	}
	return measures
}

// derived checks that there is what quantities are to be computed from.
func (c *checker) derived(p *pending) {
	path := join(p.path, "derive")
	measures := p.measured()
	has := func(q sensors.Quantity) bool {
		return slices.ContainsFunc(measures, func(m sensors.Measure) bool { return m.Quantity == q })
	}
	for _, q := range p.sensor.Derive {
		d := sensors.Derive(q)
		if d.Elevation && p.sensor.Elevation == nil && !c.bad[join(p.path, "elevation")] && !c.bad["gateway.elevation"] {
			c.wrong(path, "%s needs the height above the sea: write elevation = 520, or whatever it is in metres", q)
		}
		if len(measures) == 0 {
			continue
		}
		if has(q) {
			c.wrong(path, "%s is measured by %s itself", q, p.sensor.Name)
		}
		for _, from := range d.From {
			switch {
			case !has(from):
				c.wrong(path, "%s is computed from %s, which %s does not measure", q, from, p.driver.Name)
			case slices.ContainsFunc(measures, func(m sensors.Measure) bool { return m.Quantity == from && m.Gauge }):
				c.wrong(path, "%s is computed from the absolute %s, and %s measures gauge", q, from, p.sensor.Name)
			}
		}
	}
}

// quantities checks that the settings that name a quantity name one there is.
func (c *checker) quantities(p *pending) {
	s := p.sensor
	own(c, p, "units", s.Units)
	own(c, p, "decimals", s.Decimals)
	own(c, p, "names", s.Names)
	own(c, p, "min", s.Min)
	own(c, p, "max", s.Max)
	own(c, p, "max_rate", s.MaxRate)
	own(c, p, "calibrate", s.Calibrate)
	own(c, p, "gain", s.Gain)
	own(c, p, "offset", s.Offset)
	own(c, p, "deadband", s.Deadband)
	common(c, p, "stuck", s.Stuck)
	common(c, p, "median", s.Median)
	common(c, p, "smooth", s.Smooth)
	common(c, p, "deadband_percent", s.DeadbandPercent)
	common(c, p, "heartbeat", s.Heartbeat)
	common(c, p, "min_interval", s.MinInterval)
	common(c, p, "publish_every", s.PublishEvery)
	common(c, p, "publish", s.Publish)
}

// own is about settings that differ by quantity: one without a quantity is for
// the only one there is.
func own[V any](c *checker, p *pending, key string, values map[sensors.Quantity]V) {
	for q := range values {
		c.quantity(p, key, q)
	}
}

// common is about settings that can be the same for all.
func common[V any](c *checker, p *pending, key string, values map[sensors.Quantity]V) {
	for q := range values {
		if q != "" {
			c.quantity(p, key, q)
		}
	}
}

func (c *checker) quantityPath(p *pending, key string, q sensors.Quantity) string {
	if q == "" {
		return join(p.path, key)
	}
	return join(join(p.path, key), string(q))
}

// find is what a setting for a quantity is about.
func (p *pending) find(q sensors.Quantity) (sensors.Measure, bool) {
	if measures := p.measured(); q == "" && len(measures) == 1 {
		return measures[0], true
	}
	for _, m := range p.delivered() {
		if m.Quantity == q {
			return m, true
		}
	}
	return sensors.Measure{}, false
}

// quantity reports a quantity that the sensor does not deliver.
func (c *checker) quantity(p *pending, key string, q sensors.Quantity) {
	measures := p.delivered()
	if _, found := p.find(q); found || len(measures) == 0 {
		return
	}
	path := c.quantityPath(p, key, q)
	names := make([]string, len(measures))
	for i, m := range measures {
		names[i] = string(m.Quantity)
	}
	switch near := nearest(string(q), names); {
	case q == "":
		c.wrong(path, "got %s for all of %s, want one for each, such as { %s = %s }", c.shown(path), strings.Join(names, ", "), names[0], c.shown(path))
	case near != "":
		c.wrongKey(path, "%s does not measure it, did you mean %q?", p.driver.Name, near)
	case sensors.Derive(q) != nil:
		c.wrongKey(path, "%s does not measure it; to have it computed, write derive = [%q]", p.driver.Name, string(q))
	default:
		c.wrongKey(path, "%s does not measure it; it measures %s", p.driver.Name, strings.Join(names, ", "))
	}
}

// corrections checks the settings that change values against each other.
func (c *checker) corrections(p *pending) {
	s := p.sensor
	for q, u := range s.Units {
		if m, ok := p.find(q); ok && m.Unit != "" {
			if _, fits := sensors.Convert(0, m.Unit, u); !fits {
				c.wrong(c.quantityPath(p, "units", q), "%s is in %s, which cannot be shown in %q%s", m.Quantity, m.Unit, string(u), otherUnits(u, m.Unit))
			}
		}
	}
	for q, least := range s.Min {
		if most, ok := s.Max[q]; ok && most <= least {
			c.wrong(c.quantityPath(p, "max", q), "got %v, want more than min, which is %v", most, least)
		}
	}
	for q := range s.Calibrate {
		for _, other := range []string{"gain", "offset"} {
			values := map[string]map[sensors.Quantity]float64{"gain": s.Gain, "offset": s.Offset}[other]
			if _, both := values[q]; both {
				c.wrong(c.quantityPath(p, other, q), "stands beside calibrate, which says all; take one of them out")
			}
		}
	}
	if s.Format == "senml" && len(s.Units) > 0 {
		c.warn(join(p.path, "units"), "SenML is always in SI units; only the status and min, max and the like are in these")
	}
}

// telling checks the times of publishing against each other.
func (c *checker) telling(p *pending) {
	s := p.sensor
	for q, d := range s.PublishEvery {
		if d > 0 && d < s.Every {
			c.wrong(c.quantityPath(p, "publish_every", q), "got %s, but it is read every %s", strconv.Quote(formatDuration(d)), formatDuration(s.Every))
		}
	}
	for q, d := range s.Heartbeat {
		if least := max(Of(s.MinInterval, q, 0), Of(s.PublishEvery, q, 0)); d > 0 && d < least {
			c.wrong(c.quantityPath(p, "heartbeat", q), "got %s, want at least %s, which is the shortest time between two values", strconv.Quote(formatDuration(d)), formatDuration(least))
		}
	}
	for q := range s.Publish {
		if Of(s.PublishEvery, q, 0) == 0 && (q != "" || len(s.PublishEvery) == 0) {
			c.wrong(c.quantityPath(p, "publish", q), "means nothing without publish_every, the time it is about")
		}
	}
	for q, name := range s.Names {
		if slices.Contains(objectWords, name) && s.Object != "" {
			c.wrong(c.quantityPath(p, "names", q), "got %q, which stands for something else in an object; it cannot be one of %s", name, strings.Join(objectWords, ", "))
		}
	}
}

// objectWords are the keys of an object that are no quantities.
var objectWords = []string{"time", "time_quality", "quality", "bad", "uncertain"}

// taken says who publishes to a topic.
type taken struct{ path, key string }

// topicsOf finds two values published to one topic, or under one name.
func (c *checker) topicsOf(p *pending, topics map[string]taken) {
	if s := p.sensor; s.Object != "" && !c.bad[join(p.path, "object")] {
		if strings.Contains(string(s.Object), "{") {
			c.wrong(join(p.path, "object"), "got %q, but all quantities share this topic", string(s.Object))
		}
		c.take(p, "object", string(s.Object), topics)
	}
	c.namesOf(p)
	if p.sensor.Topic == "" || c.bad[join(p.path, "topic")] {
		return
	}
	t := p.sensor.Topic
	measures := p.delivered()
	if len(measures) > 1 && t.Expand("x") == string(t) {
		names := make([]string, len(measures))
		for i, m := range measures {
			names[i] = string(m.Quantity)
		}
		c.wrong(join(p.path, "topic"), "%s of %s would share one topic; put {quantity} into it", strings.Join(names, ", "), p.sensor.Name)
		return
	}
	if len(measures) == 0 {
		measures = []sensors.Measure{{Quantity: "{quantity}"}}
	}
	for _, m := range measures {
		if !c.take(p, "topic", p.sensor.TopicOf(m.Quantity), topics) {
			return
		}
	}
}

// take reports a topic that another one publishes to.
func (c *checker) take(p *pending, key, name string, topics map[string]taken) bool {
	if other, ok := topics[name]; ok && other != (taken{p.path, key}) {
		where := other.path
		if other.path == p.path {
			where = other.key
		}
		c.wrong(join(p.path, key), "%q already used by %s, line %d", name, where, c.ix.key(join(other.path, other.key)).Line)
		return false
	}
	topics[name] = taken{p.path, key}
	return true
}

// namesOf finds two quantities of one name.
func (c *checker) namesOf(p *pending) {
	names := map[string]sensors.Quantity{}
	for _, m := range p.delivered() {
		name := p.sensor.NameOf(m.Quantity)
		if other, ok := names[name]; ok && other != m.Quantity {
			c.wrong(join(p.path, "names"), "%s and %s would both be called %q", other, m.Quantity, name)
		}
		names[name] = m.Quantity
	}
}

// otherUnits says what to write in place of a unit that does not fit.
func otherUnits(given, unit sensors.Unit) string {
	var names []string
	for _, u := range unit.Alike() {
		names = append(names, string(u))
	}
	if near := nearest(string(given), names); near != "" {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	return ", only in " + strings.Join(names, ", ")
}
