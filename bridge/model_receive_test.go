package bridge

import (
	"fmt"
	"slices"
	"testing"
)

// The other direction: messages that the upstream sends at QoS 2, with every decision made by holds and opening. A message
// and its id go into the store in one block, and are durable with the next commit:
//
//	server ── s2c ──▶ holds ──▶ memory ──commit──▶ disk ──crash──▶ memory
//	   ▲                │
//	   └───── c2s ◀─────┘
//
// Checked in each state: no message is in the store twice, none that the server is done with is missing. Where nothing is left
// to happen, the server is done with all that it has.

type inboundStore struct {
	got   [modelMessages + 1]uint8
	held  [modelIDs + 1]uint8 // generation of the session; 0: not held
	token uint8               // generation; 0: nobody's
}

// inboundServer is the sending half of a server's session.
type inboundServer struct {
	exists   bool
	id       [modelMessages + 1]uint8
	received [modelMessages + 1]bool // PUBREC came
	done     [modelMessages + 1]bool
	gone     [modelMessages + 1]bool // lost with the session, or not accepted by it yet
}

type inboundWorld struct {
	crash, lose, forget int // faults left
	generation          uint8
	server              inboundServer
	disk, mem           inboundStore
	holds               holds
	inStore             []*hold // appended and not durable
	owed                []*hold // PUBRECs, in order
	token               uint8
	phase               uint8
	resume, present     bool
	c2s, s2c            []modelPacket
}

func (w *inboundWorld) clone() *inboundWorld {
	c := *w
	moved := map[*hold]*hold{}
	move := func(h *hold) *hold {
		if moved[h] == nil {
			n := *h
			moved[h] = &n
		}
		return moved[h]
	}
	c.holds.ids = map[uint16]*hold{}
	for id, h := range w.holds.ids {
		c.holds.ids[id] = move(h)
	}
	c.holds.owed = slices.Clone(w.holds.owed)
	c.inStore, c.owed = nil, nil
	for _, h := range w.inStore {
		c.inStore = append(c.inStore, move(h))
	}
	for _, h := range w.owed {
		c.owed = append(c.owed, move(h))
	}
	c.c2s, c.s2c = slices.Clone(w.c2s), slices.Clone(w.s2c)
	return &c
}

func (w *inboundWorld) key() string {
	b := &w.holds.books
	stamp := func(s uint64) string { return fmt.Sprint(b.durable(s), s <= b.asked) }
	text := fmt.Sprint(w.crash, w.lose, w.forget, w.generation, w.server, w.disk, w.mem, w.token, w.phase, w.resume, w.present, w.c2s, w.s2c, b.asking, b.last > b.asked)
	note := func(h *hold) { text += fmt.Sprint(h.id, h.settled, stamp(h.stamp), w.holds.current(h), ",") }
	for id := uint16(1); id <= modelIDs; id++ {
		if h := w.holds.ids[id]; h != nil {
			note(h)
		}
	}
	for _, list := range [][]*hold{w.inStore, w.owed} {
		text += ";"
		for _, h := range list {
			note(h)
		}
	}
	for _, c := range w.holds.owed {
		text += fmt.Sprint(c.id, c.known, stamp(c.stamp))
	}
	return text
}

func (w *inboundWorld) steps(visit func(name string, faulty bool, n *inboundWorld)) {
	step := func(name string, faulty bool, f func(n *inboundWorld)) {
		n := w.clone()
		f(n)
		n.turn()
		visit(name, faulty, n)
	}
	if w.disk != w.mem || w.holds.asking || len(w.inStore) > 0 {
		step("commit", false, (*inboundWorld).commit)
	}
	switch w.phase {
	case modelDown:
		step("call", false, func(n *inboundWorld) {
			if n.resume = open(tokenText(n.token), tokenText(n.generation)).resume; !n.resume {
				n.token, n.mem.token = 0, 0
				n.commit()
			}
			n.phase = modelCalling
		})
	case modelCalling:
		step("connect", false, (*inboundWorld).connect)
	case modelGreeted:
		step("begin", false, (*inboundWorld).begin)
	case modelUp:
		if m, id := w.sendable(); m != 0 {
			step("server sends", false, func(n *inboundWorld) {
				n.server.id[m] = id
				n.s2c = append(n.s2c, modelPacket{kind: 'P', id: id, number: m})
			})
		}
		if len(w.s2c) > 0 {
			step("client takes "+string(w.s2c[0].kind), false, (*inboundWorld).hear)
		}
		if w.lose > 0 {
			step("lose", true, func(n *inboundWorld) { n.lose--; n.down() })
		}
	}
	if len(w.c2s) > 0 {
		step("server takes "+string(w.c2s[0].kind), false, (*inboundWorld).serve)
	}
	if w.crash > 0 && !(w.phase == modelGreeted && w.resume && !w.present) {
		step("crash", true, func(n *inboundWorld) {
			n.crash--
			n.down()
			n.mem, n.token, n.inStore, n.holds = n.disk, n.disk.token, nil, holds{}
			var ids []uint16
			for id := uint16(1); id <= modelIDs; id++ {
				if n.mem.held[id] != 0 && n.mem.held[id] == n.mem.token {
					ids = append(ids, id)
				}
			}
			n.holds.restore(ids)
		})
	}
	if w.forget > 0 && w.server.exists && w.phase == modelDown {
		step("session lost", true, func(n *inboundWorld) { n.forget--; n.vanish(); n.c2s = nil })
	}
}

