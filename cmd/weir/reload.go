package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"weir/gateway/config"
	"weir/gateway/web"
)

// controlFlags are those of commands that talk to the weir that runs on this machine.
type controlFlags struct {
	set             *flag.FlagSet
	config, dataDir *string
}

func newControlFlags(name, synopsis string) *controlFlags {
	f := flags(name, strings.TrimSpace(synopsis+" [--config FILE | --data-dir DIR]"))
	return &controlFlags{
		set:     f,
		config:  f.String("config", defaultConfig, "the configuration of the weir that runs; the default one need not exist"),
		dataDir: f.String("data-dir", "", "its data directory, instead of the one of the configuration"),
	}
}

// parse reads the command line and finds the control socket. done with a status: the command ends here.
func (o *controlFlags) parse(c console, args []string) (path string, status int, done bool) {
	if status, done := parseFlags(c, o.set, args); done {
		return "", status, true
	}
	name := o.set.Name()
	if o.set.NArg() > 0 {
		return "", c.fail(exitUsage, "%s: got %q, want only flags; they are listed by: weir help %s", name, o.set.Arg(0), name), true
	}
	if *o.dataDir != "" {
		if given(o.set, "config") {
			return "", c.fail(exitUsage, "%s: want --config or --data-dir, not both", name), true
		}
		return web.Path(*o.dataDir), exitOK, false
	}
	cfg, status := load(c, *o.config, config.Options{SkipFiles: true, Optional: !given(o.set, "config")})
	if cfg == nil {
		return "", status, true
	}
	return web.Path(cfg.Gateway.DataDir), exitOK, false
}

// unreached says why the weir that runs could not be asked.
func unreached(c console, name string, err error) int {
	if errors.Is(err, web.ErrNotRunning) {
		return c.fail(exitFailed, "%s: %v; start one with: weir run", name, err)
	}
	return c.fail(exitFailed, "%s: %v", name, err)
}

func runReload(ctx context.Context, c console, args []string) int {
	f := newControlFlags("reload", "")
	path, status, done := f.parse(c, args)
	if done {
		return status
	}
	taken, err := web.Reload(ctx, path)
	var refused *web.RefusedError
	switch {
	case errors.As(err, &refused):
		fmt.Fprintln(c.err, refused.Text)
		return c.fail(exitConfig, "reload: the configuration was refused, the one before holds")
	case err != nil:
		return unreached(c, "reload", err)
	}
	for _, setting := range taken.Applied {
		fmt.Fprintln(c.out, "applied:", setting)
	}
	for _, setting := range taken.Restart {
		fmt.Fprintln(c.out, "takes a restart:", setting)
	}
	if len(taken.Applied)+len(taken.Restart) == 0 {
		fmt.Fprintln(c.out, "no setting has changed; files of users, rights and certificates were read anew")
	}
	return exitOK
}
