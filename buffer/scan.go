package buffer

import (
	"errors"
	"io"
)

// block is one sound block in a reader's memory.
type block struct {
	blockHeader
	off  int64
	body []byte // unpacked; valid until the next call of the scanner that does not hold
}

// scanner walks the blocks of a segment in file order, skipping what is not a
// sound block in steps of a page. It is used by recovery and by consumers.
type scanner struct {
	f     File
	seed  seed
	limit int64 // blocks end here or before
	off   int64 // where the next block is looked for
	above uint64
	held  bool   // what was given before stays valid: errHeld rather than using its memory again
	buf   []byte // window; keeps its memory between segments
	plain []byte // what packed blocks hold; keeps its memory between segments
	start int64  // file offset of buf[0]
	bad   int64  // bytes skipped since the last sound block
	badBy uint32 // records of a block whose header was sound and whose body was not
}

// errHeld: the next block needs memory that is held. Nothing was passed over but
// what is counted as bad.
var errHeld = errors.New("memory is held")

func (s *scanner) reset(f File, sd seed, limit int64) {
	s.f, s.seed, s.off, s.limit = f, sd, dataStart, limit
	s.buf, s.start, s.bad, s.badBy, s.above = s.buf[:0], 0, 0, 0, 0
	s.plain, s.held = s.plain[:0], false
}

// have is the buffered part from the current offset on.
func (s *scanner) have() []byte {
	at := s.off - s.start
	if at < 0 || at >= int64(len(s.buf)) {
		return nil
	}
	return s.buf[at:]
}

// next gives the next sound block; false at the limit. Blocks whose last
// record is not above s.above are passed without looking at their body.
func (s *scanner) next() (b block, ok bool, err error) {
	for s.off+blockHeadLen <= s.limit {
		p, err := s.need(blockHeadLen)
		if err != nil {
			return b, false, err
		}
		h, ok := decodeBlockHeader(p, s.seed, s.off, s.limit-s.off)
		if !ok {
			s.skip(0)
			continue
		}
		if s.above != 0 && h.count > 0 && h.last() <= s.above {
			s.off += h.room()
			s.bad, s.badBy = 0, 0
			continue
		}
		p, err = s.need(blockHeadLen + int(h.length))
		if err != nil {
			return b, false, err
		}
		body := p[blockHeadLen : blockHeadLen+int(h.length)]
		if !h.sound(s.seed, s.off, body) {
			s.skip(h.count)
			continue
		}
		if h.codec == codecZstd {
			if body, err = s.unpacked(body); err != nil {
				return b, false, err
			}
			if body == nil {
				s.skip(h.count)
				continue
			}
		}
		b = block{blockHeader: h, off: s.off, body: body}
		s.off += h.room()
		return b, true, nil
	}
	return b, false, nil
}

// unpacked gives the body of a packed block, nil if it is none.
func (s *scanner) unpacked(stored []byte) ([]byte, error) {
	n, ok := unpackedLen(stored)
	if !ok {
		return nil, nil
	}
	if !s.held {
		s.plain = s.plain[:0]
	}
	at := len(s.plain)
	if cap(s.plain)-at < n {
		if s.held {
			return nil, errHeld
		}
		s.plain = make([]byte, 0, max(n, packLimit))
	}
	if s.plain, ok = unpack(s.plain, stored); !ok {
		return nil, nil
	}
	return s.plain[at:], nil
}

func (s *scanner) skip(records uint32) {
	s.off += page
	s.bad += page
	s.badBy += records
}

// need makes n bytes from the current offset available. Pages that cannot be
// read are taken as zeros, so that one bad sector costs one block.
func (s *scanner) need(n int) ([]byte, error) {
	if p := s.have(); len(p) >= n {
		return p, nil
	}
	if s.held {
		return nil, errHeld
	}
	size := max(n, blockLimit)
	if rest := s.limit - s.off; int64(size) > rest {
		size = int(rest)
	}
	if cap(s.buf) < size {
		s.buf = make([]byte, 0, max(size, blockLimit))
	}
	s.buf, s.start = s.buf[:size], s.off
	m, err := s.f.ReadAt(s.buf, s.off)
	if m == size {
		return s.buf, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		clear(s.buf[m:])
		return s.buf, nil
	}
	return s.buf, s.readPages()
}

// readPages reads the window page by page after reading it whole failed.
func (s *scanner) readPages() error {
	failed := 0
	var last error
	for at := 0; at < len(s.buf); at += page {
		p := s.buf[at:min(at+page, len(s.buf))]
		m, err := s.f.ReadAt(p, s.start+int64(at))
		if m < len(p) {
			clear(p[m:])
			if err != nil && !errors.Is(err, io.EOF) {
				failed++
				last = err
			}
		}
	}
	if failed*page >= len(s.buf) && len(s.buf) > page {
		return last // nothing can be read: not a bad sector
	}
	return nil
}
