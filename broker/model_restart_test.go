package broker

import (
	"slices"
	"time"
)

// restart ends the process, in order or by a crash, and starts the next one with what was kept. Values of retained topics are
// kept by then.
func (m *model) restart(orderly bool) {
	m.advance(2 * time.Minute) // longer than RetainFlush
	if m.failed {
		return
	}
	m.note("the broker ends, in order: %v", orderly)
	var wills []*sent
	for _, id := range sorted(m.ref.sessions) {
		s := m.ref.sessions[id]
		if s.online && s.will != nil && (s.lasts == 0 || s.delay == 0) {
			wills, s.will = append(wills, s.will), nil
		}
	}
	if !orderly {
		next := m.vault.crash()
		m.vault.fail(true)
		m.vault = next
	}
	for _, a := range m.actors {
		if a.nc != nil && !orderly {
			a.shut()
		}
	}
	m.stop()
	if orderly && m.vault != nil {
		m.vault = m.vault.crash() // all is committed
	}
	for _, a := range m.actors {
		if a.nc != nil {
			a.shut()
		}
	}
	for _, id := range sorted(m.ref.sessions) {
		m.afterRestart(m.ref.sessions[id])
	}
	for _, g := range m.ref.groups {
		m.groupAfterRestart(g)
	}
	for _, w := range wills {
		m.ref.publishNow(w, false) // it may have come before its subscriber was gone, or for a session that is not stored
	}
	m.start()
	m.calm()
}

// afterRestart is a session as it comes back: away since now, or since it was.
func (m *model) afterRestart(s *standing) {
	if s.online {
		s.online, s.lost = false, time.Now()
		s.again, s.regrets = nil, nil
	}
	if !s.stored || s.lasts == 0 {
		s.will = nil
		m.ref.end(s, false)
		return
	}
	s.owed = slices.DeleteFunc(s.owed, func(d *delivery) bool { return d.qos == 0 && d.filter == "" })
	for _, d := range s.owed {
		d.dup = true
		if d.filter != "" {
			d.must = false
		}
	}
	kept := s.begun[:0]
	for _, d := range s.begun { // QoS 1 goes out as if it were new
		d.dup = true
		if d.qos == 1 && d.group != nil { // nothing says who had it
			d.group.owed = append(d.group.owed, &delivery{m: d.m, group: d.group, dup: true}) // or it stays where it was
			s.owed = append(s.owed, &delivery{m: d.m, qos: 1, loose: true, dup: true})
			continue
		}
		if d.qos == 1 {
			s.owed = append(s.owed, d)
			continue
		}
		kept = append(kept, d)
	}
	s.begun = kept
}

// groupAfterRestart: what waits is kept if a stored session is a member.
func (m *model) groupAfterRestart(g *common) {
	stored := m.ref.keeps(g)
	g.owed = slices.DeleteFunc(g.owed, func(d *delivery) bool { return d.m.p.QoS == 0 })
	for _, d := range g.owed {
		d.dup = true
		d.must = d.must && stored
	}
}
