package bus

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/sensors"
)

// bulkFile is the path of a master's therm_bulk_read, made with the text.
func bulkFile(t *testing.T, text string) (dir, file string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "w1_bus_master1")
	file = filepath.Join(dir, "therm_bulk_read")
	write(t, file, text)
	return dir, file
}

func TestOneConversionServesAll(t *testing.T) {
	dir, file := bulkFile(t, "0")
	synctest.Test(t, func(t *testing.T) {
		var o oneWire
		stop := make(chan struct{})
		defer close(stop)
		triggers := make(chan struct{}, 10)
		go func() { // the kernel: busy for 750 ms after each trigger
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
				if b, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(b)) == "trigger" {
					triggers <- struct{}{}
					write(t, file, "-1")
					time.Sleep(750 * time.Millisecond)
					write(t, file, "1")
				}
			}
		}()
		start := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if ok, err := o.Convert(t.Context(), dir, time.Second); !ok || err != nil {
					t.Errorf("got %v, %v, want a conversion", ok, err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took > 900*time.Millisecond || took < 750*time.Millisecond {
			t.Errorf("ten sensors took %v, want one conversion of 750 ms", took)
		}
		if len(triggers) != 1 {
			t.Errorf("%d conversions, want 1", len(triggers))
		}
		time.Sleep(2 * time.Second)
		if ok, err := o.Convert(t.Context(), dir, time.Second); !ok || err != nil {
			t.Errorf("got %v, %v", ok, err)
		}
		if len(triggers) != 2 {
			t.Errorf("%d conversions, want 2: an old one is not used", len(triggers))
		}
	})
}

func TestConversionHasAnEnd(t *testing.T) {
	dir, file := bulkFile(t, "0")
	synctest.Test(t, func(t *testing.T) {
		var o oneWire
		stop := make(chan struct{})
		defer close(stop)
		go func() { // a kernel that stays busy
			for {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
					write(t, file, "-1")
				}
			}
		}()
		if _, err := o.Convert(t.Context(), dir, time.Second); sensors.FaultOf(err) != sensors.Timeout {
			t.Errorf("got %v, want a timeout", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		if _, err := o.Convert(ctx, dir, time.Second); sensors.FaultOf(err) != sensors.Timeout || time.Since(start) > 200*time.Millisecond {
			t.Errorf("got %v after %v, want a timeout after 100 ms", err, time.Since(start))
		}
	})
}

func TestOldKernelHasNoBulkConversion(t *testing.T) {
	var o oneWire
	if ok, err := o.Convert(t.Context(), t.TempDir(), time.Second); ok || err != nil {
		t.Errorf("got %v, %v, want no and no error", ok, err)
	}
}
