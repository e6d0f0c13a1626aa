package broker

import (
	"math"
	"time"
)

// sysLoads are the rates that $SYS/broker/load averages, and sysWindows over what time.
var (
	sysLoads = [...]string{"messages/received", "messages/sent", "publish/dropped", "publish/received", "publish/sent",
		"bytes/received", "bytes/sent", "sockets", "connections"}
	sysWindows = [...]struct {
		name string
		over time.Duration
	}{{"1min", time.Minute}, {"5min", 5 * time.Minute}, {"15min", 15 * time.Minute}}
)

// sysLoad holds the exponential averages of counts, per minute.
type sysLoad struct {
	last     [len(sysLoads)]uint64
	averages [len(sysLoads)][len(sysWindows)]float64
}

// update takes the counts some time after those before.
func (l *sysLoad) update(passed time.Duration, counts [len(sysLoads)]uint64) {
	if passed <= 0 {
		return
	}
	for i, n := range counts {
		rate := float64(n-l.last[i]) / passed.Minutes()
		for k := range sysWindows {
			a := &l.averages[i][k]
			*a = rate + math.Exp(-float64(passed)/float64(sysWindows[k].over))*(*a-rate)
		}
	}
	l.last = counts
}

func (l *sysLoad) each(yield func(name string, average float64)) {
	for i, name := range sysLoads {
		for k, w := range sysWindows {
			yield("load/"+name+"/"+w.name, l.averages[i][k])
		}
	}
}
