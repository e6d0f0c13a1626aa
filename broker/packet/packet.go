package packet

import "fmt"

// Version is the protocol level of CONNECT: the number on the wire.
type Version uint8

// The versions spoken here.
const (
	V311 Version = 4 // MQTT 3.1.1
	V5   Version = 5 // MQTT 5.0
)

// String names the version as people write it.
func (v Version) String() string {
	switch v {
	case V311:
		return "3.1.1"
	case V5:
		return "5.0"
	}
	return fmt.Sprintf("version(%d)", uint8(v))
}

// Type is a control packet type, the upper half of the first byte.
type Type uint8

// The packet types, in the order of their numbers.
const (
	TypeConnect     Type = iota + 1 // client to server: the first packet of a connection
	TypeConnack                     // server to client: the answer to it
	TypePublish                     // both ways: an application message
	TypePuback                      // both ways: QoS 1 message kept
	TypePubrec                      // both ways: QoS 2 message kept, step 2
	TypePubrel                      // both ways: QoS 2 step 3
	TypePubcomp                     // both ways: QoS 2 step 4
	TypeSubscribe                   // client to server
	TypeSuback                      // server to client
	TypeUnsubscribe                 // client to server
	TypeUnsuback                    // server to client
	TypePingreq                     // client to server
	TypePingresp                    // server to client
	TypeDisconnect                  // 3.1.1: client to server; 5.0: both ways
	TypeAuth                        // 5.0 only, both ways
)

var typeNames = [16]string{"reserved type 0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
	"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"}

// String names the type as the standard does, such as PUBLISH.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// Error says what is wrong with received bytes, or with a packet that was to be written.
// Reason is what a 5.0 DISCONNECT or CONNACK should carry before the connection is closed;
// Text never quotes a payload or a password.
type Error struct {
	Reason Reason
	Text   string
}

// Error gives the reason, then what was seen and what was wanted.
func (e *Error) Error() string { return e.Reason.String() + ": " + e.Text }

// Errorf makes an Error.
func Errorf(r Reason, format string, a ...any) *Error {
	return &Error{Reason: r, Text: fmt.Sprintf(format, a...)}
}
