package discovery_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir/gateway/discovery"
	"weir/sensors"
)

var g1 = discovery.Gateway{Prefix: "homeassistant", ID: "g1", Version: "1.0.0", Links: []string{"ha", "cloud"}, Through: []string{"ha"}}

var room1 = discovery.Sensor{
	Name: "room1", Model: "BME280", StateTopic: "weir/g1/sensor/room1", Every: time.Minute,
	Quantities: []discovery.Quantity{
		{Name: "temperature", Topic: "/Home/Room1/Temperature", Unit: sensors.Celsius},
		{Name: "pressure", Topic: "/Home/Room1/Pressure", Unit: sensors.Hectopascal, Outdoors: true},
		{Name: "humidity", Topic: "/Home/Room1/Humidity", Unit: sensors.RelativeHumidity, Template: discovery.Value},
	},
}

// The form is that of the documentation of Home Assistant: what it requires is there, and it knows every key.
func TestSensorDocument(t *testing.T) {
	d := g1.Sensor(room1, nil)
	const want = `{"device":{"identifiers":["weir_g1__room1"],"name":"room1","model":"BME280","via_device":"weir_g1"},` +
		`"origin":{"name":"weir","sw_version":"1.0.0"},"availability_mode":"all",` +
		`"availability":[{"topic":"weir/g1/status"},` +
		`{"topic":"weir/g1/sensor/room1","value_template":"{{ 'offline' if value_json.state in ['failing', 'opening'] else 'online' }}"},` +
		`{"topic":"weir/g1/bridge/ha","value_template":"{{ 'offline' if value_json.state == 'offline' else 'online' }}"}],` +
		`"components":{` +
		`"humidity":{"platform":"sensor","unique_id":"weir_g1__room1_humidity","name":"Humidity","state_topic":"/Home/Room1/Humidity","device_class":"humidity","state_class":"measurement","unit_of_measurement":"%","value_template":"{{ value_json.value }}","expire_after":180},` +
		`"pressure":{"platform":"sensor","unique_id":"weir_g1__room1_pressure","name":"Pressure","state_topic":"/Home/Room1/Pressure","device_class":"atmospheric_pressure","state_class":"measurement","unit_of_measurement":"hPa","expire_after":180},` +
		`"temperature":{"platform":"sensor","unique_id":"weir_g1__room1_temperature","name":"Temperature","state_topic":"/Home/Room1/Temperature","device_class":"temperature","state_class":"measurement","unit_of_measurement":"°C","expire_after":180}}}`
	got := strings.NewReplacer(`\u003c`, "<", `\u0026`, "&", `\u003e`, ">").Replace(string(d.Payload))
	if got != want || d.Topic != "homeassistant/device/weir_g1__room1/config" {
		t.Errorf("at %s got\n%s\nwant\n%s", d.Topic, got, want)
	}
}

// parts are the components of a payload.
func parts(t *testing.T, payload []byte) map[string]map[string]any {
	t.Helper()
	var d struct{ Components map[string]map[string]any }
	if err := json.Unmarshal(payload, &d); err != nil {
		t.Fatal(err)
	}
	return d.Components
}

// A component that is no more is left with its platform alone, which takes it back, and is remembered.
func TestTakenBack(t *testing.T) {
	before := g1.Sensor(room1, nil).Parts
	less := room1
	less.Quantities = room1.Quantities[:1]
	d := g1.Sensor(less, before)
	for range 2 {
		got := parts(t, d.Payload)
		if len(got) != 3 || len(got["humidity"]) != 1 || got["humidity"]["platform"] != "sensor" || got["temperature"]["unique_id"] == nil {
			t.Fatalf("got %v, want humidity and pressure taken back", got)
		}
		d = g1.Sensor(less, d.Parts)
	}
	if again := parts(t, g1.Sensor(room1, d.Parts).Payload); again["humidity"]["unique_id"] == nil {
		t.Errorf("got %v, want humidity back", again)
	}
}

