package main

import (
	"strings"
	"testing"
	"time"

	"weir/gateway/status"
)

// TestStatusOfSensors: people see of each sensor what it measured and how old that is, or what is wrong with it.
func TestStatusOfSensors(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	s := status.Snapshot{ID: "g1", Version: "test", Taken: now, Started: now.Add(-3 * time.Hour), Sensors: []status.Sensor{
		{Name: "room1", State: "ok", LastGood: now.Add(-4 * time.Second), Values: []status.Value{
			{Quantity: "temperature", Text: "75", Unit: "°C", Quality: "good"},
			{Quantity: "pressure", Text: "1008.5", Unit: "hPa", Quality: "uncertain", Reason: "another chip of the same kind"},
			{Quantity: "humidity", Quality: "bad", Reason: "the chip is a BMP280 and measures no humidity"},
		}},
		{Name: "boiler", State: "failing", Err: "0x76 on bus 1: not answering", LastGood: now.Add(-134 * time.Minute)},
		{Name: "attic", State: "failing", Err: "bus 1: gone"},
		{Name: "cellar", State: "opening"},
	}}
	var out strings.Builder
	printStatus(&out, &s)
	for _, want := range []string{
		"sensor room1   temperature 75 °C, pressure 1008.5 hPa uncertain (another chip of the same kind), humidity bad (the chip is a BMP280 and measures no humidity), 4s ago\n",
		"sensor boiler  0x76 on bus 1: not answering; last good: 2h14m ago\n",
		"sensor attic   bus 1: gone; last good: never read since the start\n",
		"sensor cellar  opening\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant in it %q", out.String(), want)
		}
	}
}
