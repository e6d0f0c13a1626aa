package sensors

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// BusPath says which wire of an I2C bus a chip is on: the bus itself, or what is
// behind a channel of a multiplexer. It is written as one text, in files and in
// messages about them:
//
//	"1"                    bus 1
//	"1/0x70/3"             channel 3 of the multiplexer at 0x70 on bus 1
//	"1/0x70/3/0x71/0"      and behind that, channel 0 of another one at 0x71
type BusPath struct {
	Bus  string // as it was written: "1", "i2c-1", "/dev/i2c-1", or part of an adapter's name
	Hops []Hop  // from the bus on
}

// Hop is one multiplexer on the way, and the channel of it that is taken.
type Hop struct {
	Mux     uint16
	Channel int
}

// The addresses and channels of the TCA9548A: Texas Instruments SCPS207F, table 1
// and 8.5.4. The PCA9548A, PCA9546A and TCA9543A have the same.
const (
	firstMux, lastMux = 0x70, 0x77
	MuxChannels       = 8 // of one multiplexer, numbered from 0
	MaxHops           = 4 // multiplexers behind each other
)

// IsMux reports whether a multiplexer can have the address.
func IsMux(address uint16) bool { return address >= firstMux && address <= lastMux }

// ParseBusPath reads what the setting bus of an I2C sensor says. The error says
// what was found and what is wanted.
func ParseBusPath(s string) (BusPath, error) {
	parts := strings.Split(strings.TrimPrefix(s, "/dev/"), "/")
	p := BusPath{Bus: parts[0]}
	if p.Bus == "" && len(parts) > 1 {
		return BusPath{}, fmt.Errorf(`got %q, want a bus first, such as "1/0x70/3"`, s)
	}
	for hops := parts[1:]; len(hops) > 0; hops = hops[2:] {
		mux, err := strconv.ParseUint(hops[0], 0, 16)
		if err != nil || !IsMux(uint16(mux)) {
			return BusPath{}, fmt.Errorf("got %q, where %q is to be the address of a multiplexer, 0x70 to 0x77", s, hops[0])
		}
		if len(hops) == 1 {
			return BusPath{}, fmt.Errorf("got %q, want the channel of the multiplexer behind it, such as %q", s, s+"/3")
		}
		channel, err := strconv.ParseUint(hops[1], 10, 8)
		if err != nil || channel >= MuxChannels {
			return BusPath{}, fmt.Errorf("got %q, where %q is to be a channel of the multiplexer, 0 to 7", s, hops[1])
		}
		if slices.ContainsFunc(p.Hops, func(h Hop) bool { return h.Mux == uint16(mux) }) {
			return BusPath{}, fmt.Errorf("got %q, where a multiplexer at %s stands behind another at the same address: both would answer", s, hops[0])
		}
		p.Hops = append(p.Hops, Hop{Mux: uint16(mux), Channel: int(channel)})
	}
	if len(p.Hops) > MaxHops {
		return BusPath{}, fmt.Errorf("got %q, want at most %d multiplexers behind each other", s, MaxHops)
	}
	return p, nil
}

// Number returns the number of the bus, if it was written as one in any of the
// usual ways: "1", "i2c-1", "I2C1", "/dev/i2c-1".
func (p BusPath) Number() (n int, ok bool) {
	digits := strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(p.Bus), "i2c"), "-")
	n, err := strconv.Atoi(digits)
	return n, err == nil && n >= 0
}

// String writes the path the shortest way: "1/0x70/3".
func (p BusPath) String() string {
	bus := p.Bus
	if n, ok := p.Number(); ok {
		bus = strconv.Itoa(n)
	}
	return bus + hopsText(p.Hops)
}

func hopsText(hops []Hop) string {
	var b strings.Builder
	for _, h := range hops {
		fmt.Fprintf(&b, "/0x%02x/%d", h.Mux, h.Channel)
	}
	return b.String()
}

// Behind says for people what stands between a bus and a chip: "", or
// " behind mux 0x70 channel 3".
func Behind(hops []Hop) string {
	var b strings.Builder
	for i, h := range hops {
		word := "behind"
		if i > 0 {
			word = "and"
		}
		fmt.Fprintf(&b, " %s mux 0x%02x channel %d", word, h.Mux, h.Channel)
	}
	return b.String()
}

// Hears reports whether a chip on the wire p answers also when the wire other is
// in use: p is other, or other is behind p.
func (p BusPath) Hears(other BusPath) bool {
	return busKey(p) == busKey(other) && len(p.Hops) <= len(other.Hops) && slices.Equal(p.Hops, other.Hops[:len(p.Hops)])
}

// busKey is the same for two ways to write one number.
func busKey(p BusPath) string { return BusPath{Bus: p.Bus}.String() }
