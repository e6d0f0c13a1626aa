package gateway

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"weir/gateway/config"
	"weir/sensors/bus"
)

// seekEvery is how often a gateway that finds its sensors by itself looks for new ones.
const seekEvery = 30 * time.Second

// seek looks for sensors that identify themselves beyond doubt and runs a sampler for each, until ctx ends. One that is
// pulled out goes on being tried, and comes back by itself.
func (g *Gateway) seek(ctx context.Context) error {
	var samplers sync.WaitGroup
	defer samplers.Wait()
	running := map[string]bool{}
	tick := time.NewTicker(seekEvery)
	defer tick.Stop()
	for {
		found, err := found(ctx, g.machine, g.cfg, g.o)
		if err != nil && ctx.Err() == nil {
			g.log.Warn("the search for sensors broke off", "err", err)
		}
		for _, name := range slices.Sorted(maps.Keys(found)) {
			if running[name] || g.cfg.Sensor[name] != nil {
				continue
			}
			s, err := g.sampler(found[name])
			if err != nil {
				g.log.Warn("a sensor that was found cannot be used", "sensor", name, "err", err)
				continue
			}
			running[name] = true
			g.log.Info("sensor found", "sensor", name, "driver", s.driver)
			g.add(s)
			samplers.Go(func() { s.run(ctx) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// found scans the machine and gives a configured sensor for everything identified: what the scan would have people
// paste is read as if they had.
func found(ctx context.Context, m *bus.Machine, cfg *config.Config, o Options) (map[string]*config.Sensor, error) {
	scan, err := m.Scan(ctx, o.Drivers)
	if scan == nil {
		return nil, err
	}
	text := fmt.Sprintf("gateway.id = %q\nsensors.every = %q\n%s", cfg.Gateway.ID, cfg.Sensors.Every, scan.TOML())
	read, problems, parseErr := config.Parse("found", []byte(text), config.Options{Drivers: o.Drivers, SkipFiles: true})
	if parseErr != nil {
		return nil, fmt.Errorf("%w: %s", parseErr, config.Report(problems))
	}
	return read.Sensor, err
}
