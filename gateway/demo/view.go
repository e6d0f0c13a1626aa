package demo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"weir/gateway/status"
)

// view draws the demo: over itself on a terminal, as plain lines elsewhere. Safe for concurrent use.
type view struct {
	o     Options
	dir   string
	start time.Time

	mu     sync.Mutex
	events []string // the newest last
	lines  int      // drawn on the terminal, to be drawn over
}

const keptEvents = 6

func newView(o Options, dir string) *view {
	v := &view{o: o, dir: dir, start: time.Now()}
	fmt.Fprintln(o.Out, "weir demo: simulated chips, the real gateway, an upstream that comes and goes")
	return v
}

func (v *view) every() time.Duration {
	if v.o.Terminal {
		return 250 * time.Millisecond
	}
	return 2 * time.Second
}

// event tells what happened.
func (v *view) event(text string) {
	line := fmt.Sprintf("%6.1f s  %s", time.Since(v.start).Seconds(), text)
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.o.Terminal {
		fmt.Fprintln(v.o.Out, line)
		return
	}
	v.events = append(v.events, line)
	v.events = v.events[max(0, len(v.events)-keptEvents):]
}

// draw shows the state.
func (v *view) draw(s status.Snapshot, r Result, down bool, address string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.o.Terminal {
		fmt.Fprintf(v.o.Out, "%6.1f s  %s\n", time.Since(v.start).Seconds(), v.line(s, r))
		return
	}
	var lines []string
	lines = append(lines, "", "  sensors (simulated)")
	for _, sensor := range s.Sensors {
		for i, value := range sensor.Values {
			name := ""
			if i == 0 {
				name = sensor.Name + " " + sensor.Driver
			}
			lines = append(lines, fmt.Sprintf("    %-16s %-34s %10s %s", name, value.Topic, value.Text, value.Unit))
		}
		if sensor.Err != "" {
			lines = append(lines, fmt.Sprintf("    %-16s %s", sensor.Name, sensor.Err))
		}
	}
	lines = append(lines, "", fmt.Sprintf("  broker on %s; try: weir sub -p %s -t '#' -v", address, address[strings.LastIndexByte(address, ':')+1:]))
	for _, b := range s.Bridges {
		lines = append(lines, "", fmt.Sprintf("  %-10s %-10s %6d waiting   %s", b.Name, strings.ToUpper(b.State), b.Backlog, bar(b.Backlog)))
	}
	there := "is there"
	if down {
		there = "is AWAY"
	}
	lines = append(lines,
		fmt.Sprintf("  upstream   %s; %d readings taken, %d arrived, %d repeated", there, r.Taken, r.Arrived, r.Repeated),
		fmt.Sprintf("  store      %s on disk, %s written, %d syncs, in %s", size(s.Store.Bytes), size(s.Store.Written), s.Store.Syncs, v.dir), "")
	v.redraw(fit(append(lines, v.events...), v.o.Height))
}

// line is the state in one plain line.
func (v *view) line(s status.Snapshot, r Result) string {
	var parts []string
	for _, sensor := range s.Sensors {
		for _, value := range sensor.Values {
			parts = append(parts, fmt.Sprintf("%s %s=%s %s", sensor.Name, value.Quantity, value.Text, value.Unit))
		}
	}
	for _, b := range s.Bridges {
		parts = append(parts, fmt.Sprintf("%s %s, %d waiting", b.Name, b.State, b.Backlog))
	}
	return strings.Join(append(parts, fmt.Sprintf("%d taken, %d arrived", r.Taken, r.Arrived)), "; ")
}

// redraw replaces what was drawn before. The caller holds mu.
func (v *view) redraw(lines []string) {
	var b strings.Builder
	if v.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.lines)
	}
	for _, l := range lines {
		b.WriteString("\x1b[2K" + clip(l, v.o.Width) + "\n")
	}
	b.WriteString("\x1b[J")
	v.lines = len(lines)
	_, _ = io.WriteString(v.o.Out, b.String()) // a terminal that is gone is no reason to stop
}

// fit cuts what is drawn to a terminal that has too few lines: what has scrolled away cannot be drawn over.
func fit(lines []string, height int) []string {
	if height <= 1 || len(lines) < height {
		return lines
	}
	return lines[:height-1]
}

// clip cuts a line so that it does not wrap.
func clip(s string, width int) string {
	if width <= 0 || utf8.RuneCountInString(s) < width {
		return s
	}
	return string([]rune(s)[:width-1])
}

func bar(n uint64) string { return strings.Repeat("#", int(min((n+4)/5, 40))) }

func size(n int64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// last is the line that says how it went.
func (v *view) last(r Result) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(v.o.Out, "%d readings taken, %d arrived, %d lost, %d repeated, in %d %s of the upstream.\n",
		r.Taken, r.Arrived, r.Lost, r.Repeated, r.Outages, plural(r.Outages, "outage"))
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// handler turns warnings and errors of the gateway into events.
func (v *view) handler() slog.Handler { return eventHandler{v: v} }

// eventHandler says a log line as people read it: the message, then what went wrong.
type eventHandler struct {
	v     *view
	attrs string
}

func (h eventHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

func (h eventHandler) Handle(_ context.Context, r slog.Record) error {
	text := h.attrs + r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += ": " + a.Value.String()
		return true
	})
	h.v.event(text)
	return nil
}

func (h eventHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		h.attrs += a.Value.String() + ": "
	}
	return h
}

func (h eventHandler) WithGroup(string) slog.Handler { return h }
