package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

// ParseSize reads "512MiB", "1.5GiB", "100kB" or "4096B". The unit is needed;
// a K, M or G alone is refused because people mean different things by it.
func ParseSize(s string) (Size, error) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || n < 0 || n*float64(u.bytes) >= math.MaxInt64 || math.IsNaN(n) {
			break
		}
		return Size(math.Round(n * float64(u.bytes))), nil
	}
	return 0, fmt.Errorf(`got %q, want a number and one of B, KiB, MiB, GiB, TiB, such as "512MiB"`, s)
}

// String writes the size in the largest unit that divides it.
func (n Size) String() string {
	for _, u := range sizeUnits {
		if n != 0 && strings.HasSuffix(u.name, "iB") && int64(n)%u.bytes == 0 {
			return strconv.FormatInt(int64(n)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(n), 10) + "B"
}

// ParseDuration reads "10s", "1h30m" or "7d": Go's notation, and d for days of
// 24 hours in front.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("got %q, want a number with its unit: ms, s, m, h or d", s)
	days, rest, ok := strings.Cut(s, "d")
	if !ok {
		days, rest = "0", s
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, bad
	}
	d := time.Duration(n) * 24 * time.Hour
	if rest == "" && ok {
		return d, nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil || ok && more < 0 || more > math.MaxInt64-d {
		return 0, bad
	}
	return d + more, nil
}

// formatDuration writes 90s as "1m30s" and 1h as "1h".
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Address is where a listener listens.
type Address struct {
	Host string // an IP address, "localhost", or empty: all interfaces
	Port uint16
	Path string // absolute, of a Unix socket; Host and Port are empty then
}

// maxUnixPath is the longest path of a Unix socket, in bytes (unix(7), sun_path).
const maxUnixPath = 107

// ParseAddress reads "127.0.0.1:1883", "[::1]:1883", "localhost:1883", ":1883" or "unix:/run/weir/mqtt.sock".
func ParseAddress(s string) (Address, error) {
	if path, unix := strings.CutPrefix(s, "unix:"); unix {
		switch {
		case !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/"):
			return Address{}, fmt.Errorf(`got %q, want a path from the root, such as "unix:/run/weir/mqtt.sock"`, s)
		case len(path) > maxUnixPath:
			return Address{}, fmt.Errorf("got a path of %d bytes, want at most %d for a Unix socket", len(path), maxUnixPath)
		}
		return Address{Path: path}, nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		if i := strings.LastIndexByte(s, ':'); i > 0 {
			_, portErr := parsePort(s[i+1:])
			if ip, ipErr := netip.ParseAddr(s[:i]); ipErr == nil && ip.Is6() && portErr == nil {
				return Address{}, fmt.Errorf("got %q, want brackets around the address: %q", s, net.JoinHostPort(s[:i], s[i+1:]))
			}
		}
		if _, ipErr := netip.ParseAddr(strings.Trim(s, "[]")); ipErr == nil {
			return Address{}, fmt.Errorf("got %q, want a port behind it: %q", s, net.JoinHostPort(strings.Trim(s, "[]"), "1883"))
		}
		return Address{}, fmt.Errorf(`got %q, want an address and a port, such as "0.0.0.0:1883"`, s)
	}
	n, err := parsePort(port)
	if err != nil {
		return Address{}, fmt.Errorf("got %q, want a port from 0 to 65535", s)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && host != "localhost" {
		return Address{}, fmt.Errorf(`got %q, want an IP address of this machine, such as "0.0.0.0:%d" for all of them`, s, n)
	}
	return Address{Host: host, Port: n}, nil
}

// parsePort reads a port; strconv alone would take "+1".
func parsePort(s string) (uint16, error) {
	if len(s) > 5 || strings.Trim(s, "0123456789") != "" {
		return 0, errors.New("not a port")
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err
}

// String is how the file writes it.
func (a Address) String() string {
	if a.Path != "" {
		return "unix:" + a.Path
	}
	return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
}

// Loopback reports whether only this machine can reach the address.
func (a Address) Loopback() bool {
	if a.Host == "localhost" || a.Path != "" {
		return true
	}
	ip, err := netip.ParseAddr(a.Host)
	return err == nil && ip.Unmap().IsLoopback()
}

// URL is the address of an upstream broker.
type URL struct {
	TLS  bool
	Host string // a name or an IP address
	Port uint16
}

// ParseURL reads mqtt://HOST[:1883] or mqtts://HOST[:8883]. User and password
// have keys of their own. An error never repeats a password.
func ParseURL(s string) (URL, error) {
	const want = `want mqtt://HOST or mqtts://HOST, such as "mqtts://broker.example.com"`
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		if strings.ContainsAny(s, "@ ") || s == "" {
			return URL{}, errors.New(want)
		}
		return URL{}, fmt.Errorf(`got %q, want mqtt:// or mqtts:// in front: "mqtts://%s"`, clip(s), clip(s))
	}
	if strings.Contains(rest, "@") {
		return URL{}, errors.New("a user or password inside the url; use the keys username and password")
	}
	u := URL{}
	switch strings.ToLower(scheme) {
	case "mqtt", "tcp":
		u.Port = 1883
	case "mqtts", "ssl", "tls":
		u.TLS, u.Port = true, 8883
	case "ws", "wss":
		return URL{}, fmt.Errorf("got %q: WebSocket is not in this version; %s", clip(s), want)
	default:
		return URL{}, fmt.Errorf("got %q, %s", clip(s), want)
	}
	p, err := url.Parse("mqtt://" + strings.TrimSuffix(rest, "/"))
	if err != nil || p.Hostname() == "" || strings.Contains(p.Hostname(), ":") && p.Host[0] != '[' || p.Path != "" || p.RawQuery != "" || p.Fragment != "" || strings.ContainsAny(rest, " #?%") {
		return URL{}, fmt.Errorf("got %q, want a host name and at most a port behind ://", clip(s))
	}
	u.Host = p.Hostname()
	if strings.HasSuffix(p.Host, ":") || p.Port() != "" {
		if u.Port, err = parsePort(p.Port()); err != nil || u.Port == 0 {
			return URL{}, fmt.Errorf("got %q, want a port from 1 to 65535", clip(s))
		}
	}
	return u, nil
}

// String is the url in its full form, port included.
func (u URL) String() string {
	scheme := "mqtt"
	if u.TLS {
		scheme = "mqtts"
	}
	return scheme + "://" + u.Address()
}

// Address is HOST:PORT as net.Dial takes it.
func (u URL) Address() string { return net.JoinHostPort(u.Host, strconv.Itoa(int(u.Port))) }

// Template is a topic with placeholders left in it.
type Template string

// Expand replaces the quantity: {quantity} as it is ("temperature") and
// {Quantity} with a capital ("Temperature").
func (t Template) Expand(quantity string) string {
	capital := quantity
	if quantity != "" {
		capital = strings.ToUpper(quantity[:1]) + quantity[1:]
	}
	return strings.NewReplacer("{quantity}", quantity, "{Quantity}", capital).Replace(string(t))
}

// QoS is the quality of service of a forward rule.
type QoS uint8

// AsPublished keeps the quality of service the publisher used; 0, 1 and 2 stand
// for themselves.
const AsPublished QoS = 3

// String is how the file writes it.
func (q QoS) String() string {
	if q == AsPublished {
		return `"as published"`
	}
	return strconv.Itoa(int(q))
}

// Retain says what becomes of the retain flag of a message that is forwarded.
type Retain uint8

// The choices of retain.
const (
	KeepRetain Retain = iota
	StripRetain
)

// String is how the file writes it.
func (r Retain) String() string {
	if r == StripRetain {
		return "false"
	}
	return `"as published"`
}

// Version is the version of MQTT spoken upstream, as on the wire.
type Version byte

// The versions. The zero value is 5.0, and 3.1.1 where that is refused.
const (
	V311 Version = 4
	V5   Version = 5
)

// String is how the file writes it.
func (v Version) String() string {
	if v == V311 {
		return `"3.1.1"`
	}
	return `"5"`
}
