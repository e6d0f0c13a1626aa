package chip

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/sensors"
)

var asciiLine = sensors.Driver{
	Name: "ascii-line", Connection: sensors.OnSerial,
	Doc: "a device that sends lines of text, by itself or when polled, read with a regular expression",
	Keys: []sensors.Key{
		{Name: "bus", Kind: sensors.KindString, Required: true, Example: `"barometer"`, Meaning: "the serial line, [serial.NAME]"},
		{Name: "pattern", Kind: sensors.KindRegexp, Required: true, Example: `'P=\s*(?P<pressure>[\d.*]+)'`,
			Meaning: "regular expression with a named group for each quantity"},
		{Name: "device_units", Kind: sensors.KindStrings, Example: `["pressure=hPa"]`,
			Meaning: "unit of each group; temperature is in °C and humidity in %RH if not said, a pressure must be said"},
		{Name: "poll", Kind: sensors.KindString, Default: "", Example: `".P\r"`, Meaning: "what to send to get a line; when not set, the device sends by itself"},
		{Name: "terminator", Kind: sensors.KindString, Default: "", Example: `"\r\n"`, Meaning: "what ends a line; when not set, CR, LF or both"},
		{Name: "checksum", Kind: sensors.KindEnum, Choices: []string{"none", "xor", "sum8", "crc16"}, Default: "none",
			Meaning: "hexadecimal checksum at the end of a line, behind checksum_mark: of the bytes before it, for xor without a leading $ or ! (NMEA)"},
		{Name: "checksum_mark", Kind: sensors.KindString, Default: "*", Meaning: "what stands between text and checksum"},
		{Name: "max_length", Kind: sensors.KindInt, Default: 256, Min: 8, Max: 4096, Unit: "bytes", Meaning: "a longer line is thrown away"},
		{Name: "timeout", Kind: sensors.KindDuration, Default: "5s", Min: 0.05, Max: 3600,
			Meaning: "how long to wait for a line; of a device that sends by itself, a line older than this is not used"},
		{Name: "fault", Kind: sensors.KindStrings, Example: `["999.9", "9999.9"]`,
			Meaning: "values the device sends when it has none; one without any digit, such as ****.**, always means that"},
	},
	Open: openLine,
	Check: func(s sensors.Settings) []*sensors.KeyError {
		var wrong *sensors.KeyError
		if _, err := newLineFormat(s); errors.As(err, &wrong) {
			return []*sensors.KeyError{wrong}
		}
		return nil
	},
	Most: func(s sensors.Settings) time.Duration {
		if s.Text("poll") == "" {
			return s.Duration("timeout") + time.Second
		}
		return mostOf(s.Duration("timeout") + time.Second) // and others on the line
	},
	Named: func(s sensors.Settings) []sensors.Measure {
		f, err := newLineFormat(s)
		if err != nil {
			return nil
		}
		all := make([]sensors.Measure, len(f.groups))
		for i, g := range f.groups {
			all[i] = g.measure
		}
		return all
	},
}

func openLine(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
	f, err := newLineFormat(s)
	if err != nil {
		return nil, err
	}
	line, err := m.Serial(s.Text("bus"))
	if err != nil {
		return nil, err
	}
	if s.Text("poll") == "" {
		return &spoken{line: line, format: f, timeout: s.Duration("timeout"), ear: newEar(s, f)}, nil
	}
	return &polled{line: line, format: f, poll: []byte(s.Text("poll")), timeout: s.Duration("timeout"), settings: s}, nil
}

// polled is a device that is asked for each line.
type polled struct {
	pause
	line     sensors.Line
	format   *lineFormat
	poll     []byte
	timeout  time.Duration
	settings sensors.Settings
}

// Read implements sensors.Device.
func (d *polled) Read(ctx context.Context, s *sensors.Sample) error {
	return readRetrying(ctx, d, &d.pause, s)
}

// Close implements sensors.Device.
func (d *polled) Close() error { return nil }

func (d *polled) lost() {}

func (d *polled) measure(ctx context.Context, s *sensors.Sample) error {
	x := &lineExchange{d: d, cutter: newCutter(d.settings)} // new each time: the owner may still use one that got stuck
	if err := d.line.Do(ctx, x); err != nil {
		return err
	}
	s.Chip = "line"
	d.format.read(s, x.found)
	return nil
}

// lineExchange sends the poll and waits for a line that matches.
type lineExchange struct {
	d      *polled
	cutter cutter
	found  string
	wrong  error // what was wrong with the last other line
}

// Exchange implements sensors.Exchange.
func (x *lineExchange) Exchange(ctx context.Context, p sensors.Port) error {
	if err := p.Write(x.d.poll); err != nil {
		return err
	}
	deadline := time.Now().Add(x.d.timeout)
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	var b [256]byte
	for x.found == "" {
		n, err := p.Read(b[:], deadline)
		if err != nil {
			return x.failed(err)
		}
		x.cutter.feed(b[:n], func(line []byte) {
			text, err := x.d.format.check(string(line))
			if err != nil {
				x.wrong = err
			} else if x.found == "" {
				x.found = text
			}
		})
		if !time.Now().Before(deadline) && x.found == "" {
			return x.failed(sensors.Errorf(sensors.Timeout, "", "no line that matches"))
		}
	}
	return nil
}

func (x *lineExchange) failed(err error) error {
	switch {
	case sensors.FaultOf(err) != sensors.Timeout:
		return err
	case x.wrong != nil:
		return &sensors.Error{Fault: sensors.Garbage, Where: x.d.line.String(), Err: x.wrong}
	}
	return sensors.Errorf(sensors.NotAnswering, x.d.line.String(), "no line within %v of the poll; look at wiring and mode", x.d.timeout)
}

