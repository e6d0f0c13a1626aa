package journal

import (
	"time"
)

// Pace says how long records may wait in memory. The zero value is not useful; see [DefaultPace].
type Pace struct {
	SpillAfter time.Duration // how long a record waits for upstreams that are up and answering
	Gather     time.Duration // how long records that must be written are gathered for one commit
	OwnGather  time.Duration // the same for the gateway's own readings
	AckFlush   time.Duration // how long changed positions may wait for their commit

	// FlashBudget is how many bytes of padding early commits may write in an hour; 0: there are none.
	FlashBudget int64
}

// DefaultPace is what an empty configuration gives.
var DefaultPace = Pace{
	SpillAfter: 200 * time.Millisecond,
	Gather:     100 * time.Millisecond,
	OwnGather:  2 * time.Second,
	AckFlush:   5 * time.Second,

	FlashBudget: 64 << 20,
}

const (
	calm        = time.Second // so long must acknowledgements come in time before a link counts as answering again
	patienceMax = 10 * time.Minute
	looseMost   = 256       // so few stored records may be given again after a crash ...
	looseWait   = time.Hour // ... for so long, rather than that a healthy link costs a write
	maxMarks    = 1024      // marks kept per link; beyond it neighbours are merged, which only makes ages look greater
)

// mark remembers when a run of records entered the tail.
type mark struct {
	first, last uint64
	at          time.Time
}

// link is what the pace knows of one upstream.
//
//	down ──up──▶ answering ──late──▶ not answering ──acknowledged in time for a second──▶ answering
//	  ▲_____________down______________________│
type link struct {
	up        bool
	answering bool
	goodSince time.Time // acknowledgements have come, and in time, since then; zero: none has
	sent      []mark    // records given to this link while it was up, oldest first, not yet acknowledged
}

// pacer decides when the tail must be committed. It is pure: it reads no clock and does no I/O. Not safe for
// concurrent use.
type pacer struct {
	Pace
	covered   func(first, last uint64) bool // is every record of the range settled?
	links     map[uint32]*link
	gatherDue time.Time     // when the gathered records are due; zero: there are none
	waiting   []mark        // records that wait for acknowledgements instead of a commit, oldest first
	dirtyDue  time.Time     // when changed positions are due; zero: there are none
	stateDue  time.Time     // when changed keys are due; zero: there are none
	patience  time.Duration // how much longer they wait for a moment when no record waits
	few       bool          // the positions are those of few records
	newest    uint64        // record in the tail
	early     bool          // the running commit is early
	earlies   uint64        // early commits so far
	pubs      publishers
}

func newPacer(p Pace, covered func(first, last uint64) bool) *pacer {
	return &pacer{
		Pace: p, covered: covered, patience: p.AckFlush, links: map[uint32]*link{},
		pubs: publishers{covered: covered, all: map[uint64]*publisher{}, budget: budget{limit: p.FlashBudget}},
	}
}

func (p *pacer) link(id uint32) *link {
	l := p.links[id]
	if l == nil {
		l = &link{}
		p.links[id] = l
	}
	return l
}

// urgency of a record, the lowest first.
type urgency uint8

const (
	memoryOnly urgency = iota // never written
	canWait                   // every destination is up and answering
	mustWrite                 // at least one is not, or asks for disk
)

// toward says how urgent a record for this link is.
func (p *pacer) toward(id uint32) urgency {
	if l := p.links[id]; l != nil && l.up && l.answering {
		return canWait
	}
	return mustWrite
}

// appended notes that the records first..last entered the tail.
func (p *pacer) appended(m mark, u urgency, own bool) {
	p.newest = max(p.newest, m.last)
	switch u {
	case canWait:
		p.waiting = addMark(p.waiting, m)
	case mustWrite:
		wait := p.Gather
		if own {
			wait = p.OwnGather
		}
		p.gatherDue = sooner(p.gatherDue, m.at.Add(wait))
	}
}

// handed notes that the records are for the link, which is expected to acknowledge them.
func (p *pacer) handed(id uint32, m mark) {
	if l := p.links[id]; l != nil && l.up {
		l.sent = addMark(l.sent, m)
	}
}

// addMark appends m, merging it into the last mark when they are close in time or the list is full.
func addMark(list []mark, m mark) []mark {
	if n := len(list); n > 0 {
		last := &list[n-1]
		if m.at.Sub(last.at) < 5*time.Millisecond && m.first == last.last+1 || n >= maxMarks {
			last.last = m.last
			return list
		}
	}
	return append(list, m)
}

// setUp notes that a link came up or went down. A link that comes up with a backlog has to prove itself first.
func (p *pacer) setUp(id uint32, up, backlog bool, now time.Time) {
	l := p.link(id)
	if l.up == up {
		return
	}
	if !up && len(l.sent) > 0 { // what waited for this link must be written now
		p.gatherDue = sooner(p.gatherDue, now.Add(p.Gather))
	}
	l.up, l.answering, l.goodSince, l.sent = up, up && !backlog, time.Time{}, nil
}

