//go:build !linux

package bus

import (
	"errors"

	"weir/sensors"
)

// tty is a serial port; this system has none that weir can use.
type tty struct{ path string }

type inUseError struct{}

func (*inUseError) Error() string { return "another program uses it" }

var errNoSerial = errors.New("serial ports need Linux")

func openTTY(string, sensors.Mode) (*tty, error) { return nil, errNoSerial }

func (*tty) Read([]byte) (int, error)  { return 0, errNoSerial }
func (*tty) Write([]byte) (int, error) { return 0, errNoSerial }
func (*tty) Flush() error              { return errNoSerial }
func (*tty) Close() error              { return nil }
func (*tty) discardOutput()            {}
