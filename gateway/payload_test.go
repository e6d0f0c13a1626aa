package gateway

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/gateway/config"
	"weir/sensors"
)

// afternoon is 2026-11-22T14:02:11.25Z.
var afternoon = moment{stamp: message.Stamp{Wall: time.Date(2026, 11, 22, 14, 2, 11, 250e6, time.UTC).UnixNano()}}

// reading is a good one of a well-known quantity.
func reading(q sensors.Quantity, value, resolution float64) sensors.Reading {
	unit, _ := q.Base()
	return sensors.Reading{Quantity: q, Unit: unit, Value: value, Resolution: resolution, Quality: sensors.Quality{Level: sensors.Good}}
}

func unsure(r sensors.Reading) sensors.Reading {
	r.Quality = sensors.Quality{Level: sensors.Uncertain, Reason: sensors.OtherChip}
	return r
}

func TestPayload(t *testing.T) {
	temperature, pressure := reading(sensors.Temperature, 21.53, 0.01), reading(sensors.Pressure, 100850.4, 1)
	plainSensor := config.Sensor{Topic: "t"}
	asJSON, asSenML := config.Sensor{Topic: "t", Format: "json"}, config.Sensor{Topic: "t", Format: "senml", BaseName: "g1/room1/"}
	later, unset := afternoon, moment{}
	later.age, unset.age = 3*time.Second, 0
	ago := moment{age: 7250 * time.Millisecond}
	for _, c := range []struct {
		name string
		c    config.Sensor
		r    sensors.Reading
		m    moment
		want string
	}{
		{"plain", plainSensor, temperature, afternoon, "21.53"},
		{"a whole number stays one", plainSensor, reading(sensors.Humidity, 75, 0.01), afternoon, "75"},
		{"nothing is a number too", plainSensor, reading(sensors.Temperature, -0.001, 0.01), afternoon, "0"},
		{"hPa by default", plainSensor, pressure, afternoon, "1008.5"},
		{"another unit", config.Sensor{Units: map[sensors.Quantity]sensors.Unit{sensors.Pressure: "inHg"}}, pressure, afternoon, "29.7811"},
		{"fewer decimals", config.Sensor{Decimals: map[sensors.Quantity]int{"": 0}}, pressure, afternoon, "1009"},
		{"json", asJSON, temperature, afternoon, `{"time":"2026-11-22T14:02:11.250Z","value":21.53,"unit":"°C","quality":"good"}`},
		{"json, clock not set", asJSON, temperature, unset, `{"time_quality":"uncertain","value":21.53,"unit":"°C","quality":"good"}`},
		{"json, uncertain", asJSON, unsure(temperature), afternoon, `{"time":"2026-11-22T14:02:11.250Z","value":21.53,"unit":"°C","quality":"uncertain","reason":"another chip of the kind answers"}`},
		{"senml", asSenML, temperature, afternoon, `[{"bn":"g1/room1/","bt":1795356131.25,"n":"temperature","u":"Cel","v":21.53}]`},
		{"senml is in Pa", asSenML, pressure, later, `[{"bn":"g1/room1/","bt":1795356131.25,"n":"pressure","u":"Pa","v":100850}]`},
		{"senml, clock not set", asSenML, temperature, unset, `[{"bn":"g1/room1/","time_quality":"uncertain","n":"temperature","u":"Cel","v":21.53}]`},
		{"senml, some time ago", asSenML, temperature, ago, `[{"bn":"g1/room1/","time_quality":"uncertain","bt":-7.25,"n":"temperature","u":"Cel","v":21.53}]`},
		{"senml, uncertain", asSenML, unsure(temperature), afternoon, `[{"bn":"g1/room1/","bt":1795356131.25,"n":"temperature","u":"Cel","v":21.53,"quality":"uncertain","reason":"another chip of the kind answers"}]`},
		{"senml, a unit of the registry with another name", asSenML, sensors.Reading{Quantity: "load", Unit: "Ω", Value: 3, Quality: sensors.Quality{Level: sensors.Good}}, afternoon,
			`[{"bn":"g1/room1/","bt":1795356131.25,"n":"load","u":"Ohm","v":3}]`},
		{"senml, a mass in a volume", asSenML, reading(sensors.AbsoluteHumidity, 8.62, 0.01), afternoon,
			`[{"bn":"g1/room1/","bt":1795356131.25,"n":"absolute_humidity","u":"kg/m3","v":0.00862}]`},
		{"senml, a unit the registry does not have", asSenML, sensors.Reading{Quantity: "dust", Unit: "µg", Value: 3, Quality: sensors.Quality{Level: sensors.Good}}, afternoon,
			`[{"bn":"g1/room1/","bt":1795356131.25,"n":"dust","v":3}]`},
		{"another name", config.Sensor{Format: "senml", Names: map[sensors.Quantity]string{sensors.Temperature: "T außen"}, BaseName: "-x/"}, temperature, afternoon,
			`[{"bn":"x-x/","bt":1795356131.25,"n":"T_au__en","u":"Cel","v":21.53}]`},
	} {
		s := shapeOf(&c.c, c.r.Quantity)
		if got := string(s.appendPayload(nil, &c.r, &c.m)); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.name, got, c.want)
		}
	}
}

