package broker

import "weir/broker/message"

// A Store keeps what must outlive the process: sessions, their subscriptions and queues, retained messages, packet ids of
// QoS 2. It is the other face of the Journal that the broker was given: what is put, acknowledged and appended before a
// barrier is durable when the Journal calls the barrier settled. Implementations must be safe for concurrent use and must
// not block. Put, Delete, Barrier and Queue may be called under locks of the broker, so they must not call back.
type Store interface {
	// Put sets a key, durable within seconds by itself and at once for a barrier. The value is kept as it is, not copied: nobody
	// may change it from then on. An error means that the store has no room for it and is unchanged.
	Put(key string, value []byte) error
	// Delete removes a key, if it is there, as durably as Put.
	Delete(key string)
	// Range calls f for the keys that begin with prefix, in order, until f says false. f may call the store. Values may
	// be kept, and must not be changed.
	Range(prefix string, f func(key string, value []byte) bool)
	// Barrier gives a number for Journal.Settled: true when everything before this call is durable. An error means that
	// there will never be such a moment.
	Barrier() (number uint64, err error)
	// Failing tells whether the last attempt to make something durable failed.
	Failing() bool

	// Queue gives the queue of that name and makes it if there is none.
	Queue(name string) (Queue, error)
	// DropQueue forgets a queue, what waits in it and its pairs. One that does not exist is no error.
	DropQueue(name string)
	// Queues calls f for the names of all queues until f says false.
	Queues(f func(name string) bool)
}

// A Queue holds the messages of QoS 1 and 2 for one session, or for one shared group: those whose Entry names it. Next and Rewind
// have one user at a time; the others may be called by anybody.
type Queue interface {
	// ID is what SessionHit names. It is never given to another queue.
	ID() uint32
	// Next fills dst with the messages after those it gave before that are not acknowledged, in order. It never waits for
	// new ones. onDisk: the next one would have to be read from the disk, and that is not wanted (disk is false). What it
	// gives is valid until the next call of Next or Rewind. After an error it can be called again.
	Next(dst []Queued, disk bool) (n int, onDisk bool, err error)
	// Ack says that the subscriber is done with messages.
	Ack(numbers []uint64)
	// Rewind lets Next begin again with the first message that is not acknowledged.
	Rewind()
	// Live says whether there is a subscriber that takes messages now.
	Live(up bool)
	// Waiting is how many messages are not acknowledged, and their bytes as stored.
	Waiting() (messages int, bytes int64)

	// Keep puts the pair of a packet id, in place of any other of that id, durable as Store.Put is.
	Keep(p Pair) error
	// Forget drops the pair of a packet id.
	Forget(id uint16)
	// Pairs gives all that are kept.
	Pairs() []Pair
}

// Queued is a message of a queue.
type Queued struct {
	Number  uint64 // of its record in the Journal
	Data    []byte // what SessionHit gave
	Message message.Message
}

// Pair says that a message was, or is about to be, sent at QoS 2 under a packet id.
type Pair struct {
	ID       uint16
	Number   uint64 // of the record
	Released bool   // PUBREC was received: only PUBREL is sent from here on
	Queue    uint32 // the Queue.ID of the group whose record it is; 0: that of the queue that keeps the pair
}
