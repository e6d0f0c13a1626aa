package bus

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"periph.io/x/conn/v3/i2c"

	"weir/sensors"
)

// Multiplexers: Texas Instruments TCA9548A, SCPS207F, 8.5.4. One register: the last
// byte written says which channels are open, one bit each, and a read gives it
// back. A channel opens and closes with the stop condition. Power-up and reset
// close all. NXP PCA9548A, PCA9546A and TCA9543A are the same with fewer channels.
//
// Selecting, the transfer and closing are one piece of work of the bus's owner, so
// nobody else is on the bus while a channel is open. Each transfer selects anew,
// which costs no more than asking whether the selection still holds; so one that
// lost power is right again with the next transfer.

// segment is a stretch of wire on which every chip hears what is sent: the bus
// itself, or what is behind one channel of a multiplexer.
type segment struct {
	a     *adapter
	name  string // "bus 1 behind mux 0x70 channel 3"
	hops  []sensors.Hop
	way   []step // from the bus to here; fixed
	muxes []*mux // that sit on it; guarded by a.mu
}

// step is one channel on the way to a segment.
type step struct {
	m    *mux
	mask byte
	to   *segment
}

// mux is one multiplexer.
type mux struct {
	addr     uint16
	on       *segment
	channels [sensors.MuxChannels]*segment // guarded by a.mu

	// Of the owner only:
	state muxState
	mask  byte      // what may be open while state is muxOpen
	since time.Time // of muxOpen
}

// muxState is what the owner knows of a multiplexer between two transfers.
//
//	unheard ──answers──▶ closed ──select──▶ open ──close──▶ closed
//	   ▲                                      │ does not answer
//	   └────────── for goneAfter ─────────────┘
type muxState uint8

const (
	muxUnheard muxState = iota // since the bus was opened; whoever used it before may have left a channel open
	muxClosed
	muxOpen // it took a selection, and did not answer when it was to be closed
)

// goneAfter is how long a multiplexer must have been silent before it counts as
// without power, and so closed, although it was open when it was last heard.
const goneAfter = 2 * time.Second

// closeTries is how often closing is tried before the next piece of work.
const closeTries = 3

// segment returns the wire behind some channels, made when first asked for. The
// error is that an address on the way has another user.
func (a *adapter) segment(hops []sensors.Hop) (*segment, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.root
	for _, h := range hops {
		m, err := s.mux(h.Mux)
		if err != nil {
			return nil, err
		}
		next := m.channels[h.Channel]
		if next == nil {
			next = &segment{a: a, hops: append(slices.Clone(s.hops), h)}
			next.name = a.String() + sensors.Behind(next.hops)
			next.way = append(slices.Clone(s.way), step{m, 1 << h.Channel, next})
			m.channels[h.Channel] = next
		}
		s = next
	}
	return s, nil
}

// mux returns the multiplexer at an address of the segment, made if it is new. The
// caller holds a.mu.
func (s *segment) mux(addr uint16) (*mux, error) {
	for _, m := range s.muxes {
		if m.addr == addr {
			return m, nil
		}
	}
	if u := s.a.userOf(s, addr); u != "" {
		return nil, sensors.Errorf(sensors.Refused, s.where(addr), "it cannot be a multiplexer: %s", u)
	}
	m := &mux{addr: addr, on: s}
	s.muxes = append(s.muxes, m)
	return m, nil
}

// where names an address on the segment.
func (s *segment) where(addr uint16) string { return fmt.Sprintf("0x%02x on %s", addr, s.name) }

// path is the segment as it is written: "1/0x70/3".
func (s *segment) path() string { return strconv.Itoa(s.a.number) + hopsText(s.hops) }

// through reports whether a multiplexer is on the way to the segment.
func (s *segment) through(m *mux) bool {
	return slices.ContainsFunc(s.way, func(st step) bool { return st.m == m })
}

// hears reports whether what is on the segment answers also when other is in use.
func (s *segment) hears(other *segment) bool {
	return len(s.hops) <= len(other.hops) && slices.Equal(s.hops, other.hops[:len(s.hops)])
}

// userOf says who already has an address that would answer on the segment, or
// would be mixed up with one there; "": nobody. The caller holds a.mu.
func (a *adapter) userOf(s *segment, addr uint16) string {
	for c := range a.claims {
		switch {
		case c.addr != addr:
		case c.at == s:
			return "another sensor of this configuration uses it"
		case c.at.hears(s):
			return "another sensor of this configuration uses the same address on " + c.at.name + ", which answers here too"
		case s.hears(c.at):
			return "another sensor of this configuration uses the same address on " + c.at.name + ", where this one would answer too"
		}
	}
	if m := a.muxHeard(a.root, s, addr); m != nil {
		return fmt.Sprintf("a multiplexer is there; what is behind it has bus = %q", fmt.Sprintf("%d%s/0x%02x/CHANNEL", a.number, hopsText(m.on.hops), addr))
	}
	return ""
}

// muxHeard finds a multiplexer with this address that would answer on s, or behind s.
func (a *adapter) muxHeard(from, s *segment, addr uint16) *mux {
	if !from.hears(s) && !s.hears(from) {
		return nil
	}
	for _, m := range from.muxes {
		if m.addr == addr {
			return m
		}
		for _, next := range m.channels {
			if next == nil {
				continue
			}
			if found := a.muxHeard(next, s, addr); found != nil {
				return found
			}
		}
	}
	return nil
}

func hopsText(hops []sensors.Hop) string {
	return sensors.BusPath{Hops: hops}.String()
}

