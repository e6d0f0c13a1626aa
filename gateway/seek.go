package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir/gateway/config"
	"weir/sensors"
	"weir/sensors/bus"
)

// seekEvery is how often a gateway that finds its sensors by itself looks for new ones.
const seekEvery = 30 * time.Second

// seek looks for sensors that identify themselves beyond doubt and runs a sampler for each, until ctx ends. One that is
// pulled out goes on being tried, and comes back by itself.
func (g *Gateway) seek(ctx context.Context) error {
	var samplers sync.WaitGroup
	defer samplers.Wait()
	k := seeker{machine: g.machine, cfg: g.cfg, o: g.o, log: g.log, works: g.works, places: map[string]bool{}}
	tick := time.NewTicker(seekEvery)
	defer tick.Stop()
	for {
		found, err := k.found(ctx)
		if err != nil && ctx.Err() == nil {
			g.log.Warn("the search for sensors broke off", "err", err)
		}
		for _, name := range slices.Sorted(maps.Keys(found)) {
			s, err := g.sampler(found[name])
			if err != nil {
				g.log.Warn("a sensor that was found cannot be used", "sensor", name, "err", err)
				continue
			}
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

// works reports whether the configured sensor of this name gave its last reading.
func (g *Gateway) works(name string) bool {
	return slices.ContainsFunc(g.all(), func(s *sampler) bool { return s.name == name && s.snapshot().State == "ok" })
}

// seeker finds each sensor once. What it has found keeps its name.
type seeker struct {
	machine *bus.Machine
	cfg     *config.Config
	o       Options
	log     *slog.Logger
	works   func(name string) bool // whether a configured sensor has its device

	places map[string]bool // of what was found before
	names  []string        // given to them
}

// found scans the machine and gives a configured sensor for everything identified that is new and has no table of its
// own: what the scan would have people paste is read as if they had.
func (k *seeker) found(ctx context.Context) (map[string]*config.Sensor, error) {
	scan, err := k.machine.Scan(ctx, k.o.Drivers)
	if scan == nil {
		return nil, err
	}
	var places []string
	old := func(f bus.Found) bool {
		if f.Certainty != bus.Identified {
			return true
		}
		place := f.Driver + fmt.Sprint(f.Settings)
		if k.places[place] || k.hasTable(&f) {
			return true
		}
		places = append(places, place)
		return false
	}
	for i := range scan.Buses {
		scan.Buses[i].Found = slices.DeleteFunc(scan.Buses[i].Found, old)
	}
	scan.Others = slices.DeleteFunc(scan.Others, old)
	taken := slices.AppendSeq(slices.Clone(k.names), maps.Keys(k.cfg.Sensor))
	text := fmt.Sprintf("gateway.id = %q\n%s", k.cfg.Gateway.ID, scan.TOML(taken...))
	read, problems, parseErr := config.Parse("found", []byte(text), config.Options{Drivers: k.o.Drivers, SkipFiles: true})
	if parseErr != nil {
		return nil, fmt.Errorf("%w: %s", parseErr, config.Report(problems))
	}
	for _, c := range read.Sensor {
		k.names = append(k.names, c.Name)
		k.pace(c)
	}
	for _, p := range places {
		k.places[p] = true
	}
	return read.Sensor, err
}

// pace sets when a sensor that was found is read: one that cannot follow is read as often as it can.
func (k *seeker) pace(c *config.Sensor) {
	c.Every, c.Align, c.Elevation = k.cfg.Sensors.Every, k.cfg.Sensors.Align, k.cfg.Gateway.Elevation
	d := sensors.Find(k.o.Drivers, c.Driver)
	if d.Least == nil {
		return
	}
	if least := d.Least(c.Settings); c.Every < least {
		k.log.Warn("a sensor that was found is too slow for sensors.every", "sensor", c.Name, "every", least)
		c.Every = least
	}
}

// hasTable reports whether a device that was found is that of a [sensor.NAME], or one that a [sensor.NAME] without a
// device may be looking for.
func (k *seeker) hasTable(f *bus.Found) bool {
	for _, c := range k.cfg.Sensor {
		d := sensors.Find(k.o.Drivers, c.Driver)
		switch {
		case d == nil:
		case d.Connection == sensors.OnI2C:
			if fitsI2C(d, c.Settings, f) && !k.works(c.Name) {
				return true
			}
		case c.Driver == f.Driver && fitsKernel(c.Settings, f):
			return true
		}
	}
	return false
}

// fitsI2C reports whether the settings of a sensor allow it to be at the place of what was found. One that is there
// has its address to itself, and the scan does not ask it.
func fitsI2C(d *sensors.Driver, s sensors.Settings, f *bus.Found) bool {
	number := strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(s.Text("bus")), "/dev/"), "i2c")
	number = strings.TrimPrefix(number, "-")
	if _, err := strconv.Atoi(number); err == nil && strconv.Quote(number) != f.Settings["bus"] {
		return false
	}
	if s.Has("address") {
		return s.Int("address") == int64(f.Address)
	}
	return slices.Contains(d.Addresses, f.Address)
}

// fitsKernel reports whether the settings of a sensor name what was found, or leave open what they name.
func fitsKernel(s sensors.Settings, f *bus.Found) bool {
	for key, quoted := range f.Settings {
		text := s.Text(key)
		isPlace := key == "name" && strings.HasPrefix(f.Where+" ", text+" ")
		isLabel := key == "input" && !strings.HasPrefix(text, "temp")
		if text != "" && !strings.EqualFold(strconv.Quote(text), quoted) && !isPlace && !isLabel {
			return false
		}
	}
	return true
}
