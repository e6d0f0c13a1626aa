package config

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"weir/sensors"
)

// cross checks the rules between settings. What already has an error of its own
// is not judged again.
func (c *checker) cross() {
	c.crossSensors()
	c.crossSerial()
	c.crossListeners()
	c.crossUsers()
	for _, name := range sortedKeys(c.cfg.Bridge) {
		c.crossBridge(c.cfg.Bridge[name])
	}
	c.crossClients()
	c.crossHome()
	b := c.cfg.Buffer
	if b.MaxSize > 0 && b.MaxSize < 4*b.Segment && !c.bad["buffer.max_size"] && !c.bad["buffer.segment"] {
		c.wrong("buffer.max_size", "got %v, want at least four segments of %v", b.MaxSize, b.Segment)
	}
	// A packet that is taken must fit the log: half a segment and half the tail, with 4 KiB for what stands around it.
	if most := min(b.Segment, b.Tail)/2 - 4<<10; b.Segment > 0 && b.Tail > 0 && c.cfg.Broker.MaxPacket > most && !c.bad["broker.max_packet"] && !c.bad["buffer.segment"] && !c.bad["buffer.tail"] {
		at := "broker.max_packet"
		for _, path := range []string{"buffer.tail", "buffer.segment"} {
			if _, written := c.cfg.origin[at]; !written {
				at = path
			}
		}
		c.wrong(at, "a packet of broker.max_packet (%v) and 4KiB around it must fit half of buffer.segment (%v) and half of buffer.tail (%v); at these sizes broker.max_packet can be %v at most", c.cfg.Broker.MaxPacket, b.Segment, b.Tail, most)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func quoted(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strconv.Quote(w)
	}
	return out
}

// inFile orders paths as they stand in the file.
func (c *checker) inFile(a, b string) int {
	p, q := c.ix.key(a), c.ix.key(b)
	switch {
	case p.before(q):
		return -1
	case q.before(p):
		return 1
	}
	return strings.Compare(a, b)
}

func (c *checker) crossSensors() {
	slices.SortFunc(c.sensors, func(a, b pending) int { return c.inFile(a.path, b.path) })
	places := map[string]*pending{}
	topics := map[string]taken{}
	for i := range c.sensors {
		p := &c.sensors[i]
		if !p.sound {
			continue
		}
		c.busOf(p)
		c.placeOf(p, places)
		c.pace(p)
		c.derived(p)
		c.quantities(p)
		c.corrections(p)
		c.telling(p)
		c.topicsOf(p, topics)
	}
}

// busOf checks that the bus of a sensor is one it can be on.
func (c *checker) busOf(p *pending) {
	bus := p.sensor.Settings.Text("bus")
	path := join(p.path, "bus")
	_, isLine := c.cfg.Serial[bus]
	switch {
	case bus == "" || findKey(p.driver.Keys, "bus") == nil:
	case p.driver.Connection == sensors.OnSerial && !isLine:
		names := sortedKeys(c.cfg.Serial)
		if near := nearest(bus, names); near != "" {
			c.wrong(path, "there is no [serial.%s], did you mean %q?", quotePart(bus), near)
			return
		}
		c.wrong(path, "there is no [serial.%s]; write one, with device = \"/dev/...\"", quotePart(bus))
	case p.driver.Connection == sensors.OnI2C && isLine:
		c.wrong(path, "%q is a serial line, but %s is on an I2C bus, such as 1", bus, p.driver.Name)
	case p.driver.Connection == sensors.OnI2C:
		if _, err := sensors.ParseBusPath(bus); err != nil {
			c.wrong(path, "%v", err)
		}
	}
}

// placeOf finds two sensors at one address of one bus.
func (c *checker) placeOf(p *pending, places map[string]*pending) {
	s := p.sensor.Settings
	if !s.Has("address") || c.bad[join(p.path, "bus")] {
		return
	}
	bus := s.Text("bus")
	if p.driver.Connection == sensors.OnI2C {
		path, _ := sensors.ParseBusPath(bus) // busOf has judged it
		bus = path.String()
		if c.heardBy(p, path) {
			return
		}
	}
	address := strings.ToLower(s.Text("address"))
	if address == "" {
		address = "0x" + strconv.FormatInt(s.Int("address"), 16)
	}
	place := p.driver.Connection.String() + "/" + bus + "/" + address
	if t := p.driver.Table; t != nil {
		place += "/" + s.Text(t.Key) // one slave may have several maps
	}
	if other := places[place]; other != nil {
		at := join(p.path, "address")
		c.wrong(at, "%s is already read by %s, line %d", c.shownOr(at, address), other.path, c.ix.key(other.path).Line)
		return
	}
	places[place] = p
}

// heardBy finds another sensor, or a multiplexer, that answers at the address of a
// sensor on an I2C bus although it is on another wire.
func (c *checker) heardBy(p *pending, path sensors.BusPath) bool {
	at, address := join(p.path, "address"), p.sensor.Settings.Int("address")
	for i := range c.sensors {
		o := &c.sensors[i]
		if o.driver.Connection != sensors.OnI2C || !o.sound || c.bad[join(o.path, "bus")] {
			continue
		}
		other, err := sensors.ParseBusPath(o.sensor.Settings.Text("bus"))
		if err != nil {
			continue
		}
		for n, h := range other.Hops {
			on := sensors.BusPath{Bus: other.Bus, Hops: other.Hops[:n]}
			if int64(h.Mux) == address && (on.Hears(path) || path.Hears(on)) {
				c.wrong(at, "%s is the multiplexer on the way to %s, line %d", c.shownOr(at, ""), o.path, c.ix.key(o.path).Line)
				return true
			}
		}
		sameWire := path.Hears(other) && other.Hears(path)
		if o == p || sameWire || !o.sensor.Settings.Has("address") || o.sensor.Settings.Int("address") != address || c.inFile(o.path, p.path) > 0 {
			continue
		}
		if path.Hears(other) || other.Hears(path) {
			c.wrong(at, "%s answers also where %s reads the same address, line %d; use another address, or another channel for each",
				c.shownOr(at, ""), o.path, c.ix.key(o.path).Line)
			return true
		}
	}
	return false
}

func (c *checker) shownOr(path, otherwise string) string {
	if raw := c.ix.raw(path); raw != "" {
		return clip(raw)
	}
	return otherwise
}

// pace checks that the driver can be read as often as it is asked to.
func (c *checker) pace(p *pending) {
	path := join(p.path, "every")
	if p.driver.Least == nil || c.bad[path] || c.bad["sensors.every"] {
		return
	}
	if least := p.driver.Least(p.sensor.Settings); p.sensor.Every < least {
		c.wrong(path, "got %s, but %s needs up to %s for one reading with these settings",
			strconv.Quote(formatDuration(p.sensor.Every)), p.driver.Name, formatDuration(least))
	}
}

// measured lists what a sensor delivers; none when only its data will tell.
func (p *pending) measured() []sensors.Measure {
	return p.driver.Delivers(p.sensor.Settings)
}

func (c *checker) crossSerial() {
	devices := map[string]string{}
	names := sortedKeys(c.cfg.Serial)
	slices.SortFunc(names, func(a, b string) int { return c.inFile(join("serial", a), join("serial", b)) })
	for _, name := range names {
		device := c.cfg.Serial[name].Device
		path := join(join("serial", name), "device")
		if device == "" || c.bad[path] {
			continue
		}
		if !strings.HasPrefix(device, "/") {
			c.wrong(path, "got %s, want a path such as \"/dev/ttyUSB0\"", quoteClip(device))
			continue
		}
		if other, ok := devices[c.leadsTo(device)]; ok {
			same := ""
			if c.cfg.Serial[other].Device != device {
				same = ", by another name"
			}
			other = join("serial", other)
			c.wrong(path, "%q already used by %s, line %d%s; several sensors can name one line as their bus", device, other, c.ix.key(join(other, "device")).Line, same)
			continue
		}
		devices[c.leadsTo(device)] = name
	}
}

// leadsTo is the device itself, if links to it can be followed now.
func (c *checker) leadsTo(device string) string {
	if c.opts.SkipFiles {
		return device
	}
	if resolved, err := filepath.EvalSymlinks(device); err == nil {
		return resolved
	}
	return filepath.Clean(device)
}

func (c *checker) crossListeners() {
	addresses := map[string]string{}
	names := sortedKeys(c.cfg.Listener)
	slices.SortFunc(names, func(a, b string) int { return c.inFile(join("listener", a), join("listener", b)) })
	for _, name := range names {
		l := c.cfg.Listener[name]
		path := join("listener", name)
		at := join(path, "address")
		_, set := c.cfg.origin[at]
		c.crossTLS(l, path)
		if l.Anonymous && len(c.cfg.User) > 0 && l.ACL == "" && !(l.named() && l.ClientCertificates == "required") {
			where := at
			if !set {
				where = join("user", sortedKeys(c.cfg.User)[0])
			}
			c.warn(where, "clients without a user name may do nothing at %s, as there are [user.NAME] tables; have them log in, or write anonymous = false for that listener", l.Address)
		}
		c.aclOf(l, path)
		if !set {
			continue
		}
		if other, ok := addresses[l.Address.String()]; ok && l.Address.Port != 0 {
			c.wrong(at, "%q already used by %s, line %d", l.Address.String(), other, c.ix.key(join(other, "address")).Line)
			continue
		}
		addresses[l.Address.String()] = path
		if l.Redirect == "" && !c.bad[join(path, "redirect")] && !l.Anonymous && !c.bad[join(path, "anonymous")] && !c.bad[join(path, "passwords")] {
			c.closed(l, at)
		}
	}
}

// closed checks that somebody can log in at a listener that is not anonymous:
// an open one must be asked for in so many words.
func (c *checker) closed(l *Listener, at string) {
	users, tables := 0, 0
	for _, u := range c.cfg.User {
		tables++
		if u.Password != nil {
			users++
		}
	}
	_, named := c.cfg.origin[join(join("listener", l.Name), "passwords")]
	if users > 0 || l.named() || c.badIn["user"] || c.opts.SkipFiles && (tables > 0 || named) {
		return
	}
	if !c.opts.SkipFiles && passwordsIn(l.Passwords) > 0 {
		return
	}
	switch {
	case named:
		c.wrong(join(join("listener", l.Name), "passwords"), "no user in %s, so nobody can log in; run %s", l.Passwords, addUser(l.Passwords))
	case tables > 0:
		c.warn(at, "no user has a password yet, so nobody can log in; run %s", addUser(l.Passwords))
	case l.Address.Loopback():
		c.wrong(at, "anonymous = false, but there are no users, so nobody can log in; run %s", addUser(l.Passwords))
	default:
		c.wrong(at, "%s can be reached from other machines, but there are no users; run %s, or write anonymous = true to let everyone in", l.Address, addUser(l.Passwords))
	}
}

// aclOf checks that the access control list of a listener is there, and tells if another listener is open beside it.
func (c *checker) aclOf(l *Listener, path string) {
	at := join(path, "acl")
	if l.ACL != "" {
		if !c.opts.SkipFiles && !c.bad[at] && !c.isFile(l.ACL) {
			c.wrong(at, "there is no file %s; without acl everyone could do everything, so it must be there", l.ACL)
		}
		return
	}
	if len(c.cfg.User) > 0 || c.badIn["user"] {
		return
	}
	for _, name := range sortedKeys(c.cfg.Listener) {
		if other := c.cfg.Listener[name]; other.ACL != "" {
			c.warn(join(path, "address"), "everyone who gets in here may do everything, as it has no acl and there are no [user.NAME] tables; listener.%s has one", quotePart(name))
			return
		}
	}
}

// grants tells whether a table gives any right; nil gives none.
func grants(u *User) bool { return u != nil && len(u.Publish)+len(u.Subscribe) > 0 }

func (c *checker) crossUsers() {
	for name, u := range c.cfg.User {
		path := join(join("user", name), "password")
		if name == "*" && u.Password != nil {
			c.wrongKey(path, `"*" is everyone who has logged in; it has no password`)
		}
		if !c.badIn["user"] && !grants(u) && !grants(c.cfg.User["*"]) {
			c.warn(join("user", name), `grants nothing; add publish = ["plant/pump7/#"] or subscribe, for the user or for "*"`)
		}
	}
}
