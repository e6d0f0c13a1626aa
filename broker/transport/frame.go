package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// The opcodes of frames (RFC 6455 section 5.2).
const (
	opContinue = 0x0
	opText     = 0x1
	opBinary   = 0x2
	opClose    = 0x8
	opPing     = 0x9
	opPong     = 0xA
)

// The statuses of Close frames that are sent (RFC 6455 section 7.4.1).
const (
	closeNormal      = 1000
	closeProtocol    = 1002
	closeUnsupported = 1003
	closeNotUTF8     = 1007
)

// controlMax is the most a control frame may carry (RFC 6455 section 5.5).
const controlMax = 125

// closing ends a WebSocket connection: with io.EOF when the peer has asked for it, otherwise because of what it sent.
// status 0: a Close frame without one.
type closing struct {
	status uint16
	err    error
}

func (c *closing) Error() string { return c.err.Error() }
func (c *closing) Unwrap() error { return c.err }

func isClosing(err error) bool {
	var c *closing
	return errors.As(err, &c)
}

func badFrame(status uint16, format string, v ...any) *closing {
	return &closing{status, fmt.Errorf("websocket: "+format, v...)}
}

// unframer takes the payload out of the frames of a client. It keeps the state between reads, and no payload but that of
// one control frame.
//
//	byte 0: FIN | RSV1-3 | opcode 4 bits      byte 1: MASK | length 7 bits      2 or 8 bytes of length if it is 126 or 127
//	4 bytes of mask, then the payload, each byte XORed with the mask byte of its place modulo 4
type unframer struct {
	head    [14]byte
	have    int    // bytes of head
	want    int    // bytes that head takes; 0: not known yet
	left    uint64 // payload bytes of this frame to come
	at      int    // place of the next one in the mask
	inside  bool   // a message was begun and not finished
	payload []byte // of a control frame
	control func(op byte, payload []byte) *closing
}

// unframe replaces b by its payload, in place, and says how long that is.
func (u *unframer) unframe(b []byte) (n int, err *closing) {
	rest := b
	for len(rest) > 0 {
		if u.want == 0 || u.have < u.want {
			used, err := u.header(rest)
			if rest = rest[used:]; err != nil {
				return n, err
			}
			if u.want == 0 || u.have < u.want { // an empty frame is over already, and a head goes on with the next bytes
				continue
			}
		}
		part := rest[:min(uint64(len(rest)), u.left)]
		rest = rest[len(part):]
		u.left -= uint64(len(part))
		u.unmask(part)
		if op := u.head[0] & 0xF; op >= opClose {
			u.payload = append(u.payload, part...)
		} else {
			n += copy(b[n:], part)
		}
		if u.left == 0 {
			if err := u.end(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// header takes bytes of a frame's head and judges it when it is complete.
func (u *unframer) header(b []byte) (used int, err *closing) {
	for used < len(b) {
		u.head[u.have] = b[used]
		u.have++
		used++
		if u.have == 2 {
			if err := u.judge(u.head[0], u.head[1]); err != nil {
				return used, err
			}
		}
		if u.have >= 2 && u.have == u.want {
			return used, u.length()
		}
	}
	return used, nil
}

// judge looks at the first two bytes.
func (u *unframer) judge(first, second byte) *closing {
	op, final, length := first&0xF, first&0x80 != 0, second&0x7F
	switch {
	case first&0x70 != 0: // section 5.2: no extension was agreed on
		return badFrame(closeProtocol, "a reserved bit is set")
	case second&0x80 == 0: // section 5.1
		return badFrame(closeProtocol, "a frame is not masked")
	case op >= opClose && (!final || length > controlMax): // section 5.5
		return badFrame(closeProtocol, "a control frame is fragmented or longer than %d bytes", controlMax)
	}
	switch op {
	case opText: // v5 [MQTT-6.0.0-1], 3.1.1 [MQTT-6.0.0-1]
		return badFrame(closeUnsupported, "a text frame, where MQTT wants binary ones")
	case opBinary, opContinue: // section 5.4
		if (op == opContinue) != u.inside {
			return badFrame(closeProtocol, "a message begins inside another, or goes on that was not begun")
		}
		u.inside = !final
	case opClose, opPing, opPong:
	default:
		return badFrame(closeProtocol, "the opcode %#x is not known", op)
	}
	u.want = 2 + 4
	switch length {
	case 126:
		u.want += 2
	case 127:
		u.want += 8
	}
	return nil
}

// length reads the rest of a head. Nothing is allocated by it: packets are bounded by who reads the payload.
func (u *unframer) length() *closing {
	u.at, u.payload = 0, u.payload[:0]
	switch n := u.head[1] & 0x7F; n {
	case 126:
		u.left = uint64(binary.BigEndian.Uint16(u.head[2:]))
	case 127:
		if u.left = binary.BigEndian.Uint64(u.head[2:]); u.left>>63 != 0 { // section 5.2
			return badFrame(closeProtocol, "a length with its highest bit set")
		}
	default:
		u.left = uint64(n)
	}
	copy(u.head[10:], u.head[u.want-4:u.want]) // the mask, at a fixed place
	if u.left == 0 {
		return u.end()
	}
	return nil
}

// end is reached behind the last byte of a frame.
func (u *unframer) end() *closing {
	u.have, u.want = 0, 0
	if op := u.head[0] & 0xF; op >= opClose {
		return u.control(op, u.payload)
	}
	return nil
}

func (u *unframer) unmask(b []byte) {
	var mask [8]byte
	for i := range mask {
		mask[i] = u.head[10+(u.at+i)&3]
	}
	u.at += len(b)
	word := binary.LittleEndian.Uint64(mask[:])
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= mask[i]
	}
}

// answerClose is what a Close frame is answered with (RFC 6455 section 5.5.1): its own status, or what is wrong with it.
func answerClose(payload []byte) *closing {
	if len(payload) == 0 {
		return &closing{0, io.EOF}
	}
	if len(payload) == 1 {
		return badFrame(closeProtocol, "a Close frame with one byte")
	}
	switch status := binary.BigEndian.Uint16(payload); {
	case status < 1000, status >= 1004 && status <= 1006, status >= 1015 && status < 3000, status >= 5000: // section 7.4
		return badFrame(closeProtocol, "the status %d in a Close frame", status)
	case !utf8.Valid(payload[2:]):
		return badFrame(closeNotUTF8, "a Close frame whose reason is not UTF-8")
	default:
		return &closing{status, io.EOF}
	}
}

// appendHead appends the head of a frame to a client: not masked, and never a part of a message (section 5.1).
func appendHead(dst []byte, op byte, length int) []byte {
	dst = append(dst, 0x80|op)
	switch {
	case length <= controlMax:
		return append(dst, byte(length))
	case length <= 0xFFFF:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(length))
}
