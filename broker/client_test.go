package broker

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/topic"
	"weir/broker/transport"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// house is a running broker with one listener.
type house struct {
	t       testing.TB
	b       *Broker
	journal *journal
	address string
	memory  *memory // instead of an address
	over    *vault  // instead of journal
	kept    Kept    // the same
	dialled []net.Conn
	log     *slog.Logger // nil: quietLog
	stop    func()       // orderly; may be called more than once
}

var bootTime = time.Now()

// stampNow stamps with time since the test program began, which is the fake clock inside a synctest bubble.
func stampNow() message.Stamp { return message.Stamp{Boot: 7, Since: time.Since(bootTime)} }

func quietLog() *slog.Logger {
	if os.Getenv("BROKER_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// build makes a house whose broker listens on a free loopback port.
func build(t testing.TB, cfg Config) *house {
	t.Helper()
	l, err := transport.Listen(transport.Options{Name: "test", Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, journal: newJournal(), address: l.Addr().String()}
	h.run(cfg, l)
	return h
}

func (h *house) run(cfg Config, l transport.Listener) {
	cfg.Goroutines = *goroutines
	switch {
	case h.over != nil:
		h.b = New(cfg, h.over, stampNow, quietLog())
	case h.kept != nil:
		h.b = New(cfg, h.kept, stampNow, quietLog())
	case strings.HasSuffix(h.t.Name(), stored):
		s := &stocked{journal: h.journal, vault: newVault(h.t), routed: map[uint64]uint64{}}
		s.vault.auto = true
		cfg.Store = s
		h.b = New(cfg, s, stampNow, quietLog())
		s.vault.b, h.journal.b = h.b, h.b
	default:
		log := h.log
		if log == nil {
			log = quietLog()
		}
		h.b = New(cfg, h.journal, stampNow, log)
		h.journal.b = h.b
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.b.Run(ctx, l) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Errorf("Run: %v", err)
		}
	})
	h.t.Cleanup(h.stop)
}

// route sends a filter to the journal as rule 1 of upstream 1.
func (h *house) route(filter string) {
	h.t.Helper()
	h.b.SetRoutes([]Route{{Upstream: 1, Rule: 1, Filter: mustFilter(h.t, filter)}})
}

func mustFilter(t testing.TB, s string) topic.Filter {
	t.Helper()
	f, err := topic.ParseFilter(s, topic.InnerWildcard())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// client is a raw MQTT client: it does nothing by itself.
type client struct {
	t    testing.TB
	nc   net.Conn
	v    packet.Version
	buf  []byte // received, not yet looked at
	have int    // bytes of buf that were given out by next
}

func (h *house) dial(v packet.Version) *client {
	h.t.Helper()
	if h.memory != nil {
		return &client{t: h.t, nc: h.memory.dial(8 << 10), v: v}
	}
	nc, err := net.Dial("tcp", h.address)
	if err != nil {
		h.t.Fatal(err)
	}
	c := &client{t: h.t, nc: nc, v: v}
	if h.over != nil { // see again
		h.dialled = append(h.dialled, nc)
	}
	h.t.Cleanup(func() { nc.Close() })
	return c
}

// login connects with a CONNECT that tweak may change and wants success.
func (h *house) login(v packet.Version, id string, tweak ...func(*packet.Connect)) (*client, packet.Connack) {
	h.t.Helper()
	c := h.dial(v)
	ack := c.connect(id, tweak...)
	if ack.Reason != packet.Success {
		h.t.Fatalf("CONNACK %s, want success", ack.Reason)
	}
	return c, ack
}

func (c *client) connect(id string, tweak ...func(*packet.Connect)) packet.Connack {
	c.t.Helper()
	p := packet.Connect{CleanStart: true, ClientID: []byte(id)}
	for _, f := range tweak {
		f(&p)
	}
	c.send(&p)
	return *c.expect(packet.TypeConnack).(*packet.Connack)
}

// Tweaks of CONNECT.
func keepSession(p *packet.Connect) {
	p.CleanStart = false
	p.Props.SetSessionExpiry(3600) // not written on 3.1.1
}

func expiry(seconds uint32) func(*packet.Connect) {
	return func(p *packet.Connect) { p.Props.SetSessionExpiry(seconds) }
}

func resume(p *packet.Connect) { p.CleanStart = false }

func lastWill(name, payload string, q byte) func(*packet.Connect) {
	return func(p *packet.Connect) {
		p.HasWill = true
		p.Will = packet.Will{QoS: q, Topic: []byte(name), Payload: []byte(payload)}
	}
}

type appender interface {
	Append([]byte, packet.Version) ([]byte, error)
}

// send writes packets with one write.
func (c *client) send(all ...appender) {
	c.t.Helper()
	var b []byte
	for _, p := range all {
		var err error
		if b, err = p.Append(b, c.v); err != nil {
			c.t.Fatalf("append %T: %v", p, err)
		}
	}
	c.write(b)
}

func (c *client) write(b []byte) {
	c.t.Helper()
	c.nc.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.nc.Write(b); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

type decoder interface {
	Decode(packet.Frame, packet.Version) error
}

// next reads one packet; the packet is valid until the next call. io.EOF or another error: the connection has ended.
func (c *client) next() (decoder, packet.Type, error) {
	c.buf = c.buf[:copy(c.buf, c.buf[c.have:])]
	c.have = 0
	for {
		f, n, err := packet.Next(c.buf, 0)
		if err != nil {
			return nil, 0, err
		}
		if n > 0 {
			c.have = n
			p := blank(f.Type)
			return p, f.Type, p.Decode(f, c.v)
		}
		c.nc.SetReadDeadline(time.Now().Add(patience))
		part := make([]byte, 64<<10)
		k, err := c.nc.Read(part)
		c.buf = append(c.buf, part[:k]...)
		if err != nil {
			return nil, 0, err
		}
	}
}

func blank(t packet.Type) decoder {
	switch t {
	case packet.TypeConnack:
		return new(packet.Connack)
	case packet.TypePublish:
		return new(packet.Publish)
	case packet.TypePuback, packet.TypePubrec, packet.TypePubrel, packet.TypePubcomp:
		return new(packet.Ack)
	case packet.TypeSuback:
		return new(packet.Suback)
	case packet.TypeUnsuback:
		return new(packet.Unsuback)
	case packet.TypePingresp:
		return new(packet.Pingresp)
	case packet.TypeDisconnect:
		return new(packet.Disconnect)
	case packet.TypeAuth:
		return new(packet.Auth)
	}
	panic(fmt.Sprintf("the server sent %s", t))
}

// expect reads one packet, which must be of the type.
func (c *client) expect(want packet.Type) decoder {
	c.t.Helper()
	p, got, err := c.next()
	if err != nil {
		c.t.Fatalf("got %v, want %s", err, want)
	}
	if got != want {
		c.t.Fatalf("got %s %+v, want %s", got, p, want)
	}
	return p
}

func (c *client) expectAck(want packet.Type, id uint16) *packet.Ack {
	c.t.Helper()
	a := c.expect(want).(*packet.Ack)
	if a.ID != id {
		c.t.Fatalf("%s for id %d, want id %d", want, a.ID, id)
	}
	return a
}

// expectMessage reads a PUBLISH with this topic and payload.
func (c *client) expectMessage(name, payload string) *packet.Publish {
	c.t.Helper()
	p := c.expect(packet.TypePublish).(*packet.Publish)
	if string(p.Topic) != name || string(p.Payload) != payload {
		c.t.Fatalf("got %q = %q, want %q = %q", p.Topic, p.Payload, name, payload)
	}
	return p
}

// expectEnd wants the connection closed, with a DISCONNECT of that reason before it on 5.0 (none: Success).
func (c *client) expectEnd(reason packet.Reason) {
	c.t.Helper()
	if c.v == packet.V5 && reason != packet.Success {
		if d := c.expect(packet.TypeDisconnect).(*packet.Disconnect); d.Reason != reason {
			c.t.Fatalf("DISCONNECT %s (%s), want %s", d.Reason, d.Props.ReasonString, reason)
		}
	}
	p, got, err := c.next()
	if err == nil {
		c.t.Fatalf("got %s %+v, want the connection closed", got, p)
	}
	if e, ok := err.(net.Error); ok && e.Timeout() {
		c.t.Fatal("the connection stays open")
	}
}

// nothing wants the answer to a PINGREQ to be the next packet.
func (c *client) nothing() {
	c.t.Helper()
	c.send(&packet.Pingreq{})
	c.expect(packet.TypePingresp)
}

func (c *client) publish(name, payload string, q byte, id uint16) {
	c.t.Helper()
	c.send(message1(name, payload, q, id))
}

func message1(name, payload string, q byte, id uint16) *packet.Publish {
	return &packet.Publish{QoS: q, ID: id, Topic: []byte(name), Payload: []byte(payload)}
}

func retainedMessage(name, payload string, q byte, id uint16) *packet.Publish {
	p := message1(name, payload, q, id)
	p.Retain = true
	return p
}

// subscribe subscribes and returns the reasons.
func (c *client) subscribe(q byte, filters ...string) []packet.Reason {
	c.t.Helper()
	p := packet.Subscribe{ID: 9000}
	for _, f := range filters {
		p.Filters = append(p.Filters, packet.Subscription{Filter: []byte(f), QoS: q})
	}
	return c.subscribeWith(&p)
}

func (c *client) subscribeWith(p *packet.Subscribe) []packet.Reason {
	c.t.Helper()
	c.send(p)
	a := c.expect(packet.TypeSuback).(*packet.Suback)
	if a.ID != p.ID || len(a.Reasons) != len(p.Filters) {
		c.t.Fatalf("SUBACK %d with %d reasons, want %d with %d", a.ID, len(a.Reasons), p.ID, len(p.Filters))
	}
	return a.Reasons
}

func (c *client) leave() {
	c.t.Helper()
	c.send(&packet.Disconnect{})
	c.expectEnd(packet.Success)
	c.nc.Close()
}

// vanish breaks the connection without a word, and waits until the broker has noticed.
func (h *house) vanish(c *client) {
	h.t.Helper()
	n := h.b.Stats().Connections
	c.nc.Close()
	h.until(func() bool { return h.b.Stats().Connections < n })
}

// until waits for a condition that no event tells of.
func (h *house) until(ok func() bool) {
	h.t.Helper()
	limit := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(limit) {
			h.t.Fatal("waited in vain")
		}
		tick := time.NewTimer(time.Millisecond)
		<-tick.C
	}
}

// session finds a session.
func (h *house) session(id string) *session {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	return h.b.sessions[id]
}

func mustFilters(t testing.TB, all ...string) (filters []topic.Filter) {
	for _, s := range all {
		filters = append(filters, mustFilter(t, s))
	}
	return filters
}
