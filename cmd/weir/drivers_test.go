package main

import (
	"testing"

	"weir/gateway/config"
	"weir/sensors/chip"
)

// TestNoDriverKeyHidesAnother: a setting of a driver must not be called as one that every sensor has, or as one of
// another driver that means something else.
func TestNoDriverKeyHidesAnother(t *testing.T) {
	general := map[string]bool{}
	for _, f := range config.Fields(nil) {
		general[f.Path] = true
	}
	for _, d := range chip.Drivers {
		for _, k := range d.Keys {
			if general["sensor.NAME."+k.Name] {
				t.Errorf("driver %s: its key %q is hidden by sensor.NAME.%s", d.Name, k.Name, k.Name)
			}
		}
	}
}