// TestSeconds: SenML's times are numbers without noise.
func TestSeconds(t *testing.T) {
	for in, want := range map[time.Duration]string{
		0: "0", time.Second: "1", 1500 * time.Millisecond: "1.5", 10 * time.Millisecond: "0.01", 7 * time.Millisecond: "0.007", -7250 * time.Millisecond: "-7.25",
		1795356131*time.Second + 123*time.Millisecond + 999*time.Microsecond: "1795356131.123", -time.Millisecond: "-0.001", 100 * time.Millisecond: "0.1",
	} {
		if got := string(appendSeconds(nil, in)); got != want {
			t.Errorf("%v: %s, want %s", in, got, want)
		}
	}
}

func TestProperties(t *testing.T) {
	temperature := reading(sensors.Temperature, 21.53, 0.01)
	for _, c := range []struct {
		c       config.Sensor
		content string
		expiry  uint32
		user    string
	}{
		{config.Sensor{}, "", 0, "unit=°C quality=good"},
		{config.Sensor{Format: "json", Expire: 1500 * time.Millisecond}, "application/json", 2, "unit=°C quality=good"},
		{config.Sensor{Format: "senml", Expire: time.Hour}, "application/senml+json", 3600, ""},
	} {
		o := newJudge(&c.c, nil).outlet(&temperature)
		o.keep(&temperature, time.Time{})
		m := o.message(&temperature, &afternoon)
		var user []string
		for _, p := range m.Props.User {
			user = append(user, string(p.Key)+"="+string(p.Value))
		}
		if got := strings.Join(user, " "); string(m.Props.ContentType) != c.content || m.Props.MessageExpiry != c.expiry ||
			m.Props.Has(packet.PropMessageExpiry) != (c.expiry > 0) || m.Props.Has(packet.PropContentType) != (c.content != "") || got != c.user {
			t.Errorf("%+v: content type %q, expiry %d, user properties %q; want %q, %d, %q", c.c, m.Props.ContentType, m.Props.MessageExpiry, got, c.content, c.expiry, c.user)
		}
	}
}

