package transport

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"weir/broker/transport/authority"
)

func listenWS(t *testing.T, rules WebSocket, handler func() *echo) (*Socket, chan *echo) {
	t.Helper()
	l, err := Listen(Options{Name: "web", Address: "127.0.0.1:0", WebSocket: &rules})
	if err != nil {
		t.Fatal(err)
	}
	handlers, _ := serve(t, l, handler)
	return l, handlers
}

func patient() *echo { return &echo{deadline: time.Now().Add(patience)} }

// TestWebSocketPeer has a client that is not ours send and receive more than sockets buffer, in messages of many sizes.
func TestWebSocketPeer(t *testing.T) {
	a := authority.New("root")
	for _, scheme := range []string{"ws", "wss"} {
		t.Run(scheme, func(t *testing.T) {
			o := Options{Name: "web", Address: "127.0.0.1:0", WebSocket: &WebSocket{}}
			client := &http.Client{}
			if scheme == "wss" {
				o.TLS = NewTLS(mustLoad(t, files(a, nil)))
				client.Transport = &http.Transport{TLSClientConfig: asClient(a)}
			}
			l, err := Listen(o)
			if err != nil {
				t.Fatal(err)
			}
			if l.Protocol() != scheme {
				t.Errorf("protocol %q", l.Protocol())
			}
			handlers, _ := serve(t, l, patient)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			ws, _, err := websocket.Dial(ctx, scheme+"://"+l.Addr().String()+"/mqtt", &websocket.DialOptions{Subprotocols: []string{"x", "mqtt"}, HTTPClient: client})
			if err != nil {
				t.Fatal(err)
			}
			if ws.Subprotocol() != "mqtt" {
				t.Errorf("subprotocol %q", ws.Subprotocol())
			}
			ws.SetReadLimit(-1)
			sent := make([]byte, 8<<20)
			rand.Read(sent)
			wrote := make(chan error, 1)
			go func() {
				size := 1
				for rest := sent; len(rest) > 0; size = (size*3 + 1) % 200_001 {
					n := min(size, len(rest))
					if err := ws.Write(ctx, websocket.MessageBinary, rest[:n]); err != nil {
						wrote <- err
						return
					}
					rest = rest[n:]
				}
				wrote <- ws.Ping(ctx) // the reader below takes the pong
			}()
			var got []byte
			for len(got) < len(sent) {
				kind, b, err := ws.Read(ctx)
				if err != nil || kind != websocket.MessageBinary {
					t.Fatalf("after %d bytes: %v, %v", len(got), kind, err)
				}
				got = append(got, b...)
			}
			if !bytes.Equal(got, sent) {
				t.Error("the bytes came back changed")
			}
			ws.CloseRead(ctx)
			if err := <-wrote; err != nil {
				t.Error(err)
			}
			ws.Close(websocket.StatusNormalClosure, "bye")
			if err := <-(<-handlers).closed; !errors.Is(err, io.EOF) {
				t.Errorf("Closed(%v), want EOF", err)
			}
		})
	}
}

// open opens a WebSocket by hand.
func openWS(t *testing.T, l *Socket) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	nc := dial(t, l)
	nc.Write([]byte(request("/mqtt", nil)))
	r := bufio.NewReader(nc)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 101 {
		t.Fatalf("got %v, %v", resp, err)
	}
	return nc, r
}

// frame makes a masked frame as a client sends it.
func frame(first byte, payload string) []byte {
	mask := [4]byte{1, 0x82, 3, 0xF4}
	f := appendHead(nil, first&0xF, len(payload))
	f[0], f[1] = first, f[1]|0x80
	f = append(f, mask[:]...)
	for i := range len(payload) {
		f = append(f, payload[i]^mask[i%4])
	}
	return f
}

// reply reads one frame of the server.
func reply(r *bufio.Reader) (first byte, payload string, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, "", err
	}
	n := int(head[1])
	if n == 126 {
		var l [2]byte
		if _, err := io.ReadFull(r, l[:]); err != nil {
			return 0, "", err
		}
		n = int(binary.BigEndian.Uint16(l[:]))
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return head[0], string(b), err
}

