package journal

import (
	"time"
)

const (
	leastSilence = 2 * time.Millisecond  // a shorter one says nothing
	sendsAgain   = 20 * time.Millisecond // who waits for acknowledgements sends so soon after they came
	believed     = 64                    // so many times in a row that it does; then it is put to the test
)

// publisher is what the pace knows of one connection that publishes: whether it is waiting for acknowledgements, or
// merely sends now and then.
type publisher struct {
	last     time.Time     // when its newest message came
	released time.Time     // when a commit last released acknowledgements of it; zero: not known
	between  bool          // something was released since its newest message
	prompt   bool          // after the last release it sent again at once
	gap      time.Duration // the longest between two messages with no release between them; fades
	from, to uint64        // oldest and newest record whose acknowledgement it is owed; 0: it is owed none
	gathered uint64        // the newest of them that was gathered; 0: none was
	streak   int           // how often in a row it was prompt, since it was last put to the test
	test     time.Duration // a longer silence that is asked of it this time; 0: none
	listed   bool          // it is in publishers.owed
}

// silence is how long it must be silent to count as waiting.
func (pub *publisher) silence() time.Duration { return max(leastSilence, 4*pub.gap, pub.test) }

// again notes that it sent again after a release. One that sends every few milliseconds looks prompt for as long as early
// commits release each message before the next one comes, which shows no gap. So now and then a commit is held back for
// as long as such a one can be silent: took is how long a commit takes.
func (pub *publisher) again(at time.Time, took time.Duration) {
	pub.between, pub.test = false, 0
	pub.prompt = !pub.released.IsZero() && at.Sub(pub.released) <= sendsAgain
	switch {
	case !pub.prompt:
		pub.streak = 0
	case pub.streak < believed:
		pub.streak++
	default:
		pub.streak, pub.test = 0, leastSilence+took+sendsAgain+5*time.Millisecond
	}
}

// release notes that acknowledgements up to a record left; at is when, zero if that is not known.
func (pub *publisher) release(upto uint64, at time.Time) {
	pub.released, pub.between, pub.prompt = at, true, false
	pub.gap -= pub.gap / 8 // so that one long gap does not count for ever
	if pub.gathered <= upto {
		pub.gathered = 0
	}
	if pub.from = upto + 1; pub.to <= upto {
		pub.from, pub.to = 0, 0
	}
}

// publishers decides on early commits. A publisher whose window is used up must not wait for Gather: one that is owed
// acknowledgements of gathered records, was silent for longer than its silence, and had sent again at once after its
// last release, is waiting, and a commit is due. It is pure, as the pacer is, which holds it.
type publishers struct {
	covered func(first, last uint64) bool
	all     map[uint64]*publisher
	sweepAt int           // size of all at which the idle ones are looked for
	owed    []*publisher  // those with gathered records
	due     time.Time     // not after the moment at which the first of them counts as waiting; zero: none will
	writing uint64        // the newest record of the running commit; 0: none runs
	began   time.Time     // when it did
	took    time.Duration // the last one
	budget  budget
}

// sent notes messages of the publisher that came together and whose acknowledgements it is owed, and their records.
// gathered is the newest of these that does not wait for upstreams; 0: all do.
func (p *publishers) sent(token uint64, m mark, gathered uint64) {
	pub := p.get(token, m.at)
	p.notice(pub, m.at)
	switch {
	case pub.between:
		pub.again(m.at, p.took)
	case !pub.last.IsZero():
		pub.gap = max(pub.gap, m.at.Sub(pub.last))
	}
	pub.last, pub.to = m.at, m.last
	if pub.from == 0 {
		pub.from = m.first
	}
	if gathered == 0 {
		return
	}
	pub.gathered = gathered
	if !pub.listed {
		pub.listed = true
		p.owed = append(p.owed, pub)
	}
	if pub.prompt && p.budget.left(m.at) {
		p.due = sooner(p.due, m.at.Add(pub.silence()))
	}
}

