package broker

import (
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"weir/broker/packet"
)

var (
	modelTopics  = []string{"a", "a/b", "a/c", "b/b", "b"}
	modelFilters = []string{"a", "a/b", "a/+", "#", "+/b", "a/#", "$share/g/a/#", "$share/g/b", "$share/h/b/+"} // no topic in two groups: which one a message is from would not be seen
)

// step does one thing, or several at once.
func (m *model) step() {
	a := m.actors[m.rnd.IntN(len(m.actors))]
	if a.nc == nil {
		if m.rnd.IntN(3) > 0 {
			m.connect(a)
			return
		}
		a = m.anyone()
	}
	n := m.rnd.IntN(100)
	switch {
	case a == nil:
		m.advance(m.pause())
	case n < 45:
		m.burst()
	case n < 62:
		m.subscribe(a)
	case n < 68:
		m.unsubscribe(a)
	case n < 74:
		m.disconnect(a)
	case n < 79:
		m.note("%s vanishes", a.id)
		a.shut()
		synctest.Wait()
		m.ref.lose(m.ref.sessions[a.id], false)
	case n < 82:
		m.connect(a) // takes its own connection over
	case n < 88:
		a.lazy = !a.lazy
		m.note("%s lazy: %v", a.id, a.lazy)
	case n < 92:
		a.hold = !a.hold
		m.note("%s holds PUBRELs back: %v", a.id, a.hold)
		if !a.hold {
			for _, id := range a.unsettled {
				if a.pending[id] == nil && a.waits[id] == 0 {
					a.release(id)
				}
			}
		}
	case n < 97 || !m.stored():
		d := m.pause()
		m.note("%s pass", d)
		m.advance(d)
	default:
		orderly := m.rnd.IntN(2) == 0
		m.restart(orderly || m.real) // power cuts of a real journal are tried there, at each operation
	}
}

func (m *model) pause() time.Duration {
	return time.Duration(m.rnd.IntN(40)+1) * 700 * time.Millisecond
}

// anyone is some client with a connection, or nil.
func (m *model) anyone() *actor {
	at := m.rnd.IntN(len(m.actors))
	for i := range m.actors {
		if a := m.actors[(at+i)%len(m.actors)]; a.nc != nil {
			return a
		}
	}
	return nil
}

func (m *model) message(publisher, topic string) *sent {
	m.ref.last++
	s := &sent{publisher: publisher, at: time.Now()}
	s.p.Topic, s.p.Payload, s.p.QoS = []byte(topic), []byte(fmt.Sprint(m.ref.last)), byte(m.rnd.IntN(3))
	return s
}

func (m *model) decorate(p *packet.Publish) {
	if m.rnd.IntN(4) == 0 {
		p.Props.SetMessageExpiry(uint32(m.rnd.IntN(20) + 1))
	}
	if m.rnd.IntN(4) == 0 {
		p.Props.AddUser([]byte("b"), []byte("1"))
		p.Props.AddUser([]byte("a"), []byte("2"))
		p.Props.AddUser([]byte("b"), []byte("1"))
		p.Props.SetContentType([]byte("text"))
		p.Props.SetResponseTopic([]byte("r"))
		p.Props.SetCorrelationData([]byte{0, 1})
	}
}

func (m *model) connect(a *actor) {
	if a.nc == nil && m.rnd.IntN(8) == 0 {
		a.v = packet.V5 + packet.V311 - a.v // a session is not of a version
	}
	p := packet.Connect{ClientID: []byte(a.id), CleanStart: m.rnd.IntN(3) == 0}
	lasts := time.Duration(m.rnd.IntN(3)) * 10 * time.Second
	if a.v == packet.V311 {
		lasts = 0
		if !p.CleanStart {
			lasts = 30 * 24 * time.Hour
		}
	} else if lasts > 0 {
		p.Props.SetSessionExpiry(uint32(lasts / time.Second))
	}
	most := 65535
	if a.v == packet.V5 && m.rnd.IntN(2) == 0 {
		most = m.rnd.IntN(4) + 1
		p.Props.SetReceiveMaximum(uint16(most))
	}
	var will *sent
	var delay time.Duration
	if m.rnd.IntN(3) == 0 {
		will = m.message(a.id, modelTopics[m.rnd.IntN(len(modelTopics))])
		will.p.Retain = !m.stored() && m.rnd.IntN(4) == 0
		p.HasWill = true
		p.Will = packet.Will{QoS: will.p.QoS, Retain: will.p.Retain, Topic: will.p.Topic, Payload: will.p.Payload}
		if a.v == packet.V5 && m.rnd.IntN(2) == 0 {
			delay = time.Duration(m.rnd.IntN(15)) * time.Second
			p.Will.Props.SetWillDelay(uint32(delay / time.Second))
		}
	}
	m.note("%s connects, %s, clean %v, lasts %s, receive maximum %d, will %v after %s", a.id, a.v, p.CleanStart, lasts, most, will != nil, delay)
	old := m.ref.sessions[a.id]
	before := a.nc
	if before != nil {
		a.mu.Lock()
		a.nc = nil
		a.mu.Unlock()
	}
	a.open()
	a.write(&p)
	synctest.Wait()
	if before != nil { // v5 [MQTT-3.1.4-3], 3.1.1 [MQTT-3.1.4-2]
		before.Close()
		m.ref.lose(old, false)
		old = m.ref.sessions[a.id]
	}
	if old != nil && p.CleanStart {
		m.ref.end(old, true)
		old = nil
	}
	s := old
	if s == nil {
		s = &standing{id: a.id, subs: map[string]wish{}, stored: lasts > 0}
		a.unsettled, a.pending = nil, map[uint16]*packet.Publish{}
		a.seen = map[string]int{}
		m.ref.sessions[a.id] = s
	}
	s.v, s.lasts, s.will, s.delay, s.most = a.v, lasts, will, delay, most
	m.ref.resume(s)
	a.read()
	if a.connack == nil || a.connack.Reason != packet.Success || a.connack.SessionPresent != (old != nil) {
		m.fail("%s: CONNACK %+v, want session present %v", a.id, a.connack, old != nil)
	}
	if !m.failed && old != nil {
		a.repeat()
	}
}

