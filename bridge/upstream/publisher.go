package upstream

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"weir/broker/packet"
)

// PublisherOptions of a Publisher. Address, ClientID and a topic are required.
type PublisherOptions struct {
	Address   string
	ClientID  string
	Topics    []string // published to at QoS 1, in turn
	Exact     []string // published to at QoS 2, in turn with the others; with any, the session is persistent
	PerSecond int      // messages, all topics together; 0: 100
	Window    int      // most messages without acknowledgement; 0: 100
	Size      int      // bytes of payload, at least 8
}

// Publisher is the near end of the proofs: it sends numbered messages, from 1 in each topic, and keeps each until it is
// acknowledged, sending it again, in order, on every new connection, with DUP if the session is still there. It holds the
// server to the order of its acknowledgements. Methods are safe for concurrent use.
type Publisher struct {
	o PublisherOptions

	mu         sync.Mutex // guards the fields below
	next       []uint64   // by topic, Topics first: the number to be sent next
	acked      []uint64   // by topic: all up to this one have their PUBACK or PUBREC
	onWay      []onWay    // in the order sent
	lastID     uint16
	turn       int
	live       net.Conn // the connection whose acknowledgements count
	severed    bool     // there is to be none
	finishing  bool
	stats      PublisherStats
	violations []string
}

// PublisherStats counts since the start.
type PublisherStats struct {
	Sent         int // messages sent at least once
	Sendings     int // PUBLISH packets
	Acknowledged int // PUBACK or PUBREC came
	Connects     int // CONNACKs that took us
	SessionsLost int // a session with QoS 2 messages in it was not there any more
}

type onWay struct {
	id       uint16
	topic    int
	number   uint64
	received bool // PUBREC came
}

const publisherTick = 5 * time.Millisecond

// NewPublisher makes a publisher; Run starts it.
func NewPublisher(o PublisherOptions) *Publisher {
	if o.PerSecond == 0 {
		o.PerSecond = 100
	}
	if o.Window == 0 {
		o.Window = 100
	}
	o.Size = max(o.Size, 8)
	n := len(o.Topics) + len(o.Exact)
	p := &Publisher{o: o, next: make([]uint64, n), acked: make([]uint64, n)}
	for i := range p.next {
		p.next[i] = 1
	}
	return p
}

// Finish sends nothing new from now on; Run ends when everything sent is acknowledged.
func (p *Publisher) Finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finishing = true
}

// Acked says of each topic up to which number everything is acknowledged.
func (p *Publisher) Acked() map[string]uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := map[string]uint64{}
	for i, t := range slices.Concat(p.o.Topics, p.o.Exact) {
		m[t] = p.acked[i]
	}
	return m
}

// Sever ends the connection at once, as a power cut at the other end does, and returns what Acked says at that moment:
// nothing that the server still says counts. Run connects again after Mend.
func (p *Publisher) Sever() map[string]uint64 {
	p.mu.Lock()
	if p.live != nil {
		p.live.Close()
	}
	p.live, p.severed = nil, true
	p.mu.Unlock()
	return p.Acked() // nothing is added to it while no connection counts
}

// Mend lets Run connect again after Sever.
func (p *Publisher) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.severed = false
}

// Stats counts since the start.
func (p *Publisher) Stats() PublisherStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// Violations are the offences of the server so far, one line each.
func (p *Publisher) Violations() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.violations)
}

// Run connects, again and again, and publishes until Finish was called and everything is acknowledged, or the context
// ends, which is an error.
func (p *Publisher) Run(ctx context.Context) error {
	for {
		over, _ := p.connection(ctx)
		if over {
			return nil
		}
		select {
		case <-ctx.Done():
			p.mu.Lock()
			defer p.mu.Unlock()
			return fmt.Errorf("publisher %s: %d messages without acknowledgement: %w", p.o.ClientID, len(p.onWay), ctx.Err())
		case <-time.After(4 * publisherTick): // the server is away or on its way back
		}
	}
}

