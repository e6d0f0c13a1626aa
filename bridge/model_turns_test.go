package bridge

import (
	"fmt"
	"slices"
)

func (w *world) commit() {
	w.disk = w.mem
	if w.exact.asking {
		w.exact.covered()
	}
}

// call begins a connection: the token is withdrawn if need be.
func (w *world) call() {
	o := open(tokenText(w.token), modelToken(w.server))
	w.resume = o.resume
	if o.withdraw {
		w.token, w.mem.token = 0, 0
		w.commit()
	}
	w.phase = modelCalling
}

// connect is CONNECT and CONNACK.
func (w *world) connect() {
	w.c2s, w.s2c = nil, nil
	s := w.home()
	w.present = s.exists && w.resume
	if !w.present {
		*s = modelServer{exists: true}
	}
	w.phase = modelGreeted
}

// begin is what follows CONNACK.
func (w *world) begin() {
	o := open(tokenText(w.token), modelToken(w.server))
	if o.begins(w.present) {
		w.mem.pairs = [modelIDs + 1]modelPair{}
		w.mem.token = w.server + 1
		w.commit()
		for _, e := range w.exact.exchanges {
			w.counted[e.number]++
		}
		w.exact.reset()
	}
	w.token, w.phase, w.cursor = w.server+1, modelUp, 0
}

func (w *world) mayTake() bool {
	n, ok := w.peek()
	if !ok {
		for _, e := range w.exact.exchanges {
			if e.step == published && !e.here {
				return true // the source has come to its end, and that is to be seen
			}
		}
		return false
	}
	return w.exact.find(uint64(n)) != nil || w.freeID() != 0
}

func (w *world) peek() (uint8, bool) {
	for n := w.cursor + 1; n <= modelMessages; n++ {
		if w.mem.records[n] && !w.mem.acked[n] {
			return n, true
		}
	}
	return 0, false
}

func (w *world) freeID() uint8 {
	for id := uint8(1); id <= modelIDs; id++ {
		if !slices.ContainsFunc(w.exact.exchanges, func(e exchange) bool { return e.id == uint16(id) }) {
			return id
		}
	}
	return 0
}

// take is session.send.
func (w *world) take() {
	n, ok := w.peek()
	if !ok {
		w.missing(caughtUp)
		return
	}
	w.cursor = n
	e := w.exact.again(uint64(n))
	switch {
	case e == nil:
		id := w.freeID()
		w.mem.pairs[id] = modelPair{number: n}
		w.exact.claim(uint64(n), uint16(id))
		w.queue = append(w.queue, modelPacket{kind: 'P', id: id, number: n})
	case e.step > published:
		w.missing(uint64(n))
	default:
		w.missing(uint64(n))
		w.queue = append(w.queue, modelPacket{kind: 'P', id: uint8(e.id), number: n, dup: true})
	}
}

func (w *world) missing(below uint64) {
	for _, p := range w.exact.gone(below) {
		w.mem.pairs[p.ID].released = true
	}
}

// turn is session.settle.
func (w *world) turn() {
	if w.phase != modelUp {
		return
	}
	w.exact.release(func(id uint16) { w.c2s = append(w.c2s, modelPacket{kind: 'L', id: uint8(id)}) })
	for len(w.queue) > 0 && w.exact.mayPublish(uint64(w.queue[0].number)) {
		w.c2s = append(w.c2s, w.queue[0])
		w.exact.published(uint64(w.queue[0].number))
		w.queue = w.queue[1:]
	}
	if w.exact.wants() {
		w.exact.ask()
		w.asked = w.mem
	}
}

// serve is the server taking a packet.
func (w *world) serve() {
	p := w.c2s[0]
	w.c2s = w.c2s[1:]
	s := w.home()
	switch p.kind {
	case 'P':
		if s.held[p.id] != 0 {
			if !p.dup || s.held[p.id] != p.number {
				w.broken = fmt.Sprintf("message %d goes under id %d, which the server holds for %d", p.number, p.id, s.held[p.id])
			}
		} else {
			s.held[p.id] = p.number
			if !w.late {
				w.delivered[p.number]++
			}
		}
		w.answer(modelPacket{kind: 'r', id: p.id})
	case 'L':
		if n := s.held[p.id]; n != 0 && w.late {
			w.delivered[n]++
		}
		s.held[p.id] = 0
		w.answer(modelPacket{kind: 'c', id: p.id})
	}
}

func (w *world) answer(p modelPacket) {
	if w.phase == modelUp {
		w.s2c = append(w.s2c, p)
	}
}

// hear is session.finish.
func (w *world) hear() {
	p := w.s2c[0]
	w.s2c = w.s2c[1:]
	i := slices.IndexFunc(w.exact.exchanges, func(e exchange) bool { return e.id == uint16(p.id) })
	if i < 0 {
		return
	}
	number := w.exact.exchanges[i].number
	switch p.kind {
	case 'r':
		if w.exact.received(number) {
			w.mem.pairs[p.id].released = true
		}
	case 'c':
		w.mem.acked[number] = true
		w.forget = append(w.forget, uint8(number))
	}
}

func (w *world) lose() {
	for _, n := range w.forget { // as collect does before drop
		id, _ := w.exact.ended(uint64(n))
		w.mem.pairs[id] = modelPair{}
	}
	for _, id := range w.exact.lost() {
		w.mem.pairs[id] = modelPair{}
	}
	w.queue, w.forget, w.s2c, w.phase = nil, nil, nil, modelDown
}

func (w *world) crash() {
	w.mem = w.disk
	w.exact = once{}
	w.queue, w.forget, w.s2c, w.phase, w.cursor = nil, nil, nil, modelDown, 0
	w.token = w.disk.token
	var kept []Pair
	for n := uint8(1); n <= modelMessages; n++ {
		for id, p := range w.disk.pairs {
			if p.number == n {
				kept = append(kept, Pair{ID: uint16(id), Number: uint64(n), Released: p.released})
			}
		}
	}
	w.exact.restore(kept)
	if w.token != 0 {
		w.server, w.c2s = w.token-1, w.zombie(w.token-1)
	}
}

// zombie is what is left on its way to a server.
func (w *world) zombie(server uint8) []modelPacket {
	if w.server != server {
		return nil
	}
	return w.c2s
}
