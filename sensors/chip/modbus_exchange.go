package chip

import (
	"cmp"
	"context"
	"time"

	"weir/sensors"
)

// modbusExchange is one request and its answer.
type modbusExchange struct {
	slave     byte
	timeout   time.Duration
	character time.Duration
	where     string
	block     modbusBlock
	partner   *partner
	owedUntil time.Time // the answer to a request that was given up may still come; zero: none was

	data     []byte // of the answer, part of received
	request  [8]byte
	received [2 * longestReply]byte
}

// Doubtful implements sensors.Doubtful.
func (x *modbusExchange) Doubtful() bool { return x.partner.doubtful }

// Exchange implements sensors.Exchange. An answer does not say which registers it
// is about. So for as long again as its time limit, an answer to a request that was
// given up may be taken for that to the next one: the first answer is thrown away
// with all that follows it until then, and the question is asked again.
func (x *modbusExchange) Exchange(ctx context.Context, p sensors.Port) error {
	if until := x.owedUntil; time.Now().Before(until) {
		if err := x.ask(ctx, p); err != nil && !x.owedUntil.IsZero() {
			return err
		}
		x.owedUntil = until
		quiet := max(x.silence(), time.Until(until))
		if err := p.Drain(quiet, time.Now().Add(quiet+x.timeout)); err != nil {
			return err
		}
	}
	return x.ask(ctx, p)
}

// owe notes that a request has gone out whose answer may be late.
func (x *modbusExchange) owe() { x.owedUntil = time.Now().Add(2 * x.timeout) }

// ask sends the request and waits for the answer. Without one, it is owed.
func (x *modbusExchange) ask(ctx context.Context, p sensors.Port) error {
	b := x.block
	x.owe()
	frame := modbusRequest(x.request[:0], x.slave, b.function, b.first, b.count)
	if err := p.Write(frame); err != nil {
		return err
	}
	deadline := time.Now().Add(x.timeout + time.Duration(len(frame)+5+2*int(b.count))*x.character)
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	for n := 0; ; {
		got, err := p.Read(x.received[n:], x.patience(n, deadline))
		if err != nil {
			return x.failed(p, n, err)
		}
		n += got
		data, exception, ok := modbusReply(x.received[:n], x.slave, b.function, b.count)
		switch {
		case exception != 0:
			x.owedUntil = time.Time{}
			return sensors.Errorf(exceptionFault(exception), x.where, "exception %d to reading %s: %s%s", exception, b, cmp.Or(exceptionNames[exception], "unknown"), b.asInManual(exception))
		case ok:
			x.data, x.owedUntil = data, time.Time{}
			return nil
		case n == len(x.received):
			return x.failed(p, n, sensors.Errorf(sensors.Garbage, x.where, "the line is never silent"))
		}
	}
}

// patience is until when to wait for more: once something has come, a silence
// ends the answer, long enough for one that arrives in pieces.
func (x *modbusExchange) patience(received int, deadline time.Time) time.Time {
	if received == 0 {
		return deadline
	}
	if soon := time.Now().Add(max(200*time.Millisecond, 20*x.character)); soon.Before(deadline) {
		return soon
	}
	return deadline
}

// silence is what ends a frame: 3.5 characters, and at least 1.75 ms (serial line
// 2.5.1.1).
func (x *modbusExchange) silence() time.Duration { return max(4*x.character, 2*time.Millisecond) }

// failed makes an error of what was received instead of an answer, and leaves
// the line silent, so that a late rest is not taken for the next answer. After
// nothing at all it is silent already.
func (x *modbusExchange) failed(p sensors.Port, n int, err error) error {
	if f := sensors.FaultOf(err); f != sensors.Timeout && f != sensors.Garbage {
		return err
	}
	if n == 0 {
		return sensors.Errorf(sensors.NotAnswering, x.where, "no answer within %v; look at wiring, address and mode", x.timeout)
	}
	if drained := p.Drain(x.silence(), time.Now().Add(x.timeout)); sensors.FaultOf(drained) == sensors.Gone {
		return drained
	}
	return sensors.Errorf(sensors.Garbage, x.where, "no answer to reading %s in % x", x.block, x.received[:min(n, 32)])
}
