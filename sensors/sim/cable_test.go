package sim

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

func TestCableTakesTheTimeOfTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const character = time.Millisecond
		c := NewCable("/dev/ttyS9", character)
		l := NewModbusLine(NewXYMD02(1, Steady(room)))
		l.Turnaround = 5 * time.Millisecond
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Serve(ctx, l) }()
		ask := func() (got []byte, took time.Duration) {
			start := time.Now()
			if _, err := c.Write(unhex(t, askBoth)); err != nil {
				t.Fatal(err)
			}
			var b [64]byte
			for {
				n, err := c.Read(b[:])
				if errors.Is(err, io.EOF) {
					return got, took
				}
				got, took = append(got, b[:n]...), time.Since(start)
			}
		}
		for range 2 {
			got, took := ask()
			if want := unhex(t, bothAnswer); string(got) != string(want) || took != 22*character {
				t.Errorf("% x after %v, want % x after 8 + 5 + 9 ms", got, took, want)
			}
		}
		start := time.Now()
		if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) || time.Since(start) != 100*time.Millisecond {
			t.Errorf("silence: %d, %v after %v, want EOF after 100 ms", n, err, time.Since(start))
		}
		_, _ = c.Write(unhex(t, askBoth))
		time.Sleep(4 * character)
		c.DiscardOutput()
		if n, err := c.Read(make([]byte, 64)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("half a request: %d, %v, want silence", n, err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
