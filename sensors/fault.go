package sensors

import (
	"errors"
	"fmt"
	"strconv"
)

// Fault is the class of what went wrong with a device: what the operator has
// to look at, and whether trying again helps.
type Fault uint8

// The classes.
const (
	NotAnswering Fault = iota + 1 // no acknowledgement: absent, unpowered, wrong address
	WrongChip                     // something answers, but not what was asked for
	Timeout                       // busy for too long, a late reply, a bus held low
	Garbage                       // an answer that cannot be: checksum, all 00 or FF, broken calibration
	Gone                          // bus, port or directory is not there (any more)
	Refused                       // the system says no: permission, owned by the kernel or another program
	Ambiguous                     // several fit, and the settings do not say which
	Stuck                         // a call into the kernel does not return
)

// String returns the class in words.
func (f Fault) String() string {
	switch f {
	case NotAnswering:
		return "not answering"
	case WrongChip:
		return "wrong chip"
	case Timeout:
		return "timeout"
	case Garbage:
		return "garbage"
	case Gone:
		return "gone"
	case Refused:
		return "refused"
	case Ambiguous:
		return "ambiguous"
	case Stuck:
		return "stuck"
	}
	return "fault(" + itoa(int64(f)) + ")"
}

// Retryable reports whether the same call may succeed a moment later without
// anybody doing anything.
func (f Fault) Retryable() bool {
	return f == NotAnswering || f == WrongChip || f == Timeout || f == Garbage
}

// Tally counts faults by their class; what is of no class is counted at 0.
type Tally [Stuck + 1]uint64

// Count adds one for err, if there is one.
func (t *Tally) Count(err error) {
	if err != nil {
		t[min(FaultOf(err), Stuck)]++
	}
}

// Add adds what another one has counted.
func (t *Tally) Add(other *Tally) {
	for i, n := range other {
		t[i] += n
	}
}

// Sum is how many faults there are in all.
func (t *Tally) Sum() uint64 {
	sum := uint64(0)
	for _, n := range t {
		sum += n
	}
	return sum
}

// Error is every error of a device or bus.
type Error struct {
	Fault Fault
	Where string // "0x76 on bus 1", "serial rs485 (/dev/ttyUSB0)"
	Text  string // what was seen and what was wanted, and what to do where that is known
	Err   error  // what the system said, or nil
}

// Errorf returns an *Error with a formatted text.
func Errorf(f Fault, where, format string, a ...any) *Error {
	return &Error{Fault: f, Where: where, Text: fmt.Sprintf(format, a...)}
}

// Error returns "0x76 on bus 1: not answering: remote I/O error".
func (e *Error) Error() string {
	s := e.Fault.String()
	if e.Where != "" {
		s = e.Where + ": " + s
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns what the system said.
func (e *Error) Unwrap() error { return e.Err }

// FaultOf returns the class of err, or 0 if it is not a device's error.
func FaultOf(err error) Fault {
	if err == nil {
		return 0 // without the allocation of e
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Fault
	}
	return 0
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
