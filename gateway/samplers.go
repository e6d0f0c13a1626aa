package gateway

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"weir/gateway/config"
	"weir/sensors"
	"weir/sensors/bus"
)

// buildSamplers makes a sampler for each configured sensor.
func (g *Gateway) buildSamplers() error {
	for _, name := range slices.Sorted(maps.Keys(g.cfg.Sensor)) {
		s, err := g.sampler(g.cfg.Sensor[name])
		if err != nil {
			return fmt.Errorf("sensor.%s: %w", name, err)
		}
		g.add(s)
	}
	return nil
}

func (g *Gateway) sampler(c *config.Sensor) (*sampler, error) {
	driver := sensors.Find(g.o.Drivers, c.Driver)
	if driver == nil {
		return nil, fmt.Errorf("there is no driver %q", c.Driver)
	}
	s := &sampler{
		name: c.Name, driver: c.Driver, every: c.Every, align: c.Align, phase: phaseOf(len(g.all()), c.Every), limit: limitOf(driver, c.Settings),
		open:  func() (sensors.Device, error) { return driver.Open(g.machine, c.Settings) },
		judge: newJudge(c, driver), object: objectOf(c),
		stateTopic: "weir/" + g.cfg.Gateway.ID + "/sensor/" + c.Name,
		out:        g.readings, published: g.o.Published, stamp: g.clock.Now, log: g.log,
		another: g.lookAgain, delivers: quantitiesOf(c, driver),
	}
	s.state.Name, s.state.Driver, s.state.Every, s.state.State, s.state.Since = c.Name, c.Driver, c.Every, "opening", time.Now()
	return s, nil
}

// lines are the serial lines of the configuration.
func (g *Gateway) lines() []bus.LineOptions {
	var lines []bus.LineOptions
	for _, name := range slices.Sorted(maps.Keys(g.cfg.Serial)) {
		lines = append(lines, bus.LineFrom(g.cfg.Serial[name].Settings))
	}
	return lines
}

// behind are the places behind multiplexers that the configuration names.
func (g *Gateway) behind() []sensors.BusPath {
	var all []sensors.BusPath
	for _, name := range slices.Sorted(maps.Keys(g.cfg.Sensor)) {
		c := g.cfg.Sensor[name]
		if d := sensors.Find(g.o.Drivers, c.Driver); d == nil || d.Connection != sensors.OnI2C {
			continue
		}
		if p, err := sensors.ParseBusPath(c.Settings.Text("bus")); err == nil && len(p.Hops) > 0 {
			all = append(all, p)
		}
	}
	return all
}
