package broker

import "sync/atomic"

// turn lets one goroutine at a time do something that several ask for; who comes meanwhile makes it be done again.
type turn struct{ state atomic.Int32 } // 0 idle, 1 busy, 2 busy and asked again

func (t *turn) begin() bool {
	for {
		if t.state.CompareAndSwap(0, 1) {
			return true
		}
		if t.state.Load() == 2 || t.state.CompareAndSwap(1, 2) {
			return false
		}
	}
}

// end gives the turn back; false: do it again.
func (t *turn) end() bool {
	if t.state.CompareAndSwap(1, 0) {
		return true
	}
	t.state.Store(1)
	return false
}
