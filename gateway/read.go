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
	Raw               *int64 // the device's own word; nil if it has none
	Sent              string // the text of a device that has none
}

// Read reads each configured sensor once, all at the same time, or those that are named, or, if auto is set in the
// configuration, those that are found, and hands over what came, in the order of the names. While that returns true they
// are read again, so long after they were read before; devices stay open. It needs no data directory and publishes
// nothing.
func Read(ctx context.Context, cfg *config.Config, o Options, names []string, hand func(all []Once) (after time.Duration, again bool)) error {
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
	named, err := g.named(ctx, names)
	if err != nil {
		return err
	}
	readers := make([]*onceReader, len(named))
	for i, c := range named {
		readers[i] = g.newOnceReader(c)
		defer readers[i].close()
	}
	read := make([]Once, len(readers))
	for {
		begun := time.Now()
		var reading sync.WaitGroup
		for i, r := range readers {
			reading.Go(func() { read[i] = r.read(ctx) })
		}
		reading.Wait()
		after, again := hand(read)
		if !again {
			return nil
		}
		select {
		case <-time.After(time.Until(begun.Add(after))):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// named gives the sensors of these names, of the configuration or found; all of them for no names.
func (g *Gateway) named(ctx context.Context, names []string) ([]*config.Sensor, error) {
	all := maps.Clone(g.cfg.Sensor)
	if all == nil {
		all = map[string]*config.Sensor{}
	}
	if g.cfg.Sensors.Auto {
		k := seeker{machine: g.machine, cfg: g.cfg, o: g.o, log: g.log, works: func(string) bool { return false }, found: map[string]string{}}
		more, err := k.look(ctx)
		if err != nil {
			return nil, err
		}
		maps.Copy(more, all)
		all = more
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(all))
	}
	var named []*config.Sensor
	for _, name := range names {
		if all[name] == nil {
			if len(all) == 0 {
				return nil, fmt.Errorf("there is no sensor %q, nor any other: none is configured and none was found; look with: weir scan", name)
			}
			return nil, fmt.Errorf("there is no sensor %q; there are: %s", name, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
		}
		named = append(named, all[name])
	}
	return named, nil
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

// onceReader reads one sensor for Read. A device that could not be read is opened anew the next time.
type onceReader struct {
	c      *config.Sensor
	driver *sensors.Driver
	open   func() (sensors.Device, error)
	judge  *judge
	device sensors.Device
	sample sensors.Sample
}

func (g *Gateway) newOnceReader(c *config.Sensor) *onceReader {
	driver := sensors.Find(g.o.Drivers, c.Driver)
	r := &onceReader{c: c, driver: driver, judge: newJudge(c, driver)}
	r.open = func() (sensors.Device, error) {
		if r.driver == nil {
			return nil, fmt.Errorf("there is no driver %q", c.Driver)
		}
		return r.driver.Open(g.machine, c.Settings)
	}
	return r
}

func (r *onceReader) close() {
	if r.device != nil {
		_ = r.device.Close() // there is nobody to tell, and nothing more to do with it
	}
}

func (r *onceReader) read(ctx context.Context) Once {
	o := Once{Sensor: r.c.Name, Driver: r.c.Driver}
	if r.device == nil {
		if r.device, o.Err = r.open(); o.Err != nil {
			return o
		}
	}
	ctx, cancel := context.WithTimeout(ctx, limitOf(r.driver, r.c.Settings))
	defer cancel()
	if o.Err = r.device.Read(ctx, &r.sample); o.Err != nil {
		return o
	}
	measured := len(r.sample.Readings) // all others are derived
	r.judge.apply(&r.sample, time.Now())
	o.Chip = r.sample.Chip
	for i := range r.sample.Readings {
		reading := &r.sample.Readings[i]
		sh := &r.judge.outlet(reading).shape
		v := OnceValue{Topic: string(sh.topic), Quantity: string(reading.Quantity), Quality: reading.Quality.String(), Sent: reading.Sent, Bad: reading.Quality.Level == sensors.Bad}
		if i < measured && v.Sent == "" && reading.Quality.Reason != sensors.Missing {
			v.Raw = new(reading.Raw) // the sample is used again
		}
		if !v.Bad {
			shown := sh.shown(reading)
			v.Text, v.Unit = string(shown.append(nil)), string(shown.unit)
		}
		o.Values = append(o.Values, v)
	}
	return o
}
