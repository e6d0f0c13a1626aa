package chip

import (
	"slices"
	"testing"
	"time"

	"weir/sensors"
)

// Devices that speak in text have no words, and each reading says what text it was made of.
func TestSent(t *testing.T) {
	lines, _ := format(t, map[string]any{"pattern": ptu, "device_units": []any{"pressure=hPa"}})
	barometer := &vaisalaLine{measures: []sensors.Measure{vaisalaPressure}, bare: "hPa"}
	for name, c := range map[string]struct {
		read func(*sensors.Sample)
		want []string
	}{
		"line":    {func(s *sensors.Sample) { lines.read(s, "P= 1013.20 hPa T= **.* 'C") }, []string{"1013.20", "**.*", ""}},
		"vaisala": {func(s *sensors.Sample) { barometer.read(s, "P= 1013.20 hPa") }, []string{"1013.20"}},
		"nmea": {func(s *sensors.Sample) {
			k := nmeaOf(t, map[string]any{})
			ear := newNMEAEar(k)
			ear.cutter = cutter{longest: longestSentence}
			ear.Received([]byte(sealed("WIMTA,21.50,C")+"\r\n"), time.Now())
			ear.take(s, time.Minute)
			s.Readings = slices.DeleteFunc(s.Readings, func(r sensors.Reading) bool { return r.Quantity != sensors.Temperature })
		}, []string{"21.50"}},
	} {
		var s sensors.Sample
		c.read(&s)
		var got []string
		for _, r := range s.Readings {
			got = append(got, r.Sent)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: sent %q, want %q", name, got, c.want)
		}
	}
}
