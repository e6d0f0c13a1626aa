package bridge

import (
	"fmt"
	"slices"
)

// The model walks every order in which things can happen to a few messages sent at QoS 2, with every decision made by the
// very code that makes it in a bridge: once and opening. Round them stands the smallest world that can go wrong:
//
//	source ── once ──▶ queue ──▶ c2s ──▶ server (2 of them, each with one session)
//	  │         ▲ └────── s2c ◀──────────┘
//	memory ──commit──▶ disk ──crash──▶ memory
//
// A commit takes what is in memory when it ends, or only what was there when its barrier was asked for. After a lost connection or a crash the server still takes what is in c2s, until the next CONNECT: that is what a
// take-over looks like. What is checked in each state: a message that is kept was not acknowledged in the store before the
// server has it; no message was delivered twice unless it was counted as a possible repeat; a new message never goes under
// an id that the server holds. Where nothing is left to happen, every message was delivered.
//
// One crash is left out: between CONNACK without Session Present, after a Clean Start 0, and the commit of the new token.
// No order of commits helps there: the server has made a session that the next start would take for the old one.

const (
	modelMessages = 3
	modelIDs      = 2
)

type modelPair struct {
	number   uint8 // 0: none
	released bool
}

// modelStore is what a commit makes durable.
type modelStore struct {
	records [modelMessages + 1]bool // appended and not dropped
	acked   [modelMessages + 1]bool
	pairs   [modelIDs + 1]modelPair
	token   uint8 // of server token-1; 0: nobody's
}

type modelPacket struct {
	kind   byte // P publish, L pubrel, r pubrec, c pubcomp
	id     uint8
	number uint8
	dup    bool
}

type modelServer struct {
	exists bool
	held   [modelIDs + 1]uint8 // record under the id; 0: not held
}

// faults left to happen.
type modelFaults struct{ crash, lose, forget, move, drop int }

// Phases of a connection.
const (
	modelDown    = iota
	modelCalling // the token was withdrawn, if need be
	modelGreeted // CONNACK came, the new token is not written
	modelUp
)

type world struct {
	faults    modelFaults
	late      bool  // the server delivers at PUBREL, not at PUBLISH
	shared    bool  // the two servers are one, called in two protocols: under one client id it has one session
	next      uint8 // message to be published
	disk, mem modelStore
	asked     modelStore // what was in memory when the running barrier was asked for
	servers   [2]modelServer
	delivered [modelMessages + 1]uint8
	counted   [modelMessages + 1]uint8 // told as possible repeats
	dropped   [modelMessages + 1]bool

	// The process.
	exact    once
	token    uint8
	phase    uint8
	server   uint8
	resume   bool
	present  bool
	cursor   uint8
	queue    []modelPacket
	forget   []uint8 // records acknowledged, pair not forgotten yet
	c2s, s2c []modelPacket
	broken   string
}

func (w *world) clone() *world {
	c := *w
	c.exact.exchanges = slices.Clone(w.exact.exchanges)
	c.queue, c.forget = slices.Clone(w.queue), slices.Clone(w.forget)
	c.c2s, c.s2c = slices.Clone(w.c2s), slices.Clone(w.s2c)
	return &c
}

// key is the state, with stamps reduced to what they decide.
func (w *world) key() string {
	k := make([]byte, 0, 128)
	flag := func(yes ...bool) {
		x := byte(0)
		for i, y := range yes {
			if y {
				x |= 1 << i
			}
		}
		k = append(k, x)
	}
	packets := func(ps []modelPacket) {
		k = append(k, byte(len(ps)))
		for _, p := range ps {
			k = append(k, p.kind, p.id, p.number)
			flag(p.dup)
		}
	}
	stores := []*modelStore{&w.disk, &w.mem}
	if w.exact.asking {
		stores = append(stores, &w.asked)
	}
	for _, s := range stores {
		flag(s.records[:]...)
		flag(s.acked[:]...)
		for _, p := range s.pairs {
			k = append(k, p.number)
			flag(p.released)
		}
		k = append(k, s.token)
	}
	for _, s := range w.servers {
		flag(s.exists)
		k = append(k, s.held[:]...)
	}
	f := w.faults
	k = append(k, byte(f.crash), byte(f.lose), byte(f.forget), byte(f.move), byte(f.drop), w.next, w.token, w.phase, w.server, w.cursor)
	k = append(append(k, w.delivered[:]...), w.counted[:]...)
	flag(w.dropped[:]...)
	flag(w.resume, w.present, w.exact.asking, w.exact.last > w.exact.asked)
	packets(w.queue)
	packets(w.c2s)
	packets(w.s2c)
	k = append(append(k, byte(len(w.forget))), w.forget...)
	for _, e := range w.exact.exchanges {
		k = append(k, byte(e.number), byte(e.id), byte(e.step))
		flag(e.here, w.exact.durable(e.stamp), e.stamp <= w.exact.asked)
	}
	return string(k) + w.broken
}

