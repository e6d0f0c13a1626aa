package bridge

import (
	"errors"
	"sync"
	"time"

	"weir/bridge/client"
	"weir/broker/packet"
)

// mailbox takes acknowledgements from the connection's goroutines.
type mailbox struct {
	wake chan struct{} // capacity 1

	mu   sync.Mutex // guards acks
	acks []client.Ack
	read []client.Ack // belongs to the reader
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

func (m *mailbox) put(acks []client.Ack) {
	m.mu.Lock()
	m.acks = append(m.acks, acks...)
	m.mu.Unlock()
	signal(m.wake)
}

// take returns what has come, valid until the next take.
func (m *mailbox) take() []client.Ack {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acks, m.read = m.read[:0], m.acks
	return m.read
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// stateRef is the ref of the state message; record numbers stay below it.
const stateRef = 1<<63 - 1

// stateMail is the state topic upstream: at most one message on its way, and then the newest.
type stateMail struct {
	payload []byte // to be sent; nil: nothing
	onWay   bool
	awaited bool      // what is on its way needs an acknowledgement
	refused time.Time // when the server last said 0x97 to it
}

// tellState sends the newest state, if there is one to send and the last one has arrived.
func (s *session) tellState(now time.Time) (sent bool) {
	if s.state.payload == nil || s.state.onWay {
		return false
	}
	info := s.conn.Info()
	p := packet.Publish{Topic: []byte(s.b.topic), Payload: s.state.payload, QoS: min(1, info.MaxQoS), Retain: info.RetainAvailable}
	switch err := s.conn.Send(&p, stateRef); {
	case err == nil:
		if p.QoS > 0 {
			s.await(now)
		}
		s.state.payload, s.state.onWay, s.state.awaited = nil, true, p.QoS > 0
		return true
	case errors.Is(err, client.ErrWindow), errors.Is(err, client.ErrBusy), errors.Is(err, client.ErrClosed):
		return false
	default:
		s.state.payload = nil
		s.b.log.Warn("state topic cannot be sent upstream", "topic", s.b.topic, "err", err)
		return false
	}
}
