package journal

import (
	"encoding/binary"
	"slices"
	"strings"

	"weir/bridge"
	"weir/buffer"
)

// Keys of what a session upstream must remember; see doc.go.
const (
	tokenPrefix = "token/"
	takenPrefix = "taken/"
)

var _ bridge.Keeper = (*Source)(nil)

func (s *Source) key(prefix string) string {
	return string(binary.BigEndian.AppendUint32([]byte(prefix), s.ID()))
}

// HeldKey is the key under which a received QoS 2 id is held. Put along with the message it came with, neither is kept
// without the other.
func (s *Source) HeldKey(id uint16) string {
	return string(binary.BigEndian.AppendUint16([]byte(s.takenKey(s.generation.Load())), id))
}

func (s *Source) takenKey(generation uint32) string {
	return string(binary.BigEndian.AppendUint32([]byte(s.key(takenPrefix)), generation))
}

// token reads what is kept of whose session it is.
func (s *Source) token() (generation uint32, token string) {
	if v, ok := s.j.log.Get(s.key(tokenPrefix)); ok && len(v) >= 4 {
		return binary.BigEndian.Uint32(v), string(v[4:])
	}
	return 0, ""
}

// Session is what is kept of the session upstream.
func (s *Source) Session() bridge.Kept {
	_, token := s.token()
	kept := bridge.Kept{Token: token}
	for _, p := range s.pairs().Pairs() {
		kept.Pairs = append(kept.Pairs, bridge.Pair{ID: p.ID, Number: p.Number, Released: p.Released})
	}
	slices.SortFunc(kept.Pairs, func(a, b bridge.Pair) int {
		if a.Number < b.Number {
			return -1
		}
		return 1
	})
	prefix := s.takenKey(s.generation.Load())
	s.j.log.Range(prefix, func(key string, _ []byte) bool {
		if id := strings.TrimPrefix(key, prefix); len(id) == 2 {
			kept.Held = append(kept.Held, binary.BigEndian.Uint16([]byte(id)))
		}
		return true
	})
	return kept
}

func (s *Source) pairs() pairs { return pairs{s.j.log, s.ID()} }

// Withdraw takes the token back, and returns when that is durable.
func (s *Source) Withdraw() error {
	if generation, token := s.token(); token != "" {
		if err := s.put(generation, ""); err != nil {
			return err
		}
	}
	return s.j.Commit()
}

func (s *Source) put(generation uint32, token string) error {
	return s.j.log.Put(s.key(tokenPrefix), append(binary.BigEndian.AppendUint32(nil, generation), token...))
}

// Begin writes the token of a new session and drops all packet ids of the one before, in one commit.
func (s *Source) Begin(token string) error {
	for _, p := range s.pairs().Pairs() { // before the token: a commit in between leaves a session of nobody
		s.pairs().Forget(p.ID)
	}
	s.j.log.Range(s.key(takenPrefix), func(key string, _ []byte) bool {
		s.j.log.Delete(key)
		return true
	})
	generation, _ := s.token()
	if err := s.put(generation+1, token); err != nil {
		return err
	}
	s.generation.Store(generation + 1)
	return s.j.Commit()
}

// Keep puts a pair, Forget drops it.
func (s *Source) Keep(p bridge.Pair) error {
	return s.pairs().Keep(Pair{ID: p.ID, Number: p.Number, Released: p.Released})
}

// Forget drops the pair of an id.
func (s *Source) Forget(id uint16) { s.pairs().Forget(id) }

// Hold keeps the id of a received message, unless that is durable already, with its message.
func (s *Source) Hold(id uint16) (kept bool, err error) {
	key := s.HeldKey(id)
	if _, kept := s.j.log.Get(key); kept {
		return true, nil
	}
	return false, s.j.log.Put(key, nil)
}

// Drop drops a held id.
func (s *Source) Drop(id uint16) { s.j.log.Delete(s.HeldKey(id)) }

// Barrier gives a number for which Settled is true once everything before this call is durable.
func (s *Source) Barrier() (uint64, error) {
	number, err := s.j.Barrier()
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	s.awaited = append(s.awaited, number)
	s.mu.Unlock()
	s.settledNow() // it may be durable by now
	return number, nil
}

// Settled tells whether a barrier is durable.
func (s *Source) Settled(number uint64) bool { return s.j.Settled(number) }

// Durable is signalled after the newest barrier was settled.
func (s *Source) Durable() <-chan struct{} { return s.durable }

// settledNow tells sources whose barriers have become durable.
func (j *Journal) settledNow() {
	j.sources.Range(func(_, value any) bool {
		value.(*Source).settledNow()
		return true
	})
}

func (s *Source) settledNow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.awaited)
	s.awaited = slices.DeleteFunc(s.awaited, func(n uint64) bool { return s.j.settled.covers(n, n) })
	if len(s.awaited) < before {
		poke(s.durable)
	}
}

// distrust withdraws all tokens if the store has lost something: what the sessions upstream hold may not be what is kept here.
// It becomes durable before the first CONNECT, which starts clean, and at once if that is possible: the next start may not see
// what this one saw.
func (j *Journal) distrust(found buffer.Recovery) error {
	if len(found.Lost) == 0 && found.Orphans == 0 && !found.KeysLost && !found.Repaired {
		return nil
	}
	withdrawn := false
	j.log.Range(tokenPrefix, func(key string, value []byte) bool {
		if len(value) > 4 {
			if err := j.log.Put(key, value[:4]); err == nil {
				withdrawn = true
				j.cfg.Log.Warn("the store has lost data: the sessions upstream are begun anew, messages on their way may arrive twice")
			}
		}
		return true
	})
	if withdrawn {
		if err := j.Commit(); err != nil {
			return err
		}
	}
	return j.log.AcceptRepair()
}
