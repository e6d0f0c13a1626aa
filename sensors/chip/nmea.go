package chip

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/sensors"
)

// nmea listens to a weather station. The sentences are in nmea_sentence.go.
var nmea = sensors.Driver{
	Name: "nmea", Connection: sensors.OnSerial,
	Doc: "weather station that sends NMEA 0183 sentences: MDA, MMB, MTA, MHU and XDR",
	Keys: []sensors.Key{
		{Name: "bus", Kind: sensors.KindString, Required: true, Example: `"station"`, Meaning: `the serial line, [serial.NAME]; most stations talk "4800 8N1"`},
		{Name: "quantities", Kind: sensors.KindStrings, Default: []any{"temperature", "pressure", "humidity"}, Example: `["temperature", "pressure"]`,
			Meaning: "what to take: " + strings.Join(nmeaQuantities(), ", ") + ", or one that xdr names"},
		{Name: "xdr", Kind: sensors.KindStrings, Example: `["C:ENGINE=engine_temperature"]`,
			Meaning: "transducers of XDR besides the usual ones: type (C, P or H) and name of the transducer, and the quantity it is"},
		{Name: "talker", Kind: sensors.KindString, Default: "", Example: `"WI"`, Meaning: "only sentences of this talker, the two letters behind $; when not set, of any"},
		{Name: "checksum", Kind: sensors.KindEnum, Choices: []string{"required", "optional"}, Default: "required",
			Meaning: "whether a sentence without a checksum is taken; one with a wrong checksum never is"},
		{Name: "fault", Kind: sensors.KindStrings, Default: []any{"999.9", "9999.9"}, Meaning: "values the station sends when it has none"},
		{Name: "timeout", Kind: sensors.KindDuration, Default: "5s", Min: 0.1, Max: 3600,
			Meaning: "how long to wait for the sentences, and the age at which a value is not used any more"},
	},
	Named: func(s sensors.Settings) []sensors.Measure {
		k, err := newNMEAKind(s)
		if err != nil {
			return nil
		}
		return k.measures
	},
	Check: func(s sensors.Settings) []*sensors.KeyError {
		if _, err := newNMEAKind(s); err != nil {
			return []*sensors.KeyError{err}
		}
		return nil
	},
	Open: func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
		k, wrong := newNMEAKind(s)
		if wrong != nil {
			return nil, wrong
		}
		line, err := m.Serial(s.Text("bus"))
		if err != nil {
			return nil, err
		}
		return &station{line: line, timeout: s.Duration("timeout"), ear: newNMEAEar(k)}, nil
	},
	Most: func(s sensors.Settings) time.Duration { return s.Duration("timeout") + time.Second },
}

// station is a device that sends its values in several sentences.
type station struct {
	line    sensors.Line
	timeout time.Duration
	ear     *nmeaEar
	stop    func() // nil: not listening yet
}

// Read implements sensors.Device. It waits until each quantity has come anew, but
// not for those that this station does not seem to have.
func (d *station) Read(ctx context.Context, s *sensors.Sample) error {
	s.Reset()
	if d.stop == nil {
		d.stop = d.line.Listen(d.ear)
	}
	if !d.ear.complete() {
		if err := d.line.Do(ctx, nothing{}); err != nil { // says whether the port is there at all
			return err
		}
		d.await(ctx)
	}
	if !d.ear.take(s, d.timeout) {
		s.Reset()
		return d.ear.silent(d.line, d.timeout)
	}
	s.Chip = "NMEA station"
	return nil
}

