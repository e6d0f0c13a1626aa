package client

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"weir/broker/packet"
	"weir/broker/topic"
)

// Defaults of Options, used for zero values.
const (
	DefaultKeepAlive      = 60 * time.Second
	DefaultConnectTimeout = 30 * time.Second
	DefaultPingTimeout    = 10 * time.Second
	DefaultWriteTimeout   = 30 * time.Second
	DefaultMaxPacket      = 1 << 20
	DefaultWindow         = 1000
)

// Options of a connection. URL is required, everything else has a default. The functions are called from the
// connection's own goroutines and must return soon: while one runs, nothing is read or nothing is written.
type Options struct {
	URL      string         // mqtt://host[:1883], mqtts://host[:8883], or host[:port]
	Version  packet.Version // packet.V311 or packet.V5; 0: V5
	ClientID string         // empty: the server makes one (3.1.1: only with a clean session)
	Username string
	Password []byte // nil: none. 3.1.1 needs a user name beside it

	Resume        bool          // ask for an existing session (Clean Start 0); the default starts clean
	SessionExpiry time.Duration // 5.0: how long the session outlives the connection; whole seconds
	Will          *Will

	// What is left of the session that Resume asks for: in the order first sent, and the ids of received QoS 2 messages
	// that were not released. Both are forgotten if the server has no such session.
	Unfinished []Unfinished
	Held       []uint16
	// Handshakes leaves every step of QoS 2 that needs something written down to the caller. PUBREC is told to OnAcks and
	// PUBREL leaves with Conn.Release; PUBREL is told to OnReleases and PUBCOMP leaves with Conn.Complete; a message that
	// is held already is given to OnMessages once more, with Dup set, and owed PUBREC like any other.
	Handshakes bool
	OnReleases func(releases []Release)

	KeepAlive      time.Duration // whole seconds to 18 h; 0: DefaultKeepAlive; negative: none
	ConnectTimeout time.Duration // for everything up to CONNACK
	PingTimeout    time.Duration // how long the answer to a PINGREQ may take
	WriteTimeout   time.Duration // how long one write may make no progress

	Window         int    // most QoS 1 and 2 messages on the way at a time; the server's Receive Maximum may lower it
	ReceiveMaximum uint16 // 5.0: how many unacknowledged messages the server may send; 0: 65535
	Lenient        bool   // a server that sends more is put up with
	MaxPacket      int    // largest packet accepted, in bytes
	MaxSend        int    // largest packet sent, in bytes; 0: what the server takes

	TLS  TLS
	Dial func(ctx context.Context, network, address string) (net.Conn, error) // instead of resolving and dialling; TLS goes on top

	// OnAcks takes publishes that came to an end: QoS 0 written to the socket, QoS 1 and 2 acknowledged or refused, in
	// the order their ends were seen. The slice is valid during the call. May be called from two goroutines at once.
	OnAcks func(acks []Ack)
	// OnMessages takes the messages of one read, in order. They alias the read buffer: valid during the call only.
	// Unless ManualAck is set they are acknowledged when it returns.
	OnMessages func(messages []packet.Publish)
	ManualAck  bool // the caller acknowledges with Conn.Ack
}

// Will is what the server publishes when the connection ends without DISCONNECT.
type Will struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
}

// Ack is the end of one publish.
type Ack struct {
	Ref      uint64 // as given to Send
	ID       uint16 // the packet id it had
	QoS      byte
	Reason   packet.Reason // Failed: the server did not take the message
	Received bool          // no end yet: PUBREC came, and Conn.Release is to be called; only with Options.Handshakes
}

// Release is a PUBREL received.
type Release struct {
	ID    uint16
	Known bool // it is held
}

// target is a parsed URL.
type target struct {
	host, address string // address is host:port
	tls           bool
}

// parseURL takes mqtt://host:port, mqtts://host:port, and host:port.
func parseURL(s string) (target, error) {
	if !strings.Contains(s, "://") {
		s = "mqtt://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return target{}, fmt.Errorf("url: not readable, want mqtt://host:port or mqtts://host:port")
	}
	var t target
	port := "1883"
	switch u.Scheme {
	case "mqtt", "tcp":
	case "mqtts", "tls", "ssl":
		t.tls, port = true, "8883"
	default:
		return target{}, fmt.Errorf("url: scheme %q, want mqtt or mqtts", u.Scheme)
	}
	switch {
	case u.User != nil:
		return target{}, fmt.Errorf("url: holds a user name, want it in its own setting")
	case u.Hostname() == "":
		return target{}, fmt.Errorf("url: no host in %q", s)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return target{}, fmt.Errorf("url: %q has more than host and port", s)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	t.host = u.Hostname()
	t.address = net.JoinHostPort(t.host, port)
	return t, nil
}

// CheckURL reports why s cannot be connected to, before anything is tried.
func CheckURL(s string) error {
	_, err := parseURL(s)
	return err
}

// Secure reports whether a URL that CheckURL accepts asks for TLS.
func Secure(s string) bool {
	t, err := parseURL(s)
	return err == nil && t.tls
}

// complete fills defaults in and checks what can be checked before connecting.
func (o Options) complete() (Options, target, error) {
	t, err := parseURL(o.URL)
	if err != nil {
		return o, t, err
	}
	if o.Version == 0 {
		o.Version = packet.V5
	}
	o.KeepAlive = orDefault(o.KeepAlive, DefaultKeepAlive)
	o.ConnectTimeout = orDefault(o.ConnectTimeout, DefaultConnectTimeout)
	o.PingTimeout = orDefault(o.PingTimeout, DefaultPingTimeout)
	o.WriteTimeout = orDefault(o.WriteTimeout, DefaultWriteTimeout)
	o.MaxPacket = orDefault(o.MaxPacket, DefaultMaxPacket)
	o.Window = min(orDefault(o.Window, DefaultWindow), 65535)
	switch {
	case o.Version != packet.V311 && o.Version != packet.V5:
		return o, t, fmt.Errorf("mqtt version %s, want 3.1.1 or 5.0", o.Version)
	case o.KeepAlive > 65535*time.Second:
		return o, t, fmt.Errorf("keep alive %s, at most 65535s", o.KeepAlive)
	case o.Version == packet.V311 && o.Password != nil && o.Username == "":
		return o, t, fmt.Errorf("a password without a user name, which MQTT 3.1.1 does not allow") // v3 [MQTT-3.1.2-22]
	case o.Version == packet.V311 && o.ClientID == "" && o.Resume:
		return o, t, fmt.Errorf("no client id, which MQTT 3.1.1 needs to resume a session") // v3 [MQTT-3.1.3-7]
	}
	if o.Will != nil {
		if err := topic.ValidName([]byte(o.Will.Topic)); err != nil {
			return o, t, fmt.Errorf("will: %w", err)
		}
	}
	return o, t, nil
}

func orDefault[T ~int | ~int64](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}
