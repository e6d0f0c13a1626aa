package gateway

import (
	"strings"
	"testing"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/packet"
)

// TestInnerWildcard: /Home/#/Temperature is for forward rules whatever is set, and for local clients with inner_wildcard = true.
func TestInnerWildcard(t *testing.T) {
	const rules = `
[bridge.cloud]
url = "CLOUD"
[[bridge.cloud.forward]]
filter = "/Home/#/Temperature"
exclude = ["/Home/#/private/#/Temperature"]
prefix = "up"
format = "raw"
`
	for setting, granted := range map[string]bool{"": false, "[broker]\ninner_wildcard = false\n": false, "[broker]\ninner_wildcard = true\n": true} {
		t.Run(setting, func(t *testing.T) {
			s := newSite(t, upstream.Options{})
			s.start(head + noSensors + rules + setting)
			c, err := s.connect(client.Options{ClientID: "c"})
			if err != nil {
				t.Fatal(err)
			}
			reasons, err := c.conn.Subscribe(s.ctx, packet.Subscription{Filter: []byte("/Home/#/Temperature"), QoS: 1})
			if err != nil || reasons[0].Failed() == granted {
				t.Errorf("%q: SUBACK %v, %v; want it granted: %t", setting, reasons, err, granted)
			}
			for _, name := range []string{"/Home/Room1/Pressure", "/Home/Room1/private/Temperature", "/Home/Temperature", "/Home/Room1/Temperature"} {
				if err := c.conn.Publish(s.ctx, packet.Publish{Topic: []byte(name), Payload: []byte("75"), QoS: 1}); err != nil {
					t.Fatal(err)
				}
			}
			s.arrived("up/Home/Room1/Temperature") // the last one
			for _, a := range s.cloud.Arrivals() {
				if strings.HasPrefix(a.Topic, "up/") && a.Topic != "up/Home/Temperature" && a.Topic != "up/Home/Room1/Temperature" {
					t.Errorf("%q: %s went upstream", setting, a.Topic)
				}
			}
			if granted {
				c.wait("its temperature", func(topic, _ string, _ bool) bool { return topic == "/Home/Room1/Temperature" })
			}
			c.close()
			s.stop()
		})
	}
}
