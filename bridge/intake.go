package bridge

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/broker/message"
	"weir/broker/packet"
)

// maxHeld is how many bytes of messages wait here when the local side has no room. Beyond it the connection is closed.
const maxHeld = 1 << 20

// upward is the connection a received message came on, as far as the intake needs it.
type upward interface {
	Ack(n int, r packet.Reason)
	Complete(id uint16, known bool)
	Abort()
}

var _ upward = (*session)(nil)

// intake brings messages of the upstream to the sink and acknowledges them upstream when the sink says that they are
// settled, in the order they came.
//
//	received ──▶ rule, loop? ──▶ sink ──settled──▶ acknowledged upstream
//	                              │ full
//	                              └──▶ held ──(room)──▶ sink
type intake struct {
	rules   []ReceiveRule
	sink    Sink
	clock   Clock
	origin  []byte
	state   []byte // the state topic, which is ours
	maxHops int

	received, unmatched, looped, overrun atomic.Uint64
	newly                                atomic.Int64 // settled and not yet seen to

	mu      sync.Mutex // guards the fields below
	echoes  *echoes    // nil: the server cuts loops itself
	conn    upward     // nil: none
	owed    []debt     // what came on conn and is not acknowledged, in order
	stale   []debt     // messages in the sink or held that came on a connection that is gone
	inSink  int        // published and not settled
	held    []message.Message
	heldIn  int // bytes of held
	batch   []message.Message
	topics  []byte
	flooded bool // conn is being closed because too much is held

	receipts receipts // of QoS 2, while the session outlives its connections
}

// debt is a run of received messages: n that wait for the sink, or n that are done with the reason.
type debt struct {
	n      int
	done   bool
	reason packet.Reason
	held   *hold // of one message at QoS 2, whose PUBREC waits for more; nil: it does not
}

// begin starts a connection. loops: the server sends our own messages back to us. lasting: its session outlives it;
// fresh: there was none.
func (t *intake) begin(c upward, loops, lasting, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end()
	if t.receipts.lasting = lasting; fresh {
		t.receipts.reset()
	}
	t.conn = c
	t.flooded = false
	if !loops {
		t.echoes = nil
	} else if t.echoes == nil {
		t.echoes = newEchoes()
	}
}

// stop ends the connection: what came on it can no longer be acknowledged.
func (t *intake) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end()
}

// end does the work of stop. The caller holds mu.
func (t *intake) end() {
	for _, d := range t.owed {
		if !d.done {
			t.stale = append(t.stale, d)
		}
	}
	clear(t.owed)
	t.owed, t.conn = t.owed[:0], nil
	t.receipts.lost()
}

// sent remembers a message that goes upstream, if it may come back; unsent takes that back.
func (t *intake) sent(p *packet.Publish, now time.Time) {
	if len(t.rules) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.echoes != nil && t.rule(p.Topic) != nil {
		t.echoes.sent(p.Topic, p.Payload, now)
	}
}

func (t *intake) unsent(p *packet.Publish, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.echoes != nil {
		t.echoes.back(p.Topic, p.Payload, now)
	}
}

func (t *intake) rule(name []byte) *ReceiveRule {
	for i := range t.rules {
		if t.rules[i].Filter.Match(name) {
			return &t.rules[i]
		}
	}
	return nil
}

// take brings one batch in. The messages may be used again when it returns.
func (t *intake) take(from upward, messages []packet.Publish, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn != from || t.flooded {
		return
	}
	stamp := t.clock.Now()
	t.batch, t.topics = t.batch[:0], t.topics[:0]
	for i := range messages {
		p := &messages[i]
		var held *hold
		if p.QoS == 2 && t.receipts.lasting {
			var again bool
			if held, again = t.receipts.arrive(p.ID); again { // v5 [MQTT-4.3.3-10], 3.1.1 [MQTT-4.3.3-2]
				t.owe(debt{n: 1, done: true, held: held})
				continue
			}
		}
		reason, keep := t.admit(p, stamp, now)
		if held != nil && keep {
			t.batch[len(t.batch)-1].ID = p.ID // so that the id can be kept with the message
		}
		if !keep {
			t.ended(held, reason)
		}
		t.owe(debt{n: 1, done: !keep, reason: reason, held: held})
	}
	t.publish()
	t.settle()
}

