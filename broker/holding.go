package broker

// holding holds the messages that a session has in flight, by reference. The zero value is empty, and a word.
type holding struct{ *places }

type places struct {
	held []held
	free []uint64 // without a message
}

// put keeps a message and returns its reference.
func (s *holding) put(h held) (ref uint64) {
	if s.places == nil {
		s.places = &places{}
	}
	if n := len(s.free); n > 0 {
		ref = s.free[n-1]
		s.free = s.free[:n-1]
		s.held[ref] = h
		return ref
	}
	s.held = append(s.held, h)
	return uint64(len(s.held) - 1)
}

// at is the message of a reference that put has given, until drop.
func (s *holding) at(ref uint64) *held { return &s.held[ref] }

// drop forgets it.
func (s *holding) drop(ref uint64) {
	s.held[ref] = held{}
	s.free = append(s.free, ref)
}

// answered are packet ids whose last answer was put out: places that the in-half has to free. The zero value is empty, and a
// word.
type answered struct{ *ids }

type ids struct{ acked, completed []uint16 } // by PUBACK or a failed PUBREC; by PUBCOMP

func (a *answered) ack(id uint16) {
	if a.ids == nil {
		a.ids = &ids{}
	}
	a.acked = append(a.acked, id)
}

func (a *answered) complete(all []uint16) {
	if len(all) == 0 {
		return
	}
	if a.ids == nil {
		a.ids = &ids{}
	}
	a.completed = append(a.completed, all...)
}

// clear forgets all.
func (a *answered) clear() {
	if a.ids != nil {
		a.acked, a.completed = a.acked[:0], a.completed[:0]
	}
}
