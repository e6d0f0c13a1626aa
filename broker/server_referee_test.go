package broker

import (
	"bytes"
	"fmt"

	"weir/broker/auth"
	"weir/broker/packet"
	"weir/broker/topic"
)

// referee watches both directions of one connection, and says what the broker does that it may not. It knows the protocol,
// not the broker: what the client sent and may have broken is judged packet by packet.
type referee struct {
	fault string // of the broker

	id       string // of the client, for reports
	v        packet.Version
	known    bool // v is
	accepted bool // CONNECT is valid
	sent     []byte
	broken   string // what the client sent that must end the connection; nothing after it counts
	said     bool   // the client sent DISCONNECT
	acks     bool   // acknowledgements, or messages of QoS 1 or 2, were sent: whether they fit the state is not judged here
	lasting  map[string]bool
	aliases  [3]bool
	most     int            // receive maximum of the client
	largest  int            // largest packet the client takes; 0: any
	zero     bool           // the session ends with the connection
	asked    map[uint32]int // answers that are owed, by type and packet id

	keys      bool   // users have keys for SCRAM-SHA-256
	method    bool   // CONNECT named the method
	entering  bool   // its exchange is not over
	again     bool   // the client authenticates anew
	authed    bool   // AUTH was sent, which may hold what is no message of SCRAM; that is not judged here
	proofs    int    // AUTHs of the client that may be the last of an exchange
	proves    string // who the client said to be
	challenge []byte // of the server, not answered yet

	aliasMost   uint16          // topic aliases the client takes
	named       map[uint16]bool // those that have a topic
	connack     bool
	told        bool // CONNACK or DISCONNECT with a failure came
	ended       bool // DISCONNECT or a refusal came: nothing may follow
	outstanding map[uint16]byte
	answers     []packet.Ack // that the client should send
}

// over tells whether the connection must end.
func (r *referee) over() bool { return r.broken != "" || r.said }

func (r *referee) ends() string {
	if r.broken != "" {
		return r.broken
	}
	return "DISCONNECT"
}

func (r *referee) fromClient(b []byte) {
	r.sent = append(r.sent, b...)
	for !r.over() && len(r.sent) > 0 {
		f, n, err := packet.Next(r.sent, stormConfig.MaxPacket)
		if err != nil {
			r.broken = err.Error()
		}
		if n == 0 || err != nil {
			return
		}
		if err := r.clientSent(packet.Frame{Type: f.Type, Flags: f.Flags, Long: f.Long, Body: bytes.Clone(f.Body)}); err != "" {
			r.broken = err
		}
		r.sent = r.sent[n:]
	}
}

// clientSent judges one packet; what it returns breaks the protocol. v5 section 4.13, 3.1.1 section 4.8
func (r *referee) clientSent(f packet.Frame) (broken string) {
	if !r.accepted {
		if f.Type != packet.TypeConnect {
			return fmt.Sprintf("%s before CONNECT", f.Type)
		}
		return r.connectSent(f)
	}
	if f.Type == packet.TypeAuth && r.v == packet.V5 {
		return r.authSent(f)
	}
	if r.entering && f.Type == packet.TypeDisconnect {
		r.said = true
		return ""
	}
	if r.entering {
		return fmt.Sprintf("%s before the authentication was over", f.Type)
	}
	var p decoder
	switch f.Type {
	case packet.TypePublish:
		return r.publishSent(f)
	case packet.TypePuback, packet.TypePubrec, packet.TypePubrel, packet.TypePubcomp:
		return r.ackSent(f)
	case packet.TypeSubscribe:
		return r.subscribeSent(f)
	case packet.TypeUnsubscribe:
		u := new(packet.Unsubscribe)
		if err := u.Decode(f, r.v); err != nil {
			return err.Error()
		}
		r.ask(packet.TypeUnsuback, u.ID)
		return ""
	case packet.TypePingreq:
		p = new(packet.Pingreq)
		r.ask(packet.TypePingresp, 0)
	case packet.TypeDisconnect:
		return r.disconnectSent(f)
	default:
		return fmt.Sprintf("%s from a client", f.Type)
	}
	if err := p.Decode(f, r.v); err != nil {
		return err.Error()
	}
	return ""
}

