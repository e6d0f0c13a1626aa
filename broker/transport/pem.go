package transport

import (
	"bytes"
	"encoding/pem"
	"fmt"
)

// byteOrderMark is what editors of other systems put at the head of a text.
var byteOrderMark = []byte("\xEF\xBB\xBF")

// pemBegin is how each block begins, at the head of a line (RFC 7468 section 3).
var pemBegin = []byte("-----BEGIN ")

// decodePEM gives the blocks of a file. One that cannot be read is an error, unlike for pem.Decode, which looks for the next
// one: a file that was cut short would be taken for a shorter list of authorities, or of certificates that were revoked. What
// stands between blocks, such as a certificate in words, is passed over.
func decodePEM(s Source, data []byte) (all []*pem.Block, err error) {
	data = bytes.TrimPrefix(data, byteOrderMark)
	for line := 1; ; {
		at := nextBegin(data)
		if at < 0 {
			return all, nil
		}
		line += bytes.Count(data[:at], []byte{'\n'})
		data = data[at:]
		one := data
		if next := nextBegin(data[1:]); next >= 0 {
			one = data[:1+next]
		}
		b, _ := pem.Decode(one)
		if b == nil {
			return nil, &SourceError{s.Setting, fmt.Errorf("%s:%d: the block of PEM that begins here is cut short or damaged, want a whole one: copy the file anew", s.Name, line)}
		}
		all = append(all, b)
		line += bytes.Count(one, []byte{'\n'})
		data = data[len(one):]
	}
}

// nextBegin is where the next block begins; -1: there is none.
func nextBegin(data []byte) int {
	if bytes.HasPrefix(data, pemBegin) {
		return 0
	}
	at := bytes.Index(data, append([]byte{'\n'}, pemBegin...))
	if at < 0 {
		return -1
	}
	return at + 1
}
