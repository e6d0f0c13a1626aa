package chip

import (
	"context"
	"testing"

	"weir/sensors"
	"weir/sensors/sim"
)

// A kernel that does not come back from reading one file holds up nobody, and its
// answer of then is not taken for one of now.
func TestSlowKernelFile(t *testing.T) {
	zone, err := sim.NewSysfs(t.TempDir()).AddThermalZone("cpu-thermal", 48)
	if err != nil {
		t.Fatal(err)
	}
	var f slowFile
	path := zone.Path("temp")
	want := func(ctx context.Context, text string, fault sensors.Fault) {
		t.Helper()
		if got, err := f.read(ctx, path); got != text || sensors.FaultOf(err) != fault {
			t.Errorf("got %q, %v, want %q, %v", got, err, text, fault)
		}
	}
	want(t.Context(), "48000\n", 0)
	finish, err := zone.Slow("temp")
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	want(ended, "", sensors.Timeout)
	want(ended, "", sensors.Stuck)
	want(ended, "", sensors.Stuck)
	if err := finish(); err != nil {
		t.Fatal(err)
	}
	if err := zone.Set("temp", "50000\n"); err != nil {
		t.Fatal(err)
	}
	want(t.Context(), "50000\n", 0)
}
