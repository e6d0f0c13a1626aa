package transport

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"net/url"
	"strings"
	"time"
)

// WebSocket is how a listener takes WebSocket connections.
type WebSocket struct {
	Path string // of the request; empty: /mqtt

	// Origins are the web pages that may connect, as scheme://host[:port]; "*" is every page. Empty: pages from the host
	// that they connect to. Clients that are no browsers send no Origin and are not judged by it.
	Origins []string
}

// requestMax bounds the request line and headers of an opening handshake, in bytes.
const requestMax = 8 << 10

// subprotocol is what both sides must name. v5 [MQTT-6.0.0-3] [MQTT-6.0.0-4], 3.1.1 [MQTT-6.0.0-3] [MQTT-6.0.0-4]
const subprotocol = "mqtt"

// handshake implements handshaker: TLS first, if there is any, then the opening handshake of RFC 6455 section 4.2.
func (w *webSocket) handshake(deadline time.Time) error {
	if h, ok := w.Conn.(handshaker); ok {
		if err := h.handshake(deadline); err != nil {
			return err
		}
	}
	head, err := w.readRequest()
	if err != nil {
		return err
	}
	accept, refused := w.judge(head)
	if refused != nil {
		if _, err := w.Conn.Write(refused.response()); err != nil {
			return err
		}
		return &HandshakeError{Reason: refused.reason, Err: errors.New(refused.text)}
	}
	_, err = fmt.Fprintf(w.Conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n", accept, subprotocol)
	return err
}

// readRequest reads up to the empty line. What came behind it is the first of the frames.
func (w *webSocket) readRequest() ([]byte, error) {
	buf := make([]byte, 0, 1<<10)
	for {
		if len(buf) == cap(buf) {
			if len(buf) >= requestMax {
				refused := refused(RequestTooLong, 431, "the request is longer than 8 KiB")
				w.Conn.Write(refused.response())
				return nil, &HandshakeError{Reason: refused.reason}
			}
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
		n, err := w.Conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if end := bytes.Index(buf, []byte("\r\n\r\n")); end >= 0 {
			w.rest = bytes.Clone(buf[end+4:])
			return buf[:end+4], nil
		}
		if len(buf) > 0 && (buf[0] < 'A' || buf[0] > 'Z') { // such as MQTT's own CONNECT, which would wait for the deadline
			return nil, &HandshakeError{Reason: NotWebSocket, Err: errors.New("the first bytes are not HTTP; MQTT without WebSocket has its own listener")}
		}
		if err != nil {
			return nil, err
		}
	}
}

// refusedRequest is a request that is not taken.
type refusedRequest struct {
	reason Reason
	status int
	text   string
}

func refused(reason Reason, status int, text string) *refusedRequest {
	return &refusedRequest{reason, status, text}
}

// statusText are the statuses that are used (RFC 9110 section 15, RFC 6585).
var statusText = map[int]string{400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
	426: "Upgrade Required", 431: "Request Header Fields Too Large"}

func (r *refusedRequest) response() []byte {
	more := ""
	if r.status == 426 { // RFC 6455 section 4.4
		more = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
	}
	if r.status == 405 {
		more = "Allow: GET\r\n"
	}
	body := r.text + "\nThis is an MQTT broker: connect with WebSocket and the subprotocol mqtt.\n"
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n%sConnection: close\r\n\r\n%s",
		r.status, statusText[r.status], len(body), more, body)
}

// judge looks at a request (RFC 6455 section 4.2.1) and gives the value that accepts it.
func (w *webSocket) judge(head []byte) (accept string, no *refusedRequest) {
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(head)))
	line, err := r.ReadLine()
	if err != nil {
		return "", refused(NotWebSocket, 400, "no request line")
	}
	method, rest, _ := strings.Cut(line, " ")
	target, version, _ := strings.Cut(rest, " ")
	header, err := r.ReadMIMEHeader()
	switch {
	case err != nil:
		return "", refused(NotWebSocket, 400, "the headers are not those of HTTP")
	case version != "HTTP/1.1":
		return "", refused(NotWebSocket, 400, "want HTTP/1.1")
	case method != "GET":
		return "", refused(NotWebSocket, 405, "want GET")
	case len(header.Values("Host")) != 1:
		return "", refused(NotWebSocket, 400, "want one Host header")
	}
	if at, err := url.ParseRequestURI(target); err != nil || at.Path != w.rules.path() {
		return "", refused(WrongPath, 404, "want the path "+w.rules.path())
	}
	if !names(header, "Upgrade", "websocket") || !names(header, "Connection", "upgrade") {
		return "", refused(NotWebSocket, 426, "want a WebSocket request")
	}
	if header.Get("Sec-Websocket-Version") != "13" {
		return "", refused(NotWebSocket, 426, "want version 13 of WebSocket")
	}
	keys := header.Values("Sec-Websocket-Key")
	if len(keys) != 1 {
		return "", refused(NotWebSocket, 400, "want one Sec-WebSocket-Key")
	}
	if key, err := base64.StdEncoding.DecodeString(keys[0]); err != nil || len(key) != 16 {
		return "", refused(NotWebSocket, 400, "want a Sec-WebSocket-Key of 16 bytes in base64")
	}
	if text := w.strange(header); text != "" {
		return "", refused(OriginRefused, 403, text)
	}
	if !offers(header, subprotocol) {
		return "", refused(WrongProtocol, 400, "want Sec-WebSocket-Protocol: mqtt")
	}
	sum := sha1.Sum([]byte(keys[0] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 section 1.3
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

func (r *WebSocket) path() string {
	if r.Path == "" {
		return "/mqtt"
	}
	return r.Path
}

// names tells whether a header lists a token, in any case.
func names(h textproto.MIMEHeader, key, token string) bool {
	for _, line := range h.Values(key) {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// offers is names for subprotocols, whose case counts.
func offers(h textproto.MIMEHeader, protocol string) bool {
	for _, line := range h.Values("Sec-Websocket-Protocol") {
		for part := range strings.SplitSeq(line, ",") {
			if strings.TrimSpace(part) == protocol {
				return true
			}
		}
	}
	return false
}

// strange says what is wrong with the page that a request comes from (RFC 6455 section 10.2); "": nothing.
func (w *webSocket) strange(h textproto.MIMEHeader) string {
	origins := h.Values("Origin")
	if len(origins) == 0 {
		return ""
	}
	if len(origins) > 1 {
		return "want one Origin"
	}
	origin := strings.ToLower(origins[0])
	for _, allowed := range w.rules.Origins {
		if allowed == "*" || strings.ToLower(allowed) == origin {
			return ""
		}
	}
	text := fmt.Sprintf("pages from %q may not connect; allow it in origins", origins[0])
	page, err := url.Parse(origin)
	if len(w.rules.Origins) > 0 || err != nil || page.Host == "" {
		return text
	}
	host := (&url.URL{Host: strings.ToLower(h.Get("Host"))}).Hostname()
	if page.Hostname() != host {
		return text
	}
	// A name that somebody else owns can be made to lead here after the page was loaded. What is open to this machine only
	// is therefore open to pages under its own names only.
	if _, err := netip.ParseAddr(host); w.local && err != nil && host != "localhost" {
		return text
	}
	return ""
}

// newWebSocket makes a connection whose peer is to open a WebSocket. local: only this machine can reach the listener.
func newWebSocket(nc net.Conn, rules *WebSocket, local bool) *webSocket {
	return &webSocket{Conn: nc, rules: rules, local: local}
}
