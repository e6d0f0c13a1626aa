package sim

import "time"

// Device is a chip on a Bus. The bus calls one method at a time; a device that
// also offers methods to a test guards its own state.
type Device interface {
	// PowerUp puts the device into the state it has when its supply rises at
	// the given moment.
	PowerUp(now time.Time)
	// Write hands over the bytes that follow the device's address in one write
	// message, never none. ErrNack means that it did not acknowledge.
	Write(now time.Time, data []byte) error
	// Read fills data, never empty, as the device would answer a read message.
	// ErrNack means that it did not acknowledge.
	Read(now time.Time, data []byte) error
}
