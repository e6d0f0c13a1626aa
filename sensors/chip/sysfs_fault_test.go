package chip

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"weir/sensors"
)

// Errors of kernel files that a tree of plain files cannot show.
func TestClassifyFile(t *testing.T) {
	for err, want := range map[error]sensors.Fault{
		syscall.EAGAIN: sensors.Timeout, syscall.ETIMEDOUT: sensors.Timeout, syscall.EIO: sensors.NotAnswering, syscall.ENODEV: sensors.Gone,
		syscall.ENOENT: sensors.Gone, syscall.EACCES: sensors.Refused, syscall.EPERM: sensors.Refused, syscall.EBUSY: sensors.Refused,
	} {
		got := classifyFile("/sys/x", &fs.PathError{Op: "read", Path: "/sys/x", Err: err})
		if sensors.FaultOf(got) != want || !errors.Is(got, err) {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}

func TestDecimal(t *testing.T) {
	for text, want := range map[string]float64{"101.325000000\n": 101.325, "-164": -164, "0.5\n": 0.5} {
		if got, err := decimal("x", text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "\n", "NaN", "inf", "12 34", "1e999"} {
		if got, err := decimal("x", text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

func FuzzKernelNumbers(f *testing.F) {
	f.Add("21500\n")
	f.Add("101.325000000\n")
	f.Add("-1e308")
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := decimal("x", text); err == nil && (v != v || v-v != 0) {
			t.Errorf("%q: %v", text, v)
		}
		if n, err := milli("x", text); err == nil && (n > 1<<31 || n < -1<<31) {
			t.Errorf("%q: %d", text, n)
		}
	})
}
