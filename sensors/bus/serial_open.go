package bus

import (
	"errors"
	"io/fs"
	"syscall"

	"weir/sensors"
)

// classifyTTY sorts the error of opening a serial port, and says what to do.
func classifyTTY(where string, err error) *sensors.Error {
	e := &sensors.Error{Fault: sensors.Gone, Where: where, Err: err}
	var path *fs.PathError
	if errors.As(err, &path) {
		e.Err = path.Err // the path is said already
	}
	var inUse *inUseError
	switch {
	case errors.As(err, &inUse):
		e.Fault, e.Text = sensors.Refused, "the port is taken"
	case errors.Is(err, syscall.EBUSY):
		e.Fault, e.Text = sensors.Refused, "the port is taken by another program"
	case errors.Is(err, fs.ErrPermission):
		e.Fault, e.Text = sensors.Refused, "no permission: add the user to the group dialout"
	case errors.Is(err, syscall.ENOTTY), errors.Is(err, syscall.EINVAL):
		e.Fault, e.Text = sensors.Refused, "this is not a serial port"
	case errors.Is(err, fs.ErrNotExist):
		e.Text = "there is no such port; is it plugged in? weir scan lists the ports"
	}
	return e
}
