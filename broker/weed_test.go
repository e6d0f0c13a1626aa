package broker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker/packet"
)

// TestExpiredMakeRoomInAStoredQueue: in a stored queue that is full, what has expired does not keep out what is fresh, but for what
// is on its way. v5 [MQTT-3.3.2-5]
func TestExpiredMakeRoomInAStoredQueue(t *testing.T) {
	t.Run("away"+stored, func(t *testing.T) { expiredMakeRoom(t, false) })
	t.Run("slow"+stored, func(t *testing.T) { expiredMakeRoom(t, true) })
}

func expiredMakeRoom(t *testing.T, there bool) {
	bubble(t, Config{QueueMessages: 10, Inflight: 2}, func(t *testing.T, h *house) {
		vault := h.b.cfg().Store.(*stocked).vault
		vault.change(func() { vault.slow = true }) // whoever reads must be allowed to read the disk
		sub, _ := h.login(packet.V5, "sub", keepSession)
		sub.subscribe(1, "x")
		if !there {
			sub.leave()
		}
		pub, _ := h.login(packet.V5, "pub")
		publish := func(payload string, seconds uint32) (taken bool) {
			pub.send(mortal1("x", payload, 1, 1, seconds))
			a := pub.expectAck(packet.TypePuback, 1)
			synctest.Wait() // what was started for it is done
			return a.Reason != packet.QuotaExceeded
		}
		var want []string
		for i := range 10 {
			payload, seconds := fmt.Sprint(i), uint32(0)
			if i%2 == 1 && i < 9 {
				payload, seconds = "old", uint32(10+i)
			} else {
				want = append(want, payload)
			}
			if !publish(payload, seconds) {
				t.Fatalf("message %d finds no room", i)
			}
		}
		onWay := 0 // of the old ones
		if there {
			onWay = 1
			for i := 0; publish(fmt.Sprint("more ", i), 0); i++ { // beside those in flight
				want = append(want, fmt.Sprint("more ", i))
			}
		}
		reads := vault.looks()
		for range 5 {
			if publish("too many", 0) {
				t.Fatal("an eleventh message of ten finds room")
			}
		}
		after(9 * time.Second)
		if vault.looks() != reads {
			t.Errorf("looked at the disk %d times though nothing can have expired", vault.looks()-reads)
		}
		after(time.Minute)
		if got := h.b.Stats().Expired; got != uint64(4-onWay) {
			t.Errorf("%d expired, want %d", got, 4-onWay)
		}
		if most := 3 * (4 - onWay); vault.looks() > reads+most { // the batch, what is behind it, and letting go of it
			t.Errorf("looked at the disk %d times for %d messages that expired, want at most %d", vault.looks()-reads, 4-onWay, most)
		}
		for i := range 4 - onWay {
			payload := fmt.Sprint("fresh ", i)
			if want = append(want, payload); !publish(payload, 0) {
				t.Errorf("%s finds no room", payload)
			}
		}
		if publish("too many", 0) {
			t.Error("more than expired finds room")
		}
		if !there {
			sub, _ = h.login(packet.V5, "sub", keepSession, resume)
		} else {
			want = append(want[:1:1], append([]string{"old"}, want[1:]...)...) // it was on its way
		}
		for _, payload := range want {
			sub.finish(sub.expectMessage("x", payload))
		}
		sub.nothing()
	})
}
