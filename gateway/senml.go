package gateway

import (
	"strconv"
	"strings"
	"time"

	"weir/sensors"
)

// SenML is RFC 8428. A value alone is a pack of one record, an object a pack of one record for each quantity:
//
//	[{"bn":"site-017/room1/","bt":1795356131.25,"n":"temperature","u":"Cel","v":21.53},{"n":"pressure","u":"Pa","v":100850}]
//
// Values are in SI units, as its registry names them (12.1); of a unit the registry does not have nothing is said. While
// the clock is not trusted there is no base time but, of what is not new, how long ago it was: times below 2^28 are
// relative to now (4.5.3). As such a pack may lie in a store for longer than that, it is marked: readers pass over
// members they do not know (4.4).
var senmlUnits = map[sensors.Unit]struct {
	name  string
	scale float64
}{
	sensors.Celsius: {"Cel", 1}, sensors.Pascal: {"Pa", 1}, sensors.RelativeHumidity: {"%RH", 1}, sensors.Metre: {"m", 1},
	sensors.KilogramPerCubicMetre: {"kg/m3", 1}, sensors.GramPerCubicMetre: {"kg/m3", 1e-3},
	"kg": {"kg", 1}, "g": {"g", 1}, "s": {"s", 1}, "A": {"A", 1}, "cd": {"cd", 1}, "mol": {"mol", 1}, "Hz": {"Hz", 1}, "N": {"N", 1},
	"J": {"J", 1}, "W": {"W", 1}, "C": {"C", 1}, "V": {"V", 1}, "F": {"F", 1}, "Ω": {"Ohm", 1}, "Ohm": {"Ohm", 1}, "S": {"S", 1},
	"Wb": {"Wb", 1}, "T": {"T", 1}, "H": {"H", 1}, "lm": {"lm", 1}, "lx": {"lx", 1}, "Bq": {"Bq", 1}, "Gy": {"Gy", 1}, "Sv": {"Sv", 1},
	"m²": {"m2", 1}, "m³": {"m3", 1}, "l": {"l", 1}, "m/s": {"m/s", 1}, "m/s²": {"m/s2", 1}, "m³/s": {"m3/s", 1}, "l/s": {"l/s", 1},
	"W/m²": {"W/m2", 1}, "pH": {"pH", 1}, "dB": {"dB", 1}, "m2": {"m2", 1}, "m3": {"m3", 1}, "m3/s": {"m3/s", 1}, "W/m2": {"W/m2", 1},
}

// appendBase begins the first record of a pack: name and time of all.
func (s *shape) appendBase(dst []byte, m *moment) []byte {
	dst = append(append(dst, `{"bn":`...), s.base...)
	switch {
	case m.stamp.Wall != 0:
		dst = appendSeconds(append(dst, `,"bt":`...), time.Duration(m.stamp.Wall))
	case m.age >= time.Millisecond:
		dst = appendSeconds(append(dst, `,"time_quality":"uncertain","bt":`...), -m.age)
	default:
		dst = append(dst, `,"time_quality":"uncertain"`...)
	}
	return append(dst, ',')
}

// appendRecord ends a record: what is its own.
func (s *shape) appendRecord(dst []byte, r *sensors.Reading) []byte {
	dst = append(append(dst, `"n":`...), s.senml...)
	unit, known := senmlUnits[r.Unit]
	own := *r
	if known {
		dst = append(append(append(dst, `,"u":"`...), unit.name...), '"')
		own.Value, own.Resolution = r.Value*unit.scale, r.Resolution*unit.scale
	}
	dst = s.in(&own, r.Unit).append(append(dst, `,"v":`...))
	if r.Quality.Reason != "" {
		dst = appendJSON(append(dst, `,"quality":`...), r.Quality.Level.String())
		dst = appendJSON(append(dst, `,"reason":`...), string(r.Quality.Reason))
	}
	return append(dst, '}')
}

// senmlName is a name as far as SenML allows one (4.5.1): letters, digits and - : . / _, and one of the first two in
// front of all.
func senmlName(s string, first bool) string {
	name := make([]byte, 0, len(s)+1)
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if first && i == 0 && !letter {
			name = append(name, 'x')
		}
		if !letter && strings.IndexByte("-:./", c) < 0 {
			c = '_'
		}
		name = append(name, c)
	}
	return string(name)
}

// appendSeconds appends a time in seconds with milliseconds, without zeros at the end.
func appendSeconds(dst []byte, d time.Duration) []byte {
	ms := d.Milliseconds()
	if ms < 0 {
		dst, ms = append(dst, '-'), -ms
	}
	dst = strconv.AppendInt(dst, ms/1000, 10)
	if ms %= 1000; ms == 0 {
		return dst
	}
	dst = append(dst, '.', byte('0'+ms/100))
	if ms%100 != 0 {
		dst = append(dst, byte('0'+ms/10%10))
	}
	if ms%10 != 0 {
		dst = append(dst, byte('0'+ms%10))
	}
	return dst
}
