package broker

import (
	"sync/atomic"
	"testing"
	"time"

	"weir/broker/packet"
)

// TestCalm: Config.Calm is called after the start, and once when many clients have come and hardly any more come; not while they
// do, nor for a few.
func TestCalm(t *testing.T) {
	var calls atomic.Int32
	bubble(t, Config{Calm: func() { calls.Add(1) }}, func(t *testing.T, h *house) {
		expect := func(want int32, when string) {
			t.Helper()
			if n := calls.Load(); n != want {
				t.Fatalf("%s: called %d times, want %d", when, n, want)
			}
		}
		come := func(n int) {
			for range n {
				c, _ := h.login(packet.V311, "")
				c.leave()
			}
		}
		after(2 * calmFor)
		expect(1, "the start")
		come(calmMoves/2 - 10)
		after(time.Hour)
		expect(1, "a few clients")
		for range 5 {
			come(10)
			after(calmFor * 9 / 10)
			expect(1, "while they come")
		}
		after(2 * calmFor)
		expect(2, "many clients")
		come(calmMoves)
		after(calmEvery / 2)
		expect(2, "soon after")
		after(calmEvery)
		expect(3, "a while after")
		after(time.Hour)
		expect(3, "nobody")
		come(calmMoves)
		for range 5 {
			come(calmFew / 8)
			after(calmFor / 2)
		}
		expect(4, "many, and then some all the time")
	})
}
