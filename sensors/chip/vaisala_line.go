package chip

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"weir/sensors"
)

// An answer names its values or does not, and their units or not:
//
//	P= 1013.2 hPa    T= 31.1 'C RH= 38.3 %RH      PTU300, PTB330
//	1020.30 hPa 000                               PTB220, with error flags
//	1020.30                                       PTB210
//	****.**                                       no value; slashes in other forms
//
// A prompt or what was typed may stand before it.

// vaisalaValue is one value of an answer.
type vaisalaValue struct{ name, number, unit string }

// vaisalaNames are the names of quantities in an answer. Others, such as P1, TP1
// and HCP, are of single transducers or corrected, and not used.
var vaisalaNames = map[sensors.Quantity]string{sensors.Pressure: "P", sensors.Temperature: "T", sensors.Humidity: "RH"}

// vaisalaUnits are the units an instrument may be set to. Gauge units are left out.
var vaisalaUnits = map[string]sensors.Unit{
	"hPa": sensors.Hectopascal, "mbar": sensors.Millibar, "kPa": sensors.Kilopascal, "Pa": sensors.Pascal, "bar": sensors.Bar, "bara": sensors.Bar,
	"psi": sensors.PSI, "psia": sensors.PSI, "inHg": sensors.InchHg, "mmHg": sensors.MillimetreHg, "torr": sensors.Torr,
	"mmH2O": sensors.MillimetreWater, "inH2O": sensors.InchWater,
	"'C": sensors.Celsius, "'F": sensors.Fahrenheit, "K": sensors.Kelvin, "%RH": sensors.RelativeHumidity, "%": sensors.RelativeHumidity,
}

// mostValues bounds what is taken from one line.
const mostValues = 16

// vaisalaParse takes an answer apart.
func vaisalaParse(line string) ([]vaisalaValue, error) {
	var values []vaisalaValue
	words := strings.Fields(strings.ReplaceAll(strings.TrimLeft(line, "> "), "=", " = "))
	for i := 0; i < len(words); {
		var v vaisalaValue
		if i+1 < len(words) && words[i+1] == "=" {
			v.name = words[i]
			i += 2
		}
		if i == len(words) {
			return nil, fmt.Errorf("%.60q ends with a name", line)
		}
		v.number, v.unit = splitNumber(words[i])
		if v.number == "" {
			return nil, fmt.Errorf("%.60q has no number at %.20q", line, words[i])
		}
		i++
		if v.unit == "" && i < len(words) && (i+1 == len(words) || words[i+1] != "=") {
			if number, _ := splitNumber(words[i]); number == "" {
				v.unit = words[i]
				i++
			}
		}
		if values = append(values, v); len(values) > mostValues {
			return nil, fmt.Errorf("%.60q has more than %d values", line, mostValues)
		}
	}
	return values, nil
}

// splitNumber cuts the digits of a number, or the stars or slashes that stand for
// them, from the unit behind it.
func splitNumber(word string) (number, unit string) {
	end := strings.IndexFunc(word, func(r rune) bool { return !strings.ContainsRune("+-.0123456789*/", r) })
	if end < 0 {
		end = len(word)
	}
	if !strings.ContainsAny(word[:end], "0123456789*/") {
		return "", word
	}
	return word[:end], word[end:]
}

// vaisalaLine is a lineKind.
type vaisalaLine struct {
	measures []sensors.Measure
	bare     sensors.Unit // of a pressure without a unit
}

// check implements lineKind: an answer has a value for at least one quantity.
func (l *vaisalaLine) check(line string) (string, error) {
	values, err := vaisalaParse(line)
	if err != nil {
		return "", err
	}
	for _, m := range l.measures {
		_, found, err := l.find(values, m)
		if err != nil {
			return "", fmt.Errorf("%.60q: %w", line, err)
		}
		if found {
			return line, nil
		}
	}
	return "", fmt.Errorf("%.60q is no reading", line)
}

var errTwoOfAKind = errors.New("several values without a name could be meant; FORM / makes the instrument name them")

// find returns the value of a quantity: the one of its name, or in an answer
// without names the only one with a unit of its kind, or the only one there is.
func (l *vaisalaLine) find(values []vaisalaValue, m sensors.Measure) (vaisalaValue, bool, error) {
	var kind, bare []vaisalaValue
	for _, v := range values {
		switch {
		case v.name == vaisalaNames[m.Quantity]:
			return v, true, nil
		case v.name != "": // of something else
		case v.unit == "":
			bare = append(bare, v)
		case vaisalaUnits[v.unit].Base() == m.Unit:
			kind = append(kind, v)
		}
	}
	switch {
	case len(kind) == 1:
		return kind[0], true, nil
	case len(kind) > 1, len(kind) == 0 && len(bare) > 1 && m.Quantity == sensors.Pressure:
		return vaisalaValue{}, false, errTwoOfAKind
	case len(bare) == 1 && len(values) == 1 && m.Quantity == sensors.Pressure:
		return bare[0], true, nil
	}
	return vaisalaValue{}, false, nil
}

// read implements lineKind.
func (l *vaisalaLine) read(s *sensors.Sample, text string) {
	values, _ := vaisalaParse(text) // as check did
	for _, m := range l.measures {
		v, found, err := l.find(values, m)
		if !found || err != nil {
			s.AddBad(m, sensors.Missing, 0)
			continue
		}
		l.add(s, m, v)
	}
}

func (l *vaisalaLine) add(s *sensors.Sample, m sensors.Measure, v vaisalaValue) {
	unit, known := vaisalaUnits[v.unit]
	if v.unit == "" {
		if unit, known = m.Unit, true; m.Quantity == sensors.Pressure {
			unit = l.bare
		}
	}
	number, decimals, ok := parseNumber(v.number)
	switch {
	case strings.ContainsAny(v.number, "*/"):
		s.AddBad(m, sensors.FaultValue, 0)
	case !known || unit.Base() != m.Unit:
		s.AddBad(m, sensors.BadDescription, 0)
	case !ok:
		s.AddBad(m, sensors.NotANumber, 0)
	default:
		c := converted{measure: m, from: unit}
		c.add(s, number, math.Pow10(-decimals), 0)
	}
	s.Sent(v.number)
}
