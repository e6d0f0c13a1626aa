package bus

import (
	"context"
	"fmt"
	"slices"

	"weir/sensors"
)

// scanBehind adds scans of the channels of the multiplexers that b found.
func (m *Machine) scanBehind(ctx context.Context, s *segment, b BusScan, drivers []sensors.Driver) ([]BusScan, error) {
	all := []BusScan{b}
	for _, f := range b.Found {
		for channel := 0; f.Mux && len(s.hops) < sensors.MaxHops && channel < sensors.MuxChannels; channel++ {
			path := append(slices.Clone(s.hops), sensors.Hop{Mux: f.Address, Channel: channel})
			behind, err := s.a.segment(path)
			if err != nil { // a sensor has taken the address meanwhile
				break
			}
			more, err := m.scanWire(ctx, behind, drivers, b.answers())
			all = append(all, more...)
			if err != nil {
				return all, err
			}
		}
	}
	return all, nil
}

func (f *Found) itIsMux(s *segment) {
	f.Certainty, f.Mux, f.Chip = Identified, true, "TCA9548"
	f.Settings = map[string]string{"bus": fmt.Sprintf(`"%s/0x%02x"`, s.path(), f.Address)}
}

// findMux asks whether a multiplexer answers, and takes it into the segment.
func (s *segment) findMux(ctx context.Context, c *conn) (is bool, err error) {
	var yes [1]byte
	switch err := c.request(ctx, nil, yes[:], true); {
	case sensors.FaultOf(err) == sensors.NotAnswering: // to the second question
		return false, nil
	case err != nil:
		return false, err
	case yes[0] == 0:
		return false, nil
	}
	_ = c.Close() // only gives the claim back
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	_, _ = s.mux(c.addr) // refused: its address is in use elsewhere, and its channels are not scanned
	return true, nil
}

// lookAtMux asks a multiplexer that is known, and forgets one that is another chip
// now.
func (s *segment) lookAtMux(ctx context.Context, f *Found) (known bool, err error) {
	i := slices.IndexFunc(s.a.muxesOn(s), func(m *mux) bool { return m.addr == f.Address })
	if i < 0 {
		return false, nil
	}
	mx := s.a.muxesOn(s)[i]
	var yes [1]byte
	err = s.connect(f.Address).request(ctx, nil, yes[:], true)
	switch {
	case err == nil && yes[0] == 1:
		f.itIsMux(s)
		return true, nil
	case err != nil && sensors.FaultOf(err) != sensors.NotAnswering:
		return true, err
	}
	return !s.forget(mx), nil
}

// forget takes a multiplexer out, unless a sensor behind it is in use.
func (s *segment) forget(m *mux) bool {
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	for c := range s.a.claims {
		if c.at.through(m) {
			return false
		}
	}
	s.muxes = slices.DeleteFunc(slices.Clone(s.muxes), func(o *mux) bool { return o == m })
	return true
}
