//go:build !linux

package bus

import (
	"errors"

	"weir/sensors"
)

var errNoSerial = errors.New("serial ports need Linux")

func openTTY(string, sensors.Mode) (SerialPort, error) { return nil, errNoSerial }
