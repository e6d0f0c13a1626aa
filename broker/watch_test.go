package broker

import (
	"slices"
	"sync"
	"testing"

	"weir/broker/message"
	"weir/broker/packet"
)

// TestWatch: who listens within the process hears what clients and publishers say on its topics, beside subscribers and
// also where there are none, until it stops.
func TestWatch(t *testing.T) {
	h := build(t, Config{})
	var mu sync.Mutex
	var heard []string
	stop := h.b.Watch(mustFilter(t, "home/+"), func(m *message.Message) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, string(m.Topic)+"="+string(m.Payload))
	})
	c, _ := h.login(packet.V5, "a")
	c.subscribe(0, "home/b")
	inner := h.b.NewPublisher("", nil)
	within := func(name string) {
		t.Helper()
		if err := inner.Publish([]message.Message{{Stamp: stampNow(), Publish: packet.Publish{Topic: []byte(name), Payload: []byte("1"), QoS: 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	within("home/a")
	within("away/a")
	c.publish("home/b", "2", 1, 5)
	c.expectMessage("home/b", "2")
	c.expectAck(packet.TypePuback, 5)
	stop()
	within("home/a")
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"home/a=1", "home/b=2"}; !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
}
