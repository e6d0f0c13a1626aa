package demo

import (
	"context"
	"time"

	"weir/bridge/upstream"
	"weir/gateway"
)

// show takes the upstream down and up while the gateway runs, and keeps the view fresh.
type show struct {
	ctx     context.Context
	o       Options
	gateway *gateway.Gateway
	cloud   *upstream.Server
	count   *ledger
	view    *view
	address func() string
	outages int
	down    bool
}

// rhythm of the upstream: how long it is there first, then away, then there again, away again...
func (s *show) rhythm() (up, down time.Duration) {
	if s.o.For > 0 {
		return s.o.For / 4, s.o.For / 3
	}
	return 15 * time.Second, 10 * time.Second
}

// run ends when the gateway has ended.
func (s *show) run(ended <-chan error) error {
	draw := time.NewTicker(s.view.every())
	defer draw.Stop()
	up, down := s.rhythm()
	turn := time.NewTimer(up)
	defer turn.Stop()
	over := s.ctx.Done()
	for {
		select {
		case err := <-ended:
			return err
		case <-over:
			over = nil
			turn.Stop()
			s.turn(false) // everything that waits can arrive now
			s.view.event("readings stop; waiting for what is on the way")
		case <-turn.C:
			s.turn(!s.down)
			if s.down {
				turn.Reset(down)
			} else if s.o.For == 0 {
				turn.Reset(up)
			}
		case <-draw.C:
			s.view.draw(s.gateway.Status(), s.count.result(), s.down, s.address())
		}
	}
}

// turn takes the upstream down or up.
func (s *show) turn(down bool) {
	if down == s.down {
		return
	}
	s.down = down
	if down {
		s.outages++
		s.cloud.Down()
		s.view.event("the upstream broker is gone")
		return
	}
	if err := s.cloud.Up(); err != nil {
		s.view.event("the upstream broker cannot come back: " + err.Error())
		return
	}
	s.view.event("the upstream broker is back")
}
