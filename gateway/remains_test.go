package gateway

import (
	"slices"
	"strings"
	"testing"

	"weir/bridge/upstream"
	"weir/gateway/status"
	"weir/sensors/sim"
)

// left are the topics that are remembered as retained, but for those of bridges.
func (s *site) left() (topics []string) {
	s.gateway.store.journal.Range(keyLeft, func(key string, _ []byte) bool {
		if topic := strings.TrimPrefix(key, keyLeft); !strings.Contains(topic, "/bridge/") {
			topics = append(topics, topic)
		}
		return true
	})
	slices.Sort(topics)
	return topics
}

// wantLeft waits until these topics are remembered, and then looks whether they alone are retained, of those of sensors.
func (s *site) wantLeft(want ...string) {
	s.Helper()
	if !within(limit, func() bool { return slices.Equal(s.left(), want) }) {
		s.Errorf("remembered %v, want %v", s.left(), want)
	}
	first := s.subscribe("#")
	for _, topic := range want {
		first.at(topic, anything)
	}
	first.close()
	later := s.subscribe("#")
	defer later.close()
	for _, topic := range want {
		later.wait(topic+", retained", func(at, payload string, retained bool) bool { return at == topic && retained && payload != "" })
	}
	for line := range strings.Lines(later.String()) {
		topic, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(topic, "oom1") && !slices.Contains(want, topic) {
			s.Errorf("still retained: %s", line)
		}
	}
}

const (
	stateOfRoom1   = "weir/g1/sensor/room1"
	room1Retained  = room1 + "retain = true\n"
	humidityTopic  = "/Home/Room1/Humidity"
	pressureTopic  = "/Home/Room1/Pressure"
	temperatureOld = "/Home/Room1/Temperature"
)

// TestRemainsOfASensorThatIsGone: what a sensor left retained, its state and its values, is cleared by the next start with a
// file in which it has another name, another topic, no retain, or no table, also at the upstream; what is still so stays.
func TestRemainsOfASensorThatIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		after string
		want  []string
	}{
		"the same":      {room1Retained, []string{humidityTopic, pressureTopic, temperatureOld, stateOfRoom1}},
		"renamed":       {strings.Replace(room1Retained, "room1]", "attic]", 1), []string{humidityTopic, pressureTopic, temperatureOld, "weir/g1/sensor/attic"}},
		"other topic":   {strings.Replace(room1Retained, "Room1", "Attic", 1), []string{"/Home/Attic/Humidity", "/Home/Attic/Pressure", "/Home/Attic/Temperature", stateOfRoom1}},
		"no retain":     {room1, []string{stateOfRoom1}},
		"measures less": {strings.Replace(room1Retained, "bme280", "bmp280", 1), []string{pressureTopic, temperatureOld, stateOfRoom1}},
		"removed":       {noSensors, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, upstream.Options{})
			s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
			s.startTelling(head + room1Retained + toHome)
			s.wantLeft(humidityTopic, pressureTopic, temperatureOld, stateOfRoom1)
			s.arrived(stateOfRoom1)
			s.arrived(humidityTopic)
			s.stop()

			s.startTelling(head + c.after + toHome)
			s.wantLeft(c.want...)
			for _, topic := range []string{stateOfRoom1, humidityTopic} {
				if slices.Contains(c.want, topic) {
					continue
				}
				err := s.cloud.Wait(s.ctx, func(all []upstream.Arrival) bool {
					return slices.ContainsFunc(all, func(a upstream.Arrival) bool { return a.Topic == topic && a.Retain && len(a.Payload) == 0 })
				})
				if err != nil {
					t.Errorf("that %s is no more never arrived upstream", topic)
				}
			}
		})
	}
}

// TestRemainsOfWhatIsFound: a sensor that was found and is not there at the next start is looked for before its state is
// cleared, has it again once it is back, and keeps it, as failing, when it is pulled out while the gateway runs.
func TestRemainsOfWhatIsFound(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
	const auto, state = head + "[sensors]\nauto = true\nevery = \"20ms\"\n", "weir/g1/sensor/bme280-1-76"
	s.startTelling(auto)
	s.wantLeft(state)
	s.stop()

	found := func(st *status.Snapshot) bool { return len(st.Sensors) == 1 && st.Sensors[0].State == "ok" }
	s.startTelling(auto)
	s.want("found again", found)
	s.wantLeft(state)
	s.bus.Unplug(0x76)
	reader := s.subscribe("weir/#")
	reader.at(state, func(payload string) bool { return strings.Contains(payload, `"failing"`) })
	s.wantLeft(state)
	s.stop()

	s.startTelling(auto)
	s.wantLeft()
	s.bus.Plug(0x76)
	s.gateway.lookAgain()
	s.want("found once more", found)
	s.wantLeft(state)
}

// TestRemainsOfABridgeThatIsGone: the state of a bridge that has another name now does not stay as it was last.
func TestRemainsOfABridgeThatIsGone(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.startTelling(head + noSensors + toCloud)
	reader := s.subscribe("weir/#")
	reader.at("weir/g1/bridge/cloud", func(payload string) bool { return strings.Contains(payload, `"connected"`) })
	reader.close()
	s.stop()

	s.startTelling(head + noSensors + strings.ReplaceAll(toCloud, "bridge.cloud", "bridge.sky"))
	reader = s.subscribe("weir/#")
	reader.at("weir/g1/bridge/sky", func(payload string) bool { return strings.Contains(payload, `"connected"`) })
	reader.close()
	var still string
	if !within(limit, func() bool {
		later := s.subscribe("weir/#")
		defer later.close()
		later.at("weir/g1/bridge/sky", anything)
		still = later.String()
		return !strings.Contains(still, "bridge/cloud")
	}) {
		t.Errorf("still retained:%s", still)
	}
}