// vanish ends the server's session: what was in it is lost there.
func (w *inboundWorld) vanish() {
	s := &w.server
	for m := 1; m <= modelMessages; m++ {
		if s.id[m] != 0 && !s.done[m] {
			s.gone[m] = true
		}
		s.id[m], s.received[m] = 0, false
	}
	s.exists = false
}

func (w *inboundWorld) down() {
	w.phase, w.s2c, w.owed = modelDown, nil, nil
	w.holds.lost()
}

func (w *inboundWorld) commit() {
	w.disk = w.mem
	if w.holds.asking {
		w.holds.covered()
	}
	for _, h := range w.inStore {
		if w.holds.current(h) {
			w.holds.settle(h, true)
		}
	}
	w.inStore = nil
}

func (w *inboundWorld) connect() {
	w.c2s, w.s2c = nil, nil
	s := &w.server
	if w.present = s.exists && w.resume; !w.present {
		w.vanish()
	}
	s.exists, w.phase = true, modelGreeted
	for m := uint8(1); w.present && m <= modelMessages; m++ {
		switch {
		case s.id[m] == 0 || s.done[m]:
		case s.received[m]:
			w.s2c = append(w.s2c, modelPacket{kind: 'L', id: s.id[m]})
		default:
			w.s2c = append(w.s2c, modelPacket{kind: 'P', id: s.id[m], number: m, dup: true})
		}
	}
}

func (w *inboundWorld) begin() {
	if open(tokenText(w.token), tokenText(w.generation)).begins(w.present) {
		w.generation++
		w.mem.held, w.mem.token = [modelIDs + 1]uint8{}, w.generation
		w.commit()
		w.holds.reset()
	}
	w.token, w.phase = w.generation, modelUp
}

func (w *inboundWorld) sendable() (m, id uint8) {
	s := &w.server
	for m = 1; m <= modelMessages && (s.id[m] != 0 || s.gone[m] || s.done[m]); m++ {
	}
	for id = 1; id <= modelIDs; id++ {
		if m <= modelMessages && !slices.Contains(s.id[:], id) {
			return m, id
		}
	}
	return 0, 0
}

// hear is intake.take and intake.released.
func (w *inboundWorld) hear() {
	p := w.s2c[0]
	w.s2c = w.s2c[1:]
	if p.kind == 'L' {
		if w.holds.release(uint16(p.id)) {
			w.mem.held[p.id] = 0
		}
		return
	}
	h, again := w.holds.arrive(uint16(p.id))
	if !again {
		w.mem.got[p.number]++
		w.mem.held[p.id] = w.generation
		w.inStore = append(w.inStore, h)
	}
	w.owed = append(w.owed, h)
}

// turn is intake.answer and intake.release.
func (w *inboundWorld) turn() {
	if w.phase != modelUp {
		return
	}
	if w.holds.wants() {
		w.holds.ask()
	}
	for c, ok := w.holds.complete(); ok; c, ok = w.holds.complete() {
		w.c2s = append(w.c2s, modelPacket{kind: 'c', id: uint8(c.id)})
	}
	for len(w.owed) > 0 && w.holds.mayReceive(w.owed[0]) {
		w.c2s = append(w.c2s, modelPacket{kind: 'r', id: uint8(w.owed[0].id)})
		w.owed = w.owed[1:]
	}
}

func (w *inboundWorld) serve() {
	p := w.c2s[0]
	w.c2s = w.c2s[1:]
	s := &w.server
	m := slices.Index(s.id[:], p.id)
	switch {
	case m < 0:
	case p.kind == 'r':
		s.received[m] = true
		if w.phase == modelUp {
			w.s2c = append(w.s2c, modelPacket{kind: 'L', id: p.id})
		}
	case p.kind == 'c' && s.received[m]:
		s.done[m], s.id[m] = true, 0
	}
}

func (w *inboundWorld) wrong(rest bool) string {
	for m := 1; m <= modelMessages; m++ {
		switch {
		case w.mem.got[m] > 1:
			return fmt.Sprintf("message %d was taken in %d times", m, w.mem.got[m])
		case w.server.done[m] && w.disk.got[m] == 0:
			return fmt.Sprintf("the server is done with message %d, and it is not kept", m)
		case rest && !w.server.done[m] && !w.server.gone[m]:
			return fmt.Sprintf("message %d never comes to its end", m)
		}
	}
	return ""
}

// TestModelReceive walks all orders of steps.
func TestModelReceive(t *testing.T) {
	for _, start := range []inboundWorld{{crash: 2, lose: 1}, {crash: 1, lose: 1, forget: 1}} {
		start.generation = 1
		start.holds.reset()
		states, way := explore(&start)
		if way != nil {
			t.Fatalf("%d crashes, %d sessions lost: %q", start.crash, start.forget, way)
		}
		t.Logf("%d crashes, %d connections and %d sessions lost: %d states", start.crash, start.lose, start.forget, states)
	}
}
