package sim

// What chips that are spoken to in commands share, instead of registers: they
// acknowledge nothing while they start, and no read before an answer is ready;
// an answer is given once; words carry a checksum of eight bits.
//
// Assumed of all of them, since the sheets only say that a chip that measures does
// not answer: it acknowledges no command either until it is done; what is read
// beyond the end of an answer is FF, the released line; a command takes an answer
// away that nobody has fetched.

import "time"

// RawAir holds the words of one measurement as a humidity chip sends them: 16 bits
// each, 20 on an AHT10 or AHT20.
type RawAir struct{ Temperature, Humidity uint32 }

// span is how long a measurement takes, by the sheet.
type span struct{ longest, typical time.Duration }

// commanded is the part of a command chip that all of them have. Its exported
// methods are safe for concurrent use; the others want mu held.
type commanded struct {
	converter[RawAir]
	due       time.Time // when owed may be read
	measuring bool      // a measurement ends at due
	owed      []byte    // the answer; none: reads are not acknowledged
	room      [12]byte  // of owed
	words     [12]byte  // of checked
}

// start lets the chip begin anew; it answers after the given time.
func (c *commanded) start(now time.Time, takes time.Duration) {
	c.ready, c.due = now.Add(takes), time.Time{}
	c.measuring, c.owed = false, nil
}

// deaf brings the chip up to now and says whether it acknowledges nothing, not
// even its address.
func (c *commanded) deaf(now time.Time) bool {
	if now.Before(c.ready) {
		return true
	}
	if c.measuring && now.Before(c.due) {
		return true
	}
	if c.measuring {
		c.measuring = false
		c.conversions++
	}
	return false
}

// answer lets the bytes be read from at on.
func (c *commanded) answer(at time.Time, bytes ...byte) {
	c.due, c.owed = at, append(c.room[:0], bytes...)
}

// measureFor begins a measurement and returns when it ends.
func (c *commanded) measureFor(now time.Time, s span) time.Time {
	c.measuring, c.due = true, now.Add(c.takes(s.longest, s.typical))
	return c.due
}

// Read is part of Device, of a chip that answers once.
func (c *commanded) Read(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.give(now, data)
}

// give is the read message of a chip that answers once.
func (c *commanded) give(now time.Time, data []byte) error {
	if c.deaf(now) || now.Before(c.due) || len(c.owed) == 0 {
		return ErrNack
	}
	for i := range data {
		data[i] = 0xFF
	}
	copy(data, c.owed)
	c.owed = nil
	return nil
}

// warmed is air that the heater of the chip has warmed, which dries it.
func warmed(air Climate, by float64) Climate {
	if by == 0 {
		return air
	}
	air.Humidity *= saturation(air.Temperature) / saturation(air.Temperature+by)
	air.Temperature += by
	return air
}

// checksum is the CRC-8 of polynomial 0x31, highest bit first.
func checksum(start byte, data ...byte) byte {
	crc := start
	for _, b := range data {
		crc ^= b
		for range 8 {
			top := crc & 0x80
			crc <<= 1
			if top != 0 {
				crc ^= 0x31
			}
		}
	}
	return crc
}

// checked returns words, each as high byte, low byte and checksum; valid until the
// next call.
func (c *commanded) checked(start byte, words ...uint16) []byte {
	b := c.words[:0]
	for _, w := range words {
		b = append(b, byte(w>>8), byte(w), checksum(start, byte(w>>8), byte(w)))
	}
	return b
}

// word16 returns the 16-bit word whose value by the chip's formula is nearest.
func word16(value float64, formula func(raw int64) float64) uint32 {
	return uint32(nearest(0, full16, value, formula))
}
