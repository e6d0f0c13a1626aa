package packet

// UserProperty is one name and value pair; names may repeat, order is kept.
type UserProperty struct{ Key, Value []byte }

// Properties holds the properties of one packet. Read a single-valued field directly (it is zero when absent, Has tells
// absent from zero) and set it with its Set method: a field assigned without Set is not written by Append.
// User and SubscriptionIDs are lists: append to them directly. The zero value is empty and ready.
// Byte slices of decoded properties alias the read buffer.
type Properties struct {
	has uint64 // set of 1<<Property; never holds the two lists

	MessageExpiry     uint32 // seconds
	SessionExpiry     uint32 // seconds; 0xFFFFFFFF: never
	WillDelay         uint32 // seconds
	MaximumPacketSize uint32 // bytes of a whole packet; never 0 when present

	ServerKeepAlive   uint16 // seconds
	ReceiveMaximum    uint16 // never 0 when present
	TopicAliasMaximum uint16
	TopicAlias        uint16 // never 0 when present

	PayloadFormat           uint8 // 0 unspecified bytes, 1 UTF-8 text
	MaximumQoS              uint8 // 0 or 1
	RequestProblemInfo      bool
	RequestResponseInfo     bool
	RetainAvailable         bool
	WildcardAvailable       bool
	SubscriptionIDAvailable bool
	SharedAvailable         bool

	ContentType      []byte
	ResponseTopic    []byte
	CorrelationData  []byte
	AssignedClientID []byte
	AuthMethod       []byte
	AuthData         []byte
	ResponseInfo     []byte
	ServerReference  []byte
	ReasonString     []byte

	SubscriptionIDs []uint32 // one in SUBSCRIBE, any number in PUBLISH; 1 to 268435455
	User            []UserProperty
}

// Has tells whether the property is present.
func (p *Properties) Has(id Property) bool {
	switch id {
	case PropUser:
		return len(p.User) > 0
	case PropSubscriptionID:
		return len(p.SubscriptionIDs) > 0
	}
	return p.has&(1<<id) != 0
}

// Empty tells whether there is no property at all.
func (p *Properties) Empty() bool {
	return p.has == 0 && len(p.User) == 0 && len(p.SubscriptionIDs) == 0
}

// Reset removes every property and keeps the room of the two lists.
func (p *Properties) Reset() {
	if p.has != 0 {
		*p = Properties{User: p.User, SubscriptionIDs: p.SubscriptionIDs}
	}
	p.User, p.SubscriptionIDs = p.User[:0], p.SubscriptionIDs[:0]
}

// roomKept is how many places of the two lists Release keeps.
const roomKept = 64

// Release is Reset for what is used again much later: nothing that the properties referred to is kept from being freed, nor is the
// room of long lists. A packet of 1 MiB has place for 200,000 user properties, which take 10 MB here.
func (p *Properties) Release() {
	user, ids := p.User[:cap(p.User)], p.SubscriptionIDs[:0]
	if cap(user) > roomKept {
		user = nil
	}
	if cap(ids) > roomKept {
		ids = nil
	}
	clear(user)
	*p = Properties{User: user[:0], SubscriptionIDs: ids}
}

// The setters: each sets one field and marks it present.

// SetPayloadFormat sets 0 (unspecified bytes) or 1 (UTF-8 text); Append refuses others.
func (p *Properties) SetPayloadFormat(v uint8) { p.PayloadFormat = v; p.has |= 1 << PropPayloadFormat }

// SetMessageExpiry sets the seconds a message may wait.
func (p *Properties) SetMessageExpiry(seconds uint32) {
	p.MessageExpiry = seconds
	p.has |= 1 << PropMessageExpiry
}

// SetContentType sets a text describing the payload.
func (p *Properties) SetContentType(v []byte) { p.ContentType = v; p.has |= 1 << PropContentType }

// SetResponseTopic sets the topic for the answer.
func (p *Properties) SetResponseTopic(v []byte) { p.ResponseTopic = v; p.has |= 1 << PropResponseTopic }

// SetCorrelationData sets bytes that the answer repeats.
func (p *Properties) SetCorrelationData(v []byte) {
	p.CorrelationData = v
	p.has |= 1 << PropCorrelationData
}

