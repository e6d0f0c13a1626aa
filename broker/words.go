package broker

import (
	"fmt"

	"weir/broker/packet"
)

// why explains in words the reason code of an acknowledgement. A client that asked for none (Request Problem Information 0), that
// takes no packet so large, or that lets its answers lie gets the code alone: v5 [MQTT-3.1.2-29] [MQTT-3.4.2-2] [MQTT-3.5.2-2].
type why uint8

const (
	whyNot why = iota // there is nothing to say
	whySystem
	whyUnfit
	whyNoRight
	whyRetained
	whyQueues
)

var whyWords = [...]string{
	whySystem:   "topics that begin with $ are not for clients",
	whyUnfit:    "the topic is longer, or has more levels, than is allowed here",
	whyNoRight:  "no right to publish to this topic",
	whyRetained: "no room for more retained messages; nobody got it",
	whyQueues:   "every queue that it is for is full; nobody got it",
}

// wordBytes is how much may wait for a client that is still told in words.
const wordBytes = answerBytes / 8

// inWords is the acknowledgement with its reason in words, or the packet in b as it was. The caller holds mu.
func (o *out) inWords(a *packet.Ack, reason why, b []byte) (words []byte, ok bool) {
	if reason == whyNot || o.conn == nil || !o.conn.problems || o.answers > wordBytes {
		return b, false
	}
	a.Props.SetReasonString([]byte(whyWords[reason]))
	words, err := a.Append(b, packet.V5)
	if err != nil || o.maxPacket > 0 && len(words)-len(b) > int(o.maxPacket) {
		a.Props.Reset()
		return b, false
	}
	return words, true
}

// inWords puts a reason into an answer, unless the client does not want it or does not take so large a packet:
// v5 [MQTT-3.1.2-29] [MQTT-3.9.2-1] [MQTT-3.11.2-1].
func (c *connection) inWords(reason string, p *packet.Properties, answer interface {
	Append([]byte, packet.Version) ([]byte, error)
}) {
	if reason == "" || !c.problems {
		return
	}
	p.SetReasonString([]byte(reason))
	if b, err := answer.Append(nil, c.version); err != nil || c.tooLarge(len(b)) {
		p.Reset()
	}
}

// about is a reason that names a filter.
func about(filter []byte, reason string) error { return fmt.Errorf("%q: %s", clip(filter), reason) }
