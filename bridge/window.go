package bridge

import "time"

// window holds what is on the way, in the order sent, and turns acknowledgements into ranges for the source. Pure; not
// safe for concurrent use.
type window struct {
	flights []flight // from head on; ended ones at the front are removed
	head    int
	onWay   int
	awaited int // of those, the ones that need an acknowledgement

	overtaken uint64    // the oldest on its way when a later one was acknowledged; 0: none
	since     time.Time // when held first saw that
}

// flight is one record.
type flight struct {
	number uint64
	sent   time.Time
	end    end
}

type end uint8

const (
	flying  end = iota // until it is acknowledged
	leaving            // until it is written: QoS 0
	arrived            // acknowledged, not yet in a range
	passed             // acknowledged, and in a range
	refused
)

// add notes a record that was sent (flying, leaving) or needs no sending (arrived). Numbers rise.
func (w *window) add(number uint64, e end, now time.Time) {
	if w.head > 0 && w.head == len(w.flights) {
		w.flights, w.head = w.flights[:0], 0
	} else if w.head > 256 && w.head > len(w.flights)/2 {
		w.flights, w.head = w.flights[:copy(w.flights, w.flights[w.head:])], 0
	}
	w.flights = append(w.flights, flight{number: number, sent: now, end: e})
	switch e {
	case flying:
		w.onWay++
		w.awaited++
	case leaving:
		w.onWay++
	}
}

// finish notes the end of a record on its way and returns when it was sent. Acknowledgements mostly come in order, so
// it is found near the front.
func (w *window) finish(number uint64, e end) (sent time.Time, ok bool) {
	for i := w.head; i < len(w.flights); i++ {
		f := &w.flights[i]
		if f.number == number && f.end <= leaving {
			if f.end == flying {
				w.awaited--
				if oldest := &w.flights[w.head]; oldest.end == flying && w.overtaken != oldest.number && i > w.head {
					w.overtaken, w.since = oldest.number, time.Time{}
				}
			}
			f.end = e
			w.onWay--
			return f.sent, true
		}
	}
	return time.Time{}, false
}

// held is for how long the oldest record on its way has been waiting since a later one was acknowledged. Acknowledgements
// come in order ([MQTT-4.6.0-2]): such a one is late by a moment, between QoS 1 and 2, or lost.
func (w *window) held(now time.Time) time.Duration {
	if w.head == len(w.flights) || w.flights[w.head].end != flying || w.flights[w.head].number != w.overtaken {
		return 0
	}
	if w.since.IsZero() {
		w.since = now
	}
	return now.Sub(w.since)
}

// ranges appends to dst what has arrived since the last call, and forgets what is at the front. Consecutive numbers are
// joined, others never are: a number between two of ours may be a record that was set aside long ago.
func (w *window) ranges(dst []Range) []Range {
	open, last := false, uint64(0) // the newest range may go on with the number after last
	for i := w.head; i < len(w.flights); i++ {
		f := &w.flights[i]
		open = open && f.number == last+1
		last = f.number
		switch {
		case f.end == arrived && open:
			dst[len(dst)-1].Last = f.number
		case f.end == arrived:
			dst = append(dst, Range{f.number, f.number})
			open = true
		case f.end != passed: // what was passed on before may lie inside a range
			open = false
		}
		if f.end == arrived {
			f.end = passed
		}
	}
	for w.head < len(w.flights) && w.flights[w.head].end > leaving {
		w.head++
	}
	return dst
}

// span is the first and the last record that waits for its acknowledgement; ok is false if none does.
func (w *window) span() (first, last uint64, ok bool) {
	for i := w.head; i < len(w.flights); i++ {
		if f := &w.flights[i]; f.end == flying {
			if !ok {
				first, ok = f.number, true
			}
			last = f.number
		}
	}
	return first, last, ok
}

// reset forgets everything: the connection is gone.
func (w *window) reset() {
	w.flights, w.head, w.onWay, w.awaited = w.flights[:0], 0, 0, 0
	w.overtaken, w.since = 0, time.Time{}
}
