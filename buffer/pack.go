package buffer

import (
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Codecs of a block.
const (
	codecNone = 0 // the body is as it is
	codecZstd = 1 // the body is its length, u32, and a zstd frame
)

const (
	packWindow = 128 << 10      // of the encoder: a decoder needs as much memory
	packLimit  = 2 * blockLimit // as blockLimit, if it will be compressed
	packHead   = 4              // bytes in front of the frame
	packMost   = 1 << 20        // a body above this is stored as it is, which bounds what a reader must unpack
)

// packer compresses bodies. Its memory is made with the first one and kept.
type packer struct {
	encoder *zstd.Encoder
	out     []byte
}

// pack gives the stored form of a body; ok is false when it would not save a
// page of the file, which is all that counts on the disk. A body that takes one
// page is not tried. What is returned is valid until the next call.
func (k *packer) pack(body []byte) (stored []byte, ok bool) {
	raw := pages(blockHeadLen + int64(len(body)))
	if raw <= page || len(body) > packMost {
		return nil, false
	}
	if k.encoder == nil {
		k.encoder, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(packWindow), zstd.WithLowerEncoderMem(true),
			zstd.WithAllLitEntropyCompression(true), zstd.WithEncoderCRC(false)) // fails on bad options only
		k.out = make([]byte, 0, blockLimit/2)
	}
	k.out = le.AppendUint32(k.out[:0], uint32(len(body)))
	k.out = k.encoder.EncodeAll(body, k.out)
	stored = k.out
	if cap(k.out) > packLimit {
		k.out = make([]byte, 0, blockLimit/2) // a large body: do not keep its room
	}
	return stored, pages(blockHeadLen+int64(len(stored))) < raw
}

// unpackedLen is how long a packed body says it is; false beyond the limit.
func unpackedLen(stored []byte) (n int, ok bool) {
	if len(stored) < packHead {
		return 0, false
	}
	n = int(le.Uint32(stored))
	return n, n > 0 && n <= packMost
}

// unpack adds the body of a packed block to dst, which has room for it. False:
// the stored bytes are no such body.
func unpack(dst, stored []byte) (body []byte, ok bool) {
	n, ok := unpackedLen(stored)
	if !ok || cap(dst)-len(dst) < n {
		return dst, false
	}
	full, err := decoder().DecodeAll(stored[packHead:], dst[:len(dst):len(dst)+n])
	if err != nil || len(full) != len(dst)+n {
		return dst, false
	}
	return dst[:len(dst)+n], true
}

// decoder is shared by all readers: it holds no state between blocks. It never
// takes memory for what it unpacks, nor for a window above the encoder's limit.
var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(2*packMost), zstd.WithDecoderMaxWindow(packMost), zstd.WithDecodeAllCapLimit(true)) // fails on bad options only
	return d
})
