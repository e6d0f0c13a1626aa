package gateway

import (
	"os"
	"testing"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/packet"
	"weir/gateway/status"
	"weir/sensors/sim"
)

// TestDegradedForLong: readings go on reaching local subscribers when, without disk and upstream, what waits for the
// upstream has filled the memory it may use.
func TestDegradedForLong(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
	if err := os.WriteFile(s.dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.cloud.Down()
	s.start(head + room1 + toCloud + "[broker]\nmax_packet = \"64KiB\"\n[buffer]\ntail = \"256KiB\"\n")
	for i := range 60 { // each fills nearly all that one connection may leave waiting; together they use up what all may
		pump, err := s.connect(client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer pump.close()
		for range 6 {
			p := packet.Publish{QoS: 1, Topic: []byte("/Home/pump"), Payload: make([]byte, []int{40 << 10, 5 << 10, 500}[i/20])}
			if err := pump.conn.Send(&p, 1); err != nil {
				break // its own allowance, or that of all, is used up: the broker has sent it away
			}
		}
		pump.conn.Flush()
	}
	s.want("readings that do not fit", func(st *status.Snapshot) bool { return st.Sensors[0].Dropped > 0 || st.Broker.Dropped > 0 })
	reader := s.subscribe("/Home/Room1/#")
	defer reader.close()
	reader.wait("a reading", func(_, _ string, retained bool) bool { return !retained })
}
