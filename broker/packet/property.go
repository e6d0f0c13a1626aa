package packet

import "fmt"

// Property is a 5.0 property identifier.
type Property uint8

// The properties of MQTT 5.0, table 2-4.
const (
	PropPayloadFormat           Property = 0x01
	PropMessageExpiry           Property = 0x02
	PropContentType             Property = 0x03
	PropResponseTopic           Property = 0x08
	PropCorrelationData         Property = 0x09
	PropSubscriptionID          Property = 0x0B
	PropSessionExpiry           Property = 0x11
	PropAssignedClientID        Property = 0x12
	PropServerKeepAlive         Property = 0x13
	PropAuthMethod              Property = 0x15
	PropAuthData                Property = 0x16
	PropRequestProblemInfo      Property = 0x17
	PropWillDelay               Property = 0x18
	PropRequestResponseInfo     Property = 0x19
	PropResponseInfo            Property = 0x1A
	PropServerReference         Property = 0x1C
	PropReasonString            Property = 0x1F
	PropReceiveMaximum          Property = 0x21
	PropTopicAliasMaximum       Property = 0x22
	PropTopicAlias              Property = 0x23
	PropMaximumQoS              Property = 0x24
	PropRetainAvailable         Property = 0x25
	PropUser                    Property = 0x26
	PropMaximumPacketSize       Property = 0x27
	PropWildcardAvailable       Property = 0x28
	PropSubscriptionIDAvailable Property = 0x29
	PropSharedAvailable         Property = 0x2A
)

// The packets a reason or property may stand in, as sets. Bit 0 (no packet type) stands for the will inside CONNECT.
const (
	inWill uint16 = 1 << iota
	inConnect
	inConnack
	inPublish
	inPuback
	inPubrec
	inPubrel
	inPubcomp
	inSubscribe
	inSuback
	inUnsubscribe
	inUnsuback
	_
	_
	inDisconnect
	inAuth
)

const (
	inAcks       = inPuback | inPubrec | inPubrel | inPubcomp
	inEverything = inWill | inConnect | inConnack | inPublish | inAcks | inSubscribe | inSuback | inUnsubscribe | inUnsuback | inDisconnect | inAuth
)

// kind is how a property value is written: MQTT 5.0 section 2.2.2.2.
type kind uint8

const (
	kindByte   kind = iota + 1 // one byte, a number or a boolean
	kindUint16                 // two bytes
	kindUint32                 // four bytes
	kindVarint                 // variable byte integer, any number of times where many is set
	kindText                   // UTF-8 string
	kindBinary                 // up to 65535 bytes
	kindPair                   // two UTF-8 strings, any number of times
)

// rule is one line of the table of properties.
type rule struct {
	name     string
	kind     kind
	in       uint16 // the packets it may stand in
	min, max uint32 // of a number; max 0: whatever the kind can say
}

// properties is the one table of properties: MQTT 5.0 table 2-4, the limits from the sections named in it.
// A property stands at most once in a packet, but for kindPair everywhere and kindVarint in PUBLISH.
var properties = [...]rule{
	PropPayloadFormat:           {"payload format indicator", kindByte, inPublish | inWill, 0, 1}, // 3.3.2.3.2
	PropMessageExpiry:           {"message expiry interval", kindUint32, inPublish | inWill, 0, 0},
	PropContentType:             {"content type", kindText, inPublish | inWill, 0, 0},   // [MQTT-3.3.2-19]
	PropResponseTopic:           {"response topic", kindText, inPublish | inWill, 0, 0}, // [MQTT-3.3.2-13]
	PropCorrelationData:         {"correlation data", kindBinary, inPublish | inWill, 0, 0},
	PropSubscriptionID:          {"subscription identifier", kindVarint, inPublish | inSubscribe, 1, maxLength}, // 3.8.2.1.2
	PropSessionExpiry:           {"session expiry interval", kindUint32, inConnect | inConnack | inDisconnect, 0, 0},
	PropAssignedClientID:        {"assigned client identifier", kindText, inConnack, 0, 0},
	PropServerKeepAlive:         {"server keep alive", kindUint16, inConnack, 0, 0},
	PropAuthMethod:              {"authentication method", kindText, inConnect | inConnack | inAuth, 0, 0},
	PropAuthData:                {"authentication data", kindBinary, inConnect | inConnack | inAuth, 0, 0},
	PropRequestProblemInfo:      {"request problem information", kindByte, inConnect, 0, 1}, // 3.1.2.11.7
	PropWillDelay:               {"will delay interval", kindUint32, inWill, 0, 0},
	PropRequestResponseInfo:     {"request response information", kindByte, inConnect, 0, 1}, // 3.1.2.11.6
	PropResponseInfo:            {"response information", kindText, inConnack, 0, 0},
	PropServerReference:         {"server reference", kindText, inConnack | inDisconnect, 0, 0},
	PropReasonString:            {"reason string", kindText, inAcks | inConnack | inSuback | inUnsuback | inDisconnect | inAuth, 0, 0},
	PropReceiveMaximum:          {"receive maximum", kindUint16, inConnect | inConnack, 1, 0xFFFF}, // 3.1.2.11.3
	PropTopicAliasMaximum:       {"topic alias maximum", kindUint16, inConnect | inConnack, 0, 0},
	PropTopicAlias:              {"topic alias", kindUint16, inPublish, 1, 0xFFFF},                         // [MQTT-3.3.2-8]
	PropMaximumQoS:              {"maximum qos", kindByte, inConnack, 0, 1},                                // 3.2.2.3.4
	PropRetainAvailable:         {"retain available", kindByte, inConnack, 0, 1},                           // 3.2.2.3.5
	PropUser:                    {"user property", kindPair, inEverything, 0, 0},                           // [MQTT-1.5.7-1]
	PropMaximumPacketSize:       {"maximum packet size", kindUint32, inConnect | inConnack, 1, 0xFFFFFFFF}, // 3.1.2.11.4
	PropWildcardAvailable:       {"wildcard subscription available", kindByte, inConnack, 0, 1},            // 3.2.2.3.11
	PropSubscriptionIDAvailable: {"subscription identifiers available", kindByte, inConnack, 0, 1},         // 3.2.2.3.12
	PropSharedAvailable:         {"shared subscription available", kindByte, inConnack, 0, 1},              // 3.2.2.3.13
}

// String names the property in the words of the standard, lower case; unknown ones print as property(0x..).
func (id Property) String() string {
	if int(id) < len(properties) && properties[id].name != "" {
		return properties[id].name
	}
	return fmt.Sprintf("property(0x%02x)", uint8(id))
}

// refuse gives the reason for a number outside of its range.
func (id Property) refuse() Reason {
	if id == PropTopicAlias { // [MQTT-3.3.2-8]
		return TopicAliasInvalid
	}
	return ProtocolError
}