func modelToken(server uint8) string { return fmt.Sprint("server", server) }

func tokenText(t uint8) string {
	if t == 0 {
		return ""
	}
	return modelToken(t - 1)
}

// home is the session of the server that is called.
func (w *world) home() *modelServer {
	if w.shared {
		return &w.servers[0]
	}
	return &w.servers[w.server]
}

// steps are all worlds that one step leads to. faulty: the step is a fault.
func (w *world) steps(visit func(name string, faulty bool, n *world)) {
	step := func(name string, faulty bool, f func(n *world)) {
		n := w.clone()
		f(n)
		n.turn()
		visit(name, faulty, n)
	}
	if w.next <= modelMessages {
		step("publish", false, func(n *world) { n.mem.records[n.next] = true; n.next++ })
	}
	if w.disk != w.mem || w.exact.asking {
		step("commit", false, func(n *world) { n.commit() })
	}
	if w.exact.asking && w.asked != w.mem {
		step("commit of what was asked for", false, func(n *world) { n.disk = n.asked; n.exact.covered() })
	}
	switch w.phase {
	case modelDown:
		step("call", false, func(n *world) { n.call() })
	case modelCalling:
		step("connect", false, func(n *world) { n.connect() })
	case modelGreeted:
		step("begin", false, func(n *world) { n.begin() })
	case modelUp:
		w.upSteps(step)
	}
	if len(w.c2s) > 0 {
		step("server takes "+string(w.c2s[0].kind), false, func(n *world) { n.serve() })
	}
	w.faultSteps(step)
}

func (w *world) upSteps(step func(string, bool, func(n *world))) {
	if w.mayTake() {
		step("next", false, func(n *world) { n.take() })
	}
	if len(w.forget) > 0 {
		step("forget", false, func(n *world) {
			id, _ := n.exact.ended(uint64(n.forget[0]))
			n.mem.pairs[id] = modelPair{}
			n.forget = n.forget[1:]
		})
	}
	if len(w.s2c) > 0 {
		step("client takes "+string(w.s2c[0].kind), false, func(n *world) { n.hear() })
	}
}

func (w *world) faultSteps(step func(string, bool, func(n *world))) {
	if w.faults.lose > 0 && w.phase == modelUp {
		step("lose", true, func(n *world) { n.faults.lose--; n.lose() })
	}
	if w.faults.crash > 0 && !(w.phase == modelGreeted && w.resume && !w.present) {
		step("crash", true, func(n *world) { n.faults.crash--; n.crash() })
	}
	if w.faults.forget > 0 && w.home().exists && w.phase == modelDown {
		step("session lost", true, func(n *world) { n.faults.forget--; *n.home() = modelServer{}; n.c2s = nil })
	}
	if w.faults.move > 0 && w.phase == modelDown {
		step("fail over", true, func(n *world) { n.faults.move--; n.server = 1 - n.server; n.c2s = nil })
	}
	for i := uint8(1); w.faults.drop > 0 && i <= modelMessages; i++ {
		if w.mem.records[i] && !w.mem.acked[i] {
			step("drop", true, func(n *world) { n.faults.drop--; n.mem.records[i], n.dropped[i] = false, true })
		}
	}
}

// wrong says what is broken in this state.
func (w *world) wrong(rest bool) string {
	if w.broken != "" {
		return w.broken
	}
	for n := 1; n <= modelMessages; n++ {
		got, may := int(w.delivered[n]), 1+int(w.counted[n])
		switch {
		case got > may:
			return fmt.Sprintf("message %d was delivered %d times, %d counted as possible repeats", n, got, may-1)
		case w.mem.acked[n] && got == 0 && !w.dropped[n]:
			return fmt.Sprintf("message %d is acknowledged in the store, and nobody has it", n)
		case rest && w.mem.records[n] && got == 0:
			return fmt.Sprintf("message %d is kept and never sent", n)
		case rest && w.mem.records[n] && !w.mem.acked[n]:
			return fmt.Sprintf("message %d was delivered and is never done with", n)
		}
	}
	return ""
}