// SetSessionExpiry sets how many seconds a session outlives its connection; 0xFFFFFFFF: for ever.
func (p *Properties) SetSessionExpiry(seconds uint32) {
	p.SessionExpiry = seconds
	p.has |= 1 << PropSessionExpiry
}

// SetAssignedClientID sets the client id made by the server.
func (p *Properties) SetAssignedClientID(v []byte) {
	p.AssignedClientID = v
	p.has |= 1 << PropAssignedClientID
}

// SetServerKeepAlive sets the keep alive in seconds the client has to use.
func (p *Properties) SetServerKeepAlive(seconds uint16) {
	p.ServerKeepAlive = seconds
	p.has |= 1 << PropServerKeepAlive
}

// SetAuthMethod sets the name of the authentication method.
func (p *Properties) SetAuthMethod(v []byte) { p.AuthMethod = v; p.has |= 1 << PropAuthMethod }

// SetAuthData sets the data of the authentication method; it needs the method beside it.
func (p *Properties) SetAuthData(v []byte) { p.AuthData = v; p.has |= 1 << PropAuthData }

// SetRequestProblemInfo sets whether reason strings and user properties are wanted on all packets.
func (p *Properties) SetRequestProblemInfo(v bool) {
	p.RequestProblemInfo = v
	p.has |= 1 << PropRequestProblemInfo
}

// SetWillDelay sets the seconds between the end of the connection and the will.
func (p *Properties) SetWillDelay(seconds uint32) { p.WillDelay = seconds; p.has |= 1 << PropWillDelay }

// SetRequestResponseInfo sets whether ResponseInfo is wanted in CONNACK.
func (p *Properties) SetRequestResponseInfo(v bool) {
	p.RequestResponseInfo = v
	p.has |= 1 << PropRequestResponseInfo
}

// SetResponseInfo sets the text a client builds response topics from.
func (p *Properties) SetResponseInfo(v []byte) { p.ResponseInfo = v; p.has |= 1 << PropResponseInfo }

// SetServerReference sets the name of another server to use.
func (p *Properties) SetServerReference(v []byte) {
	p.ServerReference = v
	p.has |= 1 << PropServerReference
}

// SetReasonString sets a text for people that explains the reason code.
func (p *Properties) SetReasonString(v []byte) { p.ReasonString = v; p.has |= 1 << PropReasonString }

// SetReceiveMaximum sets how many QoS 1 and 2 messages the sender of this packet takes at a time; not 0.
func (p *Properties) SetReceiveMaximum(v uint16) {
	p.ReceiveMaximum = v
	p.has |= 1 << PropReceiveMaximum
}

// SetTopicAliasMaximum sets the highest topic alias the sender of this packet accepts; 0: none.
func (p *Properties) SetTopicAliasMaximum(v uint16) {
	p.TopicAliasMaximum = v
	p.has |= 1 << PropTopicAliasMaximum
}

// SetTopicAlias sets the alias of a topic; not 0.
func (p *Properties) SetTopicAlias(v uint16) { p.TopicAlias = v; p.has |= 1 << PropTopicAlias }

// SetMaximumQoS sets the highest QoS the server takes, 0 or 1; absent means 2.
func (p *Properties) SetMaximumQoS(v uint8) { p.MaximumQoS = v; p.has |= 1 << PropMaximumQoS }

// SetRetainAvailable sets whether the server keeps retained messages; absent means it does.
func (p *Properties) SetRetainAvailable(v bool) {
	p.RetainAvailable = v
	p.has |= 1 << PropRetainAvailable
}

// SetMaximumPacketSize sets the largest whole packet in bytes the sender of this packet accepts; not 0.
func (p *Properties) SetMaximumPacketSize(v uint32) {
	p.MaximumPacketSize = v
	p.has |= 1 << PropMaximumPacketSize
}

// SetWildcardAvailable sets whether the server takes wildcard subscriptions; absent means it does.
func (p *Properties) SetWildcardAvailable(v bool) {
	p.WildcardAvailable = v
	p.has |= 1 << PropWildcardAvailable
}

// SetSubscriptionIDAvailable sets whether the server takes subscription identifiers; absent means it does.
func (p *Properties) SetSubscriptionIDAvailable(v bool) {
	p.SubscriptionIDAvailable = v
	p.has |= 1 << PropSubscriptionIDAvailable
}

