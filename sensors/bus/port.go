package bus

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"weir/sensors"
)

// A read on a port with a timeout of 100 ms returns nothing and io.EOF when the
// time is over, and just the same, but at once, when the port has gone.
const (
	readTimeout = 100 * time.Millisecond
	suspicious  = 50 * time.Millisecond // an empty read that was faster
	lookEvery   = time.Second           // for the device's name, while nothing comes
)

var errUnplugged = errors.New("the port was unplugged")

// SerialPort is an open serial port that belongs to one line. All but
// DiscardOutput are called by the owner of the line only.
type SerialPort interface {
	// Read waits for at most 100 ms. Nothing came: 0 and io.EOF, which at once,
	// twice, means that the port has gone.
	io.ReadWriteCloser
	Flush() error   // discards what has come and what was not sent
	DiscardOutput() // frees a write that is blocked
	Path() string   // of the device itself, which a link may have led to
	Present() bool  // whether the device is still there by that name
}

// inbox reads a port into a buffer of its own and notices that it has gone.
type inbox struct {
	buffer   [512]byte
	from, to int  // what has not been asked for yet
	quick    int  // empty reads in a row that were too fast
	heard    bool // anything, ever
	looked   time.Time
}

func (i *inbox) clear() { i.from, i.to = 0, 0 }

// receive returns buffered bytes, or reads once, for at most 100 ms. Nothing and
// no error: nothing came.
func (i *inbox) receive(p SerialPort, b []byte) (int, error) {
	if i.from == i.to {
		if err := i.fill(p); err != nil {
			return 0, err
		}
	}
	n := copy(b, i.buffer[i.from:i.to])
	i.from += n
	return n, nil
}

func (i *inbox) fill(p SerialPort) error {
	start := time.Now()
	n, err := p.Read(i.buffer[:])
	i.from, i.to = 0, n
	switch {
	case n > 0:
		i.quick, i.heard = 0, true
		return nil
	case err != nil && !errors.Is(err, io.EOF):
		return &sensors.Error{Fault: sensors.Gone, Where: p.Path(), Text: "the port is gone", Err: err}
	case time.Since(start) < suspicious:
		if i.quick++; i.quick >= 2 {
			return &sensors.Error{Fault: sensors.Gone, Where: p.Path(), Err: errUnplugged}
		}
		return nil
	}
	i.quick = 0
	if start.Sub(i.looked) < lookEvery {
		return nil
	}
	i.looked = start
	if !p.Present() {
		return &sensors.Error{Fault: sensors.Gone, Where: p.Path(), Err: errUnplugged}
	}
	return nil
}

// port is a line's port in the hands of an exchange.
type port struct {
	l   *line
	ctx context.Context // of the machine
}

// Write implements sensors.Port.
func (p *port) Write(b []byte) error {
	p.l.guard.start(time.Second + time.Duration(len(b))*p.l.o.Mode.Character())
	defer p.l.guard.stop()
	if n, err := p.l.port.Write(b); err != nil || n != len(b) {
		return &sensors.Error{Fault: sensors.Gone, Where: p.l.String(), Text: "the port takes no bytes", Err: err}
	}
	if !p.l.o.Echo {
		return nil
	}
	return p.takeEcho(b)
}

// takeEcho reads what was sent and came back.
func (p *port) takeEcho(sent []byte) error {
	deadline := time.Now().Add(2*readTimeout + 2*time.Duration(len(sent))*p.l.o.Mode.Character())
	var back [64]byte
	for len(sent) > 0 {
		n, err := p.Read(back[:min(len(sent), len(back))], deadline)
		if err != nil {
			return sensors.Errorf(sensors.Garbage, p.l.String(), "no echo of what was sent; echo = false?")
		}
		if !bytes.Equal(back[:n], sent[:n]) {
			return sensors.Errorf(sensors.Garbage, p.l.String(), "the echo is not what was sent: two talk at once")
		}
		sent = sent[n:]
	}
	return nil
}

// Read implements sensors.Port.
func (p *port) Read(b []byte, deadline time.Time) (int, error) {
	for {
		if p.ctx.Err() != nil {
			return 0, sensors.Errorf(sensors.Timeout, p.l.String(), "the line is being closed")
		}
		n, err := p.l.in.receive(p.l.port, b)
		if n > 0 || err != nil {
			return n, err
		}
		if !time.Now().Before(deadline) {
			return 0, &sensors.Error{Fault: sensors.Timeout, Where: p.l.String(), Err: errTimeout}
		}
	}
}

// Drain implements sensors.Port. Silence is measured in whole reads of 100 ms.
func (p *port) Drain(quiet time.Duration, deadline time.Time) error {
	var waste [256]byte
	since := time.Now()
	for {
		n, err := p.l.in.receive(p.l.port, waste[:])
		now := time.Now()
		switch {
		case err != nil:
			return err
		case n > 0:
			since = now
		case now.Sub(since) >= quiet:
			return p.l.port.Flush()
		}
		if !now.Before(deadline) {
			return sensors.Errorf(sensors.Garbage, p.l.String(), "the line is never silent")
		}
	}
}