func (r *referee) connectSent(f packet.Frame) (broken string) {
	r.v = packet.V311
	if b := f.Body; len(b) > 2 && len(b) > 2+int(b[1]) && b[0] == 0 { // the form of an answer goes by the level, whatever the name
		name, level := string(b[2:2+b[1]]), packet.Version(b[2+b[1]])
		r.known = name == "MQTT" && (level == packet.V5 || level == packet.V311)
		if level >= packet.V5 && level < 0x80 { // above it stands the bit of a bridge
			r.v = packet.V5
		}
	}
	var p packet.Connect
	if err := p.Decode(f, 0); err != nil {
		r.largest = int(p.Props.MaximumPacketSize) // if it came before what is wrong
		return err.Error()
	}
	r.id, r.accepted, r.most, r.largest = string(p.ClientID), true, 65535, int(p.Props.MaximumPacketSize)
	if p.Props.Has(packet.PropReceiveMaximum) {
		r.most = int(p.Props.ReceiveMaximum)
	}
	r.zero = p.Props.SessionExpiry == 0
	r.aliasMost, r.named = p.Props.TopicAliasMaximum, map[uint16]bool{}
	if r.v == packet.V5 && !r.zero || r.v == packet.V311 && !p.CleanStart {
		r.lasting = map[string]bool{r.id: true}
	}
	r.method = string(p.Props.AuthMethod) == auth.ScramMethod
	r.entering, r.proves = r.method, firstOf(p.Props.AuthData)
	switch {
	case p.Props.Has(packet.PropAuthMethod) && !(r.method && r.keys):
		return "an authentication method"
	case r.v == packet.V311 && len(p.ClientID) == 0 && !p.CleanStart:
		return "an empty client id without a clean session"
	case p.HasWill && (topic.ValidName(p.Will.Topic) != nil || p.Will.Topic[0] == '$' && !bridgeStates.Match(p.Will.Topic)):
		return "the topic of a will"
	case p.HasWill && p.Will.Props.Has(packet.PropResponseTopic) && topic.ValidName(p.Will.Props.ResponseTopic) != nil:
		return "the response topic of a will"
	}
	return ""
}

// firstOf is the user of a first message of SCRAM.
func firstOf(data []byte) string {
	_, name, _ := bytes.Cut(data, []byte(",n="))
	name, _, _ = bytes.Cut(name, []byte(","))
	return string(name)
}

// authSent judges AUTH by its reason and method. v5 section 4.12
func (r *referee) authSent(f packet.Frame) (broken string) {
	var a packet.Auth
	if err := a.Decode(f, r.v); err != nil {
		return err.Error()
	}
	r.authed = true
	begins, goesOn := a.Reason == packet.ReAuthenticate, a.Reason == packet.ContinueAuthentication
	switch {
	case !r.method:
		return "AUTH without a method in CONNECT"
	case string(a.Props.AuthMethod) != auth.ScramMethod:
		return "AUTH with another method"
	case goesOn && (r.entering || r.again):
		r.proofs++
		r.entering, r.again = false, false
	case begins && !r.entering && !r.again:
		r.again, r.proves = true, firstOf(a.Props.AuthData)
	default:
		return "AUTH " + a.Reason.String()
	}
	return ""
}

// authCame judges AUTH of the server.
func (r *referee) authCame(a *packet.Auth) {
	switch {
	case !r.method || string(a.Props.AuthMethod) != auth.ScramMethod: // v5 [MQTT-4.12.0-5] [MQTT-4.12.0-6]
		r.fault = fmt.Sprintf("AUTH from the server with method %q, CONNECT had one: %v", a.Props.AuthMethod, r.method)
	case a.Reason == packet.Success && r.connack && r.proofs > 0:
		r.proofs--
	case a.Reason == packet.ContinueAuthentication: // v5 [MQTT-4.12.0-2]
		r.challenge = bytes.Clone(a.Props.AuthData)
	default:
		r.fault = fmt.Sprintf("AUTH %s from the server, CONNACK came: %v", a.Reason, r.connack)
	}
}

