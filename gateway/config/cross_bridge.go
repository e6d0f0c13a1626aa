package config

import (
	"strings"

	"weir/broker/topic"
)

// crossBridge checks what the settings of one upstream mean together.
func (c *checker) crossBridge(b *Bridge) {
	path := join("bridge", b.Name)
	c.credentials(b, path)
	if len(b.Forward)+len(b.Receive) == 0 && !c.badIn[path] {
		c.warn(path, "carries nothing; add [[%s.forward]] with a filter", path)
	}
	for i, r := range b.Forward {
		c.crossForward(b, r, element(join(path, "forward"), i+1))
		c.shadowed(b, i, join(path, "forward"))
	}
	for i, r := range b.Receive {
		at := element(join(path, "receive"), i+1)
		c.stripped(at, r.Filter, r.Strip)
		if r.QoS == 2 && b.Clean {
			c.wrong(join(at, "qos"), "got 2 with clean = true, want clean = false or a lower qos: exactly once needs a session that lasts")
		}
		c.loop(b, r, at)
	}
}

// credentials checks login and TLS.
func (c *checker) credentials(b *Bridge, path string) {
	secure, clear := false, false
	for _, u := range b.URLs {
		secure = secure || u.TLS
		clear = clear || !u.TLS && !(Address{Host: u.Host}).Loopback()
	}
	key := func(k string) string { return join(path, k) }
	if b.Password != nil && b.Username == "" && !c.bad[key("username")] {
		c.wrongKey(key("password"), "needs a username beside it")
	}
	if b.Cert != nil && b.Key == nil && !c.bad[key("key")] {
		c.wrongKey(key("cert"), `needs its private key beside it: key = { file = "private.pem.key" }`)
	}
	if b.Key != nil && b.Cert == nil && !c.bad[key("cert")] {
		c.wrongKey(key("key"), `needs its certificate beside it: cert = { file = "device.pem.crt" }`)
	}
	if len(b.URLs) == 0 {
		return
	}
	for _, k := range []string{"ca", "cert", "key"} {
		if c.ix.has(key(k)) && !secure && !c.bad[key(k)] {
			c.wrongKey(key(k), "is for TLS, but the url is not mqtts://")
		}
	}
	if b.Password != nil && clear {
		c.warn(key("url"), "the password crosses the network unencrypted; use mqtts:// if the upstream has it")
	}
}

func (c *checker) crossForward(b *Bridge, r *Forward, at string) {
	qos, durability := join(at, "qos"), join(at, "durability")
	switch {
	case r.QoS == 2 && r.Durability == "memory":
		c.wrong(durability, `got "memory" with qos = 2, want "auto" or "disk": exactly once needs the disk`)
	case r.QoS == AsPublished && r.Durability == "memory":
		c.wrong(durability, `got "memory" with qos = "as published", want "auto" or "disk": a message of QoS 2 needs the disk`)
	case r.QoS == 0:
		c.warn(qos, "0: a message that is on its way when the link breaks is lost; use 1 to keep it")
	}
	if (r.QoS == 2 || r.QoS == AsPublished) && b.Clean {
		c.wrong(qos, "got %s with clean = true, want clean = false or a lower qos: exactly once needs a session that lasts", r.QoS)
	}
	if r.Durability == "memory" && r.QoS < 2 {
		c.warn(durability, `"memory": a message is acknowledged to its publisher before it is kept anywhere; what is not delivered when weir stops is lost, and the oldest of it once that fills half of buffer.tail`)
	}
	if r.Format == "raw" && b.Version == V311 {
		c.warn(join(at, "format"), `"raw" over MQTT 3.1.1 carries no time: after an outage the upstream cannot tell when a value was taken; use format = "json"`)
	}
	c.stripped(at, r.Filter, r.Strip)
}

// stripped warns of a strip that takes nothing off any topic of the filter.
func (c *checker) stripped(at string, f topic.Filter, strip string) {
	if strip == "" || f.IsZero() || c.bad[join(at, "filter")] || c.bad[join(at, "strip")] {
		return
	}
	below, err := topic.ParseFilter(strip + "/#")
	if err == nil && !overlap(f, below) {
		c.warn(join(at, "strip"), "no topic of %q begins with %q, so nothing is taken off", f.String(), strip)
	}
}

