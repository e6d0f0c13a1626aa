package packet

import "fmt"

// Reason is a 5.0 reason code. Codes from 0x80 are failures.
// 3.1.1 return codes are mapped to and from reasons by Connack, Suback and the acknowledgements.
type Reason uint8

// The reason codes of MQTT 5.0, section 2.4.
const (
	Success                             Reason = 0x00
	NormalDisconnection                 Reason = 0x00 // the name of Success in DISCONNECT
	GrantedQoS0                         Reason = 0x00 // the name of Success in SUBACK
	GrantedQoS1                         Reason = 0x01
	GrantedQoS2                         Reason = 0x02
	DisconnectWithWill                  Reason = 0x04
	NoMatchingSubscribers               Reason = 0x10
	NoSubscriptionExisted               Reason = 0x11
	ContinueAuthentication              Reason = 0x18
	ReAuthenticate                      Reason = 0x19
	UnspecifiedError                    Reason = 0x80
	MalformedPacket                     Reason = 0x81
	ProtocolError                       Reason = 0x82
	ImplementationSpecificError         Reason = 0x83
	UnsupportedProtocolVersion          Reason = 0x84
	ClientIdentifierNotValid            Reason = 0x85
	BadUserNameOrPassword               Reason = 0x86
	NotAuthorized                       Reason = 0x87
	ServerUnavailable                   Reason = 0x88
	ServerBusy                          Reason = 0x89
	Banned                              Reason = 0x8A
	ServerShuttingDown                  Reason = 0x8B
	BadAuthenticationMethod             Reason = 0x8C
	KeepAliveTimeout                    Reason = 0x8D
	SessionTakenOver                    Reason = 0x8E
	TopicFilterInvalid                  Reason = 0x8F
	TopicNameInvalid                    Reason = 0x90
	PacketIdentifierInUse               Reason = 0x91
	PacketIdentifierNotFound            Reason = 0x92
	ReceiveMaximumExceeded              Reason = 0x93
	TopicAliasInvalid                   Reason = 0x94
	PacketTooLarge                      Reason = 0x95
	MessageRateTooHigh                  Reason = 0x96
	QuotaExceeded                       Reason = 0x97
	AdministrativeAction                Reason = 0x98
	PayloadFormatInvalid                Reason = 0x99
	RetainNotSupported                  Reason = 0x9A
	QoSNotSupported                     Reason = 0x9B
	UseAnotherServer                    Reason = 0x9C
	ServerMoved                         Reason = 0x9D
	SharedSubscriptionsNotSupported     Reason = 0x9E
	ConnectionRateExceeded              Reason = 0x9F
	MaximumConnectTime                  Reason = 0xA0
	SubscriptionIdentifiersNotSupported Reason = 0xA1
	WildcardSubscriptionsNotSupported   Reason = 0xA2
)

