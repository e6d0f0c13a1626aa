package broker

import (
	"time"

	"weir/broker/message"
	"weir/broker/packet"
	"weir/broker/topic"
)

// bridgeStates are the topics where mosquitto's bridges leave their state at the other broker, as a will and otherwise, unless they
// are told not to.
var bridgeStates, _ = topic.ParseFilter("$SYS/broker/connection/+/state")

// checkWill judges the will of a CONNECT. A topic that begins with $ is not for clients, v5 section 4.7.2, but a bridge is not to be locked
// out by the state it would leave: that is dropped, as what it publishes there is.
func (c *connection) checkWill(p *packet.Connect) *packet.Error {
	if err := topic.ValidName(p.Will.Topic); err != nil {
		return packet.Errorf(packet.TopicNameInvalid, "will: %s", err)
	}
	if p.Will.Topic[0] == '$' {
		if !bridgeStates.Match(p.Will.Topic) {
			return packet.Errorf(packet.TopicNameInvalid, "will: clients may not publish to topics that begin with $")
		}
		p.HasWill = false
		if c.stage != stageProved { // or it was counted before the exchange
			c.b.count.rejected.Add(1)
		}
		return nil
	}
	if p.Will.Props.Has(packet.PropResponseTopic) {
		if err := topic.ValidName(p.Will.Props.ResponseTopic); err != nil {
			return packet.Errorf(packet.TopicNameInvalid, "will: response topic: %s", err)
		}
	}
	return nil
}

// newWill is the will that CONNECT leaves, if any. v5 [MQTT-3.1.2-7], 3.1.1 [MQTT-3.1.2-8]
func newWill(p *packet.Connect, s *session) *will {
	if !p.HasWill { // 3.1.1 [MQTT-3.1.2-12]
		return nil
	}
	m := message.Message{Origin: []byte(s.id())}
	m.Topic, m.Payload, m.QoS = p.Will.Topic, p.Will.Payload, p.Will.QoS
	m.Retain = p.Will.Retain // v5 [MQTT-3.1.2-14] [MQTT-3.1.2-15], 3.1.1 [MQTT-3.1.2-16] [MQTT-3.1.2-17]
	m.Props = p.Will.Props
	m.Props.Unset(packet.PropWillDelay)
	return &will{message: m.Clone(), delay: time.Duration(p.Will.Props.WillDelay) * time.Second}
}
