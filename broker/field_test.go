package broker

import (
	"testing"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
)

// A wall clock that is set, forth by years and back again, disconnects nobody, expires nothing and ends no session.
func TestField_ClockStepDisconnectsNobody(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *house) {
		sub, _ := h.login(packet.V5, "sub", keepSession, func(p *packet.Connect) { p.KeepAlive = 60 })
		sub.subscribe(1, "x")
		p := h.b.NewPublisher("", nil)
		away, _ := h.login(packet.V5, "away", keepSession)
		away.subscribe(1, "x")
		away.leave()
		walls := []int64{0, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC).UnixNano(), time.Date(1970, 1, 1, 0, 0, 1, 0, time.UTC).UnixNano(),
			time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()}
		for _, wall := range walls {
			at := stampNow()
			at.Wall = wall
			m := message.Message{Stamp: at, Publish: *message1("x", "a", 1, 0)}
			m.Props.SetMessageExpiry(3600)
			if err := p.Publish([]message.Message{m}); err != nil {
				t.Fatal(err)
			}
			got := sub.expectMessage("x", "a")
			if got.Props.MessageExpiry != 3600 {
				t.Errorf("wall clock at %d: expiry %d left of 3600", wall, got.Props.MessageExpiry)
			}
			sub.finish(got)
			after(50 * time.Second)
			sub.nothing()
		}
		away, ack := h.login(packet.V5, "away", keepSession, resume)
		if !ack.SessionPresent {
			t.Error("the session has ended")
		}
		for range walls {
			away.finish(away.expectMessage("x", "a"))
		}
	})
}
