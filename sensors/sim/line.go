package sim

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
)

// Line is an instrument that sends lines of text: by itself at an interval, when it
// is polled, or both. The exported fields are set before Run.
type Line struct {
	Format     func(Climate) string     // the text of a line; nil: as DefaultLine
	Turn       []func(Climate) string   // texts that are sent in turn, one a line, instead of Format
	Checksum   func(text string) string // what is put after the text; nil: nothing
	Terminator string                   // "" means CR LF
	Interval   time.Duration            // 0: only when polled
	Poll       string                   // what asks for a line, with its terminator if it has one; "": nothing does

	world   World
	sent    atomic.Uint64
	distort distortions
}

// NewLine returns an instrument that measures this world.
func NewLine(w World) *Line { return &Line{world: w} }

// DefaultLine is such as "T=21.50 P=1013.25 H=45.0": °C, hPa, %.
func DefaultLine(c Climate) string {
	return fmt.Sprintf("T=%.2f P=%.2f H=%.1f", c.Temperature, c.Pressure/100, c.Humidity)
}

// StarXor is a Checksum: an asterisk and two hexadecimal digits of the XOR of all
// characters of the text, without a leading $ or !, as NMEA 0183 does.
func StarXor(text string) string {
	var sum byte
	for _, b := range []byte(strings.TrimLeft(text, "$!")) {
		sum ^= b
	}
	return fmt.Sprintf("*%02X", sum)
}

// Distort lets the next lines, 0 for all until clear is called, go out distorted.
// Distortions added later wait until the earlier ones are over.
func (l *Line) Distort(d Distortion, lines int) (clear func()) { return l.distort.add(d, lines) }

// Sent returns how many lines were sent, distorted ones included.
func (l *Line) Sent() uint64 { return l.sent.Load() }

// Text returns the whole line for a moment, the first in turn.
func (l *Line) Text(at time.Time) string { return l.text(at, 0) }

// text is the whole line with a number for a moment.
func (l *Line) text(at time.Time, number uint64) string {
	format, terminator := l.Format, l.Terminator
	if n := uint64(len(l.Turn)); n > 0 {
		format = l.Turn[number%n]
	}
	if format == nil {
		format = DefaultLine
	}
	if terminator == "" {
		terminator = "\r\n"
	}
	text := format(l.world.At(at))
	if l.Checksum != nil {
		text += l.Checksum(text)
	}
	return text + terminator
}

// Run is part of Instrument. The first line at an interval comes one interval
// after the start.
func (l *Line) Run(ctx context.Context, port io.ReadWriter) error {
	out := &speaker{port: port}
	say := func(ctx context.Context) error {
		number := l.sent.Add(1) - 1
		return out.send(ctx, l.distort.apply([]byte(l.text(time.Now(), number))))
	}
	var heard string
	hear := func(ctx context.Context, b []byte) error {
		if l.Poll == "" {
			return nil
		}
		for heard += string(b); ; {
			_, rest, found := strings.Cut(heard, l.Poll)
			if !found {
				heard = heard[max(0, len(heard)-len(l.Poll)):]
				return nil
			}
			heard = rest
			if err := say(ctx); err != nil {
				return err
			}
		}
	}
	if l.Interval <= 0 {
		return run(ctx, port, hear, nil)
	}
	return run(ctx, port, hear, func(ctx context.Context) error {
		tick := time.NewTicker(l.Interval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				if err := say(ctx); err != nil {
					return err
				}
			}
		}
	})
}