// reasons is the one table of reason codes: the name, and the packets that may carry it as a set of 1<<Type.
// MQTT 5.0 table 2-6 and the tables of 3.2.2.2, 3.4.2.1, 3.5.2.1, 3.6.2.1, 3.7.2.1, 3.9.3, 3.11.3, 3.14.2.1, 3.15.2.1.
// BadAuthenticationMethod in DISCONNECT stands in table 2-6 only; it is accepted.
var reasons = [...]struct {
	name string
	in   uint16
}{
	Success: {"success", inConnack | inPuback | inPubrec | inPubrel | inPubcomp | inSuback | inUnsuback | inDisconnect | inAuth},

	GrantedQoS1:            {"granted QoS 1", inSuback},
	GrantedQoS2:            {"granted QoS 2", inSuback},
	DisconnectWithWill:     {"disconnect with will message", inDisconnect},
	NoMatchingSubscribers:  {"no matching subscribers", inPuback | inPubrec},
	NoSubscriptionExisted:  {"no subscription existed", inUnsuback},
	ContinueAuthentication: {"continue authentication", inAuth},
	ReAuthenticate:         {"re-authenticate", inAuth},

	UnspecifiedError:            {"unspecified error", inConnack | inPuback | inPubrec | inSuback | inUnsuback | inDisconnect},
	MalformedPacket:             {"malformed packet", inConnack | inDisconnect},
	ProtocolError:               {"protocol error", inConnack | inDisconnect},
	ImplementationSpecificError: {"implementation specific error", inConnack | inPuback | inPubrec | inSuback | inUnsuback | inDisconnect},
	UnsupportedProtocolVersion:  {"unsupported protocol version", inConnack},
	ClientIdentifierNotValid:    {"client identifier not valid", inConnack},
	BadUserNameOrPassword:       {"bad user name or password", inConnack},
	NotAuthorized:               {"not authorized", inConnack | inPuback | inPubrec | inSuback | inUnsuback | inDisconnect},
	ServerUnavailable:           {"server unavailable", inConnack},
	ServerBusy:                  {"server busy", inConnack | inDisconnect},
	Banned:                      {"banned", inConnack},
	ServerShuttingDown:          {"server shutting down", inDisconnect},
	BadAuthenticationMethod:     {"bad authentication method", inConnack | inDisconnect},
	KeepAliveTimeout:            {"keep alive timeout", inDisconnect},
	SessionTakenOver:            {"session taken over", inDisconnect},
	TopicFilterInvalid:          {"topic filter invalid", inSuback | inUnsuback | inDisconnect},
	TopicNameInvalid:            {"topic name invalid", inConnack | inPuback | inPubrec | inDisconnect},
	PacketIdentifierInUse:       {"packet identifier in use", inPuback | inPubrec | inSuback | inUnsuback},
	PacketIdentifierNotFound:    {"packet identifier not found", inPubrel | inPubcomp},
	ReceiveMaximumExceeded:      {"receive maximum exceeded", inDisconnect},
	TopicAliasInvalid:           {"topic alias invalid", inDisconnect},
	PacketTooLarge:              {"packet too large", inConnack | inDisconnect},
	MessageRateTooHigh:          {"message rate too high", inDisconnect},
	QuotaExceeded:               {"quota exceeded", inConnack | inPuback | inPubrec | inSuback | inDisconnect},
	AdministrativeAction:        {"administrative action", inDisconnect},
	PayloadFormatInvalid:        {"payload format invalid", inConnack | inPuback | inPubrec | inDisconnect},

	RetainNotSupported:                  {"retain not supported", inConnack | inDisconnect},
	QoSNotSupported:                     {"QoS not supported", inConnack | inDisconnect},
	UseAnotherServer:                    {"use another server", inConnack | inDisconnect},
	ServerMoved:                         {"server moved", inConnack | inDisconnect},
	SharedSubscriptionsNotSupported:     {"shared subscriptions not supported", inSuback | inDisconnect},
	ConnectionRateExceeded:              {"connection rate exceeded", inConnack | inDisconnect},
	MaximumConnectTime:                  {"maximum connect time", inDisconnect},
	SubscriptionIdentifiersNotSupported: {"subscription identifiers not supported", inSuback | inDisconnect},
	WildcardSubscriptionsNotSupported:   {"wildcard subscriptions not supported", inSuback | inDisconnect},
}

// String names the reason in the words of the standard, lower case; unknown codes print as reason(0x..).
func (r Reason) String() string {
	if int(r) < len(reasons) && reasons[r].name != "" {
		return reasons[r].name
	}
	return fmt.Sprintf("reason(0x%02x)", uint8(r))
}

// Failed tells whether the reason is a failure: 0x80 and above.
func (r Reason) Failed() bool { return r >= 0x80 }

// Fits tells whether a 5.0 packet of type t may carry the reason.
func (r Reason) Fits(t Type) bool {
	return int(r) < len(reasons) && t <= TypeAuth && reasons[r].in&(1<<t) != 0
}
