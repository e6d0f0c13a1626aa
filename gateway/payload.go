package gateway

import (
	"encoding/json"
	"time"

	"weir/broker/packet"
	"weir/sensors"
)

// shape says how the values of one quantity of a sensor are published.
type shape struct {
	topic    string
	unit     sensors.Unit // "": as the unit is shown by default
	decimals int          // -1: as many as the resolution carries
	json     bool
	qos      byte
	retain   bool
}

// value is one reading as it is published.
type value struct {
	text string
	unit sensors.Unit
}

// convert turns a reading into text in the unit of the shape. A value that does not convert stays in its own unit.
func (s *shape) convert(r *sensors.Reading) value {
	unit := s.unit
	if unit == "" {
		unit = r.Shown()
	}
	v, ok := sensors.Convert(r.Value, r.Unit, unit)
	step, _ := sensors.ConvertStep(r.Resolution, r.Unit, unit)
	if !ok {
		v, step, unit = r.Value, r.Resolution, r.Unit
	}
	decimals := s.decimals
	if decimals < 0 {
		decimals = sensors.Decimals(step)
	}
	return value{text: string(sensors.AppendValue(nil, v, decimals)), unit: unit}
}

// payload is what stands in the message: the plain value, or
//
//	{"time":"2026-11-22T14:02:11.250Z","value":21.53,"unit":"°C","quality":"good"}
//
// with "time_quality":"uncertain" in place of the time while the clock is not trusted, and "reason" when the quality
// is not good.
func (s *shape) payload(v value, q sensors.Quality, wall int64) []byte {
	if !s.json {
		return []byte(v.text)
	}
	b := []byte("{")
	if wall != 0 {
		b = append(b, `"time":"`...)
		b = append(b, timeText(wall)...)
		b = append(b, `",`...)
	} else {
		b = append(b, `"time_quality":"uncertain",`...)
	}
	b = append(b, `"value":`...)
	b = append(b, v.text...)
	b = append(b, `,"unit":`...)
	b = appendJSON(b, string(v.unit))
	b = append(b, `,"quality":`...)
	b = appendJSON(b, q.Level.String())
	if q.Reason != "" {
		b = append(b, `,"reason":`...)
		b = appendJSON(b, string(q.Reason))
	}
	return append(b, '}')
}

// properties tells 5.0 subscribers and the bridge what the number means.
func (s *shape) properties(v value, q sensors.Quality) packet.Properties {
	var p packet.Properties
	p.User = []packet.UserProperty{
		{Key: []byte("unit"), Value: []byte(v.unit)},
		{Key: []byte("quality"), Value: []byte(q.Level.String())},
	}
	return p
}

// timeText writes Unix nanoseconds as RFC 3339 in UTC with milliseconds.
func timeText(wall int64) string {
	return time.Unix(0, wall).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// appendJSON appends s as a JSON string.
func appendJSON(b []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // a string always has a JSON form
		return append(b, `""`...)
	}
	return append(b, quoted...)
}