// muxesOn returns the multiplexers of a segment.
func (a *adapter) muxesOn(s *segment) []*mux {
	a.mu.Lock()
	defer a.mu.Unlock()
	return s.muxes[:len(s.muxes):len(s.muxes)]
}

// enter opens the way to where a transfer goes, and closes whatever else may be
// open and be heard there. Owner only.
func (a *adapter) enter(t *transfer) *sensors.Error {
	at, way := a.root, t.at.way
	for {
		var next *mux
		if len(way) > 0 {
			next = way[0].m
		}
		for _, m := range a.muxesOn(at) {
			if m == next || m.state == muxClosed {
				continue
			}
			if err := a.shutOut(m, t); err != nil {
				return err
			}
		}
		if next == nil {
			return nil
		}
		if err := a.choose(way[0], t); err != nil {
			return err
		}
		at, way = way[0].to, way[1:]
	}
}

// muxUnheardError is what the system said when a multiplexer on the way did not answer.
type muxUnheardError struct{ error }

// choose selects a channel.
func (a *adapter) choose(s step, t *transfer) *sensors.Error {
	err := a.tell(s.m, s.mask)
	if err == nil {
		s.m.state, s.m.mask, s.m.since = muxOpen, s.mask, time.Now()
		return nil
	}
	e := classify(t.at.where(t.addr), err)
	switch e.Fault {
	case sensors.NotAnswering:
		e.Text = fmt.Sprintf("the multiplexer %s does not answer; look at its power, wiring and address", s.m.on.where(s.m.addr))
		e.Err = muxUnheardError{e.Err}
		s.m.state = muxUnheard // it may have taken the byte, and only its answer was disturbed
		if a.tell(s.m, 0) == nil {
			s.m.state = muxClosed
		}
	case sensors.Timeout:
		s.m.state, s.m.mask, s.m.since = muxOpen, s.mask, time.Now() // who knows
	}
	return e
}

// shutOut closes a multiplexer that is not on the way of a transfer. One that
// never answered is not there. One that was open when it was last heard must not
// have the address of the transfer behind it.
func (a *adapter) shutOut(m *mux, t *transfer) *sensors.Error {
	err := a.tell(m, 0)
	if err == nil {
		m.state = muxClosed
		return nil
	}
	if e := classify(m.on.where(m.addr), err); e.Fault != sensors.NotAnswering {
		e.Text = "the multiplexer does not close: " + e.Text
		return e
	}
	if m.state == muxOpen && time.Since(m.since) >= goneAfter {
		m.state = muxUnheard
	}
	if m.state == muxOpen && a.claimedBehind(m, t.addr) {
		return sensors.Errorf(sensors.NotAnswering, t.at.where(t.addr),
			"the multiplexer %s does not answer, so a channel of it may be open with the same address behind it", m.on.where(m.addr))
	}
	return nil
}

// claimedBehind reports whether an address is in use behind a multiplexer.
func (a *adapter) claimedBehind(m *mux, addr uint16) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for c := range a.claims {
		if c.addr == addr && c.at.through(m) {
			return true
		}
	}
	return false
}

// leave closes the way to a segment again, the last multiplexer first. What does
// not close is closed before the next transfer. Owner only.
func (a *adapter) leave(s *segment) {
	for _, step := range slices.Backward(s.way) {
		m := step.m
		for tries := closeTries; m.state == muxOpen && tries > 0; tries-- {
			err := a.tell(m, 0)
			if err == nil {
				m.state = muxClosed
				break
			}
			if classify("", err).Fault != sensors.NotAnswering {
				return // each try on a bus that hangs costs a second
			}
		}
	}
}

// unhear forgets what is known of all multiplexers: the bus was closed.
func (a *adapter) unhear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.root.eachMux(func(m *mux) { m.state = muxUnheard })
}

func (s *segment) eachMux(f func(m *mux)) {
	for _, m := range s.muxes {
		f(m)
		for _, next := range m.channels {
			if next != nil {
				next.eachMux(f)
			}
		}
	}
}

// tell writes the register of a multiplexer.
func (a *adapter) tell(m *mux, mask byte) error {
	t := &a.telling
	t.addr, t.room[0][0] = m.addr, mask
	t.w, t.r = t.room[0][:1], nil
	return transact(a.bus, t)
}

// muxTest are the bytes that a multiplexer is told apart by: it gives each back.
// For the other chips that can have its addresses they set a register pointer or
// mean nothing: BMP and BME, DPS310, QMP6988 (pointers), MS5611 (no command),
// SHTC3 (half a command), HT16K33 (pointer), PCA9685 and PCA963x, which answer at
// 0x70 to a call to all (pointers), PCA9538 (pointer). The last one closes it.
var muxTest = [...]byte{0x01, 0x02, 0x00}

// probeMux asks whether a multiplexer sits at the address of t. It begins with a
// read of two bytes, which in one are the same. r[0] becomes 1 if it is one.
func (a *adapter) probeMux(b i2c.Bus, t *transfer) error {
	p := &a.telling
	p.addr, p.w, p.r = t.addr, nil, p.room[1][:2]
	if err := transact(b, p); err != nil {
		return err
	}
	t.r[0] = 0
	if p.r[0] != p.r[1] {
		return nil
	}
	same := true
	for _, v := range muxTest {
		p.room[0][0] = v
		p.w, p.r = p.room[0][:1], nil
		if err := transact(b, p); err != nil {
			return err
		}
		p.w, p.r = nil, p.room[1][:1]
		if err := transact(b, p); err != nil {
			return err
		}
		same = same && p.r[0] == v
	}
	if same {
		t.r[0] = 1
	}
	return nil
}
