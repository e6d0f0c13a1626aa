package mosquitto

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"weir/bridge"
	"weir/broker/topic"
)

// bridge writes [bridge.NAME] with its rules.
func (c *converter) bridge(p *page, b *link) {
	if len(b.addresses) == 0 {
		c.leave(b.line, "a connection without an address")
		for _, t := range b.topics {
			c.leave(t, "belongs to a connection without an address")
		}
		return
	}
	p.table(fmt.Sprintf("%-50s # %s", "[bridge."+b.name+"]", b.line.place()))
	c.urls(p, b)
	switch b.version.value {
	case "mqttv50":
		p.key("version", `"5"`, b.version)
	case "mqttv311":
		p.key("version", `"3.1.1"`, b.version)
	case "":
	default:
		c.leave(*b.version.line, "weir speaks MQTT 5.0 and 3.1.1 upstream")
	}
	if b.clientID.given() {
		p.key("client_id", quote(b.clientID.value), b.clientID)
	} else {
		p.comment("the client id is {id}, the name of this gateway; mosquitto's was HOST.%s, whose session upstream is left to expire", b.line.value)
	}
	if b.user.given() {
		p.key("username", quote(b.user.value), b.user)
	}
	switch {
	case b.password.given() && !b.user.given():
		c.leave(*b.password.line, "a password without a user name")
	case b.password.given():
		name := b.name + ".password"
		c.secrets = append(c.secrets, Secret{name, b.password.value})
		p.key("password", "{ file = "+quote(name)+" }", b.password)
	}
	if b.cert.given() != b.key.given() {
		for _, s := range []*setting{&b.cert, &b.key} {
			if s.given() {
				c.leave(*s.line, "want a certificate and its key, or neither")
			}
			*s = setting{}
		}
	}
	for _, f := range []struct {
		key string
		s   setting
	}{{"ca", b.ca}, {"cert", b.cert}, {"key", b.key}} {
		if f.s.given() {
			p.key(f.key, "{ file = "+quote(c.resolve(f.s))+" }", f.s)
		}
	}
	c.session(p, b)
	for _, l := range b.topics {
		c.topic(p, b, l)
	}
}

// urls writes the addresses. mosquitto's port is 1883 also with TLS.
func (c *converter) urls(p *page, b *link) {
	var urls []string
	for _, a := range b.addresses {
		urls = append(urls, quote(urlOf(a, b.tls)))
	}
	if len(urls) == 1 {
		p.key("url", urls[0], b.address)
		return
	}
	p.key("url", "["+strings.Join(urls, ", ")+"]", b.address, "tried in this order")
}

func urlOf(address string, tls bool) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), "1883"
	}
	scheme := "mqtt://"
	if tls {
		scheme = "mqtts://"
	}
	return scheme + net.JoinHostPort(host, port)
}

// session writes what concerns the session upstream. mosquitto's default is one that lasts.
func (c *converter) session(p *page, b *link) {
	switch {
	case b.clean.value == "true":
		if b.exactlyOnce() {
			c.leave(*b.clean.line, "exactly once (QoS 2) needs a session that lasts")
			break
		}
		p.key("clean", "true", b.clean)
	case b.clean.given() || b.receives():
		p.key("clean", "false", b.clean)
	}
	if !b.keepAlive.given() {
		return
	}
	n, err := strconv.Atoi(b.keepAlive.value)
	if err != nil || n < 1 || n > 65535 {
		c.leave(*b.keepAlive.line, "want 1 to 65535 seconds")
		return
	}
	p.key("keepalive", quote(b.keepAlive.value+"s"), b.keepAlive)
}

// A topicRule is what one topic line says.
type topicRule struct {
	pattern, direction, qos string
	local, remote           string
}

// parseTopic takes a topic line apart; "" stands for an empty part.
func parseTopic(value string) (t topicRule, why string) {
	t = topicRule{direction: "out", qos: "0"}
	fields := strings.Fields(value)
	for i, f := range fields {
		if f == `""` {
			f = ""
		}
		switch i {
		case 0:
			t.pattern = f
		case 1:
			t.direction = f
		case 2:
			t.qos = f
		case 3:
			t.local = f
		case 4:
			t.remote = f
		default:
			return t, "more than a pattern, a direction, a QoS and two prefixes"
		}
	}
	switch {
	case len(fields) == 0:
		return t, "no pattern"
	case t.direction != "out" && t.direction != "in" && t.direction != "both":
		return t, "the direction is none of out, in and both"
	case t.qos != "0" && t.qos != "1" && t.qos != "2":
		return t, "the QoS is none of 0, 1 and 2"
	case t.pattern == "" && (t.local == "" || t.remote == ""):
		return t, "an empty pattern needs both prefixes"
	}
	return t, ""
}

