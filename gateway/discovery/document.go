package discovery

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"weir/sensors"
)

// Gateway is what all documents say of the gateway.
type Gateway struct {
	Prefix  string // of the topics Home Assistant listens on: "homeassistant"
	ID      string
	Version string
	Links   []string // names of bridges
	Through []string // of these, those that lead to Home Assistant's own broker
}

// StatusTopic is where the gateway says "online" and "offline", retained.
func (g *Gateway) StatusTopic() string { return "weir/" + g.ID + "/status" }

// Sensor is one sensor.
type Sensor struct {
	Name       string
	Model      string // of the chip or device
	StateTopic string
	Every      time.Duration
	Quantities []Quantity
}

// Quantity is one thing it measures.
type Quantity struct {
	Name     string
	Topic    string
	Unit     sensors.Unit // as published
	Template string       // that finds the number in the payload; "": it is the number
	Outdoors bool         // a pressure of the air, not one in a pipe

	// Every is the longest time between two of its values while the sensor works; 0: that of the sensor; below 0: it has
	// no end.
	Every time.Duration
}

// Document is one discovery message, to be published retained.
type Document struct {
	Topic   string
	Payload []byte
	Parts   map[string]string // the platform of each component, those that are being taken back included
}

// Birth is where Home Assistant says "online" when it has started.
func Birth(prefix string) string { return prefix + "/status" }

type document struct {
	Device       device               `json:"device"`
	Origin       origin               `json:"origin"`
	Mode         string               `json:"availability_mode,omitempty"`
	Availability []availability       `json:"availability,omitempty"`
	Components   map[string]component `json:"components"`
}

type device struct {
	Identifiers  []string `json:"identifiers"`
	Name         string   `json:"name"`
	Manufacturer string   `json:"manufacturer,omitempty"`
	Model        string   `json:"model,omitempty"`
	Version      string   `json:"sw_version,omitempty"`
	Via          string   `json:"via_device,omitempty"`
}

type origin struct {
	Name    string `json:"name"`
	Version string `json:"sw_version,omitempty"`
}

type availability struct {
	Topic    string `json:"topic"`
	Template string `json:"value_template,omitempty"`
}

// component is an entity; with the platform alone it takes one back.
type component struct {
	Platform    string `json:"platform"`
	UniqueID    string `json:"unique_id,omitempty"`
	Name        string `json:"name,omitempty"`
	StateTopic  string `json:"state_topic,omitempty"`
	DeviceClass string `json:"device_class,omitempty"`
	StateClass  string `json:"state_class,omitempty"`
	Unit        string `json:"unit_of_measurement,omitempty"`
	Template    string `json:"value_template,omitempty"`
	PayloadOn   string `json:"payload_on,omitempty"`
	PayloadOff  string `json:"payload_off,omitempty"`
	Category    string `json:"entity_category,omitempty"`
	ExpireAfter int    `json:"expire_after,omitempty"`
}

// The templates. A state that says nothing of the kind counts as available.
const (
	failingIsOffline = "{{ 'offline' if value_json.state in ['failing', 'opening'] else 'online' }}"
	linkIsOffline    = "{{ 'offline' if value_json.state == 'offline' else 'online' }}"
)

// soonestExpiry is the least time after which a value that does not come is missed.
const soonestExpiry = 30 * time.Second

// Gateway writes the document of the gateway itself. before are the Parts it had when it was last published; nil: never.
func (g *Gateway) Gateway(before map[string]string) Document {
	me := g.object("")
	d := document{
		Device: device{Identifiers: []string{me}, Name: "weir " + g.ID, Manufacturer: "weir", Model: "gateway", Version: g.Version},
		Components: map[string]component{"running": {
			Platform: "binary_sensor", UniqueID: me + "_running", Name: "Running", StateTopic: g.StatusTopic(), DeviceClass: "running",
			PayloadOn: "online", PayloadOff: "offline", Category: "diagnostic",
		}},
	}
	for _, link := range g.Links {
		part := plain(link)
		c := component{Platform: "sensor", StateTopic: g.linkTopic(link), Category: "diagnostic"}
		c.UniqueID, c.Name, c.Template = me+"_link_"+part, "Link "+link, "{{ value_json.state }}"
		d.Components["link_"+part] = c
		c.UniqueID, c.Name, c.Template = me+"_waiting_"+part, "Waiting for "+link, "{{ value_json.backlog | default(0) }}"
		c.StateClass, c.Unit = "measurement", "messages"
		d.Components["waiting_"+part] = c
	}
	return g.write(me, d, before)
}

