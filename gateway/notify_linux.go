package gateway

import (
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells systemd something, if it started this process and wants to know.
func (g *Gateway) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		g.log.Warn("systemd was not told", "state", state, "err", err)
	}
}

// notifyReloading tells systemd that a reload begins; READY=1 ends it.
func (g *Gateway) notifyReloading() {
	g.notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// watchInterval is a third of systemd's watchdog time, or ten seconds.
func watchInterval() time.Duration {
	if d, err := daemon.SdWatchdogEnabled(false); err == nil && d > 0 {
		return min(d/3, 10*time.Second)
	}
	return 10 * time.Second
}
