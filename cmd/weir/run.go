package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"weir/buffer"
	"weir/gateway"
	"weir/gateway/config"
	"weir/gateway/identity"
	"weir/gateway/status"
	"weir/sensors/chip"
)

// defaultConfig is where the service looks.
const defaultConfig = "/etc/weir/weir.toml"

func runRun(ctx context.Context, c console, args []string) int {
	f := flags("run", "[--config FILE] [--log LEVEL]")
	path := f.String("config", defaultConfig, "the configuration; the default one need not exist")
	level := slog.LevelInfo
	f.TextVar(&level, "log", slog.LevelInfo, "least level of log lines: debug, info, warn, error")
	if status, done := parseFlags(c, f, args); done {
		return status
	}
	if f.NArg() > 0 {
		return c.fail(exitUsage, "run: got %q, want only flags", f.Arg(0))
	}
	log := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime}))
	o := config.Options{ID: pinnedID(log), Optional: !given(f, "config"), Drivers: chip.Drivers}
	cfg, status := load(c, *path, o)
	if cfg == nil {
		return status
	}
	if problems := gateway.CheckFiles(cfg); len(problems) > 0 {
		fmt.Fprint(c.err, config.Report(problems))
		return exitConfig
	}
	sockets := gateway.Inherited()
	hangups := make(chan os.Signal, 1) // one that comes during a reload is followed by one more
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		err := runOnce(ctx, &cfg, sockets, log, hangups, func() (*config.Config, error) { return reread(c, *path, o) })
		switch {
		case errors.Is(err, gateway.ErrStoreBack):
			log.Info("starting anew: " + err.Error())
		case err != nil:
			return c.fail(exitStatus(err), "%v%s", err, advice[exitStatus(err)])
		default:
			return exitOK
		}
	}
}

// runOnce runs a gateway and reloads its configuration at each hangup; cfg is the one that holds in the end.
func runOnce(ctx context.Context, cfg **config.Config, sockets []gateway.Socket, log *slog.Logger, hangups <-chan os.Signal, reread func() (*config.Config, error)) error {
	var g *gateway.Gateway
	reload := func() (status.Config, error) { // what is wrong is logged
		return g.Reload(reread)
	}
	g, err := gateway.New(*cfg, gateway.Options{Drivers: chip.Drivers, Log: log, Version: version(), Sockets: sockets, Reload: reload})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	var reloads sync.WaitGroup
	reloads.Go(func() {
		for {
			select {
			case <-running.Done():
				return
			case <-hangups:
			}
			_, _ = reload()
		}
	})
	err = g.Run(ctx)
	stop()
	reloads.Wait()
	*cfg = g.Config()
	return err
}

// reread loads the configuration for a reload. Warnings are printed; the error holds everything that is wrong, a line each.
func reread(c console, path string, o config.Options) (*config.Config, error) {
	cfg, problems, err := config.Load(path, o)
	if !errors.Is(err, config.ErrInvalid) {
		fmt.Fprint(c.err, config.Report(problems))
		return cfg, err
	}
	var all []error
	for _, p := range problems {
		if p.Severity != config.Warning {
			all = append(all, errors.New(p.String()))
		}
	}
	return nil, errors.Join(all...)
}

// withoutTime leaves the time to journald, which has a better one; elsewhere it stays.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey && os.Getenv("JOURNAL_STREAM") != "" {
		return slog.Attr{}
	}
	return a
}

// load reads a configuration and prints what is wrong with it. A nil configuration comes with the exit status. The
// drivers need not be in the options.
func load(c console, path string, o config.Options) (*config.Config, int) {
	o.Drivers = chip.Drivers
	cfg, problems, err := config.Load(path, o)
	fmt.Fprint(c.err, config.Report(problems))
	switch {
	case errors.Is(err, config.ErrInvalid):
		return nil, exitConfig
	case err != nil:
		return nil, c.fail(exitConfig, "%v", err)
	}
	return cfg, exitOK
}

// pinnedID is the name of this machine, pinned in its data directory from now on.
func pinnedID(log *slog.Logger) func(dataDir string) (string, error) {
	return func(dataDir string) (string, error) {
		if dataDir == "" {
			dataDir = os.DevNull // not the working directory; that there is none is told by the store
		}
		if err := os.MkdirAll(dataDir, 0o700); err != nil {
			id, _ := identity.Load("/", dataDir)
			return id.ID, nil // a data directory that cannot be written is told by the store
		}
		id, err := identity.Load("/", dataDir)
		if id.ID == "" {
			return "", err
		}
		if err != nil {
			log.Warn("the id of this gateway could change: it cannot be kept", "id", id.ID, "err", err)
		}
		if id.Damaged != nil {
			log.Warn("the kept id of this gateway was damaged and is made anew", "id", id.ID, "err", id.Damaged)
		}
		if id.Cloned {
			log.Warn("the id of this gateway was made in another machine, of which this card may be a copy: two gateways of one id fight over their upstream; set gateway.id in one of them",
				"id", id.ID, "own", id.Own)
		}
		return id.ID, nil
	}
}

// knownID is the same name without anything being made or written.
func knownID(dataDir string) (string, error) {
	if _, err := os.Stat(filepath.Join(dataDir, "id")); err != nil {
		dataDir = os.DevNull // where nothing can be read or pinned
	}
	id, err := identity.Load("/", dataDir)
	if id.ID != "" {
		return id.ID, nil
	}
	return "", err
}

// advice is what to do about the errors of a start that do not say so themselves.
var advice = map[int]string{
	exitInUse: "; stop that weir, or give this one its own gateway.data_dir",
	exitNewer: "; run the weir that wrote it, or set another gateway.data_dir",
}

// exitStatus sorts the errors of a start.
func exitStatus(err error) int {
	var listen *gateway.ListenError
	var access *gateway.AccessError
	switch {
	case errors.Is(err, buffer.ErrInUse):
		return exitInUse
	case errors.Is(err, buffer.ErrNewer):
		return exitNewer
	case errors.As(err, &listen):
		return exitListener
	case errors.As(err, &access):
		return exitConfig
	}
	return exitFailed
}
