package bridge

import (
	"fmt"
	"slices"
	"testing"
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

// model is a world that explore can walk.
type model[W any] interface {
	steps(visit func(name string, faulty bool, next W))
	key() string
	wrong(rest bool) string // rest: nothing but faults can happen
}

// explore visits every state that can be reached, and returns how many there are and the shortest way to a wrong one.
func explore[W model[W]](start W) (states int, way []string) {
	type node struct {
		w    W
		from int
		name string
	}
	nodes := []node{{w: start, from: -1}}
	seen := map[string]struct{}{start.key(): {}}
	for i := 0; i < len(nodes); i++ {
		w, moves := nodes[i].w, 0
		w.steps(func(name string, faulty bool, next W) {
			if !faulty {
				moves++
			}
			k := next.key()
			if _, had := seen[k]; had {
				return
			}
			seen[k] = struct{}{}
			nodes = append(nodes, node{next, i, name})
		})
		if why := w.wrong(moves == 0); why != "" {
			way = []string{why}
			for j := i; j > 0; j = nodes[j].from {
				way = append(way, nodes[j].name)
			}
			slices.Reverse(way)
			return len(nodes), way
		}
		var done W
		nodes[i].w = done
	}
	return len(nodes), nil
}

// TestModel walks all orders of steps.
func TestModel(t *testing.T) {
	for _, test := range []struct {
		name   string
		faults modelFaults
		late   bool
		shared bool
	}{
		{"crashes", modelFaults{crash: 2, lose: 1}, false, false},
		{"session lost", modelFaults{crash: 1, lose: 1, forget: 1}, false, false},
		{"fail over and return", modelFaults{crash: 1, lose: 1, move: 2}, false, false},
		{"protocol changed and back", modelFaults{crash: 2, move: 2}, false, true},
		{"dropped by policy", modelFaults{crash: 1, lose: 1, drop: 1}, false, false},
		{"server that delivers late", modelFaults{crash: 1, lose: 1, forget: 1}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			states, way := explore(&world{faults: test.faults, late: test.late, shared: test.shared, next: 1})
			if way != nil {
				for _, step := range way {
					t.Log(step)
				}
				t.Fatal("the steps above break it")
			}
			t.Logf("%d states", states)
		})
	}
}
