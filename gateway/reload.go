package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/gateway/config"
	"weir/gateway/status"
)

// reloadable is a part that takes a new configuration while the gateway runs. All parts prepare before any applies, so a
// configuration is taken whole or not at all.
type reloadable struct {
	// takes tells whether a setting, such as "listener.lan.passwords", is one that apply applies.
	takes func(setting string) bool
	// prepare reads and checks all that apply needs. Nothing of it shows before apply, which cannot fail.
	prepare func(cfg *config.Config) (apply func(), err error)
}

// Reload loads a configuration and lets every part that can take it do so, without dropping clients that remain allowed.
// Files that the configuration names are read anew also if it has not changed. If any part refuses, or load fails,
// nothing changes: the error, which is also in Status until a reload succeeds, says why. What was applied, and what takes a restart
// and is left as it was, is returned, and named in the log and in Status. Safe for concurrent use; one reload runs at a time.
func (g *Gateway) Reload(load func() (*config.Config, error)) (status.Config, error) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	g.notifyReloading()
	defer g.notify("READY=1")
	cfg, err := load()
	if err == nil {
		err = g.take(cfg)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c := &g.configured
	c.Tried = time.Now()
	if err != nil {
		c.Refused = err.Error()
		g.log.Error("the configuration was refused, the one before holds", "err", err)
		return g.configuration(), err
	}
	c.Refused, c.Loaded = "", c.Tried
	c.Applied = clip(slices.DeleteFunc(g.differ(g.holds, cfg), func(setting string) bool { return !g.taken(setting) }))
	c.Restart = clip(slices.DeleteFunc(g.differ(g.cfg, cfg), g.taken))
	g.holds = cfg
	if len(c.Restart) > 0 {
		g.log.Warn("configuration taken, but for settings that take a restart", "settings", strings.Join(c.Restart, ", "), "applied", strings.Join(c.Applied, ", "))
	} else {
		g.log.Info("configuration taken", "applied", strings.Join(c.Applied, ", "))
	}
	return g.configuration(), nil
}

// take prepares every part and then applies all of it.
func (g *Gateway) take(cfg *config.Config) error {
	var applies []func()
	var errs []error
	for _, r := range g.reloadables {
		apply, err := r.prepare(cfg)
		applies, errs = append(applies, apply), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, apply := range applies {
		apply()
	}
	return nil
}

// differ names the settings in which two configurations differ.
func (g *Gateway) differ(before, after *config.Config) (settings []string) {
	was, is := map[string]string{}, map[string]string{}
	for _, s := range config.Effective(before, g.o.Drivers) {
		was[s.Path] = s.Value
	}
	for _, s := range config.Effective(after, g.o.Drivers) {
		if is[s.Path] = s.Value; was[s.Path] != s.Value {
			settings = append(settings, s.Path)
		}
	}
	for _, s := range config.Effective(before, g.o.Drivers) {
		if _, there := is[s.Path]; !there {
			settings = append(settings, s.Path)
		}
	}
	return settings
}

// clip leaves so many settings that a line holds them.
func clip(settings []string) []string {
	const most = 10
	if len(settings) > most {
		settings = append(settings[:most:most], fmt.Sprintf("and %d more", len(settings)-most))
	}
	return settings
}

func (g *Gateway) taken(setting string) bool {
	for _, r := range g.reloadables {
		if r.takes(setting) {
			return true
		}
	}
	return false
}

// Config is the configuration that was taken last.
func (g *Gateway) Config() *config.Config {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	return g.holds
}

// configuration is the state of it for Status. The caller holds mu.
func (g *Gateway) configuration() status.Config {
	c := g.configured
	c.File, c.Restart, c.Applied = g.cfg.File, slices.Clone(c.Restart), slices.Clone(c.Applied)
	return c
}
