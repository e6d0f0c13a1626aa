package gateway

import (
	"errors"

	"weir/gateway/config"
)

// reloadable is a part that takes a new configuration while the gateway runs. All parts prepare before any applies, so a
// configuration is taken whole or not at all.
type reloadable struct {
	// takes tells whether a setting, such as "listener.lan.passwords", is one that apply applies.
	takes func(setting string) bool
	// prepare reads and checks all that apply needs. Nothing of it shows before apply, which cannot fail.
	prepare func(cfg *config.Config) (apply func(), err error)
}

// Reload loads a configuration and lets every part that can take it do so. If any part refuses, or load fails, nothing
// changes. Safe for concurrent use; one reload runs at a time.
func (g *Gateway) Reload(load func() (*config.Config, error)) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	cfg, err := load()
	if err != nil {
		return err
	}
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
