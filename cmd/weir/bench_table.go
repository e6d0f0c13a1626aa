package main

import (
	"fmt"
	"io"
	"math"
	"strconv"

	"weir/broker/bench"
)

// benchTable prints results as they come.
type benchTable struct {
	out     io.Writer
	options *bench.Options
	begun   bool
}

const benchColumns = "%-9s %-12s %14s %14s  %s\n"

func (t *benchTable) begin() {
	if t.begun {
		return
	}
	t.begun = true
	s := &t.options.Size
	fmt.Fprintf(t.out, "%s, MQTT %s, %d bytes a message, %v each\n", t.options.URL, t.options.Version, s.Payload, s.For)
	fmt.Fprintf(t.out, "publishers at most %d messages ahead of the slowest subscriber, %d at QoS 1 and 2 with a window of %d\n\n", s.Ahead, s.AheadQueued, s.Window)
	limit := "own limit"
	if len(t.options.Limit) == 0 {
		limit = ""
	}
	fmt.Fprintf(t.out, benchColumns, "scenario", "figure", "broker", limit, "")
}

func (t *benchTable) print(r bench.Result) {
	t.begin()
	name := r.Scenario
	for _, f := range r.Figures {
		value, limit := "not known", ""
		if f.Value != nil {
			value = figureText(*f.Value)
		}
		if f.Limit != nil {
			limit = figureText(*f.Limit)
		}
		fmt.Fprintf(t.out, benchColumns, name, f.Name, value, limit, f.Unit)
		name = ""
	}
	if r.Process != nil {
		fmt.Fprintf(t.out, benchColumns, name, "process", r.Process.Name, "", strconv.Itoa(r.Process.PID))
		name = ""
	}
	if r.Error != "" {
		fmt.Fprintf(t.out, "%-9s FAILED: %s\n", name, r.Error)
	}
	if r.LimitErr != "" {
		fmt.Fprintf(t.out, "%-9s own limit not known: %s\n", "", r.LimitErr)
	}
}

// figureText is a number with three digits that mean something, or all those before the point, in groups of three.
func figureText(x float64) string {
	switch size := math.Abs(x); {
	case size >= 100:
		return grouped(strconv.FormatFloat(x, 'f', 0, 64))
	case size >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case x == 0:
		return "0"
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

// grouped puts commas into a whole number.
func grouped(digits string) string {
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
