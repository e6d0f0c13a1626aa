package gateway

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"periph.io/x/conn/v3/i2c"

	"weir/bridge/upstream"
	"weir/gateway/config"
	"weir/gateway/status"
	"weir/sensors/sim"
)

const homeOn = `
[home_assistant]
discovery = true
`

const room1Config = "homeassistant/device/weir_g1__room1/config"

// startTelling starts a gateway that looks often whether there is something to tell.
func (s *site) startTelling(text string) {
	s.Helper()
	o := s.options()
	o.lookEvery = 5 * time.Millisecond
	o.OpenI2C = func(int) (i2c.BusCloser, error) { return lasting{s.bus}, nil }
	s.startWith(s.config(text), o)
}

// lasting is a bus that can be opened again.
type lasting struct{ *sim.Bus }

func (lasting) Close() error { return nil }

// at waits for a message at a topic whose payload fits.
func (l *local) at(topic string, ok func(payload string) bool) string {
	l.s.Helper()
	return l.wait(topic, func(at, payload string, _ bool) bool { return at == topic && ok(payload) })
}

func anything(payload string) bool { return payload != "" }
func nothing(payload string) bool  { return payload == "" }

// told is a discovery document as Home Assistant reads it.
type told struct {
	Device struct {
		Identifiers []string
		Name, Model string
		Via         string `json:"via_device"`
	}
	Origin       struct{ Name string }
	Availability []struct{ Topic string }
	Components   map[string]map[string]any
}

func (s *site) read(payload string) (t told) {
	s.Helper()
	if err := json.Unmarshal([]byte(payload), &t); err != nil {
		s.Fatalf("%v in %s", err, payload)
	}
	return t
}

// TestHomeIsTold: a client that comes later, as Home Assistant does, finds the documents retained, at the topics they name
// what it needs, and values that are plain numbers.
func TestHomeIsTold(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
	s.startTelling(head + homeOn + room1)
	first := s.subscribe("#")
	first.at(room1Config, func(payload string) bool { return strings.Contains(payload, `"model":"BME280"`) })
	first.close()

	later := s.subscribe("#")
	defer later.close()
	d := s.read(later.wait("the document, retained", func(topic, payload string, retained bool) bool { return topic == room1Config && retained }))
	if d.Device.Name != "room1" || d.Device.Via != "weir_g1" || d.Origin.Name != "weir" || len(d.Components) != 3 {
		t.Errorf("told %+v", d)
	}
	for quantity, c := range d.Components {
		value := later.at(c["state_topic"].(string), anything)
		if c["unique_id"] != "weir_g1__room1_"+quantity || c["unit_of_measurement"] == nil || c["device_class"] == nil || strings.ContainsAny(value, "{ ") {
			t.Errorf("%s: %v with the value %q", quantity, c, value)
		}
	}
	for _, a := range d.Availability {
		later.wait(a.Topic, func(topic, payload string, retained bool) bool {
			return topic == a.Topic && retained && (payload == "online" || strings.Contains(payload, `"state":"ok"`))
		})
	}
	if g := s.read(later.at("homeassistant/device/weir_g1/config", anything)); g.Device.Identifiers[0] != d.Device.Via || g.Components["running"]["state_topic"] != "weir/g1/status" {
		t.Errorf("the gateway: %+v", g)
	}
	s.stop()
}