// invalid is why weir cannot have filters of a rule; empty: it can.
func invalid(t topicRule) string {
	if strings.ContainsAny(t.local+t.pattern+t.remote, "{}") {
		return "in weir braces are placeholders, such as {id}"
	}
	if strings.ContainsAny(t.local+t.remote, "+#") {
		return "a prefix with a wildcard"
	}
	for _, text := range []string{t.local + t.pattern, t.remote + t.pattern} {
		f, err := topic.ParseFilter(text)
		if err != nil {
			return err.Error()
		}
		if _, shared := f.Shared(); shared {
			return "a shared subscription, which rules of weir cannot have"
		}
	}
	if t.direction != "in" && strings.HasPrefix(t.remote+t.pattern, "$SYS") || t.direction != "out" && strings.HasPrefix(t.local+t.pattern, "$") {
		return "it would publish to topics that begin with $"
	}
	return ""
}

// levels is a prefix as whole levels. ok is false if it ends inside a level of the topic.
func levels(prefix, pattern string) (text string, ok bool) {
	switch {
	case strings.HasSuffix(prefix, "/") && pattern != "":
		return strings.TrimSuffix(prefix, "/"), len(prefix) > 1
	case prefix == "", pattern == "", strings.HasPrefix(pattern, "/"):
		return prefix, true
	}
	return "", false
}

// topic writes the rules of a topic line.
func (c *converter) topic(p *page, b *link, l line) {
	t, why := parseTopic(l.value)
	if why != "" {
		c.leave(l, why)
		return
	}
	if why := invalid(t); why != "" {
		c.leave(l, why)
		return
	}
	local, ok := levels(t.local, t.pattern)
	remote, also := levels(t.remote, t.pattern)
	if !ok || !also {
		c.leave(l, "a prefix that is no whole levels of the topic; weir puts whole levels in front, and takes them off")
		return
	}
	from := setting{l.value, &l}
	if t.direction != "in" {
		p.table("[[bridge." + b.name + ".forward]]")
		p.key("filter", quote(t.local+t.pattern), from, differs(t, local, remote)...)
		c.remap(p, local, remote)
		var note []string
		if t.qos == "0" {
			note = []string{"what was in the socket when a link broke is lost; 1 keeps it"}
		}
		p.key("qos", t.qos, setting{}, note...)
		if b.outgoingRetain.value == "false" {
			p.key("retain", "false", b.outgoingRetain)
		}
	}
	if t.direction != "out" {
		p.table("[[bridge." + b.name + ".receive]]")
		back := t
		back.local, back.remote = t.remote, t.local
		p.key("filter", quote(t.remote+t.pattern), from, differs(back, remote, local)...)
		c.remap(p, remote, local)
		p.key("qos", t.qos, setting{})
	}
}

func (c *converter) remap(p *page, strip, prefix string) {
	if strip == prefix {
		return
	}
	if strip != "" {
		p.key("strip", quote(strip), setting{})
	}
	if prefix != "" {
		p.key("prefix", quote(prefix), setting{})
	}
}

// differs says of a rule under which topics are not called as before, by the example of one.
func differs(t topicRule, strip, prefix string) []string {
	sample := strings.NewReplacer("+", "x", "#", "x").Replace(t.pattern)
	if strip == prefix {
		strip, prefix = "", ""
	}
	rule := bridge.Rule{Strip: strip, Prefix: prefix}
	before := t.remote + sample
	after, err := rule.Remap(nil, []byte(t.local+sample))
	if err != nil || string(after) != before {
		return []string{"DIFFERS: " + t.local + sample + " becomes " + string(after) + ", in mosquitto " + before}
	}
	return nil
}

func (b *link) receives() bool {
	for _, l := range b.topics {
		if t, why := parseTopic(l.value); why == "" && t.direction != "out" && t.qos != "0" {
			return true
		}
	}
	return false
}

func (b *link) exactlyOnce() bool {
	for _, l := range b.topics {
		if t, why := parseTopic(l.value); why == "" && t.qos == "2" {
			return true
		}
	}
	return false
}
