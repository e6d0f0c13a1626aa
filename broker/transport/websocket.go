package transport

import (
	"encoding/binary"
	"net"
	"sync"
)

// webSocket is the server's end of a WebSocket connection as a net.Conn: Read gives what binary frames carry, Write makes
// one of what it is given. Read belongs to one goroutine, and so does Write.
type webSocket struct {
	net.Conn
	rules *WebSocket
	local bool
	rest  []byte // came with the request, not read yet
	in    unframer
	nudge func() // there is something to write

	mu     sync.Mutex // guards the fields below
	ended  *closing   // Read's last word; Read itself reads it without mu
	pong   []byte     // the answer to the last ping; nil: none
	closed bool       // it was written
}

// framePayload is how much goes into one frame at most: packets and frames need not begin together (v5 section 6), and
// the copy that a frame needs stays small.
const framePayload = 16 << 10

// frameBuffers are for frames on their way to the socket.
var frameBuffers = sync.Pool{New: func() any { return new([framePayload + 10]byte) }}

// Read reads payload; packets may begin and end anywhere in it [MQTT-6.0.0-2]. The error *closing says that nothing follows, and that CloseWrite is due.
func (w *webSocket) Read(b []byte) (n int, err error) {
	if w.in.control == nil {
		w.in.control = w.controlled
	}
	for w.ended == nil {
		if len(w.rest) > 0 {
			n = copy(b, w.rest)
			if w.rest = w.rest[n:]; len(w.rest) == 0 {
				w.rest = nil
			}
		} else if n, err = w.Conn.Read(b); n == 0 {
			return 0, err
		}
		var ended *closing
		if n, ended = w.in.unframe(b[:n]); ended != nil {
			w.mu.Lock()
			w.ended = ended
			w.mu.Unlock()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, w.ended
}

// controlled handles a control frame.
func (w *webSocket) controlled(op byte, payload []byte) *closing {
	switch op {
	case opClose:
		return answerClose(payload)
	case opPing: // section 5.5.3: only the last one needs an answer
		w.mu.Lock()
		w.pong = append(appendHead(w.pong[:0], opPong, len(payload)), payload...)
		w.mu.Unlock()
		w.nudge()
	}
	return nil
}

// owes tells whether an answer to a ping waits.
func (w *webSocket) owes() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.pong) > 0
}

// Write writes what is owed, then b in binary frames. v5 [MQTT-6.0.0-1], 3.1.1 [MQTT-6.0.0-1]
func (w *webSocket) Write(b []byte) (n int, err error) {
	buf := frameBuffers.Get().(*[framePayload + 10]byte)
	defer frameBuffers.Put(buf)
	w.mu.Lock()
	out := append(buf[:0], w.pong...)
	w.pong = w.pong[:0]
	w.mu.Unlock()
	if len(out) > 0 {
		if _, err := w.Conn.Write(out); err != nil {
			return 0, err
		}
	}
	for n < len(b) {
		part := b[n:min(n+framePayload, len(b))]
		out := append(appendHead(buf[:0], opBinary, len(part)), part...)
		if _, err := w.Conn.Write(out); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// CloseWrite sends the Close frame, once, and lets the connection below end its sending side.
func (w *webSocket) CloseWrite() error {
	w.mu.Lock()
	status := uint16(closeNormal)
	if w.ended != nil {
		status = w.ended.status
	}
	done := w.closed
	w.closed = true
	w.mu.Unlock()
	if !done {
		frame := appendHead(nil, opClose, 0)
		if status != 0 {
			frame = binary.BigEndian.AppendUint16(appendHead(nil, opClose, 2), status)
		}
		if _, err := w.Conn.Write(frame); err != nil {
			return err
		}
	}
	if half, ok := w.Conn.(closeWriter); ok {
		return half.CloseWrite()
	}
	return nil
}
