package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
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
	b := &s.Broker
	fmt.Fprintf(w, "\nclients\t%d connected, %d sessions, %d subscriptions\n", b.Connections, b.Sessions, b.Subscriptions)
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
