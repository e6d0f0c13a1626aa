package broker

import (
	"sync"
	"testing"

	"weir/broker/packet"
	"weir/broker/transport"
)

// lasting is a house over a vault, which can be cut off and built again.
type lasting struct {
	*house
	v *vault
}

// buildLasting makes a house whose vault commits by itself.
func buildLasting(t testing.TB, cfg Config) *lasting {
	t.Helper()
	l := &lasting{v: newVault(t)}
	l.v.auto = true
	l.open(t, cfg)
	return l
}

func (l *lasting) open(t testing.TB, cfg Config) {
	t.Helper()
	n, err := transport.Listen(transport.Options{Name: "test", Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	l.house = &house{t: t, address: n.Addr().String()}
	cfg.Store = l.v
	l.house.over = l.v
	l.house.run(cfg, n)
	l.v.mu.Lock()
	l.v.b = l.house.b
	l.v.mu.Unlock()
	l.v.b.Notify()
}

// again cuts the process off, as kill -9 does, and starts the next one with what was kept.
func (l *lasting) again(cfg Config) {
	l.t.Helper()
	next := l.v.crash()
	l.v.fail(true) // nothing of the old one counts any more
	for _, nc := range l.dialled {
		nc.Close()
	}
	l.house.stop()
	l.v = next
	l.open(l.t, cfg)
}

// manual lets only the test commit from here on.
func (l *lasting) manual() { l.v.change(func() { l.v.auto = false }) }

// quick makes the vault commit by itself again.
func (l *lasting) quick() { l.v.change(func() { l.v.auto = true }) }

// stay connects a persistent session.
func (l *lasting) stay(v packet.Version, id string, tweak ...func(*packet.Connect)) (*client, packet.Connack) {
	l.t.Helper()
	return l.login(v, id, append([]func(*packet.Connect){keepSession}, tweak...)...)
}

// leave disconnects, and waits until the session is let go.
func (l *lasting) leave(c *client) {
	l.t.Helper()
	c.send(&packet.Disconnect{})
	c.expectEnd(packet.Success)
	c.nc.Close()
}

// deliver publishes at a QoS from a clean session and wants the acknowledgement.
func (l *lasting) deliver(name, payload string, q byte) {
	l.t.Helper()
	c, _ := l.login(packet.V311, "")
	c.publish(name, payload, q, 1)
	if q == 1 {
		c.expectAck(packet.TypePuback, 1)
	}
	if q == 2 {
		c.expectAck(packet.TypePubrec, 1)
		c.send(&packet.Ack{Type: packet.TypePubrel, ID: 1})
		c.expectAck(packet.TypePubcomp, 1)
	}
	c.nc.Close()
}

// stored is the end of the names of tests that run over a Store too: see each.
const stored = "/stored"

// stocked is the Journal of other tests, with a Store beside it that commits by itself. Records for routes are the journal's,
// what concerns sessions the store's.
type stocked struct {
	*vault
	journal *journal
	mu      sync.Mutex        // so that the numbers of a batch follow each other
	routed  map[uint64]uint64 // numbers of the journal, by those given out
}

func (s *stocked) Append(batch []Entry) (first uint64, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range batch {
		at, taken := uint64(0), 1
		if len(batch[i].Routes) > 0 {
			at, taken = s.journal.Append(batch[i : i+1])
		}
		if taken == 0 {
			break
		}
		number, _ := s.vault.Append(batch[i : i+1])
		if len(batch[i].Routes) > 0 {
			s.vault.mu.Lock()
			s.routed[number] = at
			s.vault.mu.Unlock()
		}
		if n == 0 {
			first = number
		}
		n++
	}
	return first, n
}

func (s *stocked) Settled(number uint64) bool {
	s.vault.mu.Lock()
	at, routed := s.routed[number]
	s.vault.mu.Unlock()
	if routed {
		return s.journal.Settled(at)
	}
	return s.vault.Settled(number)
}

func (s *stocked) Barrier() (number uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.vault.Barrier()
}
