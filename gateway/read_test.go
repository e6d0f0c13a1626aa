package gateway

import (
	"context"
	"errors"
	"testing"
	"time"

	"weir/bridge/upstream"
	"weir/sensors/sim"
)

// TestRead reads again and again, with the device's own word, of what is not derived, through a chip that is pulled out and put back.
func TestRead(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
	cfg := s.config(head + room1 + "derive = [\"dew_point\"]\n")
	var went []bool
	err := Read(s.ctx, cfg, s.options(), nil, func(all []Once) (time.Duration, bool) {
		if len(all) != 1 || all[0].Sensor != "room1" {
			t.Fatalf("got %+v, want one sensor", all)
		}
		one := all[0]
		went = append(went, one.Err == nil)
		if one.Err == nil && (len(one.Values) != 4 || one.Values[3].Raw != nil || one.Values[0].Text != "21.53" || one.Values[0].Unit != "°C" || *one.Values[0].Raw == 0 || one.Values[0].Quality != "good" || one.Chip != "BME280") {
			t.Errorf("got %+v, want three values with their words, and one derived of them", one)
		}
		switch len(went) {
		case 1:
			s.bus.Unplug(0x76)
		case 2:
			s.bus.Plug(0x76)
		}
		return time.Millisecond, len(went) < 4
	})
	if err != nil || len(went) != 4 || !went[0] || went[1] || !went[2] || !went[3] {
		t.Errorf("went %v, %v, want only the second to fail", went, err)
	}
}

// TestReadIsInterrupted: the end of the context ends the waiting, and says so.
func TestReadIsInterrupted(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
	ctx, cancel := context.WithCancel(s.ctx)
	err := Read(ctx, s.config(head+room1), s.options(), nil, func([]Once) (time.Duration, bool) { cancel(); return time.Hour, true })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was interrupted", err)
	}
	if err := Read(s.ctx, s.config(head+room1), s.options(), []string{"attic"}, nil); err == nil || err.Error() != `there is no sensor "attic"; there are: room1` {
		t.Errorf("got %v, want the names there are", err)
	}
}
