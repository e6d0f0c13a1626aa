package sensors

import (
	"context"
	"log/slog"
	"time"
)

// Connection is the way a device is attached.
type Connection uint8

// The kinds of connection.
const (
	OnI2C     Connection = iota + 1 // an address on an I2C bus
	OnSerial                        // a serial line, [serial.NAME]
	OnOneWire                       // the kernel's 1-wire bus
	OnKernel                        // a value the kernel measures itself
)

// String returns the name of the connection as users know it.
func (c Connection) String() string {
	switch c {
	case OnI2C:
		return "I2C"
	case OnSerial:
		return "serial"
	case OnOneWire:
		return "1-wire"
	case OnKernel:
		return "kernel"
	}
	return "connection(" + itoa(int64(c)) + ")"
}

// Measure is one quantity a driver can deliver, with what its data sheet
// promises for it.
type Measure struct {
	Quantity Quantity
	Unit     Unit
	Min, Max float64 // operating range of the chip in Unit; a value outside is bad. Both zero: no limit known
	Publish  Unit    // what it is published in when nothing else is set; "": as Unit.Shown says
	Gauge    bool    // a pressure above that of the air or of another vessel, not above a vacuum

	// Frozen is how long the raw word of a working chip can stay the same at most:
	// one that measures its own noise never repeats for long. 0: for ever, as with
	// coarse resolutions, or humidity at its 100 %.
	Frozen time.Duration
}

// Driver describes one chip or device family and opens devices of it. Drivers
// are values in a table; nothing registers itself.
type Driver struct {
	Name       string     // as in driver = "bme280"
	Doc        string     // one sentence: what it is
	Connection Connection // how it is attached
	Measures   []Measure  // what it delivers; empty: the settings name the quantities
	Addresses  []uint16   // I2C: the addresses the chip can have, tried in this order when none is set
	Keys       []Key      // every setting it takes inside [sensor.NAME], generic ones (bus, address) included
	Table      *Table     // further named tables it reads, or nil

	// Check says which settings, each of them sound, cannot work together. Keys of
	// rows stand behind section, table and quantity: "modbus.px400.pressure.unit".
	// Nil: they always can.
	Check func(s Settings) []*KeyError

	// Open makes a device. It does no input or output and keeps no reference to
	// s; an error means that the settings cannot work together.
	Open func(m Machine, s Settings) (Device, error)

	// Named returns what a device with these settings delivers, for drivers whose
	// settings name the quantities; nil where Measures says it.
	Named func(s Settings) []Measure

	// Least returns the longest time one undisturbed Read can take with these
	// settings; a shorter interval makes no sense. Nil: not known.
	Least func(s Settings) time.Duration

	// Most returns how long a Read may take with its retries, where the settings
	// allow more than a few seconds. Nil: they do not.
	Most func(s Settings) time.Duration

	// Identify asks, with reads only, what answers at an address, for a scan.
	// It returns the chip's name ("BMP280") or "" if it is none of this
	// driver's. Nil for devices that cannot tell.
	Identify func(ctx context.Context, c Conn) (chip string, err error)

	// Guess asks like Identify, for a chip that has no word of its own to say what it
	// is: by a checksum that is right, or bits that are always set. What it names is
	// shown as likely and never used by itself. It is asked when no Identify of any
	// driver knew the chip. Nil where there is no such sign.
	Guess func(ctx context.Context, c Conn) (chip string, err error)

	// List returns the devices of this driver that are there now, for a scan.
	// It only lists; for drivers of kernel and 1-wire devices, nil otherwise.
	List func(m Machine) []Listed
}

// Listed is a device a driver found by looking, with the settings that name it.
type Listed struct {
	Chip     string            // "DS18B20"
	Where    string            // "28-0000072f1a23 on w1_bus_master1"
	Name     string            // proposal for [sensor.NAME]
	Settings map[string]string // to write into the file besides driver
}

// Delivers returns the quantities a device with these settings delivers, in the
// order of its samples.
func (d *Driver) Delivers(s Settings) []Measure {
	if d.Named != nil {
		return d.Named(s)
	}
	return d.Measures
}