func TestObject(t *testing.T) {
	c := config.Sensor{Object: "o", BaseName: "g1/a/", Names: map[sensors.Quantity]string{sensors.Temperature: "temp"}, Retain: true, Expire: time.Minute, QoS: 1}
	bad := sensors.Reading{Quantity: sensors.Humidity, Unit: sensors.RelativeHumidity, Quality: sensors.Quality{Reason: sensors.NotANumber}}
	temperature, pressure := reading(sensors.Temperature, 21.53, 0.01), reading(sensors.Pressure, 100850, 1)
	for _, r := range []struct {
		name, format string
		in           []sensors.Reading
		m            moment
		want         string
	}{
		{"all good", "plain", []sensors.Reading{temperature, pressure}, afternoon, `{"time":"2026-11-22T14:02:11.250Z","temp":21.53,"pressure":1008.5,"quality":"good"}`},
		{"one bad", "json", []sensors.Reading{temperature, pressure, bad}, afternoon,
			`{"time":"2026-11-22T14:02:11.250Z","temp":21.53,"pressure":1008.5,"quality":"good","bad":{"humidity":"not a number"}}`},
		{"one uncertain", "json", []sensors.Reading{unsure(temperature), bad}, moment{},
			`{"time_quality":"uncertain","temp":21.53,"quality":"uncertain","uncertain":{"temp":"another chip of the kind answers"},"bad":{"humidity":"not a number"}}`},
		{"all bad", "json", []sensors.Reading{bad, bad}, afternoon, ""},
		{"senml", "senml", []sensors.Reading{bad, temperature, pressure}, afternoon,
			`[{"bn":"g1/a/","bt":1795356131.25,"n":"temp","u":"Cel","v":21.53},{"n":"pressure","u":"Pa","v":100850}]`},
		{"senml, all bad", "senml", []sensors.Reading{bad}, afternoon, ""},
	} {
		c.Format = r.format
		j := newJudge(&c, nil)
		var outlets []*outlet
		for i := range r.in {
			outlets = append(outlets, j.outlet(&r.in[i]))
		}
		m, ok := objectOf(&c).message(r.in, outlets, &r.m)
		if string(m.Payload) != r.want || ok != (r.want != "") {
			t.Errorf("%s: %s, want\n%s", r.name, m.Payload, r.want)
		}
		if ok && (string(m.Topic) != "o" || !m.Retain || m.QoS != 1 || m.Props.MessageExpiry != 60) {
			t.Errorf("%s: %+v", r.name, m)
		}
	}
}

// FuzzPayload: whatever is measured and however it is called, payloads are JSON where they should be, numbers where not,
// and never empty.
func FuzzPayload(f *testing.F) {
	f.Add(21.5, 0.01, "temperature", "°C", "g1/a/", int64(1795356131250000000), 3, uint8(0))
	f.Add(-1e308, math.SmallestNonzeroFloat64, "a\"b\\\x01", "\xff", "", int64(0), -1, uint8(1))
	f.Add(1e21, 0.0, " ", "Pa", "//", int64(-5), 9, uint8(2))
	f.Fuzz(func(t *testing.T, value, resolution float64, name, unit, base string, wall int64, decimals int, flags uint8) {
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return // the pipeline lets none through
		}
		q := sensors.Quantity(name)
		for _, format := range []string{"plain", "json", "senml"} {
			c := config.Sensor{Topic: "t", Object: "o", Format: format, BaseName: base, Decimals: map[sensors.Quantity]int{q: decimals}}
			j := newJudge(&c, nil)
			r := sensors.Reading{Quantity: q, Unit: sensors.Unit(unit), Value: value, Resolution: resolution, Quality: sensors.Quality{Level: sensors.Good}}
			if flags&1 != 0 {
				r.Quality = sensors.Quality{Level: sensors.Uncertain, Reason: sensors.Reason(base)}
			}
			m := moment{stamp: message.Stamp{Wall: wall % (1 << 62)}, age: time.Duration(wall)}
			o := j.outlet(&r)
			alone := o.shape.appendPayload(nil, &r, &m)
			if !json.Valid(alone) { // a plain number is JSON, too
				t.Errorf("%s: %q", format, alone)
			}
			together, ok := objectOf(&c).message([]sensors.Reading{r, r}, []*outlet{o, o}, &m)
			if !ok || !json.Valid(together.Payload) {
				t.Errorf("%s together: %q", format, together.Payload)
			}
		}
	})
}
