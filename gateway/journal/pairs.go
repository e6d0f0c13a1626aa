package journal

import (
	"encoding/binary"
	"strings"

	"weir/buffer"
)

// Pair says that a record was, or is about to be, sent to a receiver at QoS 2 under a packet id. Pairs are kept, so that
// after a crash the record is sent under the same id, or not at all:
//
//	        Keep, Barrier settled        PUBREC, Keep(released), Barrier settled          PUBCOMP
//	(none) ───────────────────────▶ PUBLISH ──────────────────────────────────▶ PUBREL ──────────▶ Forget
//
// Keep says that before PUBLISH leaves for the first time, and once more before PUBREL does; Forget needs no barrier, since
// PUBREL for an id that the receiver has forgotten is answered all the same. A pair whose record is not in the log was
// never sent and is nothing.
type Pair struct {
	ID       uint16
	Number   uint64 // of the record
	Released bool   // PUBREC was received: only PUBREL is sent from here on
	Queue    uint32 // the consumer whose record it is; 0: the pair's own
}

// pairs are those of one consumer, in the keyed state of the log:
//
//	key "pair/" consumer u32 id u16; value: number u64, released u8, and if the record is not its own: consumer u32; all big-endian
type pairs struct {
	log      *buffer.Log
	consumer uint32
}

const pairPrefix = "pair/"

func (p pairs) key(id uint16) string {
	return string(binary.BigEndian.AppendUint16(p.prefix(), id))
}

func (p pairs) prefix() []byte {
	return binary.BigEndian.AppendUint32([]byte(pairPrefix), p.consumer)
}

// Keep puts a pair, in place of any other of its id. It is durable when a Barrier asked for after it is settled.
func (p pairs) Keep(x Pair) error {
	v := append(binary.BigEndian.AppendUint64(nil, x.Number), 0)
	if x.Released {
		v[8] = 1
	}
	if x.Queue != 0 {
		v = binary.BigEndian.AppendUint32(v, x.Queue)
	}
	return p.log.Put(p.key(x.ID), v)
}

// Forget drops the pair of an id.
func (p pairs) Forget(id uint16) { p.log.Delete(p.key(id)) }

// Pairs gives those that are kept, by id.
func (p pairs) Pairs() (all []Pair) {
	prefix := string(p.prefix())
	p.log.Range(prefix, func(key string, value []byte) bool {
		id := strings.TrimPrefix(key, prefix)
		if len(id) != 2 || len(value) != 9 && len(value) != 13 {
			return true
		}
		x := Pair{ID: binary.BigEndian.Uint16([]byte(id)), Number: binary.BigEndian.Uint64(value), Released: value[8] == 1}
		if len(value) == 13 {
			x.Queue = binary.BigEndian.Uint32(value[9:])
		}
		all = append(all, x)
		return true
	})
	return all
}

// sweepPairs drops the pairs of consumers that are no more: one may be put while its queue is being dropped.
func (j *Journal) sweepPairs() {
	known := map[string]bool{}
	j.log.Consumers(func(c *buffer.Consumer) bool {
		known[string(pairs{j.log, c.ID()}.prefix())] = true
		return true
	})
	j.log.Range(pairPrefix, func(key string, _ []byte) bool {
		if at := len(pairPrefix) + 4; len(key) < at || !known[key[:at]] {
			j.log.Delete(key)
		}
		return true
	})
}

// Barrier gives a number that Settled answers true for when everything put, deleted, acknowledged and appended before
// this call is durable. A commit for it begins at once, or behind the one that runs. While the store fails it stays
// unsettled.
func (j *Journal) Barrier() (number uint64, err error) {
	now := j.cfg.Now()
	j.mu.Lock()
	defer j.mu.Unlock() // over both: the run's first number is told to settled before any other is given out
	if number, err = j.log.Barrier(); err != nil {
		return 0, err
	}
	if !j.started {
		j.started = true
		j.settled.start(number)
	}
	j.pace.full(now)
	j.hurry()
	return number, nil
}
