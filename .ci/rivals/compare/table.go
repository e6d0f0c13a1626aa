package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
)

// columns: scenario, figure, the brokers and the limit, and what is held against the bars.
const columns = "%-9s %-9s %11s %11s %11s %11s %11s   %s\n"

// table prints medians and bars; missed: one is not kept, or weir failed.
func table(w io.Writer, subjects []*subject, chosen []string) (missed bool) {
	fmt.Fprintf(w, columns, "scenario", "figure", subjects[0].name, subjects[1].name, subjects[2].name, subjects[3].name, subjects[4].name, "bars")
	wanted := scenarios(chosen)
	last := ""
	for _, b := range bars {
		if !slices.Contains(wanted, b.scenario) {
			continue
		}
		name := b.scenario
		if name == last {
			name = ""
		}
		last = b.scenario
		var cells [5]string
		for i, s := range subjects {
			cells[i] = "-"
			if m, ok := s.median(&b); ok {
				cells[i] = number(m)
			}
		}
		verdict, bad := b.judge(subjects)
		missed = missed || bad
		fmt.Fprintf(w, columns, name, b.figure, cells[0], cells[1], cells[2], cells[3], cells[4], verdict)
	}
	for _, s := range subjects {
		for _, e := range s.errors {
			fmt.Fprintln(w, "FAILED:", e)
		}
	}
	return missed || len(subjects[0].errors) > 0
}

// judge holds weir against one bar.
func (b *bar) judge(subjects []*subject) (text string, missed bool) {
	got, ok := subjects[0].median(b)
	if !ok {
		return "NOT RUN", false
	}
	say := func(kept bool, format string, a ...any) {
		word := "PASS  "
		if !kept {
			word, missed = "MISSED", true
		}
		if text != "" {
			text += "; "
		}
		text += word + " " + fmt.Sprintf(format, a...)
	}
	relation := "at most"
	if b.least {
		relation = "at least"
	}
	against := func(who string, other, want float64, known bool) {
		switch {
		case !known || other <= 0:
			if text != "" {
				text += "; "
			}
			text += "NOT RUN against " + who
		default:
			say(b.kept(got/other, want), "%.3g times %s, want %s %g", got/other, who, relation, want)
		}
	}
	if b.none {
		say(got == 0, "want none")
	}
	if b.fixed > 0 {
		say(b.kept(got, b.fixed), "want %s %s", relation, number(b.fixed))
	}
	if b.mosquitto > 0 {
		other, known := subjects[1].median(b)
		against("mosquitto", other, b.mosquitto, known)
	}
	if b.rivals > 0 {
		who, other, known := b.best(subjects[2:4])
		against(who, other, b.rivals, known)
	}
	return text, missed
}

// best finds the better of the rivals.
func (b *bar) best(rivals []*subject) (name string, value float64, known bool) {
	name = "mochi and NATS"
	for _, s := range rivals {
		if m, ok := s.median(b); ok && (!known || b.better(m, value)) {
			name, value, known = s.name, m, true
		}
	}
	return name, value, known
}

// median of the runs in which the figure is known.
func (s *subject) median(b *bar) (float64, bool) {
	v := slices.Sorted(slices.Values(s.values[b.scenario+" "+b.figure]))
	n := len(v)
	if n == 0 {
		return 0, false
	}
	return (v[(n-1)/2] + v[n/2]) / 2, true
}

// number prints three digits that mean something, or all those before the point.
func number(x float64) string {
	if x >= 100 || x <= -100 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}