// TestHomeStartsAnew: when Home Assistant says that it is online it is told everything again.
func TestHomeStartsAnew(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.start(head + homeOn + room1)
	reader := s.subscribe("homeassistant/device/#")
	defer reader.close()
	for range 3 {
		reader.at(room1Config, anything)
		reader.at("homeassistant/device/weir_g1/config", anything)
		reader.mu.Lock()
		reader.came = nil
		reader.mu.Unlock()
		if err := reader.publish("homeassistant/status", "offline", "online"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHomeForgets: a sensor that was renamed, removed, or measures less, and discovery that is switched off, are taken
// back after a restart, and nothing of it is remembered.
func TestHomeForgets(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
	remembered := func() (topics []string) {
		s.gateway.store.journal.Range(keyHome, func(key string, _ []byte) bool {
			topics = append(topics, strings.TrimPrefix(key, keyHome))
			return true
		})
		slices.Sort(topics)
		return topics
	}
	s.startTelling(head + homeOn + room1)
	reader := s.subscribe("homeassistant/#")
	reader.at(room1Config, anything)
	s.stop()

	s.startTelling(head + homeOn + strings.Replace(room1, "bme280", "bmp280", 1)) // it measures no humidity any more
	reader = s.subscribe("homeassistant/#")
	less := s.read(reader.at(room1Config, func(payload string) bool { return strings.Contains(payload, `"humidity":{"platform":"sensor"}`) }))
	if less.Components["temperature"]["unique_id"] == nil {
		t.Errorf("told %+v, want the temperature still", less)
	}
	s.stop()

	s.startTelling(head + homeOn + strings.Replace(room1, "room1]", "attic]", 1))
	reader = s.subscribe("homeassistant/#")
	reader.at("homeassistant/device/weir_g1__attic/config", anything)
	if !within(limit, func() bool { return len(remembered()) == 2 }) || slices.Contains(remembered(), room1Config) {
		t.Errorf("remembered %v, want the gateway and the attic", remembered())
	}
	s.stop()

	s.startTelling(head + room1)
	if !within(limit, func() bool { return len(remembered()) == 0 }) {
		t.Errorf("remembered %v, want nothing", remembered())
	}
	all := s.subscribe("#")
	all.wait("a value", func(topic, _ string, _ bool) bool { return strings.HasPrefix(topic, "/Home/") })
	if told := all.String(); strings.Contains(told, "homeassistant/") || strings.Contains(told, "weir/g1/status") {
		t.Errorf("still retained:%s", told)
	}
	all.close()
}

// TestHomeKeepsWhatIsUnplugged: a sensor that was found and is not there after a restart keeps what Home Assistant knows of
// it; one whose place another chip has taken does not.
func TestHomeKeepsWhatIsUnplugged(t *testing.T) {
	s := newSite(t, upstream.Options{})
	chip := sim.NewBME280(sim.Steady(air))
	s.bus.Add(0x76, chip)
	const auto = head + homeOn + "[sensors]\nauto = true\nevery = \"20ms\"\n"
	const first, second = "homeassistant/device/weir_g1__bme280-1-76/config", "homeassistant/device/weir_g1__bmp280-1-76/config"
	s.startTelling(auto)
	reader := s.subscribe("homeassistant/#")
	reader.at(first, anything)
	s.stop()

	s.bus.Unplug(0x76)
	s.startTelling(auto)
	s.want("the search", func(*status.Snapshot) bool {
		s.gateway.mu.Lock()
		defer s.gateway.mu.Unlock()
		return s.gateway.sought
	})
	reader = s.subscribe("homeassistant/#")
	reader.at(first, anything)
	s.bus.Plug(0x76)
	s.gateway.lookAgain()
	s.want("found again", func(st *status.Snapshot) bool { return len(st.Sensors) == 1 && st.Sensors[0].State == "ok" })
	s.bus.Unplug(0x76)
	s.want("unplugged", func(st *status.Snapshot) bool { return st.Sensors[0].State == "failing" })
	chip.Tune(sim.ChipID(0x58))
	s.bus.Plug(0x76)
	reader.at(second, anything)
	reader.at(first, nothing)
	reader.close()
}

const toHome = `
[bridge.ha]
profile = "home-assistant"
url = "CLOUD"
[[bridge.ha.forward]]
filter = "homeassistant/device/#"
[[bridge.ha.forward]]
filter = "weir/{id}/#"
[[bridge.ha.forward]]
filter = "/Home/#"
[[bridge.ha.receive]]
filter = "homeassistant/status"
`

// TestHomeBehindABridge: at Home Assistant's own broker everything arrives under its own name, retained, and what is taken
// back too, also after the link was down; the link is part of what says whether a sensor is there.
func TestHomeBehindABridge(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
	s.startTelling(head + homeOn + room1 + toHome)
	a := s.arrived(room1Config)
	if !a.Retain || len(a.Payload) == 0 {
		t.Errorf("arrived %+v, want it retained", a)
	}
	d := s.read(string(a.Payload))
	if topics := []string{d.Availability[0].Topic, d.Availability[1].Topic, d.Availability[2].Topic}; !slices.Equal(topics, []string{"weir/g1/status", "weir/g1/sensor/room1", "weir/g1/bridge/ha"}) {
		t.Errorf("available by %v", topics)
	}
	for _, want := range d.Availability {
		if a := s.arrived(want.Topic); !a.Retain {
			t.Errorf("%s is not retained", want.Topic)
		}
	}
	for _, c := range d.Components {
		s.arrived(c["state_topic"].(string))
	}
	s.stop()
	s.cloud.Down()
	s.startTelling(head + homeOn + noSensors + toHome)
	s.want("taken back", func(*status.Snapshot) bool {
		return strings.Contains(s.said.String(), "taken back from Home Assistant")
	})
	if err := s.cloud.Up(); err != nil {
		t.Fatal(err)
	}
	err := s.cloud.Wait(s.ctx, func(all []upstream.Arrival) bool {
		return slices.ContainsFunc(all, func(a upstream.Arrival) bool { return a.Topic == room1Config && a.Retain && len(a.Payload) == 0 })
	})
	if err != nil {
		t.Error("that the sensor is gone never arrived")
	}
}

// TestHomeRulesAreRight: the configuration above has nothing to be said against it.
func TestHomeRulesAreRight(t *testing.T) {
	text := strings.NewReplacer("CLOUD", "mqtt://127.0.0.1", "DIR", "/tmp").Replace(head + homeOn + room1 + toHome)
	if _, problems, err := config.Parse("test.toml", []byte(text), config.Options{Drivers: (&site{T: t}).options().Drivers}); err != nil || len(problems) > 0 {
		t.Errorf("%v\n%s", err, config.Report(problems))
	}
}