// shadowed warns of a rule that never gets a message.
func (c *checker) shadowed(b *Bridge, i int, path string) {
	r := b.Forward[i]
	if r.Filter.IsZero() {
		return
	}
	for j, before := range b.Forward[:i] {
		if before.Filter.IsZero() || len(before.Exclude) > 0 || !covers(before.Filter, r.Filter) {
			continue
		}
		first := element(path, j+1)
		c.warn(join(element(path, i+1), "filter"), "never used: the rule in line %d takes %q, all of this; put this one first",
			c.ix.key(first).Line, before.Filter.String())
		return
	}
}

// loop warns of a rule that brings messages which a rule of the same bridge
// sends back.
func (c *checker) loop(b *Bridge, r *Receive, at string) {
	if r.Filter.IsZero() {
		return
	}
	local, err := topic.ParseFilter(remapped(r.Filter.String(), r.Strip, r.Prefix))
	if err != nil {
		return
	}
	for i, f := range b.Forward {
		if f.Filter.IsZero() || !overlap(f.Filter, local) || excluded(f.Exclude, local) {
			continue
		}
		rule := element(join(join("bridge", b.Name), "forward"), i+1)
		c.warn(join(at, "filter"), "arrives here as %q, which %s, line %d, sends back; exclude it there",
			local.String(), rule, c.ix.key(rule).Line)
		return
	}
}

func excluded(exclude []topic.Filter, f topic.Filter) bool {
	for _, e := range exclude {
		if covers(e, f) {
			return true
		}
	}
	return false
}

// remapped is what strip and prefix make of a filter, as they do of each topic
// it takes.
func remapped(filter, strip, prefix string) string {
	if strip != "" {
		if rest, ok := strings.CutPrefix(filter, strip+"/"); ok {
			filter = rest
		}
	}
	if prefix != "" {
		filter = prefix + "/" + strings.TrimPrefix(filter, "/")
	}
	return filter
}

// crossClients finds two bridges that would throw each other out of one upstream.
func (c *checker) crossClients() {
	clients := map[string]string{}
	for _, name := range sortedKeys(c.cfg.Bridge) {
		b := c.cfg.Bridge[name]
		path := join("bridge", name)
		for _, u := range b.URLs {
			who := strings.ToLower(u.Address()) + "\x00" + b.ClientID
			other, ok := clients[who]
			if !ok {
				clients[who] = path
				continue
			}
			if other != path && !c.bad[join(path, "client_id")] {
				first, second := other, path
				if c.inFile(first, second) > 0 {
					first, second = second, first
				}
				c.wrong(join(second, "client_id"), "%q is also the client id of %s at the same upstream, line %d; they would disconnect each other",
					b.ClientID, first, c.ix.key(first).Line)
				break
			}
		}
	}
}

// covers reports whether a takes every topic that b takes.
func covers(a, b topic.Filter) bool {
	x, y := strings.Split(a.Topic(), "/"), strings.Split(b.Topic(), "/")
	if startsWild(x) && !startsWild(y) && strings.HasPrefix(y[0], "$") {
		return false // [MQTT-4.7.2-1]
	}
	return matchLevels(x, y, func(p, q string) bool { return p == "+" && q != "#" || p == q }, false)
}

// overlap reports whether some topic is taken by both. It may say so wrongly of
// a filter such as #/$x, whose # cannot stand for no level.
func overlap(a, b topic.Filter) bool {
	x, y := strings.Split(a.Topic(), "/"), strings.Split(b.Topic(), "/")
	if startsWild(x) && strings.HasPrefix(y[0], "$") || startsWild(y) && strings.HasPrefix(x[0], "$") {
		return false
	}
	return matchLevels(x, y, func(p, q string) bool { return p == "+" || q == "+" || p == q }, true)
}

func startsWild(levels []string) bool { return levels[0] == "+" || levels[0] == "#" }

// matchLevels compares level by level; # in x stands for any levels of y, and
// with both also # in y for any of x. The table keeps the time at len(x)*len(y).
func matchLevels(x, y []string, one func(p, q string) bool, both bool) bool {
	row := make([]bool, len(y)+1) // row[j]: x[i:] fits y[j:]
	row[len(y)] = true
	for j := len(y) - 1; j >= 0; j-- {
		row[j] = both && y[j] == "#" && row[j+1]
	}
	for i := len(x) - 1; i >= 0; i-- {
		next := make([]bool, len(y)+1)
		for j := len(y); j >= 0; j-- {
			switch {
			case x[i] == "#":
				next[j] = row[j] || j < len(y) && next[j+1]
			case j == len(y):
				next[j] = false
			case both && y[j] == "#":
				next[j] = next[j+1] || row[j]
			default:
				next[j] = one(x[i], y[j]) && row[j+1]
			}
		}
		row = next
	}
	return row[0]
}
