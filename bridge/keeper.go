package bridge

// Pair is a message that was, or is about to be, sent upstream at QoS 2 under a packet id.
type Pair struct {
	ID       uint16
	Number   uint64 // of the record
	Released bool   // PUBREC was received: only PUBREL is sent from here on
}

// Kept is what a Keeper has of the session upstream.
type Kept struct {
	Token string // whose session it is; empty: nobody's
	Pairs []Pair // in the order of the records
	Held  []uint16
}

// Keeper keeps what a session upstream has to remember across restarts. Keep, Forget, Hold and Drop change it in memory
// at once, and on the disk with the next commit; a Barrier tells when that was. See doc.go for what waits for which.
type Keeper interface {
	// Session is what is kept now.
	Session() Kept
	// Withdraw takes the token back, and Begin writes another and drops all packet ids of both directions. Both return
	// when that is durable; they may take as long as the disk does.
	Withdraw() error
	Begin(token string) error

	// Keep puts a pair, in place of any other of its id; Forget drops it.
	Keep(p Pair) error
	Forget(id uint16)
	// Hold keeps the id of a message received at QoS 2, unless it is kept with the message itself: then it reports true.
	// Drop drops it.
	Hold(id uint16) (kept bool, err error)
	Drop(id uint16)

	// Barrier gives a number for which Settled is true once everything before this call is durable. It does not wait.
	Barrier() (number uint64, err error)
	Settled(number uint64) bool
	// Durable is signalled after the newest barrier was settled; capacity 1.
	Durable() <-chan struct{}
}
