package quality

import (
	"math"
	"time"

	"weir/sensors"
)

// Gate decides which readings of one quantity are published. It is used by one
// goroutine at a time.
type Gate struct {
	c GateConfig

	told     bool // the fields below are those published last
	toldAt   time.Duration
	toldWhat sensors.Reading

	from time.Duration // beginning of the time one value is published for
	mean float64       // of the readings in it
	n    int
}

// NewGate returns a gate that has seen nothing.
func NewGate(c GateConfig) *Gate { return &Gate{c: c} }

// Pass reports whether r, measured at the given time of a clock that never goes
// back, is to be published: the first reading, each change of quality, each
// change beyond the deadband, and a heartbeat. Where means are wanted, r is given
// the mean when a time is over. Of a bad reading it tells that its state is worth telling.
func (g *Gate) Pass(at time.Duration, r *sensors.Reading) bool {
	changed := !g.told || r.Quality != g.toldWhat.Quality
	if changed {
		g.from, g.mean, g.n = at, 0, 0
	}
	if !changed && !g.worthTelling(at, r) {
		return false
	}
	g.told, g.toldAt, g.toldWhat = true, at, *r
	return true
}

// Lost says that readings have failed to come: the next one is published
// whatever it is.
func (g *Gate) Lost() { g.told = false }

func (g *Gate) worthTelling(at time.Duration, r *sensors.Reading) bool {
	bad := r.Quality.Level == sensors.Bad
	if g.c.Every > 0 && !bad && !g.gathered(at, r) {
		return false
	}
	silent := at - g.toldAt + g.c.Sampling/2
	switch {
	case g.c.Heartbeat > 0 && silent >= g.c.Heartbeat:
		return true
	case bad || silent < g.c.Interval:
		return false
	case g.c.Deadband == 0 && g.c.DeadbandFraction == 0:
		return true
	}
	change := math.Abs(r.Value - g.toldWhat.Value)
	relative := g.c.DeadbandFraction * math.Abs(g.toldWhat.Value)
	return g.c.Deadband > 0 && change >= g.c.Deadband || g.c.DeadbandFraction > 0 && change >= relative && change > 0
}

// gathered takes a reading into the value of its time, and tells whether that
// time is over.
func (g *Gate) gathered(at time.Duration, r *sensors.Reading) bool {
	g.n++
	g.mean += r.Value/float64(g.n) - g.mean/float64(g.n) // divided first: the difference may be too large for a number
	over := at - g.from + g.c.Sampling/2
	if over < g.c.Every {
		return false
	}
	g.from += over / g.c.Every * g.c.Every
	if g.c.Mean {
		r.Value = g.mean
	}
	g.mean, g.n = 0, 0
	return true
}