// A quantity that is published when it changes alone does not expire, one with a heartbeat after three of those.
func TestSilenceIsNoFailure(t *testing.T) {
	d := g1.Sensor(discovery.Sensor{Name: "s", Every: 20 * time.Second, Quantities: []discovery.Quantity{
		{Name: "a"}, {Name: "b", Every: 5 * time.Minute, Template: discovery.Member("it's")}, {Name: "c", Every: -1, Template: discovery.RecordOf(`\`)},
	}}, nil)
	got := parts(t, d.Payload)
	if a, b, c := got["a"]["expire_after"], got["b"]["expire_after"], got["c"]["expire_after"]; a != 60.0 || b != 900.0 || c != nil {
		t.Errorf("they expire after %v, %v and %v, want 60, 900 and never", a, b, c)
	}
	if b, c := got["b"]["value_template"], got["c"]["value_template"]; b != `{{ value_json.get('it\'s') }}` || !strings.Contains(c.(string), `'eq', '\\')`) {
		t.Errorf("templates %s and %s, want quotes and backslashes escaped", b, c)
	}
}

func TestGatewayDocument(t *testing.T) {
	d := g1.Gateway(nil)
	got := parts(t, d.Payload)
	if d.Topic != "homeassistant/device/weir_g1/config" || len(got) != 5 {
		t.Errorf("at %s got %v", d.Topic, got)
	}
	if c := got["running"]; c["state_topic"] != "weir/g1/status" || c["payload_on"] != "online" || c["platform"] != "binary_sensor" {
		t.Errorf("running: %v", c)
	}
	if c := got["link_cloud"]; c["state_topic"] != "weir/g1/bridge/cloud" || c["value_template"] != "{{ value_json.state }}" {
		t.Errorf("link: %v", c)
	}
}

// Home Assistant takes letters, digits, - and _ in the topic, and one unique id for one entity.
func TestNamesStayApart(t *testing.T) {
	ok := regexp.MustCompile(`^homeassistant/device/[a-zA-Z0-9_-]+/config$`)
	seen := map[string]string{}
	for _, id := range []string{"g1", "g.1", "g 1", "g_1", "größe", "a_b", "a", "a_"} {
		g := discovery.Gateway{Prefix: "homeassistant", ID: id}
		if other := seen[g.Gateway(nil).Topic]; other != "" {
			t.Errorf("the gateway %q and %s have one topic", id, other)
		}
		seen[g.Gateway(nil).Topic] = "the gateway " + id
		for _, name := range []string{"room1", "room.1", "room 1", "room_1", "küche", "b_c", "c", "_c", "b"} {
			d := g.Sensor(discovery.Sensor{Name: name}, nil)
			if !ok.MatchString(d.Topic) {
				t.Errorf("%q of %q has the topic %s", name, id, d.Topic)
			}
			if other := seen[d.Topic]; other != "" {
				t.Errorf("%q of %q and %s have the topic %s", name, id, other, d.Topic)
			}
			seen[d.Topic] = id + " " + name
		}
	}
}

func TestUnits(t *testing.T) {
	for _, c := range []struct {
		unit     sensors.Unit
		outdoors bool
		class    any
		want     any
	}{
		{sensors.Fahrenheit, false, "temperature", "°F"}, {sensors.Kelvin, false, "temperature", "K"},
		{sensors.Bar, false, "pressure", "bar"}, {sensors.Megapascal, false, nil, "MPa"}, {"l/min", false, nil, "l/min"}, {"", false, nil, nil},
		{sensors.InchHg, true, "atmospheric_pressure", "inHg"},
	} {
		d := g1.Sensor(discovery.Sensor{Name: "s", Quantities: []discovery.Quantity{{Name: "q", Unit: c.unit, Outdoors: c.outdoors}}}, nil)
		if got := parts(t, d.Payload)["q"]; got["device_class"] != c.class || got["unit_of_measurement"] != c.want || got["expire_after"] != 30.0 {
			t.Errorf("%q: %v, want class %v, unit %v", c.unit, got, c.class, c.want)
		}
	}
}
