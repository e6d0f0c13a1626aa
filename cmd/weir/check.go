package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"weir/gateway"
	"weir/gateway/config"
	"weir/sensors/chip"
)

func runCheck(_ context.Context, c console, args []string) int {
	f := flags("check", "[--elsewhere] [--effective] [FILE]")
	elsewhere := f.Bool("elsewhere", false, "the file is for another machine: look at no other file and at no secret")
	effective := f.Bool("effective", false, "print every setting with where it comes from; secrets are masked")
	if status, done := parseFlags(c, f, args); done {
		return status
	}
	path := defaultConfig
	switch f.NArg() {
	case 0:
	case 1:
		path = f.Arg(0)
	default:
		return c.fail(exitUsage, "check: got %d files, want one", f.NArg())
	}
	cfg, status := load(c, path, config.Options{SkipFiles: *elsewhere, Optional: f.NArg() == 0})
	if cfg == nil {
		return status
	}
	if !*elsewhere {
		problems := slices.Concat(gateway.CheckFiles(cfg), gateway.CheckDates(cfg, time.Now()), gateway.CheckAccess(cfg))
		fmt.Fprint(c.err, config.Report(problems))
		if config.Failed(problems) {
			return exitConfig
		}
	}
	if *effective {
		for _, s := range config.Effective(cfg, chip.Drivers) {
			fmt.Fprintf(c.out, "%-44s %-32s # %s\n", s.Path, s.Value, s.Origin)
		}
		return exitOK
	}
	if cfg.File == "" {
		path += " does not exist, so the defaults hold"
	}
	fmt.Fprintf(c.out, "%s: good: %s, %s, %s\n", path, sensorCount(cfg), count(len(cfg.Listener), "listener"), count(len(cfg.Bridge), "upstream"))
	return exitOK
}

func sensorCount(cfg *config.Config) string {
	switch {
	case !cfg.Sensors.Auto:
		return count(len(cfg.Sensor), "sensor")
	case len(cfg.Sensor) == 0:
		return "the sensors that are found"
	}
	return count(len(cfg.Sensor), "sensor") + " and those that are found"
}

// count is such as "1 sensor" or "2 sensors".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
