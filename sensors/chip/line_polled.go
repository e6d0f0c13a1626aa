package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// lineKind is what a line of text from a device must be like, and what it says.
type lineKind interface {
	// check returns the part of a line that read takes, or what is wrong with it.
	check(line string) (text string, err error)
	// read puts the values of a line that check has passed into s.
	read(s *sensors.Sample, text string)
}

// polled is a device that is asked for each line.
type polled struct {
	partner
	line    sensors.Line
	where   string
	name    string // of what answers
	kind    lineKind
	poll    []byte
	cutter  cutter // as it is at the start of each exchange
	timeout time.Duration
	idle    time.Duration // a silence that ends a line; 0: none does
	shared  bool          // others on the line answer in the same way: a late answer must not be taken for theirs
	x       *lineExchange // new after one that got stuck in the kernel
}

// newPolled completes a device on its line.
func newPolled(line sensors.Line, d *polled) *polled {
	d.line = line
	if d.where == "" {
		d.where = line.String()
	}
	d.x = &lineExchange{d: d, cutter: d.cutter}
	return d
}

// Read implements sensors.Device.
func (d *polled) Read(ctx context.Context, s *sensors.Sample) error { return d.read(ctx, d, s) }

// Close implements sensors.Device.
func (d *polled) Close() error { return nil }

func (d *polled) lost() {}

func (d *polled) measure(ctx context.Context, s *sensors.Sample) error {
	err := d.line.Do(ctx, d.x)
	if sensors.FaultOf(err) == sensors.Stuck {
		d.x = &lineExchange{d: d, cutter: d.cutter} // the owner may still be using the old one
	}
	if err = d.note(ctx, err); err != nil {
		return err
	}
	s.Chip = d.name
	d.kind.read(s, d.x.found)
	return nil
}

// lineExchange sends the poll and waits for a line that matches.
type lineExchange struct {
	d      *polled
	cutter cutter
	came   [256]byte

	matched bool
	found   string
	wrong   error // what was wrong with the last other line
	high    int   // bytes that are no characters of seven bits
}

// Doubtful implements sensors.Doubtful.
func (x *lineExchange) Doubtful() bool { return x.d.doubtful }

// Exchange implements sensors.Exchange.
func (x *lineExchange) Exchange(ctx context.Context, p sensors.Port) error {
	x.matched, x.found, x.wrong, x.high = false, "", nil, 0
	x.cutter.buffer, x.cutter.dropping = x.cutter.buffer[:0], false
	if err := p.Write(x.d.poll); err != nil {
		return err
	}
	deadline := time.Now().Add(x.d.timeout)
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	for !x.matched {
		until := deadline
		if idle := time.Now().Add(x.d.idle); x.d.idle > 0 && len(x.cutter.buffer) > 0 && idle.Before(deadline) {
			until = idle
		}
		n, err := p.Read(x.came[:], until)
		switch {
		case err == nil:
			x.high += highBits(x.came[:n])
			x.cutter.feed(x.came[:n], x.line)
		case sensors.FaultOf(err) == sensors.Timeout && until.Before(deadline):
			x.cutter.flush(x.line)
		default:
			return x.failed(p, err)
		}
		if !time.Now().Before(deadline) && !x.matched {
			return x.failed(p, sensors.Errorf(sensors.Timeout, "", "no line that matches"))
		}
	}
	return nil
}

// line takes one line; the first that matches is the answer.
func (x *lineExchange) line(line []byte) {
	text, err := x.d.kind.check(string(line))
	switch {
	case err != nil:
		x.wrong = err
	case !x.matched:
		x.matched, x.found = true, text
	}
}

func (x *lineExchange) failed(p sensors.Port, err error) error {
	if sensors.FaultOf(err) != sensors.Timeout {
		return err
	}
	if x.d.shared {
		if err := p.Drain(x.d.timeout, time.Now().Add(2*x.d.timeout)); sensors.FaultOf(err) == sensors.Gone {
			return err
		}
	}
	return noLine(x.d.line, x.d.where, x.wrong, x.high, sensors.Errorf(sensors.NotAnswering, x.d.where,
		"no line within %v of the poll; look at wiring, mode and address", x.d.timeout))
}

// noLine says why there was no line: what was wrong with those that came, or the
// mode if what came is no text, or else nothing came.
func noLine(line sensors.Line, where string, wrong error, high int, nothing error) error {
	m := line.Mode()
	switch {
	case high > 0 && m.DataBits == 8:
		m.DataBits, m.Parity = 7, 'E'
		return sensors.Errorf(sensors.Garbage, where, "bytes above 7F came, which are no text: the device may send seven bits and parity, mode = %q, or at another speed", m)
	case wrong != nil:
		return &sensors.Error{Fault: sensors.Garbage, Where: where, Err: wrong}
	}
	return nothing
}
