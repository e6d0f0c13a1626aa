package mosquitto

import (
	"fmt"
	"slices"
	"strings"

	"weir/gateway/config"
)

// Options of Import.
type Options struct {
	// Knows tells whether the configuration of weir has a key, such as "listener.NAME.cert". nil: those of this weir.
	Knows func(key string) bool
}

// Result is what became of a configuration.
type Result struct {
	TOML    string   // the text of weir.toml
	Secrets []Secret // files that it names, to be written beside it
	Left    int      // lines that were not carried
	Dangers []string // those of them, and other things, that make more possible than it was, each a sentence
}

// Secret is a file that only its owner may read.
type Secret struct{ Name, Value string }

// Import reads a configuration of mosquitto and what it includes, and makes one for weir of it. The error tells of a file
// that could not be read; whatever the lines say is no error.
func Import(path string, o Options) (*Result, error) {
	lines, err := readLines(path)
	if err != nil {
		return nil, err
	}
	c := &converter{table: table(), taken: map[string]bool{}, knows: o.Knows, path: path, all: &listener{name: "default"}}
	if c.knows == nil {
		fields := config.Fields(nil)
		c.knows = func(key string) bool {
			return slices.ContainsFunc(fields, func(f config.Field) bool { return f.Path == key })
		}
	}
	c.listeners = []*listener{c.all}
	c.at = c.all
	for i := range lines {
		l := &lines[i]
		l.truth()
		if l.key == "per_listener_settings" {
			c.perListener = l.value == "true"
		}
	}
	for _, l := range lines {
		c.line(l)
	}
	return c.write(lines), nil
}

// converter collects what the lines say.
type converter struct {
	table       map[string]rule
	knows       func(string) bool
	path        string
	perListener bool

	all       *listener   // the default listener, and the settings that hold for all listeners
	listeners []*listener // the default listener first
	at        *listener   // whose settings come
	bridges   []*link
	on        *link // whose settings come; nil: none

	queueMessages, queueBytes, maxPacket          setting
	inflight, keepAlive, memory, retain, interval setting

	taken    map[string]bool // addresses of listeners that were written
	secrets  []Secret
	needless []note
	left     []note
	dangers  []string
}

// setting is one value with the line that gave it; the zero value is none.
type setting struct {
	value string
	line  *line
}

func (s setting) given() bool { return s.line != nil }

// note is a line that was not carried, with the reason.
type note struct {
	line   line
	reason string
}

// listener is one of mosquitto's.
type listener struct {
	name           string
	port, bind     setting
	protocol       setting
	anonymous      setting
	passwords, acl setting
	cert, key, ca  setting
	requireCert    setting
	identity, crl  setting
	tlsVersion     setting
	maxConnections setting
	refused        string // why it cannot be carried at all; empty: it can
}

// link is one connection of mosquitto's.
type link struct {
	name                    string
	line                    line
	addresses               []string
	address                 setting
	clientID, user          setting
	password                setting
	ca, cert, key           setting
	tls                     bool
	clean, keepAlive        setting
	version, outgoingRetain setting
	topics                  []line
}

// line accounts for one line, by the table.
func (c *converter) line(l line) {
	s, known := c.table[l.key]
	switch {
	case l.odd():
		c.leave(l, "holds characters that are no text")
		if known && s.danger {
			c.danger("%s (%s) is not carried: it holds characters that are no text", l.text(), l.place())
		}
	case known && l.value == "":
		c.leave(l, "no value")
	case truths[l.key] && l.value != "true" && l.value != "false":
		c.leave(l, "neither true nor false: mosquitto does not start with it")
		if s.closes {
			c.at.refused = l.key + ": neither true nor false"
		}
	case strings.HasPrefix(l.key, "auth_opt_"), strings.HasPrefix(l.key, "plugin_opt_"):
		c.leave(l, "belongs to a plugin")
	case !known:
		c.leave(l, "unknown to weir import; look it up in mosquitto.conf(5)")
	case s.take != nil:
		if why := s.take(c, l); why != "" {
			c.leave(l, why)
		}
	case s.danger && l.value == "false":
	case s.needless:
		c.needless = append(c.needless, note{l, s.why})
	default:
		c.leave(l, s.why)
		if s.danger {
			c.danger("%s (%s) is not carried: %s", l.text(), l.place(), s.why)
		}
	}
}

func (c *converter) leave(l line, why string) { c.left = append(c.left, note{l, why}) }

func (c *converter) danger(format string, a ...any) {
	c.dangers = append(c.dangers, fmt.Sprintf(format, a...))
}

// scope is the listener that a setting of users and rights is for.
func (c *converter) scope() *listener {
	if c.perListener {
		return c.at
	}
	return c.all
}

// listen begins a listener: listener PORT [ADDRESS].
func (c *converter) listen(l line) string {
	port, bind, _ := strings.Cut(l.value, " ")
	c.at = &listener{name: "port-" + port, port: setting{port, &l}}
	if bind = strings.TrimSpace(bind); bind != "" {
		c.at.bind = setting{bind, &l}
	}
	if port == "0" {
		c.at.name = "socket"
	}
	for _, other := range c.listeners {
		if other.name == c.at.name {
			c.at.name += fmt.Sprintf("-line-%d", l.number)
		}
	}
	c.listeners = append(c.listeners, c.at)
	c.on = nil
	return ""
}

// connection begins a bridge.
func (c *converter) connection(l line) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_", r) {
			return r
		}
		return '-'
	}, l.value)
	if name == "" {
		c.on = nil
		return "a connection without a name"
	}
	for _, other := range c.bridges {
		if other.name == name {
			name += fmt.Sprintf("-line-%d", l.number)
		}
	}
	c.on = &link{name: name, line: l}
	c.bridges = append(c.bridges, c.on)
	return ""
}
