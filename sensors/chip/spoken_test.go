package chip_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/sensors"
)

// mouth is a line on which the test speaks.
type mouth struct {
	gone error // what an exchange finds

	mu    sync.Mutex // guards heard, and its calls
	heard sensors.Listener
}

func (m *mouth) String() string { return "serial a" }
func (m *mouth) Mode() sensors.Mode {
	return sensors.Mode{Baud: 9600, DataBits: 8, Parity: 'N', StopBits: 1}
}
func (m *mouth) Do(ctx context.Context, x sensors.Exchange) error {
	if m.gone != nil {
		return m.gone
	}
	return x.Exchange(ctx, nil)
}

func (m *mouth) Listen(h sensors.Listener) func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = h
	return func() { m.heard = nil }
}

func (m *mouth) say(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard.Received([]byte(text), time.Now())
}

func TestSpokenLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := &mouth{}
		d := opened(t, &machine{line: line}, "ascii-line", map[string]any{"bus": "a", "pattern": `T=(?P<temperature>\S+)`, "timeout": "3s"})
		heard := time.Duration(0) // how long ago the line came
		read := func(within time.Duration) (float64, error) {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			var s sensors.Sample
			if err := d.Read(ctx, &s); err != nil {
				return 0, err
			}
			if age := time.Since(s.At); age != heard {
				t.Errorf("%v is of %v ago, want %v", s.Readings[0].Value, age, heard)
			}
			return s.Readings[0].Value, nil
		}
		want := func(what string, v float64, err error, wantV float64, wantF sensors.Fault) {
			t.Helper()
			if v != wantV || sensors.FaultOf(err) != wantF {
				t.Errorf("%s: got %v, %v, want %v, %v", what, v, err, wantV, wantF)
			}
		}
		go func() {
			time.Sleep(time.Second)
			line.say("1\r\nT=20\r\n")
		}()
		v, err := read(time.Minute)
		want("the next line", v, err, 20, 0)
		v, err = read(time.Minute)
		want("no new line", v, err, 0, sensors.NotAnswering)
		line.say("T=21\r\nT=22\r\nT=2")
		v, err = read(time.Minute)
		want("the newest whole line", v, err, 22, 0)
		line.say("3\r\n")
		time.Sleep(2 * time.Second)
		heard = 2 * time.Second
		v, err = read(time.Minute)
		heard = 0
		want("the rest of it", v, err, 23, 0)
		line.say("T=24\r\n")
		time.Sleep(4 * time.Second)
		v, err = read(time.Minute)
		want("a line that is too old", v, err, 0, sensors.NotAnswering)
		line.say("hello\r\n")
		v, err = read(time.Minute)
		want("only other lines", v, err, 0, sensors.Garbage)
		v, err = read(time.Second)
		want("its context ends first", v, err, 0, sensors.Garbage)
		line.say("") // opened again in the middle of a line
		line.say("T=9")
		line.say("9\r\nT=25\r\n")
		v, err = read(time.Minute)
		want("after opening", v, err, 25, 0)
		line.gone = sensors.Errorf(sensors.Gone, "serial a", "unplugged")
		start := time.Now()
		v, err = read(time.Minute)
		want("unplugged", v, err, 0, sensors.Gone)
		if time.Since(start) > 0 {
			t.Errorf("that took %v, want at once", time.Since(start))
		}
		if err := d.Close(); err != nil || line.heard != nil {
			t.Errorf("after Close: %v, listening %v", err, line.heard != nil)
		}
	})
}
