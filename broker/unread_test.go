package broker

import (
	"strings"
	"testing"
	"testing/synctest"

	"weir/broker/packet"
)

// TestAnswersNotRead: a client that does not read what it is answered is disconnected, whatever it sends: nothing may grow
// without bound for it.
func TestAnswersNotRead(t *testing.T) {
	for name, p := range map[string]appender{
		"PUBLISH QoS 1":      message1("x", "", 1, 1),
		"PUBREC, unknown id": &packet.Ack{Type: packet.TypePubrec, ID: 1},
		"PUBREL, unknown id": &packet.Ack{Type: packet.TypePubrel, ID: 1},
		"PINGREQ":            &packet.Pingreq{},
	} {
		each(t, func(t *testing.T, v packet.Version) {
			bubble(t, Config{}, func(t *testing.T, h *house) {
				c, _ := h.login(v, "c")
				one, err := p.Append(nil, v)
				if err != nil {
					t.Fatal(err)
				}
				many := []byte(strings.Repeat(string(one), 1000)) // less than the receive maximum
				for n := 0; ; n += len(many) {
					if n > 8*answerBytes {
						t.Fatalf("%s: %d bytes were taken from a client that reads nothing", name, n)
					}
					if _, err := c.nc.Write(many); err != nil {
						break
					}
				}
				synctest.Wait()
				if s := h.b.Stats(); s.AllowanceClosed != 1 {
					t.Errorf("%s: %d connections closed for it, want 1", name, s.AllowanceClosed)
				}
				c.nc.Close()
			})
		})
	}
}

// TestSlowSubscriberMayPing: messages that wait for the socket are not held against a client that says it is alive.
func TestSlowSubscriberMayPing(t *testing.T) {
	bubble(t, Config{QueueBytes: 1 << 20}, func(t *testing.T, h *house) {
		sub, _ := h.login(packet.V5, "sub")
		sub.subscribe(0, "x")
		pub, _ := h.login(packet.V5, "pub")
		large := strings.Repeat("x", 700_000)
		for range 3 { // one in the writer's hands, two beyond QueueBytes together
			pub.publish("x", large, 0, 0)
			pub.nothing()
		}
		sub.send(&packet.Pingreq{})
		synctest.Wait()
		for range 3 {
			sub.expectMessage("x", large)
		}
		sub.expect(packet.TypePingresp)
	})
}
