package gateway

import (
	"fmt"
	"sync/atomic"
	"testing"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/packet"
	"weir/gateway/journal"
	"weir/gateway/status"
)

// TestDeadLettersAndBack: what the upstream refuses is acknowledged to its publisher once it is a dead letter, is told, and
// goes upstream when it is sent again, at QoS 1 as at QoS 2.
func TestDeadLettersAndBack(t *testing.T) {
	for _, qos := range []int{1, 2} {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			var kind atomic.Bool
			s := newSite(t, upstream.Options{Behaviour: upstream.Behaviour{Verdict: func(a *upstream.Arrival) packet.Reason {
				if a.Topic == "sites/g1/Home/no" && !kind.Load() {
					return packet.NotAuthorized
				}
				return packet.Success
			}}})
			s.start(head + noSensors + toCloud + fmt.Sprintf("qos = %d\n", qos))
			pub, err := s.connect(client.Options{ClientID: "publisher"})
			if err != nil {
				t.Fatal(err)
			}
			defer pub.close()
			for _, name := range []string{"/Home/no", "/Home/yes"} {
				if err := pub.conn.Publish(s.ctx, packet.Publish{Topic: []byte(name), Payload: []byte("75"), QoS: 1}); err != nil {
					t.Fatal(err)
				}
			}
			if a := s.arrived("sites/g1/Home/yes"); int(a.QoS) != qos {
				t.Errorf("arrived at QoS %d", a.QoS)
			}
			s.want("a dead letter", func(st *status.Snapshot) bool {
				return st.Bridges[0].Dead == 1 && st.Bridges[0].Aside == 0 && st.Bridges[0].Backlog == 0
			})
			if err := s.gateway.store.journal.DeadLetters("cloud", func(l journal.DeadLetter) bool {
				if string(l.Message.Topic) != "/Home/no" || l.Reason != packet.NotAuthorized || l.Refused.Boot == 0 {
					t.Errorf("%+v", l)
				}
				return true
			}); err != nil {
				t.Fatal(err)
			}
			kind.Store(true)
			if n, err := s.gateway.store.journal.Replay("cloud"); n != 1 || err != nil {
				t.Fatalf("%d sent again, %v", n, err)
			}
			if a := s.arrived("sites/g1/Home/no"); int(a.QoS) != qos {
				t.Errorf("arrived at QoS %d", a.QoS)
			}
			s.want("no dead letter", func(st *status.Snapshot) bool { return st.Bridges[0].Dead == 0 && st.Bridges[0].Backlog == 0 })
			s.stop()
		})
	}
}
