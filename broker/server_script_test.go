package broker

import (
	"bytes"

	"weir/broker/auth"
	"weir/broker/packet"
	"weir/broker/topic"
)

type topicFilter = topic.Filter

// script gives the bytes of an input one after the other; zeros when it is at its end.
type script struct{ data []byte }

func (s *script) byte() byte {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return b
}

func (s *script) take(n int) []byte {
	n = min(n, len(s.data))
	b := s.data[:n]
	s.data = s.data[n:]
	return b
}

func (s *script) flag() bool { return s.byte()%2 == 1 }

// What scripts name by number.
var (
	topicNames  = [][]byte{[]byte("a"), []byte("a/b"), []byte("up/x"), []byte("up/y"), []byte("n/x"), []byte("$SYS/x"), []byte("a/#"), {}, []byte("x/\x00"), []byte("/"), []byte("é")}
	filterNames = [][]byte{
		[]byte("up/#"), []byte("a"), []byte("#"), []byte("a/+"), []byte("+/x"), []byte("$share/g/a"), []byte("$share/g/up/#"), []byte("$share/h/+"),
		[]byte("n/x"), []byte("a#"), []byte(""), []byte("$share//a"), []byte("$SYS/#"), []byte("/"), []byte("+/+/#"),
	}
	clientNames = [][]byte{[]byte("a"), []byte("b"), []byte("c"), {}}
	intervals   = []uint32{0, 1, 5, 100, 4000, 1<<32 - 1}
)

func pick[T any](s *script, all []T) T { return all[int(s.byte())%len(all)] }

func (s *script) topic() []byte {
	n := s.byte()
	if n < 200 { // mostly those that are right
		return topicNames[n%5]
	}
	return topicNames[int(n)%len(topicNames)]
}

func (s *script) payload() []byte {
	switch n := int(s.byte()); {
	case n == 0:
		return nil
	case n < 200:
		return bytes.Repeat([]byte{'p'}, n%20)
	default:
		return bytes.Repeat([]byte{'P'}, (n-190)*40)
	}
}

func (s *script) connect() *packet.Connect {
	p := &packet.Connect{ClientID: pick(s, clientNames)}
	flags := s.byte()
	p.CleanStart = flags&1 != 0
	if flags&2 != 0 {
		p.KeepAlive = uint16(s.byte())
	}
	if flags&4 != 0 {
		p.HasWill = true
		p.Will = packet.Will{QoS: s.byte() % 3, Retain: s.flag(), Topic: s.topic(), Payload: s.payload()}
		if n := pick(s, intervals); n > 0 {
			p.Will.Props.SetWillDelay(n)
		}
		if s.flag() {
			p.Will.Props.SetMessageExpiry(pick(s, intervals))
		}
	}
	if flags&8 != 0 {
		p.Props.SetSessionExpiry(pick(s, intervals))
	}
	if flags&16 != 0 {
		p.HasUsername, p.HasPassword, p.Username = true, true, []byte("pump")
		p.Password = []byte([]string{"secret", "wrong"}[s.byte()%2])
	}
	if flags&32 != 0 {
		p.Props.SetReceiveMaximum(uint16(s.byte()%8) + 1)
	}
	if flags&64 != 0 {
		p.Props.SetMaximumPacketSize([]uint32{1, 3, 20, 60, 300}[s.byte()%5])
	}
	if flags&128 != 0 {
		p.Props.SetTopicAliasMaximum(uint16(s.byte() % 4))
		if n := s.byte(); n%8 == 7 {
			p.Props.SetAuthMethod([]byte(authMethods[n/8%4]))
			p.Props.SetAuthData(firstMessages[n/32])
		}
	}
	return p
}

// packet is any packet, mostly a valid one.
func (s *script) packet() appender { return s.packetOf(s.byte()) }

func (s *script) packetOf(kind byte) appender {
	id := uint16(s.byte()%8) + 1
	switch kind % 16 {
	case 0, 1, 2, 3:
		return s.publish(id)
	case 4, 5:
		p := &packet.Subscribe{ID: id}
		for n := s.byte()%3 + 1; n > 0; n-- {
			p.Filters = append(p.Filters, packet.Subscription{
				Filter: pick(s, filterNames), QoS: s.byte() % 3, NoLocal: s.byte()%8 == 1, RetainAsPublished: s.flag(), RetainHandling: s.byte() % 3,
			})
		}
		if n := s.byte() % 4; n > 1 {
			p.Props.SubscriptionIDs = []uint32{uint32(n)}
		}
		return p
	case 6:
		return &packet.Unsubscribe{ID: id, Filters: [][]byte{pick(s, filterNames), pick(s, filterNames)}}
	case 7, 8, 9, 10:
		a := &packet.Ack{Type: packet.TypePuback + packet.Type(kind%16-7), ID: id}
		if s.byte()%4 == 3 && a.Type <= packet.TypePubrec {
			a.Reason = packet.UnspecifiedError
		}
		return a
	case 11:
		return &packet.Pingreq{}
	case 12:
		d := &packet.Disconnect{}
		if n := s.byte(); n%4 == 1 {
			d.Reason = packet.DisconnectWithWill
		} else if n%4 == 2 {
			d.Props.SetSessionExpiry(pick(s, intervals))
		}
		return d
	case 13:
		return s.connect()
	case 14:
		return s.auth()
	}
	return &packet.Pingresp{}
}

// What AUTH may have: mostly what fits, so that exchanges come to their end.
var (
	authMethods   = []string{auth.ScramMethod, auth.ScramMethod, auth.ScramMethod, "SCRAM-SHA-1"}
	firstMessages = [][]byte{
		scramAs("pump", "secret").first(), scramAs("pump", "secret").first(), scramAs("pump", "secret").first(), scramAs("valve", "tight").first(),
		scramAs("nobody", "").first(), []byte("p=x,,n=pump,r=abc"), []byte("n,a=valve,n=pump,r=abc"), []byte("n,,n=pump"),
	}
)

// auth is an AUTH that does not answer a challenge; see peer.prove.
func (s *script) auth() *packet.Auth {
	n := s.byte()
	if n == 0 {
		return &packet.Auth{}
	}
	reason := packet.ReAuthenticate
	if n%4 == 3 {
		reason = []packet.Reason{packet.Success, packet.ContinueAuthentication}[n/4%2]
	}
	a := authPacket(reason, firstMessages[n/32])
	a.Props.SetAuthMethod([]byte(authMethods[n/8%4]))
	return a
}

func (s *script) publish(id uint16) *packet.Publish {
	p := &packet.Publish{ID: id, Topic: s.topic(), Payload: s.payload()}
	flags := s.byte()
	p.QoS, p.Retain = flags%4%3, flags&4 != 0
	p.Dup = p.QoS > 0 && flags&8 != 0
	if flags&16 != 0 {
		p.Props.SetMessageExpiry(pick(s, intervals))
	}
	if flags&32 != 0 {
		p.Props.SetTopicAlias(uint16(s.byte() % 4))
		if s.flag() {
			p.Topic = nil
		}
	}
	if flags&64 != 0 {
		p.Props.AddUser([]byte("k"), s.payload())
		p.Props.SetCorrelationData([]byte("c"))
		p.Props.SetResponseTopic(s.topic())
	}
	if flags&128 != 0 && s.byte() == 9 {
		p.Props.SubscriptionIDs = []uint32{1}
	}
	return p
}
