package gateway

import (
	"fmt"
	"testing"

	"weir/bridge/upstream"
	"weir/gateway/status"
	"weir/sensors/sim"
)

// shelved are chips of one address, each with a climate of its own, on channels 0, 3 and 7 of a multiplexer and, on its
// channel 5, behind another one; and the configuration that reads them.
func (s *site) shelved() (mux, inner *sim.TCA9548, config string) {
	mux, inner = sim.NewTCA9548(), sim.NewTCA9548()
	s.bus.Add(0x70, mux)
	mux.Channel(5).Add(0x71, inner)
	for i, place := range []struct {
		wire *sim.Bus
		path string
	}{{mux.Channel(0), "1/0x70/0"}, {mux.Channel(3), "1/0x70/3"}, {mux.Channel(7), "1/0x70/7"}, {inner.Channel(2), "1/0x70/5/0x71/2"}} {
		climate := air
		climate.Temperature = 10 * float64(i+1)
		place.wire.Add(0x76, sim.NewBME280(sim.Steady(climate)))
		config += fmt.Sprintf("[sensor.s%d]\ndriver = \"bme280\"\nbus = %q\naddress = 0x76\nevery = \"50ms\"\n", i+1, place.path)
	}
	return mux, inner, config
}

// apart tells whether every sensor works and measures its own climate.
func apart(st *status.Snapshot) bool {
	for i, sensor := range st.Sensors {
		if sensor.State != "ok" || sensor.Values[0].Text != fmt.Sprint(10*(i+1)) {
			return false
		}
	}
	return len(st.Sensors) == 4
}

// TestBehindMultiplexers: four chips of one address are four sensors, through dips of the supply of either multiplexer, and
// when one is pulled out and put back.
func TestBehindMultiplexers(t *testing.T) {
	s := newSite(t, upstream.Options{})
	_, _, config := s.shelved()
	s.start(head + config)
	s.want("all", apart)
	never := func(st *status.Snapshot) {
		t.Helper()
		for i, sensor := range st.Sensors {
			for _, v := range sensor.Values {
				if v.Quantity == "temperature" && v.Text != "" && v.Text != fmt.Sprint(10*(i+1)) {
					t.Errorf("%s measures %s, the climate of another", sensor.Name, v.Text)
				}
			}
		}
	}
	for range 20 {
		s.bus.BrownOut(0x70)
		before := s.gateway.Status().Sensors[3].Reads
		st := s.want("read on", func(st *status.Snapshot) bool { return st.Sensors[3].Reads > before })
		never(&st)
	}
	s.bus.Unplug(0x70)
	st := s.want("pulled out", func(st *status.Snapshot) bool {
		return st.Sensors[0].State == "failing" && st.Sensors[3].State == "failing"
	})
	never(&st)
	s.bus.Plug(0x70)
	s.want("all again", apart)
}

// TestFoundBehindMultiplexers: without a configuration the same chips are found and have names of their places.
func TestFoundBehindMultiplexers(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.bus = sim.NewBus("I2C1", sim.Speed(0)) // a scan of all channels is some thousand transactions
	s.shelved()
	s.start(head)
	names := map[string]string{"bme280-1-70-0-76": "10", "bme280-1-70-3-76": "20", "bme280-1-70-7-76": "30", "bme280-1-70-5-71-2-76": "40"}
	s.want("all", func(st *status.Snapshot) bool {
		for _, sensor := range st.Sensors {
			if sensor.State != "ok" || sensor.Values[0].Text != names[sensor.Name] {
				return false
			}
		}
		return len(st.Sensors) == len(names)
	})
}