// TestFrames: messages in pieces, pings between the pieces, every byte by itself. [MQTT-6.0.0-2]
func TestFrames(t *testing.T) {
	l, handlers := listenWS(t, WebSocket{}, func() *echo { return &echo{piece: 26, deadline: time.Now().Add(patience)} })
	nc, r := openWS(t, l)
	all := bytes.Join([][]byte{
		frame(0x02, "abcdefgh"), frame(0x89, "ping me"), frame(0x00, ""), frame(0x00, "ijk"), frame(0x8A, "not asked for"), frame(0x80, "lmnopqrstuvw"),
		frame(0x82, ""), frame(0x82, "xyz"),
	}, nil)
	for i := range all {
		nc.Write(all[i : i+1])
	}
	if first, got, err := reply(r); first != 0x8A || got != "ping me" || err != nil {
		t.Fatalf("got %#x %q, %v, want a pong", first, got, err)
	}
	if first, got, err := reply(r); first != 0x82 || got != "abcdefghijklmnopqrstuvwxyz" || err != nil {
		t.Fatalf("got %#x %q, %v", first, got, err)
	}
	nc.Write(frame(0x88, "\x03\xE8bye"))
	if first, got, err := reply(r); first != 0x88 || got != "\x03\xE8" || err != nil {
		t.Fatalf("got %#x %q, %v, want the Close frame", first, got, err)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("after the Close frame: %v, want EOF", err)
	}
	nc.Close()
	if err := <-(<-handlers).closed; !errors.Is(err, io.EOF) {
		t.Errorf("Closed(%v)", err)
	}
}

// TestBadFrames: what RFC 6455 and [MQTT-6.0.0-1] forbid ends the connection with the status that says why.
func TestBadFrames(t *testing.T) {
	l, handlers := listenWS(t, WebSocket{}, patient)
	for _, c := range []struct {
		name   string
		bytes  []byte
		status string
	}{
		{"text", frame(0x81, "hello"), "\x03\xEB"},
		{"not masked", []byte("\x82\x04abcdefgh"), "\x03\xEA"},
		{"reserved bit", frame(0xC2, "x"), "\x03\xEA"},
		{"opcode", frame(0x83, "x"), "\x03\xEA"},
		{"control opcode", frame(0x8B, "x"), "\x03\xEA"},
		{"fragmented ping", frame(0x09, "x"), "\x03\xEA"},
		{"long ping", frame(0x89, strings.Repeat("x", 126)), "\x03\xEA"},
		{"goes on with nothing", frame(0x80, "x"), "\x03\xEA"},
		{"message inside a message", append(frame(0x02, "x"), frame(0x82, "y")...), "\x03\xEA"},
		{"length with the highest bit", []byte{0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, "\x03\xEA"},
		{"close with one byte", frame(0x88, "x"), "\x03\xEA"},
		{"close with a status that is none", frame(0x88, "\x03\xED"), "\x03\xEA"},
		{"close with a reason that is not UTF-8", frame(0x88, "\x03\xE8\xFF"), "\x03\xEF"},
		{"close without a status", frame(0x88, ""), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			nc, r := openWS(t, l)
			nc.Write(c.bytes)
			nc.Write(make([]byte, 10000)) // does not make a reset of the end
			for {
				first, got, err := reply(r)
				if err != nil {
					t.Fatal(err)
				}
				if first == 0x82 && c.name == "message inside a message" { // what came before
					continue
				}
				if first != 0x88 || got != c.status {
					t.Errorf("got %#x %q, want a Close frame with %q", first, got, c.status)
				}
				break
			}
			nc.Close()
			<-(<-handlers).closed
		})
	}
}

// TestHugeFrame: a frame that announces more than there is memory for costs nothing but what arrives.
func TestHugeFrame(t *testing.T) {
	l, handlers := listenWS(t, WebSocket{}, patient)
	nc, _ := openWS(t, l)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	nc.Write([]byte{0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4})
	chunk := make([]byte, 64<<10)
	e := <-handlers
	for range 64 {
		if _, err := nc.Write(chunk); err != nil {
			t.Fatal(err)
		}
		go io.CopyN(io.Discard, nc, int64(len(chunk)))
	}
	nc.CloseWrite()
	<-e.closed
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 64<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
}