// acked notes that the link acknowledged records up to last.
func (p *pacer) acked(id uint32, last uint64, now time.Time) {
	l := p.links[id]
	if l == nil { // never up, or no more
		return
	}
	n := 0
	var oldest time.Duration
	for n < len(l.sent) && l.sent[n].first <= last {
		oldest = max(oldest, now.Sub(l.sent[n].at))
		if l.sent[n].last > last {
			l.sent[n].first = last + 1
			break
		}
		n++
	}
	l.sent = l.sent[:copy(l.sent, l.sent[n:])]
	switch {
	case oldest > p.SpillAfter:
		l.late()
	case len(l.sent) > 0 && now.Sub(l.sent[0].at) > p.SpillAfter: // it acknowledges what lies before them
		l.late()
	case l.answering || !l.up:
	case l.goodSince.IsZero():
		l.goodSince = now
	case now.Sub(l.goodSince) >= calm:
		l.answering = true
	}
}

func (l *link) late() { l.answering, l.goodSince = false, time.Time{} }

// positionsChanged notes that positions over stored records wait for a commit; drained: the backlog is at its end.
//
// A commit takes the whole tail. Were it to take records that are about to be acknowledged, their acknowledgements would
// change positions again, and a healthy link would cost a write every AckFlush for ever. So positions that are due wait
// for a moment when no record waits, with growing patience, and with much of it while they are those of few records (loose).
func (p *pacer) positionsChanged(drained bool, loose int, now time.Time) {
	p.few = loose <= looseMost
	wait := p.AckFlush
	if drained {
		wait = p.Gather
	}
	p.dirtyDue = sooner(p.dirtyDue, now.Add(wait))
}

// stateChanged notes that keys wait for a commit, for which nobody waits in turn. They too wait for a moment when no record
// waits, but never longer than AckFlush.
func (p *pacer) stateChanged(now time.Time) { p.stateDue = sooner(p.stateDue, now.Add(p.Gather)) }

// forget drops a link that is no more.
func (p *pacer) forget(id uint32) { delete(p.links, id) }

// due tells when the next commit must start; zero: nothing waits for one.
func (p *pacer) due() time.Time {
	n := 0
	for n < len(p.waiting) && p.covered(p.waiting[n].first, p.waiting[n].last) {
		n++
	}
	p.waiting = p.waiting[:copy(p.waiting, p.waiting[n:])]
	positions := p.dirtyDue
	if len(p.waiting) > 0 && !positions.IsZero() {
		positions = positions.Add(p.hold())
	}
	state := p.stateDue
	if len(p.waiting) > 0 && !state.IsZero() {
		state = state.Add(p.AckFlush - p.Gather)
	}
	at := sooner(p.gatherDue, sooner(positions, state))
	if len(p.waiting) > 0 {
		at = sooner(at, p.waiting[0].at.Add(p.SpillAfter))
	}
	return at
}

// hold is how long positions that are due wait for a moment when no record waits.
func (p *pacer) hold() time.Duration {
	if p.few {
		return looseWait
	}
	return p.patience
}

// dueAt is due with the early commits, whose time is exact if it is not after now.
func (p *pacer) dueAt(now time.Time) time.Time {
	p.pubs.refresh(now)
	return sooner(p.due(), p.pubs.due)
}

// full notes that the tail has no room: all of it is due.
func (p *pacer) full(now time.Time) { p.gatherDue = sooner(p.gatherDue, now) }

// commit notes that a commit of the whole tail starts now, and marks the links that made it necessary.
func (p *pacer) commit(now time.Time) {
	due := p.due()
	p.early = !p.pubs.due.IsZero() && !p.pubs.due.After(now) && (due.IsZero() || due.After(now))
	p.pubs.begin(p.newest, now)
	for _, l := range p.links {
		if len(l.sent) > 0 && now.Sub(l.sent[0].at) >= p.SpillAfter {
			l.late()
		}
	}
	forced := !p.dirtyDue.IsZero() && !now.Before(p.dirtyDue.Add(p.hold())) // by positions, while records waited
	if forced {
		p.patience = min(2*p.patience, patienceMax)
	} else {
		p.patience = p.AckFlush
	}
	p.gatherDue, p.dirtyDue, p.stateDue, p.waiting = time.Time{}, time.Time{}, time.Time{}, p.waiting[:0]
}

// committed notes that the commit ended, and how much padding it wrote. If it failed, everything it held is due again.
func (p *pacer) committed(ok bool, padding int64, now time.Time) {
	if p.early {
		p.earlies++
		p.pubs.budget.charge(padding, now)
	}
	p.early = false
	p.pubs.end(now)
	if !ok {
		p.gatherDue = sooner(p.gatherDue, now)
	}
}

// sooner is the earlier of two times, where zero means never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
