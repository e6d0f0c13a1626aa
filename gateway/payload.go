package gateway

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/gateway/config"
	"weir/sensors"
)

// format is how values are written.
type format uint8

const (
	asPlain format = iota
	asJSON
	asSenML
)

func formatOf(name string) format {
	switch name {
	case "json":
		return asJSON
	case "senml":
		return asSenML
	}
	return asPlain
}

// shape says how the values of one quantity of a sensor are published.
type shape struct {
	topic    []byte       // empty: not alone
	unit     sensors.Unit // "": as the unit is shown by default
	decimals int          // -1: as many as the resolution carries
	format   format
	qos      byte
	retain   bool
	expire   uint32 // seconds; 0: never

	name  []byte // as a JSON string
	senml []byte // the name in SenML, likewise
	base  []byte // what stands before it, likewise
}

// shapeOf says how a quantity of a configured sensor is published.
func shapeOf(c *config.Sensor, q sensors.Quantity) shape {
	return shape{
		topic: []byte(c.TopicOf(q)), unit: config.Own(c, c.Units, q, ""), decimals: config.Own(c, c.Decimals, q, -1),
		format: formatOf(c.Format), qos: c.QoS, retain: c.Retain, expire: expiry(c.Expire),
		name: appendJSON(nil, c.NameOf(q)), senml: appendJSON(nil, senmlName(c.NameOf(q), c.BaseName == "")), base: appendJSON(nil, senmlName(c.BaseName, true)),
	}
}

// expiry is a duration as MQTT's message expiry interval, a part of a second being one.
func expiry(d time.Duration) uint32 { return uint32((d + time.Second - 1) / time.Second) }

// number is one value as it is written.
type number struct {
	value    float64
	decimals int
	unit     sensors.Unit
}

// shown is a reading in the unit of the shape. A value that does not convert stays in its own unit.
func (s *shape) shown(r *sensors.Reading) number {
	unit := s.unit
	if unit == "" {
		unit = r.Shown()
	}
	return s.in(r, unit)
}

func (s *shape) in(r *sensors.Reading, unit sensors.Unit) number {
	v, ok := sensors.Convert(r.Value, r.Unit, unit)
	step, _ := sensors.ConvertStep(r.Resolution, r.Unit, unit)
	if !ok {
		v, step, unit = r.Value, r.Resolution, r.Unit
	}
	decimals := s.decimals
	if decimals < 0 {
		decimals = sensors.Decimals(step)
	}
	return number{v, decimals, unit}
}

func (n number) append(dst []byte) []byte { return sensors.AppendValue(dst, n.value, n.decimals) }

// moment is when values were measured: by a clock that is right, or so long before now.
type moment struct {
	stamp message.Stamp
	age   time.Duration
}

// appendTime appends the time as the first members of a JSON object, or that it is not known.
func (m *moment) appendTime(dst []byte) []byte {
	if m.stamp.Wall == 0 {
		return append(dst, `"time_quality":"uncertain",`...)
	}
	dst = append(dst, `"time":"`...)
	dst = appendTime(dst, m.stamp.Wall)
	return append(dst, `",`...)
}

// appendPayload appends what stands in the message of a value: the plain value, or
//
//	{"time":"2026-11-22T14:02:11.250Z","value":21.53,"unit":"°C","quality":"good"}
//
// with "time_quality":"uncertain" in place of the time while the clock is not trusted, and "reason" when the quality
// is not good; or a SenML pack of one record. It is never empty.
func (s *shape) appendPayload(dst []byte, r *sensors.Reading, m *moment) []byte {
	switch s.format {
	case asSenML:
		dst = s.appendBase(append(dst, '['), m)
		return append(s.appendRecord(dst, r), ']')
	case asPlain:
		return s.shown(r).append(dst)
	}
	shown := s.shown(r)
	dst = m.appendTime(append(dst, '{'))
	dst = shown.append(append(dst, `"value":`...))
	dst = appendJSON(append(dst, `,"unit":`...), string(shown.unit))
	dst = appendJSON(append(dst, `,"quality":`...), r.Quality.Level.String())
	if r.Quality.Reason != "" {
		dst = appendJSON(append(dst, `,"reason":`...), string(r.Quality.Reason))
	}
	return append(dst, '}')
}

// setProperties tells 5.0 subscribers and the bridge what the number means. user is room for the user properties.
func (s *shape) setProperties(p *packet.Properties, unit []byte, q sensors.Quality, user []packet.UserProperty) {
	setCommon(p, s.format, s.expire)
	if s.format == asSenML {
		return // says it all itself
	}
	user[0] = packet.UserProperty{Key: keyUnit, Value: unit}
	user[1] = packet.UserProperty{Key: keyQuality, Value: levelWords[min(q.Level, sensors.Good)]}
	p.User = user[:2]
}

var (
	keyUnit      = []byte("unit")
	keyQuality   = []byte("quality")
	levelWords   = [...][]byte{[]byte("bad"), []byte("uncertain"), []byte("good")}
	contentTypes = [...][]byte{asJSON: []byte("application/json"), asSenML: []byte("application/senml+json")}
)

// setCommon sets what values alone and together have in common.
func setCommon(p *packet.Properties, f format, expire uint32) {
	p.Reset()
	if f != asPlain {
		p.SetContentType(contentTypes[f])
	}
	if expire > 0 {
		p.SetMessageExpiry(expire)
	}
}

// appendTime writes Unix nanoseconds as RFC 3339 in UTC with milliseconds.
func appendTime(dst []byte, wall int64) []byte {
	return time.Unix(0, wall).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z07:00")
}

// appendJSON appends s as a JSON string.
func appendJSON(dst []byte, s string) []byte {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' || r == utf8.RuneError }) {
		quoted, err := json.Marshal(s)
		if err != nil { // a string always has a JSON form
			return append(dst, `""`...)
		}
		return append(dst, quoted...)
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