func (r *referee) publishSent(f packet.Frame) (broken string) {
	var p packet.Publish
	if err := p.Decode(f, r.v); err != nil {
		return err.Error()
	}
	switch {
	case p.Props.Has(packet.PropTopicAlias):
		a := int(p.Props.TopicAlias)
		if a == 0 || a > stormConfig.TopicAliases {
			return "a topic alias out of range"
		}
		if len(p.Topic) == 0 {
			if !r.aliases[a] {
				return "an unknown topic alias"
			}
		} else if topic.ValidName(p.Topic) != nil {
			return "a topic name"
		}
		r.aliases[a] = true
	case topic.ValidName(p.Topic) != nil:
		return "a topic name"
	}
	if len(p.Props.SubscriptionIDs) > 0 {
		return "a subscription identifier"
	}
	if p.Props.Has(packet.PropResponseTopic) && topic.ValidName(p.Props.ResponseTopic) != nil {
		return "a response topic"
	}
	switch p.QoS {
	case 1:
		r.ask(packet.TypePuback, p.ID)
	case 2:
		r.ask(packet.TypePubrec, p.ID)
	}
	r.acks = r.acks || p.QoS > 0
	return ""
}

func (r *referee) ackSent(f packet.Frame) (broken string) {
	var a packet.Ack
	if err := a.Decode(f, r.v); err != nil {
		return err.Error()
	}
	r.acks = true
	switch {
	case a.Type == packet.TypePubrel:
		r.ask(packet.TypePubcomp, a.ID)
	case a.Type != packet.TypePubrec || a.Reason.Failed():
		delete(r.outstanding, a.ID)
	}
	return ""
}

func (r *referee) subscribeSent(f packet.Frame) (broken string) {
	var p packet.Subscribe
	if err := p.Decode(f, r.v); err != nil {
		return err.Error()
	}
	for _, s := range p.Filters {
		if s.NoLocal && bytes.HasPrefix(s.Filter, []byte("$share/")) { // v5 [MQTT-3.8.3-4]
			if _, err := topic.ParseFilter(string(s.Filter)); err == nil {
				return "no local on a shared subscription"
			}
		}
	}
	r.ask(packet.TypeSuback, p.ID)
	return ""
}

func (r *referee) disconnectSent(f packet.Frame) (broken string) {
	var d packet.Disconnect
	if err := d.Decode(f, r.v); err != nil {
		return err.Error()
	}
	if d.Props.SessionExpiry != 0 {
		if r.zero {
			return "a session expiry for a session without one"
		}
		r.lasting = map[string]bool{r.id: true}
	}
	r.said = true
	return ""
}

func (r *referee) ask(t packet.Type, id uint16) { r.asked[uint32(t)<<16|uint32(id)]++ }

// answered notes an answer, which must have been asked for.
func (r *referee) answered(t packet.Type, id uint16) {
	key := uint32(t)<<16 | uint32(id)
	if r.asked[key]--; r.asked[key] < 0 {
		r.fault = fmt.Sprintf("%s for packet id %d, which nobody asked for", t, id)
	}
}

// fromServer judges whole packets and says how many bytes they took.
func (r *referee) fromServer(b []byte) (n int) {
	for r.fault == "" && n < len(b) {
		f, size, err := packet.Next(b[n:], 0)
		if err != nil {
			r.fault = "the server sent no packet: " + err.Error()
		}
		if size == 0 || err != nil {
			return n
		}
		n += size
		switch {
		case r.ended:
			r.fault = fmt.Sprintf("%s after the end", f.Type)
		case r.largest > 0 && size > r.largest: // v5 [MQTT-3.1.2-24]
			r.fault = fmt.Sprintf("%s of %d bytes, the client takes %d", f.Type, size, r.largest)
		case f.Type == packet.TypeAuth && r.method && !r.connack:
			r.serverSent(f)
		case r.connack == (f.Type == packet.TypeConnack): // v5 [MQTT-3.2.0-1] [MQTT-3.2.0-2], 3.1.1 [MQTT-3.2.0-1]
			r.fault = fmt.Sprintf("%s, CONNACK came: %v", f.Type, r.connack)
		default:
			r.serverSent(f)
		}
	}
	return n
}