func (m *model) disconnect(a *actor) {
	s := m.ref.sessions[a.id]
	p := &packet.Disconnect{}
	if a.v == packet.V5 {
		if m.rnd.IntN(3) == 0 {
			p.Reason = packet.DisconnectWithWill
		}
		if s.lasts > 0 && m.rnd.IntN(3) == 0 {
			s.lasts = time.Duration(m.rnd.IntN(3)) * 9 * time.Second
			p.Props.SetSessionExpiry(uint32(s.lasts / time.Second))
		}
	}
	m.note("%s disconnects, %s, lasts %s", a.id, p.Reason, s.lasts)
	a.write(p)
	synctest.Wait()
	a.read()
	if !a.ended() {
		m.fail("%s: not closed after DISCONNECT", a.id)
	}
	a.shut()
	m.ref.lose(s, p.Reason == packet.Success)
}

func (m *model) subscribe(a *actor) {
	s := m.ref.sessions[a.id]
	p := &packet.Subscribe{ID: a.nextID()}
	if a.v == packet.V5 && m.rnd.IntN(2) == 0 {
		p.Props.SubscriptionIDs = []uint32{uint32(m.rnd.IntN(5) + 1)}
	}
	var want []packet.Reason
	for range m.rnd.IntN(2) + 1 {
		w := wish{Subscription: packet.Subscription{Filter: []byte(modelFilters[m.rnd.IntN(len(modelFilters))]), QoS: byte(m.rnd.IntN(3))}}
		if slices.ContainsFunc(p.Filters, func(o packet.Subscription) bool { return string(o.Filter) == string(w.Filter) }) {
			continue
		}
		if a.v == packet.V5 {
			_, shared := sharedTopic(string(w.Filter))
			w.NoLocal = !shared && m.rnd.IntN(4) == 0
			w.RetainAsPublished = m.rnd.IntN(2) == 0
			w.RetainHandling = byte(m.rnd.IntN(3))
			if len(p.Props.SubscriptionIDs) > 0 {
				w.id = p.Props.SubscriptionIDs[0]
			}
		}
		p.Filters = append(p.Filters, w.Subscription)
		want = append(want, packet.Reason(w.QoS))
		m.ref.subscribe(s, w)
	}
	m.note("%s subscribes %s id %v", a.id, wishes(p.Filters), p.Props.SubscriptionIDs)
	m.ask(a, p.ID, packet.TypeSuback, want)
	a.write(p)
}

func (m *model) ask(a *actor, id uint16, t packet.Type, want []packet.Reason) {
	a.waits[id] = t
	a.reasons[id] = func(got []packet.Reason) {
		if (a.v == packet.V5 || t == packet.TypeSuback) && !slices.Equal(got, want) {
			m.fail("%s: %s %v, want %v", a.id, t, got, want)
		}
	}
}

func (m *model) unsubscribe(a *actor) {
	filter := modelFilters[m.rnd.IntN(len(modelFilters))]
	m.note("%s unsubscribes %s", a.id, filter)
	want := packet.NoSubscriptionExisted
	if m.ref.unsubscribe(m.ref.sessions[a.id], filter) {
		want = packet.Success
	}
	p := &packet.Unsubscribe{ID: a.nextID(), Filters: [][]byte{[]byte(filter)}}
	m.ask(a, p.ID, packet.TypeUnsuback, []packet.Reason{want})
	a.write(p)
}

// burst has several clients publish at the same moment. What is retained is alone, or it would not be known which one stays.
func (m *model) burst() {
	retain := m.rnd.IntN(3) == 0
	n := m.rnd.IntN(8) + 1
	if retain {
		n = 1
	}
	writes := map[*actor][]appender{}
	for range n {
		a := m.anyone()
		s := m.message(a.id, modelTopics[m.rnd.IntN(len(modelTopics))])
		s.p.Retain = retain
		if retain && m.rnd.IntN(4) == 0 {
			s.p.Payload = nil
		}
		if a.v == packet.V5 {
			m.decorate(&s.p)
		}
		p := s.p
		if p.QoS > 0 {
			p.ID = a.nextID()
			a.waits[p.ID] = packet.TypePuback
		}
		if p.QoS == 2 {
			a.waits[p.ID] = packet.TypePubrec
			a.unsettled = append(a.unsettled, p.ID)
			a.pending[p.ID] = &p
		}
		m.note("%s publishes %s", a.id, brief(&p))
		writes[a] = append(writes[a], &p)
		m.ref.publish(s, true)
	}
	for _, a := range m.actors {
		if len(writes[a]) > 0 {
			a.write(writes[a]...)
		}
	}
}

func wishes(all []packet.Subscription) (text string) {
	for _, w := range all {
		text += fmt.Sprintf("%s q%d no local %v as published %v handling %d; ", w.Filter, w.QoS, w.NoLocal, w.RetainAsPublished, w.RetainHandling)
	}
	return text
}
