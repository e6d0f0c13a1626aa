package broker

import (
	"hash/maphash"

	"weir/broker/topic"
)

// matches remembers which subscriptions the tree found for a topic. It belongs to a reading, so it has no lock, there
// are about as many as goroutines that read at the same moment, however many connections there are, and with the pool of
// readings it goes when nothing is published. What it says holds as long as the tree has the version it had before it
// was asked; then all is forgotten. Which member of a shared group and which routes get a message is decided for each message: here
// is only the entry of the group, or the route.
//
// It is a table of buckets of matchWays topics, which grows when a bucket is full:
//
//	hash ─▶ bucket [ topic, topic, topic, topic ]      another topic takes the place of one after the other
//
// Topics longer than matchName and lists longer than matchList are not remembered: at most 160 KiB in all.
type matches struct {
	version uint64 // of the tree
	topics  []matched
	used    []uint16 // places in topics that hold something
	turn    int      // counts what was put in the place of something

	found []*subscription // what the tree found
}

type matched struct {
	hash uint64
	name []byte // empty: nothing is here
	list []*subscription
}

const (
	matchWays  = 4
	matchFirst = 16  // topics in a table that begins
	matchMost  = 512 // topics in one that has grown
	matchName  = 128 // bytes
	matchList  = 16  // subscriptions
)

var matchSeed = maphash.MakeSeed() // who picks the topics cannot pick their buckets

type subscriptions = topic.Tree[*subscription]

// find gives what t.Match does, in a list that holds until the next call.
func (c *matches) find(t *subscriptions, name []byte) []*subscription {
	version := t.Version() // before Match: whatever changes from here on makes it another one
	if version != c.version {
		c.forget()
		c.version = version
	}
	if len(name) == 0 || len(name) > matchName {
		return c.look(t, name)
	}
	hash := maphash.Bytes(matchSeed, name)
	if len(c.topics) > 0 {
		for i := range c.bucket(hash) {
			if m := &c.bucket(hash)[i]; m.hash == hash && string(m.name) == string(name) {
				return m.list
			}
		}
	}
	c.look(t, name)
	if len(c.found) <= matchList {
		c.remember(hash, name)
	}
	return c.found
}

// look asks the tree. What it found before goes first, or the pool would hold what the next list is too short to overwrite.
func (c *matches) look(t *subscriptions, name []byte) []*subscription {
	clear(c.found)
	c.found = t.Match(name, c.found[:0])
	return c.found
}

// at is where the bucket of a hash begins.
func (c *matches) at(hash uint64) int { return int(hash) & (len(c.topics) - 1) &^ (matchWays - 1) }

func (c *matches) bucket(hash uint64) []matched {
	at := c.at(hash)
	return c.topics[at : at+matchWays]
}

// remember puts what was found at a free place, or that of another topic. The room there is used again.
func (c *matches) remember(hash uint64, name []byte) {
	if len(c.topics) == 0 {
		c.topics = make([]matched, matchFirst)
	}
	at, free := c.place(hash)
	for !free && len(c.topics) < matchMost {
		c.grow()
		at, free = c.place(hash)
	}
	if free {
		c.used = append(c.used, uint16(at))
	} else {
		at += c.turn % matchWays
		c.turn++
	}
	m := &c.topics[at]
	clear(m.list)
	m.hash, m.name, m.list = hash, append(m.name[:0], name...), append(m.list[:0], c.found...)
}

// place is a free place in the bucket of a hash, or the first one if there is none.
func (c *matches) place(hash uint64) (at int, free bool) {
	at = c.at(hash)
	for i := range matchWays {
		if len(c.topics[at+i].name) == 0 {
			return at + i, true
		}
	}
	return at, false
}

// grow doubles the table. Each bucket becomes two, so that all finds room.
func (c *matches) grow() {
	before := c.topics
	c.topics, c.used = make([]matched, 2*len(before)), c.used[:0]
	for _, m := range before {
		if len(m.name) > 0 {
			at, _ := c.place(m.hash)
			c.topics[at] = m
			c.used = append(c.used, uint16(at))
		}
	}
}

// forget empties the table, so that no subscription that has ended is kept from being freed.
func (c *matches) forget() {
	for _, at := range c.used {
		m := &c.topics[at]
		clear(m.list)
		m.name, m.list = m.name[:0], m.list[:0]
	}
	c.used = c.used[:0]
}

// rest lets go of what the last Match found.
func (c *matches) rest() {
	clear(c.found)
	if cap(c.found) > 4096 {
		c.found = nil
	}
}
