package sim

// Sheet: TI TCA9548A, SCPS207 (and NXP PCA9548A): section 8.5 and 8.6 (bus
// transactions, the control register, table of channels), 8.4 (reset and power-on
// reset). One register, a bit per channel; a channel changes after the stop of the
// message that asked for it; several channels may be on.
//
// Where that is silent:
//   - the last of several bytes written counts;
//   - a channel whose line is held low holds the whole bus low while it is on, the
//     multiplexer included: only its reset pin or its supply ends that.

import (
	"sync"
	"time"
)

const tcaChannels = 8

// TCA9548 is a simulated multiplexer: eight buses of which any may be connected to
// the bus it is on. Safe for concurrent use.
type TCA9548 struct {
	channels [tcaChannels]*Bus

	mu      sync.Mutex // guards the field below
	control byte
}

// NewTCA9548 returns a multiplexer with nothing behind it. Chips go to its channels,
// Channel(3).Add(0x76, chip), and so do their faults, Channel(3).Inject; the options
// are those of the channels, whose clock must be that of the bus.
func NewTCA9548(options ...Option) *TCA9548 {
	m := &TCA9548{}
	for i := range m.channels {
		m.channels[i] = NewBus("channel "+string(rune('0'+i)), options...)
	}
	return m
}

// Channel returns the bus behind a channel, 0 to 7. Its transactions happen on the
// bus the multiplexer is on; it is not meant to be given to a driver.
func (m *TCA9548) Channel(n int) *Bus { return m.channels[n] }

// Control returns the control register.
func (m *TCA9548) Control() byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.control
}

// Reset pulls the reset pin: all channels are off.
func (m *TCA9548) Reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.control = 0
}

// PowerUp is part of Device. What is behind the channels has a supply of its own.
func (m *TCA9548) PowerUp(time.Time) { m.Reset() }

// Write is part of Device.
func (m *TCA9548) Write(_ time.Time, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.control = data[len(data)-1]
	return nil
}

// Read is part of Device.
func (m *TCA9548) Read(_ time.Time, data []byte) error {
	control := m.Control()
	for i := range data {
		data[i] = control
	}
	return nil
}

// join lets the channels that are on take part in a transaction.
func (m *TCA9548) join(x *transaction, addr uint16, w, r []byte) {
	control := m.Control()
	for i, channel := range m.channels {
		if control>>i&1 != 0 {
			channel.join(x, addr, w, r)
		}
	}
}
