package bus

import (
	"sync/atomic"
	"time"
)

// guard frees a write that is blocked in the kernel for too long. start and stop
// are called in turn by one goroutine.
type guard struct {
	free  func()
	timer *time.Timer
	done  atomic.Bool
	left  chan struct{} // capacity 1; the timer's function has returned
}

// freeEvery is how often a blocked write is freed: it may block again.
const freeEvery = 50 * time.Millisecond

// start calls free again and again once the limit has passed, until stop.
func (g *guard) start(limit time.Duration) {
	g.done.Store(false)
	if g.timer != nil {
		g.timer.Reset(limit)
		return
	}
	g.left = make(chan struct{}, 1)
	g.timer = time.AfterFunc(limit, func() {
		for !g.done.Load() {
			g.free()
			time.Sleep(freeEvery)
		}
		g.left <- struct{}{}
	})
}

// stop returns when free is not called any more.
func (g *guard) stop() {
	g.done.Store(true)
	if !g.timer.Stop() {
		<-g.left
	}
}
