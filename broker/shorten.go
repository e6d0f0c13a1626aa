package broker

import "weir/broker/packet"

// Which topics get an alias: shorter ones gain nothing, longer ones would cost memory for each client.
const (
	shortestAliased = 8
	longestAliased  = 128
	costAlias       = 64      // bytes that a topic takes besides its own
	longestShorten  = 4 << 10 // bytes of a packet; an alias gains little in a longer one, and it need not be decoded
	disused         = 64      // so many messages for each alias a topic was not sent in before it loses its own
)

// shortener puts topic aliases into what one 5.0 client is sent, if it takes any. A topic gets one when it is sent for the
// second time. When all are given out, a new topic takes that of one which was not among the last messages; topics that are
// sent all the time keep theirs, however many others there are.
//
//	first            PUBLISH topic
//	second           PUBLISH topic, alias 1     the client learns it
//	from then on     PUBLISH "", alias 1
//
// It works on bytes on their way to the socket, in the order in which they are written, so that no alias is used before
// it was given or after it was given to another topic, whatever was staged, queued or sent again before. It begins anew with
// each connection: v5 [MQTT-3.3.2-7]. Clients of libmosquitto 2.0 announce no maximum by themselves, and so get none; told to
// announce one, they fail at the first alias without a topic, which they do not resolve. It is used under the mutex of the out the bytes are taken from.
type shortener struct {
	most    int
	aliases map[string]int      // alias by topic
	names   []string            // topic by alias less one
	last    []int               // when it was sent last, by alias less one
	hand    int                 // the alias to be looked at next, less one
	now     int                 // messages so far
	seen    map[string]struct{} // sent once, at most four for each alias
	bytes   int                 // what all this takes, about
	counted int                 // of it, in limits.memory
	publish packet.Publish      // space
}

// newShortener makes a shortener for at most so many aliases; nil if there are none.
func newShortener(client, server int) *shortener {
	most := min(client, server) // v5 [MQTT-3.1.2-26] [MQTT-3.1.2-27] [MQTT-3.3.2-11]
	if most <= 0 {
		return nil
	}
	return &shortener{most: most}
}

// count has the limit of all memory know what this takes.
func (s *shortener) count(l *limit) {
	l.force(s.bytes - s.counted)
	s.counted = s.bytes
}

// shorten gives b, which is whole packets, with aliases in it. b is recycled. largest is the packet the client takes; 0: any.
func (s *shortener) shorten(b []byte, largest int) []byte {
	short := (*buffers.Get().(*[]byte))[:0]
	for at := 0; at < len(b); {
		f, n, err := packet.Next(b[at:], 0)
		if err != nil || n == 0 { // cannot be
			short = append(short, b[at:]...)
			break
		}
		short = s.one(short, f, b[at:at+n], largest)
		at += n
	}
	s.publish.Props.Release()
	s.publish = packet.Publish{Props: s.publish.Props}
	recycle(b)
	return short
}

// one appends a packet.
func (s *shortener) one(short []byte, f packet.Frame, whole []byte, largest int) []byte {
	const growth = 3 + 2 // the alias, and lengths that become a byte longer
	if f.Type != packet.TypePublish || len(whole) > longestShorten || largest > 0 && len(whole)+growth > largest || s.publish.Decode(f, packet.V5) != nil {
		return append(short, whole...)
	}
	alias, known := s.alias(s.publish.Topic)
	if alias == 0 { // v5 [MQTT-3.3.2-8]
		return append(short, whole...)
	}
	s.publish.Props.SetTopicAlias(uint16(alias))
	if known {
		s.publish.Topic = nil
	}
	b, err := s.publish.Append(short, packet.V5)
	if err != nil { // cannot be
		return append(short, whole...)
	}
	return b
}

// alias gives the alias of a topic, or 0. known: the client knows it.
func (s *shortener) alias(name []byte) (alias int, known bool) {
	s.now++
	if alias = s.aliases[string(name)]; alias > 0 {
		s.last[alias-1] = s.now
		return alias, true
	}
	if len(name) < shortestAliased || len(name) > longestAliased {
		return 0, false
	}
	if s.seen == nil { // an idle client costs nothing
		s.aliases, s.seen = map[string]int{}, map[string]struct{}{}
	}
	if _, again := s.seen[string(name)]; !again {
		if len(s.seen) >= 4*s.most { // most of them stay, or of many topics in turn none would be seen again
			if s.now%16 != 0 {
				return 0, false
			}
			for some := range s.seen {
				delete(s.seen, some)
				s.bytes -= len(some) + costAlias
				break
			}
		}
		s.seen[string(name)] = struct{}{}
		s.bytes += len(name) + costAlias
		return 0, false
	}
	if len(s.names) < s.most {
		s.names, s.last = append(s.names, ""), append(s.last, 0)
		alias = len(s.names)
	} else {
		alias = s.hand + 1
		s.hand = (s.hand + 1) % s.most
		if s.now-s.last[alias-1] < disused*s.most {
			return 0, false
		}
		delete(s.aliases, s.names[alias-1])
		s.bytes -= len(s.names[alias-1]) + costAlias
	}
	delete(s.seen, string(name))
	s.names[alias-1], s.last[alias-1] = string(name), s.now
	s.aliases[s.names[alias-1]] = alias
	return alias, false
}