// Find returns the driver with the given name, or nil.
func Find(drivers []Driver, name string) *Driver {
	for i := range drivers {
		if drivers[i].Name == name {
			return &drivers[i]
		}
	}
	return nil
}

// Device is one opened sensor. It is used by one goroutine at a time.
type Device interface {
	// Read resets s and fills it with one measurement. It finds and sets up the
	// device when needed, retries twice (after 10 and 50 ms), and after a
	// failure starts anew with the next call. The error is an *Error; a Sample
	// without an error may still hold bad readings, each with its reason.
	Read(ctx context.Context, s *Sample) error
	// Close gives the address or line back. The device is not used after it.
	Close() error
}

// Machine is what a device may use of the computer it is attached to. It is
// safe for concurrent use.
type Machine interface {
	// I2C returns a connection to the one chip that fits, on the named bus ("1",
	// "i2c-1", "/dev/i2c-1"; "" for the default one) at one of the addresses.
	// The address belongs to the caller until it closes the connection.
	I2C(ctx context.Context, bus string, addresses []uint16, fits Fits) (Conn, error)
	// Serial returns the line called name in the configuration.
	Serial(name string) (Line, error)
	// OneWire starts conversions on 1-wire masters.
	OneWire() OneWire
	// Path returns where the absolute path of a kernel file ("/sys/...") lies.
	Path(path string) string
	// Log returns where devices report changes of their state.
	Log() *slog.Logger
}

// Fits asks what answers at a connection, with reads only. It returns how well
// it fits: 2 the wanted chip, 1 one that can stand in for it. An error of class
// WrongChip says what answered instead.
type Fits func(ctx context.Context, c Conn) (score int, err error)

// Conn is one address on one I2C bus.
type Conn interface {
	// Tx writes w, then reads r with a repeated start, as one transaction.
	// Either may be empty. Errors are of type *Error. When ctx ends first, Tx
	// returns at once and r is left alone.
	Tx(ctx context.Context, w, r []byte) error
	// String says where the chip is: "0x76 on bus 1".
	String() string
	// Close gives the address back.
	Close() error
}

// OneWire starts temperature conversions for all devices of a 1-wire master.
type OneWire interface {
	// Convert makes sure that a bulk conversion of the master at the given
	// directory was finished less than fresh ago. ok is false if the kernel
	// cannot do it; each read then converts by itself.
	Convert(ctx context.Context, master string, fresh time.Duration) (ok bool, err error)
}

// Line is one serial line with its owner.
type Line interface {
	// Do runs x on the goroutine that owns the port, alone. It returns what x
	// returns, or an *Error when the port is not there. x is not in use any more
	// when Do returns, except after an error of class Stuck.
	Do(ctx context.Context, x Exchange) error
	// Listen calls h, on the owner's goroutine, with all bytes that arrive
	// outside of exchanges, until stop is called.
	Listen(h Listener) (stop func())
	// Mode returns the speed and framing of the line.
	Mode() Mode
	// String says which line it is: "serial rs485 (/dev/ttyUSB0)".
	String() string
}

// Exchange is a piece of work on a serial port, normally a request and its reply.
type Exchange interface {
	Exchange(ctx context.Context, p Port) error
}

// Doubtful is an Exchange with a device that may not be there, and whose missing
// answer costs the line more time than any answer. A line lets all others go
// before it, and gives all doubtful ones together a small share of its time.
type Doubtful interface {
	Exchange
	// Doubtful reports whether the device did not answer the last time.
	Doubtful() bool
}

// Port is a serial port in the hands of an exchange.
type Port interface {
	// Write sends all of b.
	Write(b []byte) error
	// Read waits for bytes until the deadline and returns at least one, or an
	// error of class Timeout or Gone.
	Read(b []byte, deadline time.Time) (int, error)
	// Drain discards what arrives until the line was silent for quiet, at
	// longest until the deadline.
	Drain(quiet time.Duration, deadline time.Time) error
}

// Listener is told what arrives on a line.
type Listener interface {
	// Received hands over bytes, valid during the call. No bytes: the line was
	// opened anew, what came before may be cut off.
	Received(b []byte, at time.Time)
}
