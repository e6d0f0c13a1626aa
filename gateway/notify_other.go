//go:build !linux

package gateway

import "time"

func (g *Gateway) notify(string) {}

func (g *Gateway) notifyReloading() {}

func watchInterval() time.Duration { return 10 * time.Second }
