package bus

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/i2c"
	"periph.io/x/host/v3/sysfs"
)

// openSysfs opens /dev/i2c-N with periph. It bypasses the registry on purpose:
// that is filled once per process and would not see an adapter plugged in later.
func openSysfs(number int) (i2c.BusCloser, error) {
	b, err := sysfs.NewI2C(number)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(fmt.Sprintf("/dev/i2c-%d", number), os.O_RDWR, 0)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return &sharedBus{b, file}, nil
}

// sharedBus is a bus that several processes of weir may use: a scan beside a
// gateway that runs. Each piece of work holds a lock (flock) on the device, which
// hinders nobody who does not ask for it. Without it a scan could close or open a
// channel of a multiplexer between a selection and its transfer, and a chip would
// answer for another.
type sharedBus struct {
	i2c.BusCloser
	file *os.File
}

// turnLimit is how long a turn is waited for; a piece of work takes milliseconds,
// on a bus that hangs a second.
const turnLimit = 3 * time.Second

var errNoTurn = errors.New("another process of weir holds the bus: connection timed out")

// take waits for the turn. A device that cannot be locked is used without.
func (b *sharedBus) take() error {
	for until := time.Now().Add(turnLimit); ; time.Sleep(time.Millisecond) {
		err := unix.Flock(int(b.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil
		}
		if time.Now().After(until) {
			return errNoTurn
		}
	}
}

// give lets others have their turn.
func (b *sharedBus) give() { _ = unix.Flock(int(b.file.Fd()), unix.LOCK_UN) } // what was not locked is not held

// Close closes the bus and its lock.
func (b *sharedBus) Close() error { return errors.Join(b.BusCloser.Close(), b.file.Close()) }