// connection is one connection, from dialling to its end. Its errors end nothing but it.
func (p *Publisher) connection(ctx context.Context) (over bool, err error) {
	dialer := net.Dialer{Timeout: time.Second}
	c, err := dialer.DialContext(ctx, "tcp", p.o.Address)
	if err != nil {
		return false, err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	var reader sync.WaitGroup
	defer reader.Wait()
	defer c.Close()
	in := frames{from: c}
	if err := p.greet(c, &in); err != nil {
		return false, err
	}
	ended := make(chan error, 1)
	reader.Go(func() { ended <- p.listen(c, &in) })
	tick := time.NewTicker(publisherTick)
	defer tick.Stop()
	last, credit := time.Now(), 0.0
	for {
		select {
		case err := <-ended:
			return false, err
		case now := <-tick.C:
			credit = min(credit+now.Sub(last).Seconds()*float64(p.o.PerSecond), float64(p.o.Window))
			last = now
		}
		p.mu.Lock()
		over = p.finishing && len(p.onWay) == 0
		var b []byte
		for ; credit >= 1 && !p.finishing && len(p.onWay) < p.o.Window; credit-- {
			b = p.appendFresh(b)
		}
		p.mu.Unlock()
		if over {
			b, err = (&packet.Disconnect{}).Append(b, packet.V311)
		}
		if _, err := c.Write(b); err != nil || over {
			return over, err
		}
	}
}

// greet sends CONNECT and, when CONNACK is there, everything that is on its way.
func (p *Publisher) greet(c net.Conn, in *frames) error {
	hello := packet.Connect{CleanStart: len(p.o.Exact) == 0, ClientID: []byte(p.o.ClientID)}
	b, err := hello.Append(nil, packet.V311)
	if err != nil {
		return err
	}
	if _, err := c.Write(b); err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(greetTime)); err != nil {
		return err
	}
	f, err := in.next()
	if err != nil {
		return err
	}
	var ack packet.Connack
	if err := ack.Decode(f, packet.V311); err != nil || ack.Reason.Failed() {
		return fmt.Errorf("CONNACK: %v %w", ack.Reason, err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.severed {
		return net.ErrClosed
	}
	p.stats.Connects++
	p.live = c
	_, err = c.Write(p.appendAgain(b[:0], ack.SessionPresent))
	return err
}

// appendAgain appends what is on its way, in order. The caller holds mu.
func (p *Publisher) appendAgain(b []byte, present bool) []byte {
	if !present && slices.ContainsFunc(p.onWay, func(w onWay) bool { return p.exact(w.topic) }) {
		p.stats.SessionsLost++
		p.onWay = slices.DeleteFunc(p.onWay, func(w onWay) bool { return w.received }) // they are kept: PUBREC came
	}
	for _, w := range p.onWay {
		if w.received {
			b = p.appendRelease(b, w.id)
		} else {
			b = p.appendPublish(b, w, present)
		}
	}
	return b
}

func (p *Publisher) exact(topic int) bool { return topic >= len(p.o.Topics) }

func (p *Publisher) appendFresh(b []byte) []byte {
	w := onWay{id: p.freeID(), topic: p.turn, number: p.next[p.turn]}
	p.next[p.turn]++
	p.turn = (p.turn + 1) % len(p.next)
	p.onWay = append(p.onWay, w)
	p.stats.Sent++
	return p.appendPublish(b, w, false)
}

func (p *Publisher) freeID() uint16 {
	for {
		p.lastID++
		if p.lastID > 0 && !slices.ContainsFunc(p.onWay, func(w onWay) bool { return w.id == p.lastID }) {
			return p.lastID
		}
	}
}

func (p *Publisher) appendPublish(b []byte, w onWay, dup bool) []byte {
	m := packet.Publish{QoS: 1, ID: w.id, Dup: dup, Payload: make([]byte, p.o.Size)}
	if p.exact(w.topic) {
		m.QoS, m.Topic = 2, []byte(p.o.Exact[w.topic-len(p.o.Topics)])
	} else {
		m.Topic = []byte(p.o.Topics[w.topic])
	}
	binary.BigEndian.PutUint64(m.Payload, w.number)
	p.stats.Sendings++
	return p.must(m.Append(b, packet.V311))
}

func (p *Publisher) appendRelease(b []byte, id uint16) []byte {
	return p.must((&packet.Ack{Type: packet.TypePubrel, ID: id}).Append(b, packet.V311))
}

// must takes what was encoded. A topic that cannot be encoded is the fault of whoever set it.
func (p *Publisher) must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// listen takes acknowledgements until the connection ends.
func (p *Publisher) listen(c net.Conn, in *frames) error {
	for {
		f, err := in.next()
		if err != nil {
			return err
		}
		var a packet.Ack
		if err := a.Decode(f, packet.V311); err != nil {
			p.offence("%v", err)
			return err
		}
		if err := p.take(c, a); err != nil {
			return err
		}
	}
}

func (p *Publisher) take(c net.Conn, a packet.Ack) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live != c {
		return net.ErrClosed
	}
	at := slices.IndexFunc(p.onWay, func(w onWay) bool { return w.id == a.ID })
	if at < 0 {
		p.violate("%s for packet id %d, which is not in use", a.Type, a.ID)
		return io.ErrUnexpectedEOF
	}
	w := p.onWay[at]
	switch {
	case a.Type == packet.TypePuback && !p.exact(w.topic):
		if first := slices.IndexFunc(p.onWay, func(w onWay) bool { return !p.exact(w.topic) }); first != at {
			p.violate("PUBACK for %d while %d, sent before it, has none", w.number, p.onWay[first].number) // [MQTT-4.6.0-2]
		}
		p.onWay = slices.Delete(p.onWay, at, at+1)
		p.kept(w)
	case a.Type == packet.TypePubrec && p.exact(w.topic):
		if !w.received {
			p.onWay[at].received = true
			p.kept(w)
		}
		_, err := c.Write(p.appendRelease(nil, w.id))
		return err
	case a.Type == packet.TypePubcomp && w.received:
		p.onWay = slices.Delete(p.onWay, at, at+1)
	default:
		p.violate("%s for packet id %d out of turn", a.Type, a.ID)
		return io.ErrUnexpectedEOF
	}
	return nil
}

// kept notes a PUBACK or PUBREC. The caller holds mu.
func (p *Publisher) kept(w onWay) {
	p.stats.Acknowledged++
	if w.number != p.acked[w.topic]+1 {
		p.violate("number %d acknowledged after %d", w.number, p.acked[w.topic])
	}
	p.acked[w.topic] = w.number
}

func (p *Publisher) offence(format string, a ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.violate(format, a...)
}

// violate notes an offence. The caller holds mu.
func (p *Publisher) violate(format string, a ...any) {
	if len(p.violations) < maxViolations {
		p.violations = append(p.violations, p.o.ClientID+": "+fmt.Sprintf(format, a...))
	}
}

// frames reads one packet after the other.
type frames struct {
	from io.Reader
	buf  []byte
	used int
}

// next is valid until the next call.
func (r *frames) next() (packet.Frame, error) {
	for {
		f, n, err := packet.Next(r.buf[r.used:], maxIn)
		if err != nil {
			return f, err
		}
		if n > 0 {
			r.used += n
			return f, nil
		}
		r.buf = append(r.buf[:0], r.buf[r.used:]...)
		r.used = 0
		r.buf = slices.Grow(r.buf, 4096)
		k, err := r.from.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+k]
		if k == 0 && err != nil {
			return f, err
		}
	}
}