// TestWebSocketLastWords: what the handler says last comes before the Close frame, and that before the end.
func TestWebSocketLastWords(t *testing.T) {
	l, handlers := listenWS(t, WebSocket{}, func() *echo { return &echo{quit: "quit", deadline: time.Now().Add(patience)} })
	for range 20 {
		nc, r := openWS(t, l)
		nc.Write(frame(0x82, "quit"))
		nc.Write(frame(0x82, strings.Repeat("x", 60000)))
		if first, got, err := reply(r); first != 0x82 || got != "last words" || err != nil {
			t.Fatalf("got %#x %q, %v", first, got, err)
		}
		if first, got, err := reply(r); first != 0x88 || got != "\x03\xE8" || err != nil {
			t.Fatalf("got %#x %q, %v, want the Close frame", first, got, err)
		}
		if _, err := r.ReadByte(); err != io.EOF {
			t.Fatalf("after the Close frame: %v, want EOF", err)
		}
		nc.Close()
		<-(<-handlers).closed
	}
}

// TestPingFlood: a peer that sends pings and reads nothing takes no memory and keeps nobody.
func TestPingFlood(t *testing.T) {
	l, handlers := listenWS(t, WebSocket{}, patient)
	nc, r := openWS(t, l)
	e := <-handlers
	pings := bytes.Repeat(frame(0x89, strings.Repeat("p", 125)), 500)
	for range 200 { // 13 MB of pings, whose pongs do not fit sockets
		if _, err := nc.Write(pings); err != nil {
			t.Fatal(err) // reading does not wait for writing
		}
	}
	nc.Write(frame(0x88, "\x03\xE8"))
	for {
		first, _, err := reply(r)
		if err != nil {
			t.Fatal(err)
		}
		if first == 0x88 {
			break
		}
	}
	nc.Close()
	<-e.closed
}

// TestSlowRequest: whoever does not finish the request in time is gone at the deadline of its CONNECT.
func TestSlowRequest(t *testing.T) {
	l, handlers := listenWS(t, WebSocket{}, func() *echo { return &echo{deadline: time.Now().Add(time.Second)} })
	nc := dial(t, l)
	fmt.Fprint(nc, "GET /mqtt HTTP/1.1\r\n")
	e := <-handlers
	if err := <-e.closed; !errors.Is(err, ErrTimeout) || !e.timeout {
		t.Errorf("Closed(%v), Timeout called: %t", err, e.timeout)
	}
	if s := l.Stats(); s.Failed[TimedOut] != 1 || s.Accepted != 1 {
		t.Errorf("counted %+v", s)
	}
}

// FuzzFrames holds unframing in pieces of any size against unframing byte by byte.
func FuzzFrames(f *testing.F) {
	f.Add(frame(0x82, "hello"), uint8(3))
	f.Add(append(frame(0x02, "abc"), append(frame(0x89, "p"), frame(0x80, strings.Repeat("d", 300))...)...), uint8(7))
	f.Add(frame(0x88, "\x03\xE8"), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		run := func(step int) (out, control []byte, err string) {
			u := &unframer{}
			u.control = func(op byte, p []byte) *closing {
				control = append(append(control, op), p...)
				if op == opClose {
					return answerClose(p)
				}
				return nil
			}
			for rest := bytes.Clone(b); len(rest) > 0; {
				part := rest[:min(step, len(rest))]
				rest = rest[len(part):]
				n, bad := u.unframe(part)
				out = append(out, part[:n]...)
				if bad != nil {
					return out, control, fmt.Sprint(bad.status, bad.err)
				}
			}
			return out, control, ""
		}
		out, control, err := run(1)
		out2, control2, err2 := run(max(int(step), 2))
		if !bytes.Equal(out, out2) || !bytes.Equal(control, control2) || err != err2 {
			t.Errorf("byte by byte %q %q %s, in pieces of %d %q %q %s", out, control, err, step, out2, control2, err2)
		}
	})
}
