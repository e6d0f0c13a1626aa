package gateway

import (
	"weir/broker/message"
	"weir/broker/packet"
	"weir/gateway/config"
	"weir/sensors"
)

// object is all values of one reading of a sensor, published together:
//
//	{"time":"2026-11-22T14:02:11.250Z","temperature":21.53,"pressure":1008.5,"quality":"good","bad":{"humidity":"not a number"}}
//
// Its quality is the worst of the numbers in it; those that are uncertain stand with their reason under "uncertain", and
// what is bad has no number. In SenML it is a pack without what is bad.
type object struct {
	topic   []byte
	format  format
	qos     byte
	retain  bool
	expire  uint32
	payload []byte // of the message in the batch
}

// objectOf is the object of a configured sensor, or nil.
func objectOf(c *config.Sensor) *object {
	if c.Object == "" {
		return nil
	}
	o := &object{topic: []byte(c.Object), format: formatOf(c.Format), qos: c.QoS, retain: c.Retain, expire: expiry(c.Expire)}
	if o.format == asPlain {
		o.format = asJSON
	}
	return o
}

// message makes the message of some readings, each with its outlet. There is none when all of them are bad.
func (o *object) message(readings []sensors.Reading, outlets []*outlet, m *moment) (message.Message, bool) {
	values := 0
	for i := range readings {
		if readings[i].Quality.Level != sensors.Bad {
			values++
		}
	}
	if values == 0 {
		return message.Message{}, false
	}
	if o.format == asSenML {
		o.payload = appendPack(o.payload[:0], readings, outlets, m)
	} else {
		o.payload = appendObject(o.payload[:0], readings, outlets, m)
	}
	msg := message.Message{Stamp: m.stamp, Publish: packet.Publish{QoS: o.qos, Retain: o.retain, Topic: o.topic, Payload: o.payload}}
	setCommon(&msg.Props, o.format, o.expire)
	return msg, true
}

func appendPack(dst []byte, readings []sensors.Reading, outlets []*outlet, m *moment) []byte {
	dst = append(dst, '[')
	begun := false
	for i := range readings {
		s := &outlets[i].shape
		switch {
		case readings[i].Quality.Level == sensors.Bad:
			continue
		case begun:
			dst = append(dst, ",{"...)
		default:
			dst = s.appendBase(dst, m)
			begun = true
		}
		dst = s.appendRecord(dst, &readings[i])
	}
	return append(dst, ']')
}

func appendObject(dst []byte, readings []sensors.Reading, outlets []*outlet, m *moment) []byte {
	dst = m.appendTime(append(dst, '{'))
	worst := sensors.Good
	for i := range readings {
		r := &readings[i]
		if r.Quality.Level != sensors.Bad {
			worst = min(worst, r.Quality.Level)
			s := &outlets[i].shape
			dst = append(append(dst, s.name...), ':')
			dst = append(s.shown(r).append(dst), ',')
		}
	}
	dst = appendJSON(append(dst, `"quality":`...), worst.String())
	for _, level := range [...]sensors.Level{sensors.Uncertain, sensors.Bad} {
		dst = appendReasons(dst, level, readings, outlets)
	}
	return append(dst, '}')
}

// appendReasons appends why readings have a quality, if there are any.
func appendReasons(dst []byte, level sensors.Level, readings []sensors.Reading, outlets []*outlet) []byte {
	begun := false
	for i := range readings {
		q := readings[i].Quality
		if q.Level != level {
			continue
		}
		if !begun {
			dst = append(appendJSON(append(dst, ','), level.String()), ":{"...)
			begun = true
		} else {
			dst = append(dst, ',')
		}
		dst = append(append(dst, outlets[i].shape.name...), ':')
		dst = appendJSON(dst, string(q.Reason))
	}
	if begun {
		dst = append(dst, '}')
	}
	return dst
}
