package mosquitto

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// page is the text of weir.toml as it grows.
type page struct{ b strings.Builder }

// key writes a setting with the line it comes from behind it.
func (p *page) key(name, value string, from setting, notes ...string) {
	comment := notes
	if from.given() {
		comment = append([]string{from.line.place()}, notes...)
	}
	text := fmt.Sprintf("%-9s = %s", name, value)
	if len(comment) > 0 {
		text = fmt.Sprintf("%-50s # %s", text, strings.Join(comment, "; "))
	}
	p.line(text)
}

func (p *page) line(text string) { p.b.WriteString(text + "\n") }
func (p *page) comment(format string, a ...any) {
	p.line(strings.TrimRight("# "+fmt.Sprintf(format, a...), " "))
}
func (p *page) table(header string) { p.line("\n" + header) }
func (p *page) hidden(write func(p *page)) string { // what write writes, as comments
	var q page
	write(&q)
	var b strings.Builder
	for l := range strings.Lines(strings.TrimLeft(q.b.String(), "\n")) {
		b.WriteString("# " + l)
	}
	return b.String()
}

// write makes the result. lines are all that were read.
func (c *converter) write(lines []line) *Result {
	var p page
	p.comment("Made from %s by: weir import mosquitto", c.path)
	p.comment("Behind each setting stands the line it comes from. What was not carried stands at the end.")
	c.limits(&p)
	for _, l := range c.listeners {
		c.listener(&p, l)
	}
	if len(c.taken) == 0 {
		p.line("")
		p.comment("No listener is left, so weir's own holds: 127.0.0.1:1883, which only this machine reaches.")
	}
	for _, b := range c.bridges {
		c.bridge(&p, b)
	}
	c.account(&p, lines)
	c.rest(&p)
	return &Result{TOML: p.b.String(), Secrets: c.secrets, Left: len(c.left), Dangers: c.dangers}
}

// quote writes a text as TOML does.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// limits writes [broker].
func (c *converter) limits(p *page) {
	var q page
	number := func(key string, s setting, least, most int64, unit, unlimited string) {
		if !s.given() {
			return
		}
		n, err := strconv.ParseInt(s.value, 10, 64)
		switch {
		case err != nil || n < 0:
			c.leave(*s.line, "not a number that means something")
			return
		case n == 0 && unlimited == "":
			c.leave(*s.line, "no limit; weir has one always, see weir explain broker."+key)
			return
		case n == 0:
			q.key(key, unlimited, s, "no limit there; the most that weir takes")
			return
		}
		value, notes := max(least, min(n, most)), []string(nil)
		if value != n {
			notes = append(notes, fmt.Sprintf("%d there; the nearest that weir takes", n))
		}
		if unit == "" {
			q.key(key, strconv.FormatInt(value, 10), s, notes...)
			return
		}
		q.key(key, quote(strconv.FormatInt(value, 10)+unit), s, notes...)
	}
	number("queue_messages", c.queueMessages, 1, 1_000_000, "", "1000000")
	number("queue_bytes", c.queueBytes, 1<<10, 1<<30, "B", `"1GiB"`)
	number("max_packet", c.maxPacket, 1<<10, 2<<20-4<<10, "B", "") // half a segment at its default, less 4 KiB
	number("inflight", c.inflight, 1, 65_535, "", "65535")
	number("memory", c.memory, 4<<20, 1<<40, "B", "")
	seconds := func(key string, s setting, most int64) {
		if n, err := strconv.ParseInt(s.value, 10, 64); s.given() && (err != nil || n < 0 || n > most) {
			c.leave(*s.line, "not a number of seconds that means something")
		} else if s.given() {
			q.key(key, quote(strconv.FormatInt(n, 10)+"s"), s)
		}
	}
	seconds("max_keep_alive", c.keepAlive, 65_535)
	seconds("sys_interval", c.interval, 86_400)
	if c.retain.given() {
		q.key("retain", c.retain.value, c.retain)
	}
	if q.b.Len() > 0 {
		p.table("[broker]")
		p.b.WriteString(q.b.String())
	}
}

// security is a setting of the listener, or of all if it is not per listener.
func (c *converter) security(l *listener, at func(*listener) *setting) setting {
	if c.perListener {
		return *at(l)
	}
	return *at(c.all)
}

