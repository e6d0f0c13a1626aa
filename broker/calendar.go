package broker

import (
	"container/heap"
	"context"
	"time"
)

// calendar holds the sessions without a connection by the time when something has to happen to them: the will is due, or
// the session ends. It sleeps while there are none. Guarded by Broker.mu.
type calendar struct {
	list []*session
	wake chan struct{} // capacity 1: the first date may have become earlier
}

// date is when the session needs attention next.
func (s *session) date() time.Time {
	a := s.absence
	if !a.willDue.IsZero() && a.willDue.Before(a.expires) {
		return a.willDue
	}
	return a.expires
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (c *calendar) Len() int           { return len(c.list) }
func (c *calendar) Less(i, j int) bool { return c.list[i].date().Before(c.list[j].date()) }

func (c *calendar) Swap(i, j int) {
	c.list[i], c.list[j] = c.list[j], c.list[i]
	c.list[i].absence.place, c.list[j].absence.place = i, j
}

func (c *calendar) Push(x any) {
	s := x.(*session)
	s.absence.place = len(c.list)
	c.list = append(c.list, s)
}

func (c *calendar) Pop() any {
	last := len(c.list) - 1
	s := c.list[last]
	c.list[last] = nil
	c.list = c.list[:last]
	s.absence.place = -1
	return s
}

func (c *calendar) add(s *session) {
	heap.Push(c, s)
	if s.absence.place == 0 {
		c.look()
	}
}

// look makes keepDates look again at what is to be done when. Needs no lock.
func (c *calendar) look() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// remove takes a session out that has an owner again, or has ended.
func (c *calendar) remove(s *session) {
	if s.absence != nil && s.absence.place >= 0 {
		heap.Remove(c, s.absence.place)
	}
	s.absence = nil
}

// keepDates ends sessions, publishes wills and drops messages that have expired when it is time, until ctx ends.
func (b *Broker) keepDates(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		wait := b.passDates(now)
		wait = min(wait, b.dropExpired())
		wait = min(wait, b.tellSys(now))
		b.tellLimits()
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-b.calendar.wake:
		}
	}
}

// passDates does what is due and returns how long nothing else is.
func (b *Broker) passDates(now time.Time) (wait time.Duration) {
	for {
		b.mu.Lock()
		if len(b.calendar.list) == 0 {
			b.mu.Unlock()
			return 24 * time.Hour
		}
		s := b.calendar.list[0]
		if d := s.date().Sub(now); d > 0 {
			b.mu.Unlock()
			return d
		}
		heap.Pop(&b.calendar)
		ended := !s.absence.expires.After(now)
		var w *will
		if ended { // v5 [MQTT-4.1.0-2]
			delete(b.sessions, s.id())
			b.count.expiredSessions.Add(1)
		} else {
			w, s.will, s.absence.willDue = s.will, nil, time.Time{}
			b.calendar.add(s)
		}
		b.mu.Unlock()
		if ended {
			b.bury(s)
			continue
		}
		b.publishWill(s, w) // before it is forgotten: rather twice than lost
		b.mu.Lock()
		if s.owner == nil && b.sessions[s.id()] == s && s.out.durable != nil { // or whoever has it saves it
			s.out.durable.save(s.absence.away)
		}
		b.mu.Unlock()
	}
}

// letGo takes the session from its connection, which is gone. It ends now, and true is returned, or it waits for another
// connection: v5 [MQTT-3.1.2-23], 3.1.1 [MQTT-4.1.0-2].
func (b *Broker) letGo(s *session) (ended bool) {
	if w := s.will; s.lasts > 0 && w != nil && w.delay == 0 {
		s.will = nil
		b.publishWill(s, w) // before it is forgotten: rather twice than lost
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s.owner = nil
	if s.lasts == 0 {
		ended = true
		delete(b.sessions, s.id())
	} else {
		now := time.Now()
		s.absence = &absence{expires: now.Add(s.lasts), place: -1}
		if s.will != nil {
			s.absence.willDue = now.Add(s.will.delay)
		}
		b.calendar.add(s)
		if s.out.durable != nil {
			s.absence.away = b.stamp()
			s.out.durable.save(s.absence.away)
		}
	}
	return ended
}

// bury ends a session that was taken out of the table: its will cannot wait any longer. v5 [MQTT-3.1.2-8]
func (b *Broker) bury(s *session) {
	w := s.will
	s.will = nil
	s.leave() // first, so that the will does not go to the session itself
	b.publishWill(s, w)
	s.end()
}

// publishWill publishes a will, if there is one: v5 [MQTT-3.1.2-8] [MQTT-3.1.2-10], 3.1.1 [MQTT-3.1.2-8]; unless the client, which had
// the right when it connected, has it no more.
func (b *Broker) publishWill(s *session, w *will) {
	if w == nil || !s.mayPublish(w.message.Topic) {
		return
	}
	w.message.Stamp = b.stamp()
	b.count.wills.Add(1)
	b.wills.publish(&w.message, source{session: s})
}
