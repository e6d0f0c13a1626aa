package transport

// Sizes of the read buffer.
const (
	inputSmall = 4 << 10  // of a connection that sends little
	inputLarge = 64 << 10 // of one that sends much; more only for a single packet that needs it
	inputCalm  = 16       // so many reads must have filled less than an eighth before the buffer becomes small again
)

// input is the read buffer of a connection: buf[:have] is received and not yet consumed.
type input struct {
	buf  []byte
	have int
	calm int
}

func newInput() *input { return &input{buf: make([]byte, inputSmall)} }

// space is where the next read puts its bytes; never empty.
func (in *input) space() []byte { return in.buf[in.have:] }

// add notes that n bytes were read and returns all that wait.
func (in *input) add(n int) []byte {
	in.have += n
	return in.buf[:in.have]
}

// used notes that the handler is done with the first bytes after a read of n, and fits the size of the buffer.
func (in *input) used(bytes, n int) {
	filled := in.have == len(in.buf)
	rest := in.buf[bytes:in.have]
	switch {
	case len(rest) == len(in.buf), filled && len(in.buf) < inputLarge: // one packet needs more room; or traffic is high
		in.replace(2*len(in.buf), rest)
		return
	case len(in.buf) > inputSmall && len(rest) == 0 && n < len(in.buf)/8:
		if in.calm++; in.calm >= inputCalm {
			in.replace(inputSmall, nil)
			return
		}
	default:
		in.calm = 0
	}
	in.have = copy(in.buf, rest)
}

func (in *input) replace(size int, rest []byte) {
	buf := make([]byte, size)
	in.have, in.buf, in.calm = copy(buf, rest), buf, 0
}
