// Package bus owns what sensors are attached to: I2C adapters, serial ports, and
// the kernel's 1-wire masters. A Machine is all of them; drivers see it as
// sensors.Machine.
//
//	device ─ Tx ─▶ conn ─┐                    ┌─▶ periph i2c.BusCloser (/dev/i2c-N)
//	device ─ Tx ─▶ conn ─┴─ transfers ─▶ owner┘   one goroutine per bus
//	device ─ Do ─▶ line ─── exchanges ─▶ owner ─▶ tarm/serial (/dev/ttyUSB0), locked
//
// I2C. One long-lived goroutine per adapter does every transfer, on buffers of
// its own: who asked may leave when its context ends, while the kernel is still
// busy. The transfer runs deep enough in a stack that this cannot move (see
// transact). Errors have lost their number on the way through periph and are
// sorted by their text. An adapter that is gone is opened anew with the next
// request. An address has one user; one that belongs to a driver of the kernel
// is refused. Those who look for their chips on a bus do so one after the other, since each has the addresses it asks to
// itself meanwhile. Without a bus name, bus 1 is looked at first, then all others.
//
// Multiplexers. A bus named "1/0x70/3" is channel 3 of the one at 0x70 on bus 1.
// Opening the channel, the transfer and closing the channel are one piece of work
// of the owner (mux.go), so chips with one address on two channels never mix, and
// a chip behind one never answers for one in front; two users whose chips would
// are refused.
//
// Serial. The owner alone reads, writes and closes. Reads have a timeout of
// 100 ms, the smallest there is, so deadlines may be late by that much. A port
// that has gone looks like a timeout that is too quick; so an empty read of less
// than 50 ms, twice, counts as unplugged. The link in device is followed at each
// opening, since the adapter may come back under another name. A second
// descriptor holds a lock (flock and TIOCEXCL) against a second user, and frees
// a write that is blocked in the kernel. Who has the port is named, as far as /proc
// shows it; a console or program that does not ask for the lock is warned of. The
// exchanges of devices that did not answer the last time (sensors.Doubtful) come
// after all others and get at most half of the line's time, so that dead ones
// starve nobody. While nothing has ever come in on a port of the board, a missing
// answer names the device-tree property that switches an RS-485 adapter.
//
// 1-wire. A bulk conversion is shared by all sensors of a master.
//
// Scan only reads, but for what tells multiplexers apart. It leaves out addresses
// where even reading may do harm.
//
// Limits: 64 bytes each way in an I2C transfer; 7-bit addresses; multiplexers whose
// register has one bit for each channel (not PCA9544A or PCA9547); a chip that
// holds a line low behind one hangs the whole bus, since the multiplexer then does
// not hear that it is to close; programs that are not weir do not wait for their
// turn on a bus, and a scan in another process does not know which chips a gateway
// that runs is using, so it may get in between a question and its answer; a bus that hangs is detected, not clocked free; parity errors of
// serial lines are not reported by the port, so checksums have to find them;
// silence on a serial line is measured in steps of 100 ms.
package bus
