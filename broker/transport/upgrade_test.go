package transport

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// request is an opening handshake, each header of which can be replaced by another line or left out.
func request(path string, lines map[string]string) string {
	r := "GET " + path + " HTTP/1.1\r\n"
	for _, h := range [][2]string{{"Host", "127.0.0.1:9001"}, {"Upgrade", "websocket"}, {"Connection", "keep-alive, Upgrade"}, {"Sec-WebSocket-Version", "13"},
		{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}, {"Sec-WebSocket-Protocol", "mqtt"}, {"Origin", ""}} {
		if v, ok := lines[h[0]]; ok {
			h[1] = v
		}
		if h[1] != "" {
			r += h[0] + ": " + h[1] + "\r\n"
		}
	}
	return r + "\r\n"
}

// TestUpgrade holds requests against RFC 6455 section 4.2, and [MQTT-6.0.0-3] and [MQTT-6.0.0-4] of both versions.
func TestUpgrade(t *testing.T) {
	l, handlers := listenWS(t, WebSocket{}, patient)
	for _, c := range []struct {
		name, request string
		status        int
		want          Reason
	}{
		{"good", request("/mqtt", nil), 101, ""},
		{"query", request("/mqtt?a=b", nil), 101, ""},
		{"several protocols", request("/mqtt", map[string]string{"Sec-WebSocket-Protocol": "mqttv3.1, mqtt"}), 101, ""},
		{"same host, another port", request("/mqtt", map[string]string{"Origin": "http://127.0.0.1:8080"}), 101, ""},
		{"localhost", request("/mqtt", map[string]string{"Origin": "http://localhost", "Host": "localhost:9001"}), 101, ""},
		{"no protocol", request("/mqtt", map[string]string{"Sec-WebSocket-Protocol": ""}), 400, WrongProtocol},
		{"another protocol", request("/mqtt", map[string]string{"Sec-WebSocket-Protocol": "mqttv3.1"}), 400, WrongProtocol},
		{"path", request("/", nil), 404, WrongPath},
		{"another page", request("/mqtt", map[string]string{"Origin": "https://evil.example"}), 403, OriginRefused},
		{"a page that renamed this machine", request("/mqtt", map[string]string{"Origin": "http://evil.example", "Host": "evil.example"}), 403, OriginRefused},
		{"no page", request("/mqtt", map[string]string{"Origin": "null"}), 403, OriginRefused},
		{"version", request("/mqtt", map[string]string{"Sec-WebSocket-Version": "8"}), 426, NotWebSocket},
		{"key", request("/mqtt", map[string]string{"Sec-WebSocket-Key": "short"}), 400, NotWebSocket},
		{"plain HTTP", "GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n", 426, NotWebSocket},
		{"POST", "POST /mqtt HTTP/1.1\r\nHost: x\r\n\r\n", 405, NotWebSocket},
		{"two hosts", "GET /mqtt HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, NotWebSocket},
		{"HTTP/1.0", "GET /mqtt HTTP/1.0\r\nHost: x\r\n\r\n", 400, NotWebSocket},
		{"too long", "GET /mqtt HTTP/1.1\r\nX: " + strings.Repeat("x", 9000), 431, RequestTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			nc := dial(t, l)
			nc.Write([]byte(c.request))
			r, err := http.ReadResponse(bufio.NewReader(nc), nil)
			if err != nil || r.StatusCode != c.status {
				t.Fatalf("got %v, %v, want %d", r, err, c.status)
			}
			if c.status == 101 {
				if r.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || r.Header.Get("Sec-WebSocket-Protocol") != "mqtt" {
					t.Errorf("headers %v", r.Header)
				}
				nc.Close()
				<-(<-handlers).closed
				return
			}
			failedWith(t, l, handlers, c.want)
		})
	}
	nc := dial(t, l)
	nc.Write([]byte("\x10\x10\x00\x04MQTT"))
	io.Copy(io.Discard, nc)
	failedWith(t, l, handlers, NotWebSocket)

	l, handlers = listenWS(t, WebSocket{Path: "/ws", Origins: []string{"https://panel.example.com"}}, patient)
	for origin, status := range map[string]int{"https://panel.example.com": 101, "https://PANEL.example.com": 101, "http://panel.example.com": 403, "http://127.0.0.1": 403} {
		nc := dial(t, l)
		nc.Write([]byte(request("/ws", map[string]string{"Origin": origin})))
		if r, err := http.ReadResponse(bufio.NewReader(nc), nil); err != nil || r.StatusCode != status {
			t.Errorf("%s: got %v, %v, want %d", origin, r, err, status)
		}
	}
}

// FuzzUpgrade: whatever is asked for, the answer is one of HTTP, and only a request with a key and the subprotocol is taken.
func FuzzUpgrade(f *testing.F) {
	f.Add([]byte(request("/mqtt", nil)), true)
	f.Add([]byte(request("/mqtt", map[string]string{"Origin": "http://[::1"})), false)
	f.Add([]byte("GET http://x/mqtt HTTP/1.1\r\nHost: \r\n folded\r\n\r\n"), true)
	f.Fuzz(func(t *testing.T, head []byte, local bool) {
		accept, no := newWebSocket(nil, &WebSocket{}, local).judge(head)
		if no == nil {
			if len(accept) != 28 || !bytes.Contains(bytes.ToLower(head), []byte("mqtt")) {
				t.Errorf("taken with %q", accept)
			}
			return
		}
		r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(no.response())), nil)
		if err != nil || r.StatusCode != no.status {
			t.Errorf("answer %q: %v", no.response(), err)
		}
	})
}
