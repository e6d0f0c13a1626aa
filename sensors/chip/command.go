package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// What it takes to talk to a chip that has no registers: it is sent commands, and
// answers to plain reads, or does not acknowledge them while it is busy. None of the
// commands used makes a chip hold the clock, which the I2C controllers of most
// Raspberry Pis cannot bear.

// receive reads n bytes; the result is valid until the next call.
func (r *registers) receive(ctx context.Context, n int) ([]byte, error) {
	out := r.read[:n]
	if err := r.conn.Tx(ctx, nil, out); err != nil {
		return nil, err
	}
	return out, nil
}

// await waits the longest time the sheet gives for a measurement, then reads n bytes,
// again and again for up to 100 ms while the chip does not acknowledge.
func (d *attached) await(ctx context.Context, longest time.Duration, n int) ([]byte, error) {
	if err := d.wait(ctx, longest); err != nil {
		return nil, err
	}
	for range 50 {
		b, err := d.receive(ctx, n)
		if sensors.FaultOf(err) != sensors.NotAnswering {
			return b, err
		}
		if err := d.wait(ctx, 2*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return d.receive(ctx, n) // silent for so long: its error is the one to report
}

// perhaps sends a command that a chip in another mode may refuse, and waits.
func (d *attached) perhaps(ctx context.Context, after time.Duration, bytes ...byte) error {
	if err := d.command(ctx, bytes...); err != nil && sensors.FaultOf(err) != sensors.NotAnswering {
		return err
	}
	return d.wait(ctx, after)
}

// perform sends a command that every such chip knows, and waits.
func (d *attached) perform(ctx context.Context, after time.Duration, bytes ...byte) error {
	if err := d.command(ctx, bytes...); err != nil {
		return err
	}
	return d.wait(ctx, after)
}

// asker asks what answers at an address.
type asker struct {
	registers
	pause
	heard int // how many transfers were acknowledged
}

// hear reads without a command. No bytes and no error: nothing was acknowledged.
func (a *asker) hear(ctx context.Context, n int) ([]byte, error) {
	b, err := a.receive(ctx, n)
	return a.unlessSilent(b, err)
}

// ask sends a question and reads the answer after a while, or at once with a repeated
// start if after is 0. No bytes and no error: the chip does not know the question, or
// there is none.
func (a *asker) ask(ctx context.Context, after time.Duration, n int, question ...byte) ([]byte, error) {
	w := a.write[:copy(a.write[:], question)]
	if after == 0 {
		out := a.read[:n]
		return a.unlessSilent(out, a.conn.Tx(ctx, w, out))
	}
	if err := a.conn.Tx(ctx, w, nil); err != nil {
		return a.unlessSilent(nil, err)
	}
	a.heard++
	if err := a.wait(ctx, after); err != nil {
		return nil, err
	}
	return a.hear(ctx, n)
}

func (a *asker) unlessSilent(b []byte, err error) ([]byte, error) {
	if err == nil {
		a.heard++
		return b, nil
	}
	if sensors.FaultOf(err) == sensors.NotAnswering {
		return nil, nil
	}
	return nil, err
}

// checked reports whether b, not empty, is made of 16-bit words each followed by its
// checksum.
func checked(initial byte, b []byte) bool {
	if len(b) == 0 || len(b)%3 != 0 {
		return false
	}
	for ; len(b) > 0; b = b[3:] {
		if crcHighFirst(crcSensirion, initial, b[:2]) != b[2] {
			return false
		}
	}
	return true
}

// checkedWord returns the word in the first three bytes of b, or says what is wrong
// with its checksum.
func (d *attached) checkedWord(what string, initial byte, b []byte) (uint32, error) {
	if want := crcHighFirst(crcSensirion, initial, b[:2]); b[2] != want {
		return 0, d.garbage("the checksum of the %s is 0x%02x, want 0x%02x", what, b[2], want)
	}
	return word16(b), nil
}