// listener writes [listener.NAME].
func (c *converter) listener(p *page, l *listener) {
	if l == c.all && !l.port.given() && (len(c.listeners) > 1 || !l.bind.given()) {
		if len(c.listeners) == 1 { // mosquitto 2.0 without a listener: local clients only, and they may be anonymous
			c.localOnly(p)
		}
		return
	}
	passwords := c.security(l, func(l *listener) *setting { return &l.passwords })
	anonymous := c.security(l, func(l *listener) *setting { return &l.anonymous })
	refused := l.refused
	if refused == "" {
		refused = c.cannot(l, passwords, anonymous)
	}
	address, _ := addressOf(l)
	if refused == "" && c.taken[address] {
		refused = "another listener has this address"
	}
	if refused == "" {
		c.taken[address] = true
	}
	if refused != "" {
		p.line("")
		p.comment("Not carried: %s", refused)
		p.b.WriteString(p.hidden(func(q *page) { c.listenerTable(q, l, passwords, anonymous) }))
		for _, s := range []setting{l.port, l.cert} {
			if s.given() {
				c.leave(*s.line, "the listener is written as a comment: "+refused)
				break
			}
		}
		return
	}
	c.listenerTable(p, l, passwords, anonymous)
}

// localOnly is the listener that mosquitto 2.0 has when the file names none.
func (c *converter) localOnly(p *page) {
	l := listener{name: c.all.name, anonymous: c.all.anonymous, passwords: c.all.passwords, acl: c.all.acl, maxConnections: c.all.maxConnections}
	for _, s := range []setting{c.all.protocol, c.all.cert, c.all.key, c.all.ca, c.all.crl, c.all.requireCert, c.all.identity, c.all.tlsVersion} {
		if s.given() {
			c.leave(*s.line, "belongs to no listener: without listener or port mosquitto serves this machine, without TLS")
		}
	}
	l.port, l.bind = setting{value: "1883"}, setting{value: "127.0.0.1"}
	if !l.anonymous.given() {
		l.anonymous.value = "true"
	}
	if l.anonymous.value != "true" && !l.passwords.given() {
		p.line("")
		p.comment("Not carried: without users and anonymous clients nobody can log in.")
		return
	}
	p.line("")
	p.comment("mosquitto 2.0 without a listener serves this machine only.")
	c.taken["127.0.0.1:1883"] = true
	c.listenerTable(p, &l, l.passwords, l.anonymous)
}

// cannot is why a listener is no use, or needs what this weir does not have; empty: neither.
func (c *converter) cannot(l *listener, passwords, anonymous setting) string {
	usesNames := l.identity.value == "true" && l.requireCert.value == "true"
	switch {
	case l.port.given() && !isPort(l.port.value):
		return "the port is no number from 1 to 65535"
	case l.protocol.value == "mqttsn", l.protocol.given() && l.protocol.value != "mqtt" && l.protocol.value != "websockets":
		return "weir does not speak the protocol " + l.protocol.value
	case l.protocol.value == "websockets" && !c.knows("listener.NAME.protocol"):
		return "this weir has no WebSocket listeners yet"
	case l.cert.given() && !c.knows("listener.NAME.cert"):
		return "this weir has no TLS listeners yet, and without TLS passwords would be readable"
	case l.cert.given() && !l.key.given():
		return "a certfile without its keyfile"
	case l.requireCert.value == "true" && !l.cert.given():
		return "require_certificate without a certfile: mosquitto asks for no certificates then, which is hardly meant"
	case l.requireCert.value == "true" && !l.ca.given():
		return "require_certificate without a cafile: there is nobody whose certificates are taken"
	case l.port.value == "0" && !c.knows("listener.NAME.mode"):
		return "this weir has no Unix sockets yet"
	case l.port.value == "0" && !isSocketPath(l.bind.value):
		return "port 0 is a Unix socket, and this is no path from the root for one"
	case anonymous.value != "true" && !passwords.given() && !usesNames:
		return "without users and anonymous clients nobody can log in; write passwords, or anonymous = true"
	}
	return ""
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == s
}

// isSocketPath tells whether a Unix socket can be at a path, and a configuration can hold it.
func isSocketPath(s string) bool {
	odd := func(r rune) bool {
		return unicode.IsControl(r) || r == unicode.ReplacementChar || strings.ContainsRune("“”„", r)
	}
	return strings.HasPrefix(s, "/") && !strings.HasSuffix(s, "/") && len(s) <= 107 && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, odd)
}

