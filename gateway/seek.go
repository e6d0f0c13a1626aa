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

// seekEvery is how often a gateway that finds its sensors by itself looks for new ones. A search takes a second, or
// several behind multiplexers, and shares the buses with the sensors: at most a part in seekShare of the time is spent so.
const (
	seekEvery = 30 * time.Second
	seekShare = 20
)

// seek looks for sensors that identify themselves beyond doubt and runs a sampler for each, until ctx ends. One that is
// pulled out goes on being tried, and comes back by itself. Where another chip is found in its place, its sampler ends, and
// what is there now is looked for at once.
func (g *Gateway) seek(ctx context.Context) error {
	var samplers sync.WaitGroup
	defer samplers.Wait()
	k := seeker{machine: g.machine, cfg: g.cfg, o: g.o, log: g.log, works: g.works, found: map[string]string{}}
	running := map[string]*foundSampler{}
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		begun := time.Now()
		for name, f := range running {
			if f.replaced() {
				f.end()
				g.retire(f.sampler)
				k.forget(name)
				delete(running, name)
			}
		}
		found, err := k.look(ctx)
		if err != nil && ctx.Err() == nil {
			g.log.Warn("the search for sensors broke off", "err", err)
		}
		for _, name := range slices.Sorted(maps.Keys(found)) {
			s, err := g.sampler(found[name])
			if err != nil {
				g.log.Warn("a sensor that was found cannot be used", "sensor", name, "err", err)
				continue
			}
			s.found = true
			g.log.Info("sensor found", "sensor", name, "driver", s.driver)
			g.add(s)
			g.remains.look()
			running[name] = startFound(ctx, &samplers, s)
		}
		g.mu.Lock()
		g.sought = true
		g.mu.Unlock()
		again.Reset(max(seekEvery, seekShare*time.Since(begun)))
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		case <-g.another:
		}
	}
}

// foundSampler is a sampler of a sensor that was found, running.
type foundSampler struct {
	*sampler
	cancel context.CancelFunc
	ended  chan struct{}
}

func startFound(ctx context.Context, all *sync.WaitGroup, s *sampler) *foundSampler {
	ctx, cancel := context.WithCancel(ctx)
	f := &foundSampler{s, cancel, make(chan struct{})}
	all.Go(func() {
		defer close(f.ended)
		defer cancel()
		s.run(ctx)
	})
	return f
}

// end stops the sampler, which gives its address back, and waits for that.
func (f *foundSampler) end() {
	f.cancel()
	<-f.ended
}

// retire takes a sampler that has ended out of the status; what it has left retained is cleared (remains.go).
func (g *Gateway) retire(s *sampler) {
	g.log.Warn("another chip has taken the place of a sensor that was found", "sensor", s.name)
	g.mu.Lock()
	g.samplers = slices.DeleteFunc(g.samplers, func(o *sampler) bool { return o == s })
	g.mu.Unlock()
}

// lookAgain has seek look for sensors at once. It does not block.
func (g *Gateway) lookAgain() {
	select {
	case g.another <- struct{}{}:
	default:
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

	found map[string]string // places, of sensors by their names
}

// forget lets the place of a sensor be found again.
func (k *seeker) forget(name string) { delete(k.found, name) }

// look scans the machine and gives a configured sensor for everything identified that is new and has no table of its
// own: what the scan would have people paste is read as if they had.
func (k *seeker) look(ctx context.Context) (map[string]*config.Sensor, error) {
	scan, err := k.machine.Scan(ctx, k.o.Drivers)
	if scan == nil {
		return nil, err
	}
	known := slices.Collect(maps.Values(k.found))
	places := map[string]bus.Found{}
	old := func(f bus.Found) bool {
		if f.Certainty != bus.Identified || f.Driver == "" || slices.Contains(known, placeOf(&f)) || k.hasTable(&f) {
			return true
		}
		places[placeOf(&f)] = f
		return false
	}
	for i := range scan.Buses {
		scan.Buses[i].Found = slices.DeleteFunc(scan.Buses[i].Found, old)
	}
	scan.Others = slices.DeleteFunc(scan.Others, old)
	taken := slices.AppendSeq(slices.Collect(maps.Keys(k.found)), maps.Keys(k.cfg.Sensor))
	text := fmt.Sprintf("gateway.id = %q\n%s", k.cfg.Gateway.ID, scan.TOML(taken...))
	read, problems, parseErr := config.Parse("found", []byte(text), config.Options{Drivers: k.o.Drivers, SkipFiles: true})
	if parseErr != nil {
		return nil, fmt.Errorf("%w: %s", parseErr, config.Report(problems))
	}
	for _, c := range read.Sensor {
		for place, f := range places {
			if c.Driver == f.Driver && fits(c.Settings, &f) {
				k.found[c.Name] = place
			}
		}
		k.pace(c)
	}
	return read.Sensor, err
}

// placeOf names what was found and its place.
func placeOf(f *bus.Found) string { return fmt.Sprint(f.Driver, f.Settings) }

// fits reports whether settings are those that were proposed for what was found.
func fits(s sensors.Settings, f *bus.Found) bool {
	for key, quoted := range f.Settings {
		if key == "address" && f.Address != 0 {
			if s.Int(key) != int64(f.Address) {
				return false
			}
			continue
		}
		if strconv.Quote(s.Text(key)) != quoted {
			return false
		}
	}
	return true
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
	path, err := sensors.ParseBusPath(s.Text("bus"))
	if path.Bus == "" && strings.Contains(f.Settings["bus"], "/") {
		return false // without a bus, nothing is looked for behind multiplexers
	}
	if _, numbered := path.Number(); err == nil && numbered && strconv.Quote(path.String()) != f.Settings["bus"] {
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
