package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"weir/gateway"
	"weir/gateway/config"
	"weir/sensors/chip"
)

func runRead(ctx context.Context, c console, args []string) int {
	f := flags("read", "[--config FILE] [--raw | --json] [NAME...]")
	path := f.String("config", defaultConfig, "the configuration; the default one need not exist")
	raw := f.Bool("raw", false, "print the device's own words too")
	asJSON := f.Bool("json", false, "print JSON")
	if status, done := parseFlags(c, f, args); done {
		return status
	}
	cfg, status := load(c, *path, config.Options{ID: knownID, SkipFiles: true, Optional: !given(f, "config")})
	if cfg == nil {
		return status
	}
	all, err := gateway.Read(ctx, cfg, gateway.Options{Drivers: chip.Drivers}, f.Args())
	if err != nil {
		return c.fail(exitFailed, "read: %v", err)
	}
	if len(all) == 0 {
		return c.fail(exitFailed, "read: no sensor is configured and none was found; look with: weir scan")
	}
	if *asJSON {
		err = printReadJSON(c, all)
	} else {
		err = printRead(c, all, *raw)
	}
	if err != nil {
		return c.fail(exitFailed, "read: %v", err)
	}
	for _, one := range all {
		if one.Err != nil {
			return exitFailed
		}
	}
	return exitOK
}

func printRead(c console, all []gateway.Once, raw bool) error {
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	for _, one := range all {
		if one.Err != nil {
			fmt.Fprintf(c.err, "weir: %s: %v\n", one.Sensor, one.Err)
			continue
		}
		for _, v := range one.Values {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s", one.Sensor, v.Quantity, v.Text, v.Unit, v.Quality)
			if raw {
				fmt.Fprintf(w, "\traw %d", v.Raw)
			}
			fmt.Fprintln(w)
		}
	}
	return w.Flush()
}

func printReadJSON(c console, all []gateway.Once) error {
	type value struct {
		Quantity string `json:"quantity"`
		Topic    string `json:"topic"`
		Value    any    `json:"value"`
		Unit     string `json:"unit,omitempty"`
		Quality  string `json:"quality"`
		Raw      int64  `json:"raw"`
	}
	type sensor struct {
		Sensor string  `json:"sensor"`
		Driver string  `json:"driver"`
		Chip   string  `json:"chip,omitempty"`
		Error  string  `json:"error,omitempty"`
		Values []value `json:"values"`
	}
	out := struct {
		Schema  int      `json:"schema"`
		Sensors []sensor `json:"sensors"`
	}{Schema: 1, Sensors: []sensor{}}
	for _, one := range all {
		s := sensor{Sensor: one.Sensor, Driver: one.Driver, Chip: one.Chip, Values: []value{}}
		if one.Err != nil {
			s.Error = one.Err.Error()
		}
		for _, v := range one.Values {
			row := value{Quantity: v.Quantity, Topic: v.Topic, Unit: v.Unit, Quality: v.Quality, Raw: v.Raw}
			if !v.Bad {
				row.Value = json.Number(v.Text)
			}
			s.Values = append(s.Values, row)
		}
		out.Sensors = append(out.Sensors, s)
	}
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
