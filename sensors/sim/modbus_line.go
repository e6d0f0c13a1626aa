package sim

import (
	"context"
	"io"
	"sync"
	"time"
)

// ModbusLine is an RS-485 line with slaves on it, as an Instrument. The exported
// fields are set before Run.
type ModbusLine struct {
	Turnaround time.Duration // from the end of a request to the answer
	Gap        time.Duration // silence that ends a damaged or unusual frame; 0: 20 ms
	Echo       bool          // the adapter hears itself: every request comes back first

	slaves []*ModbusSlave
}

// NewModbusLine returns a line with these slaves.
func NewModbusLine(slaves ...*ModbusSlave) *ModbusLine { return &ModbusLine{slaves: slaves} }

// longestFrame is that of an RTU frame; more is noise.
const longestFrame = 256

// Run is part of Instrument. A slave that answers late does not keep the others
// from answering.
func (l *ModbusLine) Run(ctx context.Context, port io.ReadWriter) error {
	out := &speaker{port: port}
	chunks := make(chan []byte)
	hear := func(ctx context.Context, b []byte) error {
		if l.Echo {
			if err := out.write(b); err != nil {
				return err
			}
		}
		select {
		case chunks <- append([]byte(nil), b...):
		case <-ctx.Done():
		}
		return nil
	}
	return run(ctx, port, hear, func(ctx context.Context) error {
		var g sync.WaitGroup
		defer g.Wait()
		return l.listen(ctx, chunks, func(frame []byte) {
			for _, s := range l.slaves {
				if answer := s.Answer(time.Now(), frame); answer != nil {
					pieces := append([]Piece{{Pause: l.Turnaround}}, s.distort.apply(answer)...)
					g.Go(func() { _ = out.send(ctx, pieces) })
				}
			}
		})
	})
}

// listen finds frames in what is heard. Requests 01 to 06 are eight bytes; any
// other frame ends with silence, and so does whatever follows damage.
func (l *ModbusLine) listen(ctx context.Context, chunks <-chan []byte, handle func(frame []byte)) error {
	gap := l.Gap
	if gap <= 0 {
		gap = 20 * time.Millisecond
	}
	silence := time.NewTimer(gap)
	defer silence.Stop()
	var frame []byte
	for {
		select {
		case <-ctx.Done():
			return nil
		case b := <-chunks:
			if frame = append(frame, b...); len(frame) > longestFrame {
				frame = frame[:longestFrame]
			}
			silence.Reset(gap)
			if len(frame) == 8 && frame[1] <= 6 && crc16(frame) == 0 {
				handle(frame)
				frame = nil
			}
		case <-silence.C:
			if len(frame) >= 4 {
				handle(frame)
			}
			frame = nil
		}
	}
}