// spoken is a device that sends by itself.
type spoken struct {
	line    sensors.Line
	format  *lineFormat
	timeout time.Duration
	ear     *ear
	stop    func() // nil: not listening yet
}

// Read implements sensors.Device. It takes the newest line that was not used yet
// and is fresh enough, or waits for the next. There is nothing to try again.
func (d *spoken) Read(ctx context.Context, s *sensors.Sample) error {
	s.Reset()
	if d.stop == nil {
		d.stop = d.line.Listen(d.ear)
	}
	text, at, ok := d.ear.take(d.timeout)
	if !ok {
		if err := d.line.Do(ctx, nothing{}); err != nil { // says whether the port is there at all
			return err
		}
		if text, at, ok = d.await(ctx); !ok {
			return d.silent()
		}
	}
	s.Chip, s.At = "line", at
	d.format.read(s, text)
	return nil
}

// nothing is an exchange that only needs the port.
type nothing struct{}

// Exchange implements sensors.Exchange.
func (nothing) Exchange(context.Context, sensors.Port) error { return nil }

// await waits for the next line.
func (d *spoken) await(ctx context.Context) (string, time.Time, bool) {
	timer := time.NewTimer(d.timeout)
	defer timer.Stop()
	for {
		select {
		case <-d.ear.news:
			if text, at, ok := d.ear.take(d.timeout); ok {
				return text, at, true
			}
		case <-timer.C:
			return "", time.Time{}, false
		case <-ctx.Done():
			return "", time.Time{}, false
		}
	}
}

func (d *spoken) silent() error {
	if wrong := d.ear.complaint(); wrong != nil {
		return &sensors.Error{Fault: sensors.Garbage, Where: d.line.String(), Err: wrong}
	}
	return sensors.Errorf(sensors.NotAnswering, d.line.String(), "no line came; look at wiring and mode")
}

// Close implements sensors.Device.
func (d *spoken) Close() error {
	if d.stop != nil {
		d.stop()
		d.stop = nil
	}
	return nil
}

// ear is the listener of a spoken device. The owner of the line fills it, the
// device empties it.
type ear struct {
	format *lineFormat
	cutter cutter        // owner of the line only
	news   chan struct{} // capacity 1

	mu    sync.Mutex // guards the fields below
	text  string     // the newest line that matches; "": used up
	at    time.Time
	wrong error // what was wrong with the last line that came, nil if it was right
}

func newEar(s sensors.Settings, f *lineFormat) *ear {
	e := &ear{format: f, cutter: newCutter(s), news: make(chan struct{}, 1)}
	e.cutter.restart() // the line may be open already, and a line of text under way
	return e
}

// Received implements sensors.Listener.
func (e *ear) Received(b []byte, at time.Time) {
	if len(b) == 0 {
		e.cutter.restart()
		return
	}
	e.cutter.feed(b, func(line []byte) {
		text, err := e.format.check(string(line))
		e.mu.Lock()
		e.wrong = err
		if err == nil {
			e.text, e.at = text, at
		}
		e.mu.Unlock()
		if err == nil {
			select {
			case e.news <- struct{}{}:
			default:
			}
		}
	})
}

// take returns the newest line and when it came, once, if it is no older than
// the limit.
func (e *ear) take(limit time.Duration) (string, time.Time, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	text := e.text
	e.text = ""
	return text, e.at, text != "" && time.Since(e.at) <= limit
}

func (e *ear) complaint() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.wrong
}

// cutter cuts what comes into lines. After an overrun, and after the line was
// opened while a device was sending, it drops everything up to the next end.
type cutter struct {
	end      string // "": CR or LF
	buffer   []byte
	longest  int
	dropping bool
}

func newCutter(s sensors.Settings) cutter {
	return cutter{end: s.Text("terminator"), longest: int(s.Int("max_length"))}
}

// restart says that what came before may be cut off, and so what comes next.
func (c *cutter) restart() {
	c.buffer, c.dropping = c.buffer[:0], true
}

// feed calls f with each whole line, without its end; empty lines are left out.
func (c *cutter) feed(b []byte, f func(line []byte)) {
	for _, x := range b {
		c.buffer = append(c.buffer, x)
		n, ended := c.ended()
		switch {
		case ended:
			if n > 0 && n <= c.longest && !c.dropping {
				f(c.buffer[:n])
			}
			c.buffer, c.dropping = c.buffer[:0], false
		case len(c.buffer) > c.longest+len(c.end):
			// The last bytes may be the beginning of the end.
			keep := max(len(c.end)-1, 0)
			c.buffer = append(c.buffer[:0], c.buffer[len(c.buffer)-keep:]...)
			c.dropping = true
		}
	}
}

// ended reports whether the buffer holds a whole line, and its length.
func (c *cutter) ended() (int, bool) {
	last := len(c.buffer) - 1
	if c.end == "" {
		return last, c.buffer[last] == '\r' || c.buffer[last] == '\n'
	}
	n := len(c.buffer) - len(c.end)
	return n, n >= 0 && string(c.buffer[n:]) == c.end
}

// unitsOf reads "quantity=unit" texts.
func unitsOf(texts []string, known []string) (map[string]sensors.Unit, error) {
	units := map[string]sensors.Unit{}
	for _, t := range texts {
		name, text, ok := strings.Cut(t, "=")
		unit, valid := sensors.ParseUnit(strings.TrimSpace(text))
		name = strings.TrimSpace(name)
		if !ok || !valid {
			return nil, keyError("device_units", `got %q, want quantity=unit, such as "pressure=hPa"`, t)
		}
		if !slices.Contains(known, name) {
			return nil, keyError("device_units", "pattern has no group called %q; it has: %s", name, strings.Join(known, ", "))
		}
		units[name] = unit
	}
	return units, nil
}