// addressOf is the address of a listener, and what is to be said about it.
func addressOf(l *listener) (address string, notes []string) {
	port := l.port.value
	if port == "" {
		port = "1883"
	}
	switch host := l.bind.value; {
	case port == "0":
		return "unix:" + host, []string{"mode says who may connect"}
	case host == "":
		return ":" + port, []string{"every interface"}
	case host == "localhost":
		return "127.0.0.1:" + port, nil
	default:
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil {
			return "127.0.0.1:" + port, []string{host + " is a name: write the address of this machine that it means"}
		}
		return net.JoinHostPort(ip.String(), port), nil
	}
}

func (c *converter) listenerTable(p *page, l *listener, passwords, anonymous setting) {
	p.table("[listener." + l.name + "]")
	address, notes := addressOf(l)
	from := l.port
	switch {
	case !from.given():
		from = l.bind
	case l.bind.given() && l.bind.line.number != l.port.line.number:
		notes = append([]string{l.bind.line.place()}, notes...)
	}
	p.key("address", quote(address), from, notes...)
	if l.protocol.value == "websockets" {
		p.key("protocol", `"websocket"`, l.protocol, "clients must ask for the path /mqtt")
	}
	if l.maxConnections.given() {
		switch n, err := strconv.Atoi(l.maxConnections.value); {
		case err != nil || n == 0 || n > 1_000_000:
			c.leave(*l.maxConnections.line, "not a number that weir takes")
		case n < 0:
			c.needless = append(c.needless, note{*l.maxConnections.line, "without it a listener has no limit of its own"})
		default:
			p.key("max_connections", strconv.Itoa(n), l.maxConnections)
		}
	}
	c.certificates(p, l)
	if l.identity.value != "true" || anonymous.given() {
		value := strconv.FormatBool(anonymous.value == "true")
		if anonymous.given() {
			p.key("anonymous", value, anonymous)
		} else {
			p.key("anonymous", value, setting{}, "mosquitto's default here")
		}
	}
	if passwords.given() {
		p.key("passwords", quote(c.resolve(passwords)), passwords)
	}
	if acl := c.security(l, func(l *listener) *setting { return &l.acl }); acl.given() {
		p.key("acl", quote(c.resolve(acl)), acl, "judged at delivery, as by mosquitto")
	}
}

// certificates writes the TLS keys of a listener.
func (c *converter) certificates(p *page, l *listener) {
	if !l.cert.given() {
		for _, s := range []setting{l.key, l.ca, l.crl, l.tlsVersion} {
			if s.given() {
				c.leave(*s.line, "without a certfile there is no TLS")
			}
		}
		return
	}
	file := func(s setting) string { return "{ file = " + quote(c.resolve(s)) + " }" }
	p.key("cert", file(l.cert), l.cert)
	p.key("key", file(l.key), l.key)
	if l.tlsVersion.given() {
		switch l.tlsVersion.value {
		case "tlsv1.3":
			p.key("tls_min", `"1.3"`, l.tlsVersion)
		case "tlsv1.2":
			p.key("tls_min", `"1.2"`, l.tlsVersion)
		default:
			c.leave(*l.tlsVersion.line, "weir speaks TLS 1.2 and 1.3")
		}
	}
	if l.requireCert.value == "true" {
		p.key("client_ca", file(l.ca), l.ca, "required: "+l.requireCert.line.place())
		if l.identity.value == "true" {
			p.key("identity", `"cn"`, l.identity)
		}
		if l.crl.given() {
			p.key("crl", "["+quote(c.resolve(l.crl))+"]", l.crl)
		}
		return
	}
	for _, s := range []setting{l.ca, l.crl} {
		if s.given() {
			c.needless = append(c.needless, note{*s.line, "clients are not asked for certificates"})
		}
	}
	if l.identity.value == "true" {
		c.leave(*l.identity.line, "it means something with require_certificate true only")
	}
}

// resolve makes a path absolute. mosquitto looks from the directory it was started in, which is / for a service.
func (c *converter) resolve(s setting) string {
	if filepath.IsAbs(s.value) {
		return s.value
	}
	return filepath.Join("/", s.value)
}
