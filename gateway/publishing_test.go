package gateway

import (
	"encoding/json"
	"strings"
	"testing"

	"weir/bridge/upstream"
	"weir/gateway/status"
	"weir/sensors/sim"
)

// TestWhatASubscriberGets: a late subscriber gets the retained object of a sensor, with derived values, its content type,
// and how long it is still good.
func TestWhatASubscriberGets(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
	s.start(head + strings.Replace(room1, "topic =", "object = \"/Home/Room1\"\nretain = true\nexpire = \"1m\"\nderive = [\"dew_point\"]\nnames = { temperature = \"temp\" }\ntopic =", 1))
	s.want("read", func(st *status.Snapshot) bool { return st.Sensors[0].Reads > 3 })
	late := s.subscribe("/Home/Room1/#")
	defer late.close()
	payload := late.wait("the object", func(topic, _ string, retained bool) bool { return topic == "/Home/Room1" && retained })
	var o struct {
		Temp, Pressure, Humidity float64
		DewPoint                 float64 `json:"dew_point"`
		Quality                  string
	}
	if err := json.Unmarshal([]byte(payload), &o); err != nil || o.Temp < 21.5 || o.Temp > 21.56 || o.Pressure < 1008 || o.DewPoint < 7.5 || o.DewPoint > 8 || o.Quality != "good" {
		t.Errorf("object %s: %+v, %v", payload, o, err)
	}
	late.wait("the dew point", func(topic, _ string, _ bool) bool { return topic == "/Home/Room1/Dew_point" })
	late.wait("the temperature by its name", func(topic, _ string, _ bool) bool { return topic == "/Home/Room1/Temp" })
	late.mu.Lock()
	defer late.mu.Unlock()
	for _, m := range late.came {
		want := ""
		if string(m.Topic) == "/Home/Room1" {
			want = "application/json"
		}
		if string(m.Props.ContentType) != want || m.Props.MessageExpiry == 0 || m.Props.MessageExpiry > 60 {
			t.Errorf("%s: content type %q, expires in %d s, want %q and at most 60", m.Topic, m.Props.ContentType, m.Props.MessageExpiry, want)
		}
	}
}

// TestFaultsOfBuses: what fails on a bus is counted for the bus and for the sensor.
func TestFaultsOfBuses(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
	s.start(head + room1)
	s.want("read", func(st *status.Snapshot) bool { return st.Sensors[0].State == "ok" })
	s.bus.Inject(0x76, sim.Nack().Times(1))
	st := s.want("counted", func(st *status.Snapshot) bool { return st.Sensors[0].Faults.NotAnswering == 1 })
	if len(st.Buses) != 1 || st.Buses[0].Name != "bus 1" || st.Buses[0].Transfers < 3 || st.Buses[0].Faults.NotAnswering != 1 {
		t.Errorf("buses %+v, want one with one transfer not answered", st.Buses)
	}
	if f := st.Sensors[0]; f.Failures != 0 || f.Chip != "BME280" {
		t.Errorf("sensor %+v, want a BME280 without failed reads: the second try healed it", f)
	}
}