// SetSharedAvailable sets whether the server takes shared subscriptions; absent means it does.
func (p *Properties) SetSharedAvailable(v bool) {
	p.SharedAvailable = v
	p.has |= 1 << PropSharedAvailable
}

// Unset removes one property, all its values for the two lists.
func (p *Properties) Unset(id Property) {
	switch id {
	case PropUser:
		p.User = p.User[:0]
	case PropSubscriptionID:
		p.SubscriptionIDs = p.SubscriptionIDs[:0]
	default:
		p.has &^= 1 << id
		p.setNumber(id, 0)
		if b := p.bytes(id); b != nil {
			*b = nil
		}
	}
}

// AddUser appends a user property; its place among the others is kept [MQTT-3.3.2-18].
func (p *Properties) AddUser(key, value []byte) {
	p.User = append(p.User, UserProperty{Key: key, Value: value})
}

// bytes finds the field of a text or binary property; nil for other kinds.
func (p *Properties) bytes(id Property) *[]byte {
	switch id {
	case PropContentType:
		return &p.ContentType
	case PropResponseTopic:
		return &p.ResponseTopic
	case PropCorrelationData:
		return &p.CorrelationData
	case PropAssignedClientID:
		return &p.AssignedClientID
	case PropAuthMethod:
		return &p.AuthMethod
	case PropAuthData:
		return &p.AuthData
	case PropResponseInfo:
		return &p.ResponseInfo
	case PropServerReference:
		return &p.ServerReference
	case PropReasonString:
		return &p.ReasonString
	}
	return nil
}

// number gets the field of a property of a number kind as the number on the wire.
func (p *Properties) number(id Property) uint32 {
	switch id {
	case PropPayloadFormat:
		return uint32(p.PayloadFormat)
	case PropMessageExpiry:
		return p.MessageExpiry
	case PropSessionExpiry:
		return p.SessionExpiry
	case PropServerKeepAlive:
		return uint32(p.ServerKeepAlive)
	case PropRequestProblemInfo:
		return wireBool(p.RequestProblemInfo)
	case PropWillDelay:
		return p.WillDelay
	case PropRequestResponseInfo:
		return wireBool(p.RequestResponseInfo)
	case PropReceiveMaximum:
		return uint32(p.ReceiveMaximum)
	case PropTopicAliasMaximum:
		return uint32(p.TopicAliasMaximum)
	case PropTopicAlias:
		return uint32(p.TopicAlias)
	case PropMaximumQoS:
		return uint32(p.MaximumQoS)
	case PropRetainAvailable:
		return wireBool(p.RetainAvailable)
	case PropMaximumPacketSize:
		return p.MaximumPacketSize
	case PropWildcardAvailable:
		return wireBool(p.WildcardAvailable)
	case PropSubscriptionIDAvailable:
		return wireBool(p.SubscriptionIDAvailable)
	case PropSharedAvailable:
		return wireBool(p.SharedAvailable)
	}
	return 0
}

// setNumber sets the field of a property of a number kind; v is in its range.
func (p *Properties) setNumber(id Property, v uint32) {
	switch id {
	case PropPayloadFormat:
		p.PayloadFormat = uint8(v)
	case PropMessageExpiry:
		p.MessageExpiry = v
	case PropSessionExpiry:
		p.SessionExpiry = v
	case PropServerKeepAlive:
		p.ServerKeepAlive = uint16(v)
	case PropRequestProblemInfo:
		p.RequestProblemInfo = v == 1
	case PropWillDelay:
		p.WillDelay = v
	case PropRequestResponseInfo:
		p.RequestResponseInfo = v == 1
	case PropReceiveMaximum:
		p.ReceiveMaximum = uint16(v)
	case PropTopicAliasMaximum:
		p.TopicAliasMaximum = uint16(v)
	case PropTopicAlias:
		p.TopicAlias = uint16(v)
	case PropMaximumQoS:
		p.MaximumQoS = uint8(v)
	case PropRetainAvailable:
		p.RetainAvailable = v == 1
	case PropMaximumPacketSize:
		p.MaximumPacketSize = v
	case PropWildcardAvailable:
		p.WildcardAvailable = v == 1
	case PropSubscriptionIDAvailable:
		p.SubscriptionIDAvailable = v == 1
	case PropSharedAvailable:
		p.SharedAvailable = v == 1
	}
}

func wireBool(v bool) uint32 {
	if v {
		return 1
	}
	return 0
}
