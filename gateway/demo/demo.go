package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"periph.io/x/conn/v3/i2c"

	"weir/bridge/upstream"
	"weir/configs"
	"weir/gateway"
	"weir/gateway/config"
	"weir/sensors"
	"weir/sensors/sim"
)

// Options of a demo. Drivers and Out are required.
type Options struct {
	For      time.Duration // how long readings are taken; 0: until the context ends
	Out      io.Writer
	Terminal bool // Out is a terminal: draw over what was drawn
	Width    int  // of the terminal, in characters; 0: not known
	Height   int  // likewise, in lines
	Drivers  []sensors.Driver
	Version  string
}

// Result says what became of the readings.
type Result struct {
	Taken    int // published by the gateway's sensors
	Arrived  int // different ones at the upstream
	Lost     int // taken and not arrived, or arrived other than taken
	Repeated int // arrived once more
	Outages  int // of the upstream
}

// drainLimit bounds how long the demo waits at its end for what is still on the way.
const drainLimit = 15 * time.Second

// Run runs the demo until the time is over or ctx ends. Nothing is left behind: no file, no goroutine.
func Run(ctx context.Context, o Options) (r Result, err error) {
	dir, err := os.MkdirTemp("", "weir-demo-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	count := newLedger()
	cloud, err := upstream.Listen(upstream.Options{Forget: true, OnArrival: count.arrived})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, cloud.Close()) }()
	cfg, err := load(dir, cloud.URL(), o.Drivers)
	if err != nil {
		return r, err
	}
	v := newView(o, dir)
	var address atomic.Value // string: where the broker listens
	g, err := gateway.New(cfg, gateway.Options{
		Drivers: o.Drivers, Version: o.Version, Log: slog.New(v.handler()),
		Buses:     func() []int { return []int{1} },
		OpenI2C:   func(int) (i2c.BusCloser, error) { return newBus(), nil },
		Published: count.taken, Drain: drainLimit,
		Ready: func(addresses []string) { address.Store(addresses[0]) },
	})
	if err != nil {
		return r, err
	}
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	s := show{ctx: ctx, o: o, gateway: g, cloud: cloud, count: count, view: v, address: func() string { a, _ := address.Load().(string); return a }}
	err = s.run(ended)
	r = count.result()
	r.Outages = s.outages
	v.last(r)
	return r, err
}

// load takes the demo's configuration and puts its data, its port and its upstream where this run has them.
func load(dir, url string, drivers []sensors.Driver) (*config.Config, error) {
	cfg, problems, err := config.Parse("demo.toml", configs.Demo, config.Options{Drivers: drivers, SkipFiles: true})
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, config.Report(problems))
	}
	cfg.Gateway.DataDir = dir
	for _, l := range cfg.Listener {
		l.Address.Port = 0
	}
	target, err := config.ParseURL(url)
	if err != nil {
		return nil, err
	}
	for _, b := range cfg.Bridge {
		b.URLs = []config.URL{target}
	}
	return cfg, nil
}

// newBus is I2C bus 1 with the chips of the demo's configuration.
func newBus() *sim.Bus {
	bus := sim.NewBus("/dev/i2c-1 (simulated)")
	bus.Add(0x76, sim.NewBME280(sim.Room(1)))
	bus.Add(0x77, sim.NewBMP280(sim.Weather(1)))
	return bus
}
