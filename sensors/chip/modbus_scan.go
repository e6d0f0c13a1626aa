package chip

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weir/sensors"
)

// The slave addresses a scan asks: most transmitters leave the factory with one of
// these. MODBUS over Serial Line V1.02, 2.2 has 1 to 247.
const (
	FirstScanned = 1
	LastScanned  = 16
)

// scanPatience is how long a scan waits for the first byte of an answer; slaves
// take some tens of milliseconds.
const scanPatience = 150 * time.Millisecond

// AskModbus asks whether a slave answers at an address of a line, by reading one
// register. An answer that it has no such register, or does not know the function,
// is one too; words says which it was, for people. It writes to no register. The
// error is one of the line; silence and noise are none.
func AskModbus(ctx context.Context, line sensors.Line, address byte) (answers bool, words string, err error) {
	for _, function := range []byte{readHolding, readInput} {
		x := &modbusExchange{slave: address, timeout: scanPatience, where: fmt.Sprintf("slave %d on %s", address, line), character: line.Mode().Character(), partner: &partner{}}
		x.block = modbusBlock{function, 0, 1}
		err := line.Do(ctx, x)
		var e *sensors.Error
		switch {
		case err == nil:
			return true, fmt.Sprintf("register 0 of function %d is 0x%02x%02x", function, x.data[0], x.data[1]), nil
		case ctx.Err() != nil:
			return false, "", context.Cause(ctx)
		case errors.As(err, &e) && (e.Fault == sensors.Gone || e.Fault == sensors.Stuck || e.Fault == sensors.Refused && !x.answered()):
			return false, "", err
		case x.answered():
			return true, e.Text, nil
		}
	}
	return false, "", nil
}

// answered reports whether the last request got a whole answer, exceptions included.
func (x *modbusExchange) answered() bool { return x.owedUntil.IsZero() }