// admit puts a message into the batch if it is to be brought in.
func (t *intake) admit(p *packet.Publish, stamp message.Stamp, now time.Time) (answer packet.Reason, keep bool) {
	rule := t.rule(p.Topic)
	if rule == nil {
		t.unmatched.Add(1)
		return packet.NoMatchingSubscribers, false
	}
	hops := hopsOf(p)
	if bytes.Equal(p.Topic, t.state) || int(hops) > t.maxHops || t.echoes != nil && !p.Retain && t.echoes.back(p.Topic, p.Payload, now) {
		t.looped.Add(1)
		return packet.Success, false
	}
	at := len(t.topics)
	topics, err := rule.Remap(t.topics, p.Topic)
	if err != nil {
		t.unmatched.Add(1)
		return packet.NoMatchingSubscribers, false
	}
	t.topics = topics // grown: names made before stay in the old array
	m := message.Message{Stamp: stamp, Origin: t.origin, Hops: hops, Publish: *p}
	m.Topic, m.ID, m.Dup = topics[at:len(topics):len(topics)], 0, false
	m.QoS = min(m.QoS, rule.QoS)
	m.Props.Unset(packet.PropTopicAlias)
	m.Props.SubscriptionIDs = nil
	t.batch = append(t.batch, m)
	t.received.Add(1)
	return packet.Success, true
}

// owe adds to the runs of received messages.
func (t *intake) owe(d debt) {
	if n := len(t.owed); n > 0 && t.owed[n-1].done == d.done && t.owed[n-1].reason == d.reason && d.held == nil && t.owed[n-1].held == nil {
		t.owed[n-1].n += d.n
		return
	}
	t.owed = append(t.owed, d)
}

// publish gives the batch to the sink, behind what is held.
func (t *intake) publish() {
	if len(t.batch) == 0 {
		return
	}
	if len(t.held) == 0 && t.sink.Publish(t.batch) == nil {
		t.inSink += len(t.batch)
		return
	}
	for i := range t.batch {
		m := t.batch[i].Clone()
		t.held = append(t.held, m)
		t.heldIn += sizeOf(&m)
	}
	t.retry()
	if t.heldIn > maxHeld && t.conn != nil {
		t.flooded = true
		t.conn.Abort()
	}
}

func sizeOf(m *message.Message) int { return 256 + len(m.Topic) + len(m.Payload) }

// retry gives held messages to the sink, one by one, until it has no room. One that it does not take though it has
// nothing else of ours can never be taken.
func (t *intake) retry() {
	n := 0
	for n < len(t.held) {
		if t.sink.Publish(t.held[n:n+1]) == nil {
			t.inSink++
		} else if t.reap(); t.inSink == 0 {
			t.overrun.Add(1)
			t.advance(1, packet.QuotaExceeded)
		} else {
			break
		}
		t.heldIn -= sizeOf(&t.held[n])
		n++
	}
	rest := copy(t.held, t.held[n:])
	clear(t.held[rest:])
	t.held = t.held[:rest]
}

// settle acknowledges what the sink has settled. The caller holds mu.
func (t *intake) settle() {
	t.reap()
	t.answer(time.Now())
	t.release()
}

// reap notes what the sink has settled.
func (t *intake) reap() {
	if n := int(t.newly.Swap(0)); n > 0 {
		t.inSink -= n
		t.advance(n, packet.Success)
	}
}

// advance notes that the next n messages given to the sink, or held, came to an end.
func (t *intake) advance(n int, r packet.Reason) {
	gone := 0
	for gone < len(t.stale) && n > 0 {
		d := &t.stale[gone]
		take := min(n, d.n)
		n -= take
		if d.n -= take; d.n == 0 {
			t.ended(d.held, r)
			gone++
		}
	}
	t.stale = slices.Delete(t.stale, 0, gone)
	for i := 0; i < len(t.owed) && n > 0; i++ {
		d := t.owed[i]
		if d.done {
			continue
		}
		take := min(n, d.n)
		n -= take
		if take == d.n {
			t.owed[i].done, t.owed[i].reason = true, r
			t.ended(d.held, r)
			continue
		}
		t.owed[i].n -= take
		t.owed = append(t.owed, debt{})
		copy(t.owed[i+1:], t.owed[i:])
		t.owed[i] = debt{n: take, done: true, reason: r}
	}
}

// release acknowledges upstream what is done, up to the first message that is not.
func (t *intake) release() {
	n := 0
	for n < len(t.owed) && t.owed[n].done {
		d := &t.owed[n]
		if d.held != nil {
			if !t.receipts.mayReceive(d.held) {
				break
			}
			if d.held.reason.Failed() {
				d.reason = d.held.reason
			}
		}
		if t.conn != nil {
			t.conn.Ack(d.n, d.reason)
		}
		n++
	}
	t.owed = slices.Delete(t.owed, 0, n)
}

// wake is called after newly has grown.
func (t *intake) wake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle()
	if len(t.held) > 0 {
		t.retry()
		t.settle()
	}
}