func (r *referee) serverSent(f packet.Frame) {
	p := blankOrNil(f.Type)
	if p == nil {
		r.fault = "the server sent " + f.Type.String()
		return
	}
	if err := p.Decode(f, r.v); err != nil {
		r.fault = fmt.Sprintf("bad %s from the server: %s", f.Type, err)
		return
	}
	switch p := p.(type) {
	case *packet.Connack:
		r.connack = true
		r.told = p.Reason != packet.Success
		r.ended = r.told
		if !r.told && r.broken != "" && !r.accepted {
			r.fault = "CONNACK with success for " + r.broken
		}
		if r.method && !r.told {
			if r.proofs--; r.proofs < 0 || string(p.Props.AuthMethod) != auth.ScramMethod {
				r.fault = fmt.Sprintf("CONNACK with method %q, for %d proofs", p.Props.AuthMethod, r.proofs+1)
			}
		}
	case *packet.Auth:
		r.authCame(p)
	case *packet.Disconnect:
		r.told, r.ended = p.Reason.Failed(), true
		r.fair(p)
	case *packet.Suback:
		r.answered(f.Type, p.ID)
	case *packet.Unsuback:
		r.answered(f.Type, p.ID)
	case *packet.Pingresp:
		r.answered(f.Type, 0)
	case *packet.Ack:
		if f.Type == packet.TypePubrel {
			r.answers = append(r.answers, packet.Ack{Type: packet.TypePubcomp, ID: p.ID})
			return
		}
		r.answered(f.Type, p.ID)
	case *packet.Publish:
		r.publishCame(p)
	}
}

func (r *referee) publishCame(p *packet.Publish) {
	if p.Props.Has(packet.PropTopicAlias) { // v5 [MQTT-3.3.2-8] [MQTT-3.1.2-26] [MQTT-3.1.2-27]
		a := p.Props.TopicAlias
		if a == 0 || a > r.aliasMost || len(p.Topic) == 0 && !r.named[a] {
			r.fault = fmt.Sprintf("PUBLISH from the server with alias %d of %d and topic %q", a, r.aliasMost, p.Topic)
		}
		r.named[a] = true
	}
	if err := topic.ValidName(p.Topic); err != nil && !(len(p.Topic) == 0 && p.Props.Has(packet.PropTopicAlias)) {
		r.fault = "PUBLISH from the server: " + err.Error()
	}
	if p.QoS == 0 {
		return
	}
	if r.outstanding[p.ID] != 0 { // v5 [MQTT-2.2.1-4], 3.1.1 [MQTT-2.3.1-4]
		r.fault = fmt.Sprintf("packet id %d is sent again on one connection", p.ID)
	}
	r.outstanding[p.ID] = p.QoS
	if len(r.outstanding) > min(r.most, stormConfig.Inflight) { // v5 [MQTT-3.3.4-9]
		r.fault = fmt.Sprintf("%d messages unacknowledged, receive maximum %d", len(r.outstanding), r.most)
	}
	answer := packet.TypePuback
	if p.QoS == 2 {
		answer = packet.TypePubrec
	}
	r.answers = append(r.answers, packet.Ack{Type: answer, ID: p.ID})
}

// fair complains of a client that is told to have broken the protocol and has not.
func (r *referee) fair(d *packet.Disconnect) {
	switch d.Reason {
	case packet.MalformedPacket, packet.TopicNameInvalid, packet.TopicAliasInvalid:
	case packet.ProtocolError:
		if r.acks || r.authed {
			return
		}
	default:
		return
	}
	if r.broken == "" {
		r.fault = fmt.Sprintf("DISCONNECT %s (%s) for a client that did nothing wrong", d.Reason, d.Props.ReasonString)
	}
}

// closed judges the end of the connection from the broker's side: on 5.0 the reason must have come before.
// v5 [MQTT-4.13.1-1], section 4.13.2. dozed: the client may have read it too late.
func (r *referee) closed(dozed bool) {
	if r.broken == "" || r.told || dozed || !r.known || r.v != packet.V5 {
		return
	}
	if r.largest > 0 && r.largest < 5 { // no room to say it
		return
	}
	r.fault = fmt.Sprintf("closed without a reason after %s; CONNACK came: %v, largest packet %d", r.broken, r.connack, r.largest)
}

func blankOrNil(t packet.Type) decoder {
	switch t {
	case packet.TypeConnect, packet.TypeSubscribe, packet.TypeUnsubscribe, packet.TypePingreq:
		return nil
	}
	return blank(t)
}
