package broker

import (
	"fmt"
	"testing"

	"weir/broker/message"
	"weir/broker/packet"
)

// A message that a Publisher has received under a packet id is kept along with its key, also where nobody wants the message:
// it is settled when both are durable. Other messages have no key.
func TestPublisherKeepsTheKey(t *testing.T) {
	h := build(t, Config{})
	h.b.SetRoutes([]Route{{Upstream: 1, Rule: 1, Filter: mustFilter(t, "up/#")}})
	acked := make(chan int, 4)
	p := h.b.NewPublisher("cloud", func(n int) { acked <- n })
	p.KeepWith(func(id uint16) string { return fmt.Sprint("id ", id) })
	msg := func(name string, q byte, id uint16) message.Message {
		return message.Message{Stamp: stampNow(), Publish: packet.Publish{Topic: []byte(name), QoS: q, ID: id}}
	}
	if err := p.Publish([]message.Message{msg("up/a", 2, 7), msg("up/b", 1, 0), msg("nobody", 2, 9)}); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, r := range h.journal.wait(t, 3) {
		keys = append(keys, r.key)
	}
	if got := fmt.Sprintf("%q", keys); got != `["id 7" "" "id 9"]` {
		t.Errorf("kept with %s", got)
	}
	select {
	case n := <-acked:
		t.Errorf("%d settled before anything is durable", n)
	default:
	}
}
