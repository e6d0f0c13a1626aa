package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"weir/gateway"
	"weir/gateway/config"
	"weir/sensors/chip"
)

func runRead(ctx context.Context, c console, args []string) int {
	f := flags("read", "[--config FILE] [--every 10s] [--count N] [--raw | --json] [NAME...]")
	path := f.String("config", defaultConfig, "the configuration; the default one need not exist")
	raw := f.Bool("raw", false, "print what the device sent too: its own words in hexadecimal, or its text")
	asJSON := f.Bool("json", false, "print JSON, one document for each time")
	every := f.Duration("every", 0, "read again and again, this often, until interrupted")
	times := f.Uint("count", 0, "read so many times; 0: once, or with --every without end")
	if status, done := parseFlags(c, f, args); done {
		return status
	}
	if *every < 0 || *times > 1 && *every == 0 {
		return c.fail(exitUsage, "read: --count needs --every with how long to wait between, such as --every 10s")
	}
	cfg, status := load(c, *path, config.Options{ID: knownID, SkipFiles: true, Optional: !given(f, "config")})
	if cfg == nil {
		return status
	}
	r := reading{c: c, raw: *raw, json: *asJSON}
	err := gateway.Read(ctx, cfg, gateway.Options{Drivers: chip.Drivers}, f.Args(), func(all []gateway.Once) (time.Duration, bool) {
		r.print(all)
		return *every, r.err == nil && *every > 0 && (*times == 0 || r.times < *times)
	})
	switch err = errors.Join(err, r.err); {
	case err != nil && ctx.Err() == nil:
		return c.fail(exitFailed, "read: %v", err)
	case r.times > 0 && r.empty:
		return c.fail(exitFailed, "read: no sensor is configured and none was found; look with: weir scan")
	case r.bad:
		return exitFailed
	}
	return exitOK
}

// reading prints what was read and remembers how it went.
type reading struct {
	c          console
	raw, json  bool
	times      uint
	bad, empty bool // the last time: something was not read, or is bad; there was no sensor
	err        error
}

func (r *reading) print(all []gateway.Once) {
	r.times++
	r.empty, r.bad = len(all) == 0, false
	for _, one := range all {
		r.bad = r.bad || one.Err != nil || slices.ContainsFunc(one.Values, func(v gateway.OnceValue) bool { return v.Bad })
	}
	switch {
	case r.empty:
	case r.json:
		r.err = printReadJSON(r.c, all)
	default:
		r.err = printRead(r.c, all, r.raw)
	}
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
			switch {
			case raw && v.Sent != "":
				fmt.Fprintf(w, "\traw %q", v.Sent)
			case raw && v.Raw != nil:
				fmt.Fprintf(w, "\traw %s", word(*v.Raw))
			}
			fmt.Fprintln(w)
		}
	}
	return w.Flush()
}

// word writes a device's own word in hexadecimal; what came as a number with a sign keeps it.
func word(raw int64) string {
	if raw < 0 {
		return fmt.Sprintf("-0x%x", -raw)
	}
	return fmt.Sprintf("0x%x", raw)
}

func printReadJSON(c console, all []gateway.Once) error {
	type value struct {
		Quantity string `json:"quantity"`
		Topic    string `json:"topic"`
		Value    any    `json:"value"`
		Unit     string `json:"unit,omitempty"`
		Quality  string `json:"quality"`
		Raw      *int64 `json:"raw,omitempty"`
		RawWord  string `json:"raw_word,omitempty"`
		RawText  string `json:"raw_text,omitempty"`
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
			row := value{Quantity: v.Quantity, Topic: v.Topic, Unit: v.Unit, Quality: v.Quality, Raw: v.Raw, RawText: v.Sent}
			if v.Raw != nil {
				row.RawWord = word(*v.Raw)
			}
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