// notice finds releases that nobody told: by the commit that is still running, or, at an unknown time, by upstreams.
func (p *publishers) notice(pub *publisher, now time.Time) {
	switch {
	case pub.from == 0 || !p.covered(pub.from, pub.from):
	case pub.from <= p.writing:
		pub.release(p.writing, now)
	case p.covered(pub.to, pub.to):
		pub.release(pub.to, time.Time{})
	default:
		next := pub.to // or an earlier one; that would be noticed later
		if pub.gathered != 0 && !p.covered(pub.gathered, pub.gathered) {
			next = pub.gathered
		}
		pub.release(next-1, time.Time{})
	}
}

// refresh makes due exact once it has come.
func (p *publishers) refresh(now time.Time) {
	if p.due.IsZero() || p.due.After(now) {
		return
	}
	p.due = time.Time{}
	if !p.budget.left(now) {
		return
	}
	for _, pub := range p.owed {
		if pub.prompt && pub.gathered > p.writing && !p.covered(pub.gathered, pub.gathered) {
			p.due = sooner(p.due, pub.last.Add(pub.silence()))
		}
	}
}

// begin notes that a commit of all records up to newest starts.
func (p *publishers) begin(newest uint64, now time.Time) {
	p.writing, p.began, p.due = newest, now, time.Time{}
}

// end notes that the commit ended, well or not.
func (p *publishers) end(now time.Time) {
	written := p.writing
	p.writing, p.took = 0, now.Sub(p.began)
	kept := p.owed[:0]
	for _, pub := range p.owed {
		if pub.from != 0 && pub.from <= written && p.covered(pub.from, pub.from) {
			pub.release(written, now)
		}
		if pub.listed = pub.gathered != 0; pub.listed {
			kept = append(kept, pub)
		}
	}
	clear(p.owed[len(kept):])
	p.owed = kept
}

func (p *publishers) get(token uint64, now time.Time) *publisher {
	pub := p.all[token]
	if pub == nil {
		p.sweep(now)
		pub = &publisher{}
		p.all[token] = pub
	}
	return pub
}

// sweep forgets publishers that have long been silent, now and then: nobody says when a connection ends.
func (p *publishers) sweep(now time.Time) {
	if len(p.all) < p.sweepAt {
		return
	}
	for token, pub := range p.all {
		if !pub.listed && now.Sub(pub.last) > time.Minute {
			delete(p.all, token)
		}
	}
	p.sweepAt = 2*len(p.all) + 64
}

// Flash is what commits before the end of Gather cost.
type Flash struct {
	Early  uint64 // such commits since Open
	Spent  int64  // bytes of padding they wrote within the last hour
	Budget int64  // bytes of it that are allowed in an hour
	Held   bool   // it is used up: gather holds for everyone
}

// Flash is the state of the flash budget. Safe for concurrent use.
func (j *Journal) Flash() Flash {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := &j.pace.pubs.budget
	left := b.left(j.cfg.Now())
	return Flash{Early: j.pace.earlies, Spent: b.total, Budget: b.limit, Held: b.limit > 0 && !left}
}

// budget bounds what is spent within an hour.
type budget struct {
	limit  int64
	start  time.Time // of minute 0
	minute int64     // the newest that anything was asked about
	spent  [61]int64 // by minute: sixty whole ones and the one that runs
	total  int64     // of them
}

// left tells whether anything is left.
func (b *budget) left(now time.Time) bool {
	b.turn(now)
	return b.total < b.limit
}

func (b *budget) charge(n int64, now time.Time) {
	b.turn(now)
	b.spent[b.minute%int64(len(b.spent))] += n
	b.total += n
}

// turn forgets what was spent more than an hour ago.
func (b *budget) turn(now time.Time) {
	if b.start.IsZero() {
		b.start = now
	}
	minute := int64(now.Sub(b.start) / time.Minute)
	if minute-b.minute >= int64(len(b.spent)) {
		clear(b.spent[:])
		b.total, b.minute = 0, minute
	}
	for b.minute < minute {
		b.minute++
		slot := &b.spent[b.minute%int64(len(b.spent))]
		b.total -= *slot
		*slot = 0
	}
}
