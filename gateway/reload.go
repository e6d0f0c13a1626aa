package gateway

import (
	"errors"
	"fmt"
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
// nothing changes: the error, which is also in Status until a reload succeeds, says why. Settings that take a restart are
// left as they are, and named in the log and in Status. Safe for concurrent use; one reload runs at a time.
func (g *Gateway) Reload(load func() (*config.Config, error)) error {
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
	g.configured.Tried = time.Now()
	if err != nil {
		g.configured.Refused = err.Error()
		g.log.Error("the configuration was refused, the one before holds", "err", err)
		return err
	}
	g.configured.Refused, g.configured.Loaded = "", g.configured.Tried
	g.configured.Restart = g.left(cfg)
	if len(g.configured.Restart) > 0 {
		g.log.Warn("configuration taken, but for settings that take a restart", "settings", strings.Join(g.configured.Restart, ", "))
		return nil
	}
	g.log.Info("configuration taken")
	return nil
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

// left names the settings in which a configuration differs from the one that the gateway was built from and that nothing
// has taken.
func (g *Gateway) left(cfg *config.Config) (settings []string) {
	was, is := map[string]string{}, map[string]string{}
	for _, s := range config.Effective(g.cfg, g.o.Drivers) {
		was[s.Path] = s.Value
	}
	for _, s := range config.Effective(cfg, g.o.Drivers) {
		if is[s.Path] = s.Value; was[s.Path] != s.Value && !g.taken(s.Path) {
			settings = append(settings, s.Path)
		}
	}
	for _, s := range config.Effective(g.cfg, g.o.Drivers) {
		if _, there := is[s.Path]; !there && !g.taken(s.Path) {
			settings = append(settings, s.Path)
		}
	}
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

// configuration is the state of it for Status. The caller holds mu.
func (g *Gateway) configuration() status.Config {
	c := g.configured
	c.File, c.Restart = g.cfg.File, append([]string(nil), c.Restart...)
	return c
}
