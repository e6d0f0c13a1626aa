package bridge

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
)

// Names of the user properties a forwarded message may carry.
var (
	keyTime        = []byte("time")
	keyTimeQuality = []byte("time_quality")
	keyUnit        = []byte("unit")
	keyQuality     = []byte("quality")
	keyHops        = []byte("weir-hops")
	uncertain      = []byte("uncertain")
	jsonType       = []byte("application/json")
)

// shaper makes a PUBLISH of a record as its rule says. It keeps what one message needs from one call to the next, so
// that nothing is allocated. Not safe for concurrent use.
type shaper struct {
	rules   map[uint32]Rule
	clock   Clock
	maxHops int
	state   []byte // the state topic, which the bridge itself tells upstream; nil: it does not

	// What the connection allows.
	v5     bool
	maxQoS byte
	retain bool
	twos   bool // QoS 2 can be had: the session outlives its connections

	topic, payload, text []byte
	user                 []packet.UserProperty
	publish              packet.Publish
	capped               bool // a record asked for QoS 2 and got less
}

// verdict is what becomes of a record.
type verdict uint8

const (
	sendIt      verdict = iota
	cannotSend          // never: see the reason
	tooOld              // its message expiry has passed
	goesRound           // it has passed too many gateways
	toldAlready         // an old state of the link, which would take the place of the one it is in
)

// shape returns the PUBLISH of a record, valid until the next call.
func (s *shaper) shape(r *Record) (*packet.Publish, verdict, packet.Reason) {
	m := &r.Message
	rule, known := s.rules[r.Rule]
	if !known {
		return nil, cannotSend, packet.ImplementationSpecificError
	}
	if int(m.Hops) >= s.maxHops {
		return nil, goesRound, 0
	}
	left, fresh := s.expiry(m)
	if !fresh {
		return nil, tooOld, 0
	}
	var err error
	if s.topic, err = rule.Remap(s.topic[:0], m.Topic); err != nil {
		return nil, cannotSend, reasonOf(err)
	}
	if s.state != nil && bytes.Equal(s.topic, s.state) {
		return nil, toldAlready, 0
	}
	p := &s.publish
	p.Props.Reset()
	p.Topic, p.Payload = s.topic, m.Payload
	p.QoS = s.qos(rule.QoS, m.QoS)
	p.Retain = m.Retain && rule.Retain == KeepRetain && s.retain
	// An empty retained message deletes: it has to stay empty.
	asJSON := rule.Format == JSON && !(m.Retain && len(m.Payload) == 0)
	if asJSON {
		s.payload = s.json(s.payload[:0], m)
		p.Payload = s.payload
	}
	if s.v5 {
		s.properties(p, m, asJSON, left)
	}
	return p, sendIt, 0
}

// qos is the QoS a record leaves with.
func (s *shaper) qos(wanted, published byte) byte {
	if wanted == AsPublished {
		wanted = published
	}
	most := s.maxQoS
	if !s.twos {
		most = min(most, 1)
	}
	if wanted > most && wanted == 2 {
		s.capped = true
	}
	return min(wanted, most)
}

// expiry is what is left of the message expiry interval in seconds, which shrinks while the message waits.
// (5.0 [MQTT-3.3.2-5], [MQTT-3.3.2-6])
func (s *shaper) expiry(m *message.Message) (left uint32, fresh bool) {
	if !m.Props.Has(packet.PropMessageExpiry) {
		return 0, true
	}
	left = m.Props.MessageExpiry
	age, known := ageOf(s.clock, m.Stamp)
	if !known || age <= 0 {
		return left, true
	}
	if age >= time.Duration(left)*time.Second {
		return 0, false
	}
	return left - uint32(age/time.Second), true
}

// ageOf is how long ago a stamp was. Within a boot it is always known; across boots only if both times are certain.
func ageOf(c Clock, s message.Stamp) (age time.Duration, known bool) {
	now := c.Now()
	if now.Boot == s.Boot {
		return now.Since - s.Since, true
	}
	then, sure := c.Wall(s)
	today, sureToday := c.Wall(now)
	return today.Sub(then), sure && sureToday
}

// moment is when the message was taken in, or read if it is a reading of ours.
func (s *shaper) moment(m *message.Message) moment {
	at, certain := s.clock.Wall(m.Stamp)
	return moment{at: at, certain: certain}
}

func (s *shaper) json(dst []byte, m *message.Message) []byte {
	var unit, quality []byte
	if len(m.Origin) == 0 { // a reading of ours
		unit, quality = userValue(m, keyUnit), userValue(m, keyQuality)
	}
	return appendJSON(dst, m.Payload, s.moment(m), unit, quality)
}

// properties passes on what the publisher said and adds time and hops.
func (s *shaper) properties(p *packet.Publish, m *message.Message, asJSON bool, left uint32) {
	from, to := &m.Props, &p.Props
	if asJSON {
		to.SetPayloadFormat(1)
		to.SetContentType(jsonType)
	} else {
		if from.Has(packet.PropPayloadFormat) {
			to.SetPayloadFormat(from.PayloadFormat)
		}
		if from.Has(packet.PropContentType) {
			to.SetContentType(from.ContentType)
		}
	}
	if from.Has(packet.PropResponseTopic) {
		to.SetResponseTopic(from.ResponseTopic)
	}
	if from.Has(packet.PropCorrelationData) {
		to.SetCorrelationData(from.CorrelationData)
	}
	if from.Has(packet.PropMessageExpiry) {
		to.SetMessageExpiry(left)
	}
	s.user, s.text = s.user[:0], s.text[:0]
	for _, u := range from.User {
		if !bytes.Equal(u.Key, keyHops) {
			s.user = append(s.user, u)
		}
	}
	if !asJSON && userValue(m, keyTime) == nil {
		s.addTime(s.moment(m))
	}
	s.addText(keyHops, func(b []byte) []byte { return strconv.AppendUint(b, uint64(m.Hops)+1, 10) })
	to.User = s.user
}

func (s *shaper) addTime(t moment) {
	if t.known() {
		s.addText(keyTime, func(b []byte) []byte { return t.at.UTC().AppendFormat(b, timeLayout) })
	}
	if !t.known() || !t.certain {
		s.user = append(s.user, packet.UserProperty{Key: keyTimeQuality, Value: uncertain})
	}
}

// addText adds a user property whose value is appended to the scratch text. When that has to grow, values made before
// keep the old array: they stay right.
func (s *shaper) addText(key []byte, value func([]byte) []byte) {
	from := len(s.text)
	s.text = value(s.text)
	s.user = append(s.user, packet.UserProperty{Key: key, Value: s.text[from:len(s.text):len(s.text)]})
}

// userValue is the value of the first user property of that name; nil: there is none.
func userValue(m *message.Message, key []byte) []byte {
	for _, u := range m.Props.User {
		if bytes.Equal(u.Key, key) {
			return u.Value
		}
	}
	return nil
}

// hopsOf is how many gateways a received message says it has passed.
func hopsOf(p *packet.Publish) uint8 {
	for _, u := range p.Props.User {
		if bytes.Equal(u.Key, keyHops) {
			n, err := strconv.ParseUint(string(u.Value), 10, 8)
			if err != nil {
				return 255 // not ours, or gone round very often
			}
			return uint8(n)
		}
	}
	return 0
}

// reasonOf is the reason of a *packet.Error, which all errors about a packet are.
func reasonOf(err error) packet.Reason {
	var e *packet.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return packet.UnspecifiedError
}