// await waits until everything has come, or for the time limit.
func (d *station) await(ctx context.Context) {
	timer := time.NewTimer(d.timeout)
	defer timer.Stop()
	for !d.ear.complete() {
		select {
		case <-d.ear.news:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// Close implements sensors.Device.
func (d *station) Close() error {
	if d.stop != nil {
		d.stop()
		d.stop = nil
	}
	return nil
}

// nmeaEar is the listener of a station. The owner of the line fills it, the device
// empties it.
type nmeaEar struct {
	kind *nmeaKind
	news chan struct{} // capacity 1

	mu     sync.Mutex // guards the fields below
	cutter cutter
	now    time.Time  // when the bytes came that are being fed
	slots  []nmeaSlot // by the quantities of kind
	wrong  error      // what was wrong with the last sentence, nil if something was taken from it
	high   int        // bytes since the last right one that are no characters of seven bits
	noise  time.Time  // when the last of these two came
}

// nmeaSlot holds the newest value of one quantity.
type nmeaSlot struct {
	value  nmeaValue
	at     time.Time // zero: none came
	unused bool      // it was not taken yet
	misses int       // waitings in a row in which others came and it did not
}

// absentAfter is how many waitings in a row make a quantity one that this station
// does not have.
const absentAfter = 2

// longestSentence is generous: the standard allows 82 characters.
const longestSentence = 255

func newNMEAEar(k *nmeaKind) *nmeaEar {
	e := &nmeaEar{kind: k, news: make(chan struct{}, 1), slots: make([]nmeaSlot, len(k.measures)), cutter: cutter{longest: longestSentence}}
	e.cutter.restart() // the line may be open already, and a sentence under way
	return e
}

// Received implements sensors.Listener.
func (e *nmeaEar) Received(b []byte, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(b) == 0 {
		e.cutter.restart()
		return
	}
	e.now = at
	if n := highBits(b); n > 0 {
		e.high, e.noise = e.high+n, at
	}
	e.cutter.feed(b, e.line)
}

// line takes one line. The caller holds mu.
func (e *nmeaEar) line(line []byte) {
	values, err := e.kind.values(string(line))
	if err != nil {
		e.wrong, e.noise = err, e.now
		return
	}
	for _, v := range values {
		if v.why == sensors.Missing {
			continue // another sentence may have it
		}
		if i := slices.IndexFunc(e.kind.measures, func(m sensors.Measure) bool { return m.Quantity == v.quantity }); i >= 0 {
			e.slots[i] = nmeaSlot{value: v, at: e.now, unused: true}
			e.wrong, e.high = nil, 0
		}
	}
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// complete reports whether everything has come that is waited for.
func (e *nmeaEar) complete() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	some := false
	for _, slot := range e.slots {
		if !slot.unused && slot.misses < absentAfter {
			return false
		}
		some = some || slot.unused
	}
	return some
}

// take puts the values into s that are no older than the limit, and what is wrong
// with the others. It reports whether there was a new one.
func (e *nmeaEar) take(s *sensors.Sample, limit time.Duration) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.ContainsFunc(e.slots, func(slot nmeaSlot) bool { return slot.unused }) {
		return false
	}
	now := time.Now()
	for i := range e.slots {
		slot, m := &e.slots[i], e.kind.measures[i]
		switch v := &slot.value; {
		case slot.at.IsZero() || now.Sub(slot.at) > limit:
			s.AddBad(m, sensors.Missing, 0)
		case v.why != "":
			s.AddBad(m, v.why, 0)
			s.Sent(v.sent)
		default:
			s.Add(m, v.number, v.step, 0)
			s.Sent(v.sent)
		}
		if !slot.unused {
			slot.misses++
			continue
		}
		slot.unused, slot.misses = false, 0
		if slot.at.After(s.At) {
			s.At = slot.at
		}
	}
	return true
}

// silent says why there were no values for so long.
func (e *nmeaEar) silent(line sensors.Line, limit time.Duration) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Since(e.noise) > limit {
		e.wrong, e.high = nil, 0
	}
	return noLine(line, line.String(), e.wrong, e.high, sensors.Errorf(sensors.NotAnswering, line.String(),
		"no sentence with %s came; look at wiring, mode and quantities", e.kind.named()))
}
