package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"weir/gateway/status"
	"weir/gateway/web"
)

func runStatus(ctx context.Context, c console, args []string) int {
	f := newControlFlags("status", "[--json]")
	asJSON := f.set.Bool("json", false, "print everything there is to know as JSON")
	path, code, done := f.parse(c, args)
	if done {
		return code
	}
	s, err := web.Status(ctx, path)
	if err != nil {
		return unreached(c, "status", err)
	}
	if *asJSON {
		e := json.NewEncoder(c.out)
		e.SetIndent("", "  ")
		_ = e.Encode(s) // what could not be written is told at the end of the process
	} else {
		printStatus(c.harmless().out, &s)
	}
	if !s.OK() {
		return exitFailed
	}
	return exitOK
}

// printStatus is the picture for people: first in words, then what is counted. Counts that are 0 are left out where they mean that
// nothing is wrong.
func printStatus(out io.Writer, s *status.Snapshot) {
	fmt.Fprintf(out, "%s, weir %s, up for %s\n%s\n", s.ID, s.Version, s.Taken.Sub(s.Started).Round(time.Second), s.Verdict())
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w)
	for i := range s.Sensors {
		fmt.Fprintf(w, "sensor %s\t%s\n", s.Sensors[i].Name, sensorLine(&s.Sensors[i], s.Taken))
	}
	b := &s.Broker
	fmt.Fprintf(w, "clients\t%d connected, %d sessions, %d subscriptions\n", b.Connections, b.Sessions, b.Subscriptions)
	fmt.Fprintf(w, "messages\t%d received, %d delivered, %d retained\n", b.Received, b.Delivered, b.Retained)
	for _, n := range b.Lost() {
		fmt.Fprintf(w, "%s\t%d\n", n.Name, n.Count)
	}
	for _, l := range b.Limits {
		line := fmt.Sprintf("%d of %d", l.Now, l.Most)
		if l.Most == 0 {
			line = fmt.Sprint(l.Now)
		}
		if l.Refused > 0 {
			line += fmt.Sprintf(", refused %d times", l.Refused)
		}
		fmt.Fprintf(w, "limit %s\t%s\n", l.Name, line)
	}
	for i := range s.Listeners {
		l := &s.Listeners[i]
		fmt.Fprintf(w, "listener %s\t%s at %v, %d connections\n", l.Name, l.Protocol, l.Addresses, l.Connections)
	}
}

// sensorLine says what a sensor measured last and how long ago that was, or why it measures nothing.
func sensorLine(s *status.Sensor, now time.Time) string {
	age := "never read since the start"
	if !s.LastGood.IsZero() {
		age = ago(now.Sub(s.LastGood))
	}
	switch s.State {
	case "ok":
	case "failing":
		return s.Err + "; last good: " + age
	default:
		return s.State
	}
	var values []string
	for _, v := range s.Values {
		switch {
		case v.Text == "":
			values = append(values, fmt.Sprintf("%s bad (%s)", v.Quantity, v.Reason))
		case v.Reason != "":
			values = append(values, fmt.Sprintf("%s %s %s %s (%s)", v.Quantity, v.Text, v.Unit, v.Quality, v.Reason))
		default:
			values = append(values, fmt.Sprintf("%s %s %s", v.Quantity, v.Text, v.Unit))
		}
	}
	return strings.Join(append(values, age), ", ")
}

// ago writes an age so that it can be told at a glance whether it is one.
func ago(d time.Duration) string {
	if d < 2*time.Minute {
		return d.Round(time.Second).String() + " ago"
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s") + " ago"
}
