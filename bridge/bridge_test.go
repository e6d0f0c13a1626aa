package bridge

import (
	"encoding/json"
	"fmt"
	"testing"

	"weir/bridge/upstream"
	"weir/broker/packet"
)

func stateOf(text string) string {
	var r struct {
		State string `json:"state"`
	}
	if json.Unmarshal([]byte(text), &r) != nil {
		return "unreadable: " + text
	}
	return r.State
}

// Records leave in order over both versions, are acknowledged once, and leave no trace of a broken protocol.
func TestForwardInOrder(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		t.Run(v.String(), func(t *testing.T) {
			r := newRig(t, upstream.Options{})
			r.cfg.Connect.Version = v
			r.cfg.Forward = map[uint32]Rule{1: {QoS: 1, Prefix: "sites/7"}}
			const n = 2000
			for i := range n / 2 {
				r.publish("/Home/x", fmt.Sprint(i))
			}
			r.start()
			for i := n / 2; i < n; i++ {
				r.publish("/Home/x", fmt.Sprint(i))
			}
			got := r.waitArrivals(n)
			r.source.waitDrained(t)
			if len(got) != n {
				t.Fatalf("%d messages arrived, want %d", len(got), n)
			}
			for i, a := range got {
				if a.Topic != "sites/7/Home/x" || string(a.Payload) != fmt.Sprint(i) || a.QoS != 1 || a.Retain || a.Dup {
					t.Fatalf("message %d is %+v", i, a)
				}
			}
			for n, times := range r.source.acked {
				if times != 1 {
					t.Fatalf("record %d was acknowledged %d times", n, times)
				}
			}
		})
	}
}
