package bridge

const (
	rowMax     = 10 // refusals and disconnects in a row from which on nothing more is moved to the dead letters
	strikesMax = 3  // times that a record, alone on its way, ends the connection before it is poison
)

// trouble tells messages that the upstream cannot stand from an upstream that cannot stand any. Pure.
//
//	disconnect twice with the same one first on its way ──▶ narrow: window 1 up to the last of them
//	disconnect with one on its way, after something else was acknowledged on that connection ──▶ a strike against it
//	third strike ──▶ poison: a dead letter
//	tenth refusal or disconnect in a row, nothing accepted between ──▶ refused: one at a time, with growing pauses,
//	                                                                   and nothing is moved until one is accepted
type trouble struct {
	row     int    // refusals and disconnects since a record was accepted
	head    uint64 // the first on its way at the last disconnect; 0: none
	narrow  uint64 // window 1 up to this record; 0: as wide as may be
	suspect uint64 // the record that ended the connection alone; 0: none
	strikes int
}

// refusing reports whether the lane is refused.
func (t *trouble) refusing() bool { return t.row >= rowMax }

// refused notes that the upstream refused a record, and reports whether that is to be moved to the dead letters.
func (t *trouble) refused(number uint64) (move bool) {
	t.row = min(t.row+1, rowMax)
	if t.refusing() {
		return false
	}
	t.ended(number)
	return true
}

// accepted notes that the upstream took a record.
func (t *trouble) accepted(number uint64) {
	t.row = 0
	t.ended(number)
}

func (t *trouble) ended(number uint64) {
	if number == t.head {
		t.head = 0
	}
	if number == t.suspect {
		t.suspect, t.strikes = 0, 0
	}
	if number >= t.narrow {
		t.narrow = 0
	}
}

// disconnected notes that the upstream ended the connection while records were on their way, the first and last of which are
// given. proven: something else was acknowledged on that connection, so that it is not the upstream that takes nothing at
// all. It reports whether the record is poison.
func (t *trouble) disconnected(first, last uint64, proven bool) (poison bool) {
	t.row = min(t.row+1, rowMax)
	again := t.head == first
	t.head = first
	if !again && t.narrow == 0 {
		return false
	}
	t.narrow = max(t.narrow, last)
	if first != last {
		return false
	}
	if t.suspect != first {
		t.suspect, t.strikes = first, 0
	}
	if proven {
		t.strikes++
	}
	if t.strikes < strikesMax || t.refusing() {
		return false
	}
	t.ended(first)
	return true
}
