package config

import (
	"fmt"

	"weir/broker/topic"
)

// told is something Home Assistant is told of: topics, as a filter.
type told struct {
	filter   topic.Filter
	what     string // "the discovery of Home Assistant"
	retained bool   // it is of no use to a Home Assistant that starts later unless it is retained
}

// crossHome checks that what Home Assistant is told of reaches its own broker as it is here. At a bridge of the profile
// home-assistant what changes it is an error; at another one that carries the discovery it is a warning, as Home Assistant
// may not be there.
func (c *checker) crossHome() {
	h := &c.cfg.HomeAssistant
	if !h.Discovery || c.badIn["home_assistant"] {
		return
	}
	if h.Prefix == "" {
		c.wrong("home_assistant.prefix", `got "", want the discovery prefix that is set in Home Assistant, such as "homeassistant"`)
		return
	}
	if !c.cfg.Broker.Retain {
		c.wrong("home_assistant.discovery", "needs broker.retain: Home Assistant asks for what was retained when it starts")
	}
	all := c.toldHome()
	for _, name := range sortedKeys(c.cfg.Bridge) {
		b := c.cfg.Bridge[name]
		path := join("bridge", name)
		if c.badIn[path] {
			continue
		}
		home := b.Profile == "home-assistant"
		if !home && !unchanged(b, all[0].filter) {
			continue
		}
		missing, said := "", map[string]bool{}
		for _, t := range all {
			if !c.carriesHome(b, path, t, home, said) && missing == "" {
				missing = fmt.Sprintf("no rule takes %q, %s; add [[%s.forward]] with filter = %q", t.filter.String(), t.what, path, t.filter.String())
			}
		}
		if missing != "" {
			c.warn(path, "%s", missing)
		}
	}
}

// toldHome lists what Home Assistant is told of, the discovery itself first.
func (c *checker) toldHome() []told {
	id := c.cfg.Gateway.ID
	var all []told
	add := func(filter, what string, retained bool) {
		if f, err := topic.ParseFilter(filter); err == nil {
			all = append(all, told{f, what, retained})
		}
	}
	add(c.cfg.HomeAssistant.Prefix+"/device/+/config", "the discovery of Home Assistant", true)
	add("weir/"+id+"/status", "which says that the gateway runs", true)
	add("weir/"+id+"/sensor/+", "which says whether a sensor works", true)
	for i := range c.sensors {
		p := &c.sensors[i]
		if !p.sound || c.bad[join(p.path, "topic")] {
			continue
		}
		topics := []string{p.sensor.Topic.Expand("+")}
		if measures := p.delivered(); len(measures) > 0 {
			topics = nil
			for _, m := range measures {
				topics = append(topics, p.sensor.TopicOf(m.Quantity))
			}
		}
		if p.sensor.Topic == "" {
			topics = []string{string(p.sensor.Object)}
		}
		for _, t := range topics {
			add(t, "where Home Assistant looks for values of "+p.path, false)
		}
	}
	if c.cfg.Sensors.Auto {
		add(id+"/+/+", "where Home Assistant looks for values of sensors that are found", false)
	}
	return all
}

// unchanged reports whether a bridge has a rule that carries some of the topics under their own names.
func unchanged(b *Bridge, f topic.Filter) bool {
	for _, r := range b.Forward {
		if r.takes(f) {
			return r.renamed(f) == f.String()
		}
	}
	return false
}

// takes reports whether a rule takes some of the topics.
func (r *Forward) takes(f topic.Filter) bool {
	return !r.Filter.IsZero() && overlap(r.Filter, f) && !excluded(r.Exclude, f)
}

// renamed is what a rule makes of topics. Of those that only some begin with the levels to strip, it is another name.
func (r *Forward) renamed(f topic.Filter) string {
	if r.Strip != "" {
		if below, err := topic.ParseFilter(r.Strip + "/#"); err == nil && overlap(below, f) && !covers(below, f) {
			return ""
		}
	}
	return remapped(f.String(), r.Strip, r.Prefix)
}

// carriesHome checks the rules of a bridge that take the topics, and reports whether there are any. What is wrong with a
// setting is said once.
func (c *checker) carriesHome(b *Bridge, path string, t told, home bool, said map[string]bool) (carried bool) {
	say := func(setting, format string, v ...any) {
		switch {
		case c.bad[setting] || said[setting]:
		case home:
			c.wrong(setting, format, v...)
		default:
			c.warn(setting, format, v...)
		}
		said[setting] = true
	}
	for i, r := range b.Forward {
		if !r.takes(t.filter) {
			continue
		}
		carried = true
		at := element(join(path, "forward"), i+1)
		const first = "put a rule for it, without strip, prefix and format, in front of this one"
		switch {
		case r.renamed(t.filter) != t.filter.String():
			key := join(at, "prefix")
			if r.Prefix == "" {
				key = join(at, "strip")
			}
			say(key, "changes the name of %q, %s; %s", t.filter.String(), t.what, first)
		case r.Format != "raw":
			say(join(at, "format"), "%q changes what stands in %q, %s; %s", r.Format, t.filter.String(), t.what, first)
		case t.retained && r.Retain == StripRetain:
			say(join(at, "retain"), "false: a Home Assistant that starts later never hears of %q, %s", t.filter.String(), t.what)
		}
		if covers(r.Filter, t.filter) && len(r.Exclude) == 0 {
			break // the rules behind it get nothing
		}
	}
	return carried
}
