package chip

import (
	"context"

	"weir/sensors"
)

// partner is the patience with a device on a line that others may be on as well.
// One that did not answer is doubtful until it does: it is asked once in a read,
// not three times, and its line lets the others go first (sensors.Doubtful). One
// user at a time.
type partner struct {
	pause
	doubtful bool
	why      error // the last one that made it so
}

// read is sensors.Device.Read for a device on a shared line.
func (p *partner) read(ctx context.Context, m measurer, s *sensors.Sample) error {
	p.once = p.doubtful
	err := readRetrying(ctx, m, &p.pause, s)
	if err == nil {
		p.doubtful, p.why = false, nil
	}
	return err
}

// note takes in how an exchange with the device ended, and returns the error to
// report: of one that did not even get the line because of its doubtfulness, the
// error that made it doubtful. An answer that refuses is an answer.
func (p *partner) note(ctx context.Context, err error) error {
	switch sensors.FaultOf(err) {
	case sensors.NotAnswering, sensors.Garbage:
		p.doubtful, p.why = true, err
	case sensors.Timeout:
		if p.doubtful && ctx.Err() != nil {
			return p.why
		}
	}
	return err
}