// Sensor writes the document of one sensor. before are the Parts it had when it was last published; nil: never.
func (g *Gateway) Sensor(s Sensor, before map[string]string) Document {
	me := g.object(s.Name)
	d := document{
		Device: device{Identifiers: []string{me}, Name: s.Name, Model: s.Model, Via: g.object("")},
		Mode:   "all", Availability: []availability{{Topic: g.StatusTopic()}, {s.StateTopic, failingIsOffline}},
		Components: map[string]component{},
	}
	for _, link := range g.Through {
		d.Availability = append(d.Availability, availability{g.linkTopic(link), linkIsOffline})
	}
	for _, q := range s.Quantities {
		class, unit := classOf(&q)
		c := component{
			Platform: "sensor", UniqueID: me + "_" + plain(q.Name), Name: title(q.Name), StateTopic: q.Topic,
			DeviceClass: class, StateClass: "measurement", Unit: unit, Template: q.Template,
		}
		if q.Every >= 0 {
			c.ExpireAfter = int(max(3*s.Every, 3*q.Every, soonestExpiry) / time.Second)
		}
		d.Components[plain(q.Name)] = c
	}
	return g.write(me, d, before)
}

func (g *Gateway) linkTopic(name string) string { return "weir/" + g.ID + "/bridge/" + name }

// object is the name of a document in its topic, and of its device.
func (g *Gateway) object(sensor string) string {
	if sensor == "" {
		return "weir_" + plain(g.ID)
	}
	return "weir_" + plain(g.ID) + "__" + plain(sensor) // no plain name has __ in it
}

// write finishes a document: what it had before and has no more is taken back.
func (g *Gateway) write(object string, d document, before map[string]string) Document {
	d.Origin = origin{Name: "weir", Version: g.Version}
	parts := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, still := d.Components[name]; !still {
			d.Components[name] = component{Platform: before[name]}
		}
	}
	for name, c := range d.Components {
		parts[name] = c.Platform
	}
	payload, err := json.Marshal(d)
	if err != nil { // texts and numbers always have a JSON form
		payload = nil
	}
	return Document{Topic: g.Prefix + "/device/" + object + "/config", Payload: payload, Parts: parts}
}

// plain makes a name of letters, digits, - and single _ that do not stand at its ends.
func plain(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, name)
	for strings.Contains(clean, "__") {
		clean = strings.ReplaceAll(clean, "__", "_")
	}
	if clean = strings.Trim(clean, "_"); clean == name {
		return name
	}
	return fmt.Sprintf("%s_%08x", clean, crc32.ChecksumIEEE([]byte(name)))
}

// title is a quantity as people read it: "Dew point".
func title(quantity string) string {
	words := strings.ReplaceAll(quantity, "_", " ")
	first, size := utf8.DecodeRuneInString(words)
	return string(unicode.ToUpper(first)) + words[size:]
}

// pressures are the units Home Assistant knows for a pressure (homeassistant.const.UnitOfPressure).
var pressures = []sensors.Unit{sensors.Pascal, sensors.Hectopascal, sensors.Kilopascal, sensors.Bar, sensors.Millibar, sensors.MillimetreHg, sensors.InchHg, sensors.PSI}

// classOf gives the class and the unit of a quantity. Home Assistant refuses an entity whose unit is not one of its
// class, so without a unit it knows there is no class.
func classOf(q *Quantity) (class, unit string) {
	switch u := q.Unit; {
	case u.Base() == sensors.Celsius:
		return "temperature", string(u)
	case u == sensors.RelativeHumidity:
		return "humidity", "%"
	case slices.Contains(pressures, u) && q.Outdoors:
		return "atmospheric_pressure", string(u)
	case slices.Contains(pressures, u):
		return "pressure", string(u)
	default:
		return "", string(u)
	}
}
