package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/sensors"
)

// settleGateway finds the data directory and what {id} stands for.
func (c *checker) settleGateway() {
	g := &c.cfg.Gateway
	if g.DataDir == "" {
		g.DataDir = c.defaultDataDir()
	}
	if c.bad["gateway.id"] {
		return
	}
	if g.ID == "" && c.opts.ID != nil && !c.bad["gateway.data_dir"] {
		id, err := c.opts.ID(g.DataDir)
		switch {
		case err != nil:
			c.errorAt(c.ix.key("gateway.id"), "gateway.id: not found (%v); set it, such as id = \"site-017\"", err)
		case !isLevel(id):
			c.errorAt(c.ix.key("gateway.id"), "gateway.id: the machine gives %s, which is no level of a topic; set it, such as id = \"site-017\"", quoteClip(id))
		default:
			g.ID = id
		}
	}
	c.id = g.ID
	if g.ID == "" {
		g.ID = "{id}"
	}
}

// defaultDataDir is $STATE_DIRECTORY (the first, if systemd gives several), else
// a place that belongs to the user.
func (c *checker) defaultDataDir() string {
	if dir, _, _ := strings.Cut(c.opts.Getenv("STATE_DIRECTORY"), ":"); filepath.IsAbs(dir) {
		return filepath.Clean(dir)
	}
	if c.opts.Geteuid() == 0 {
		return "/var/lib/weir"
	}
	if dir := c.opts.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "weir")
	}
	if home := c.opts.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "weir")
	}
	return ""
}

// settle fills in the defaults that depend on other settings.
func (c *checker) settle() {
	cfg := c.cfg
	if _, set := cfg.origin["sensors.auto"]; !set {
		cfg.Sensors.Auto = len(cfg.Sensor) == 0
	}
	for name, s := range cfg.Sensor {
		c.settlePublishing(join("sensor", name), s)
	}
	for i := range c.sensors {
		c.settleSensor(&c.sensors[i])
	}
	if len(cfg.Listener) == 0 {
		cfg.Listener["default"] = c.defaultListener()
	}
	for name, b := range cfg.Bridge {
		if _, set := cfg.origin[join(join("bridge", name), "clean")]; !set {
			b.Clean = !b.exactlyOnce()
		}
	}
	for name, l := range cfg.Listener {
		if _, set := cfg.origin[join(join("listener", name), "anonymous")]; !set {
			l.Anonymous = l.Address.Loopback()
		}
		if _, set := cfg.origin[join(join("listener", name), "client_certificates")]; !set && l.ClientCA != nil {
			l.ClientCertificates = "required"
		}
		if beside := absolute(c.in.dir, "passwords"); l.Passwords == "" && c.name != "" && (!l.Anonymous && !l.named() || c.isFile(beside)) {
			l.Passwords = beside
		}
		if _, set := cfg.origin[join(join("listener", name), "acl_check")]; !set {
			l.ACLCheck = "subscribe"
			if l.ACL != "" {
				l.ACLCheck = "delivery"
			}
		}
	}
}

// settlePublishing fills in what a sensor takes from other settings.
func (c *checker) settlePublishing(path string, s *Sensor) {
	if s.Every == 0 {
		s.Every = c.cfg.Sensors.Every
	}
	if _, set := c.cfg.origin[join(path, "align")]; !set {
		s.Align = c.cfg.Sensors.Align
	}
	if s.Elevation == nil {
		s.Elevation = c.cfg.Gateway.Elevation
	}
	if _, set := c.cfg.origin[join(path, "topic")]; !set && s.Object != "" && !c.bad[join(path, "topic")] {
		s.Topic = ""
	}
}

// exactlyOnce tells whether a rule needs a session that outlives its connections.
func (b *Bridge) exactlyOnce() bool {
	return slices.ContainsFunc(b.Forward, func(r *Forward) bool { return r.QoS == 2 || r.QoS == AsPublished }) ||
		slices.ContainsFunc(b.Receive, func(r *Receive) bool { return r.QoS == 2 })
}

// settleSensor lets the driver judge its keys, now that all register maps and
// serial lines are known.
func (c *checker) settleSensor(p *pending) {
	if p.driver.Connection == sensors.OnSerial && p.given["bus"] == nil && findKey(p.driver.Keys, "bus") != nil && (c.bad[join(p.path, "bus")] || !c.onlyLine(p)) {
		return
	}
	var rows []sensors.Row
	if t := p.driver.Table; t != nil {
		name, _ := p.given[t.Key].(string)
		rows = c.cfg.Tables[t.Section][name]
		if rows == nil && c.bad[join(t.Section, name)] {
			return
		}
	}
	settings, wrong := p.driver.Settings(p.sensor.Name, p.given, rows)
	ofRow := func(e *sensors.KeyError) bool {
		return p.driver.Table != nil && strings.HasPrefix(e.Key, p.driver.Table.Section+".")
	}
	c.keyErrors(p.path, slices.DeleteFunc(slices.Clone(wrong), ofRow), p.driver.Addresses)
	for _, e := range wrong {
		if ofRow(e) && !c.bad[e.Key] { // some were said when the row was read
			c.wrong(e.Key, "%s", e.Text)
		}
	}
	for key := range p.given {
		if path := join(p.path, key); c.ix.has(path) {
			c.cfg.origin[path] = c.ix.value(path)
		}
	}
	p.sensor.Settings = settings
	p.sound = len(wrong) == 0
}

// onlyLine gives a serial sensor without a bus the one line there is.
func (c *checker) onlyLine(p *pending) bool {
	names := sortedKeys(c.cfg.Serial)
	switch len(names) {
	case 1:
		p.given["bus"] = names[0]
		return true
	case 0:
		c.wrongKey(join(p.path, "bus"), "driver %s needs a serial line; write one, such as [serial.rs485], with device = \"/dev/...\"", p.driver.Name)
	default:
		c.wrongKey(join(p.path, "bus"), "missing, want one of the serial lines %s", joinOr(quoted(names)))
	}
	return false
}

// isFile reports whether there is a file; without looking when that is not wanted.
func (c *checker) isFile(path string) bool {
	if c.opts.SkipFiles {
		return false
	}
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

// addUser is the command that writes the first user into a password file.
func addUser(path string) string {
	if path == "" || path == "/etc/weir/passwords" {
		return "weir passwd add NAME" // writes there by itself
	}
	return "weir passwd --file " + path + " add NAME"
}

// passwordsIn counts the users of a password file; a file that is there but may
// not be read has some.
func passwordsIn(path string) int {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return 0
	}
	data, err := os.ReadFile(path)
	if err != nil {
		if os.IsPermission(err) {
			return 1
		}
		return 0
	}
	users := 0
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' && strings.Contains(line, ":") {
			users++
		}
	}
	return users
}
