package upstream

import (
	"time"

	"weir/broker/packet"
)

// say queues a packet to be written now. The caller holds Server.mu.
func (p *peer) say(pk interface {
	Append(dst []byte, v packet.Version) ([]byte, error)
}) {
	p.sayAt(pk, time.Time{}, 0)
}

func (p *peer) sayAt(pk interface {
	Append(dst []byte, v packet.Version) ([]byte, error)
}, due time.Time, acks uint16) {
	b, err := pk.Append(nil, p.version)
	if err != nil {
		p.s.violation("upstream itself", "cannot write %T: %v", pk, err)
		return
	}
	p.queue = append(p.queue, queued{bytes: b, due: due, acks: acks})
	p.changed.Broadcast()
}

// write writes the queue in order, each packet not before it is due.
func (p *peer) write() {
	for {
		p.s.mu.Lock()
		for len(p.queue) == 0 && !p.gone {
			p.changed.Wait()
		}
		if len(p.queue) == 0 {
			p.s.mu.Unlock()
			p.raw.Close()
			return
		}
		q := p.queue[0]
		wait := time.Until(q.due)
		if q.due.IsZero() {
			wait = 0
		}
		if wait > 0 && !p.gone {
			timer := time.AfterFunc(wait, func() {
				p.s.mu.Lock()
				defer p.s.mu.Unlock()
				p.changed.Broadcast()
			})
			p.changed.Wait()
			timer.Stop()
			p.s.mu.Unlock()
			continue
		}
		batch := p.ready()
		p.s.mu.Unlock()
		if q.close {
			p.raw.Close()
			return
		}
		if p.nc.SetWriteDeadline(time.Now().Add(10*time.Second)) != nil {
			return
		}
		if _, err := p.nc.Write(batch); err != nil {
			p.raw.Close()
			p.drain()
			return
		}
	}
}

// ready takes everything that is due from the queue, as one write. What it acknowledges is free from here on.
func (p *peer) ready() (batch []byte) {
	now := time.Now()
	n := 0
	for n < len(p.queue) && !p.queue[n].close && (p.gone || !p.queue[n].due.After(now)) {
		batch = append(batch, p.queue[n].bytes...)
		if id := p.queue[n].acks; id != 0 {
			delete(p.unacked, id)
		}
		n++
	}
	if p.queue[0].close {
		n = 1
	}
	p.queue = p.queue[:copy(p.queue, p.queue[n:])]
	return batch
}

// drain throws the queue away until the reader has gone.
func (p *peer) drain() {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	for !p.gone {
		p.queue = nil
		p.changed.Wait()
	}
}
