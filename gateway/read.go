package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/gateway/config"
	"weir/sensors"
	"weir/sensors/bus"
)

// Once is one sensor read once.
type Once struct {
	Sensor, Driver, Chip string
	Err                  error // why there are no values
	Values               []OnceValue
}

// OnceValue is one quantity of it, as it would be published.
type OnceValue struct {
	Topic, Text, Unit string // Text and Unit are empty when the quality is bad
	Quantity          string
	Quality           string // "good", or with a reason
	Bad               bool
	Raw               int64 // the device's own word
}

// Read reads each configured sensor once, all at the same time, or those that are named, or, if auto is set in the
// configuration, those that are found. It needs no data directory and publishes nothing.
func Read(ctx context.Context, cfg *config.Config, o Options, names []string) ([]Once, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{cfg: cfg, o: o, log: o.Log}
	g.machine = bus.New(g.busOptions())
	ctx, cancel := context.WithCancel(ctx)
	var buses sync.WaitGroup
	defer buses.Wait()
	defer cancel()
	buses.Go(func() { _ = g.machine.Run(ctx) })
	all := maps.Clone(cfg.Sensor)
	if all == nil {
		all = map[string]*config.Sensor{}
	}
	if cfg.Sensors.Auto {
		k := seeker{machine: g.machine, cfg: cfg, o: o, log: o.Log, works: func(string) bool { return false }, places: map[string]bool{}}
		more, err := k.found(ctx)
		if err != nil {
			return nil, err
		}
		maps.Copy(more, all)
		all = more
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(all))
	}
	for _, name := range names {
		if all[name] == nil {
			if len(all) == 0 {
				return nil, fmt.Errorf("there is no sensor %q, nor any other: none is configured and none was found; look with: weir scan", name)
			}
			return nil, fmt.Errorf("there is no sensor %q; there are: %s", name, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
		}
	}
	read := make([]Once, len(names))
	var readers sync.WaitGroup
	for i, name := range names {
		readers.Go(func() { read[i] = g.once(ctx, all[name]) })
	}
	readers.Wait()
	return read, nil
}

// readLimit bounds one read, unless its settings allow more; a slow 1-wire chip takes under a second.
const readLimit = 15 * time.Second

// limitOf is how long one read of a sensor may take.
func limitOf(d *sensors.Driver, s sensors.Settings) time.Duration {
	if d.Most == nil {
		return readLimit
	}
	return max(readLimit, d.Most(s))
}

func (g *Gateway) once(ctx context.Context, c *config.Sensor) Once {
	o := Once{Sensor: c.Name, Driver: c.Driver}
	driver := sensors.Find(g.o.Drivers, c.Driver)
	if driver == nil {
		o.Err = fmt.Errorf("there is no driver %q", c.Driver)
		return o
	}
	device, err := driver.Open(g.machine, c.Settings)
	if err != nil {
		o.Err = err
		return o
	}
	defer device.Close()
	ctx, cancel := context.WithTimeout(ctx, limitOf(driver, c.Settings))
	defer cancel()
	var sample sensors.Sample
	if o.Err = device.Read(ctx, &sample); o.Err != nil {
		return o
	}
	judge := newJudge(c, driver)
	judge.apply(&sample, time.Now())
	o.Chip = sample.Chip
	for i := range sample.Readings {
		r := &sample.Readings[i]
		sh := judge.outlet(r).shape
		v := OnceValue{Topic: string(sh.topic), Quantity: string(r.Quantity), Quality: r.Quality.String(), Raw: r.Raw, Bad: r.Quality.Level == sensors.Bad}
		if !v.Bad {
			shown := sh.shown(r)
			v.Text, v.Unit = string(shown.append(nil)), string(shown.unit)
		}
		o.Values = append(o.Values, v)
	}
	return o
}
