package chip

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"weir/sensors"
)

// NMEA 0183, as weather stations send it (Airmar LB150 technical manual 0.013,
// pages 15, 16, 25 to 27; Lambrecht met[LOG] manual, 9.1.2; Vaisala WXT530 table 20;
// Lufft WS200-UMB 19.8.6.1):
//
//	$WIMDA,inHg,I,bar,B,air,C,water,C,RH,absolute,dew,C,wind...*hh
//	$WIMMB,inHg,I,bar,B*hh      $WIMTA,air,C*hh      $WIMHU,RH,absolute,dew,C*hh
//	$WIXDR,type,value,unit,name,type,value,unit,name,...*hh
//
// hh is the XOR of what stands between $ and *. A field that is not known is empty.
// Airmar sends an XDR with pressures and one with angles in turn, and leaves out
// groups: only the name tells what a group is.

// nmeaMeasures are the quantities that sentences have. The pressure of MDA is set to
// sea level by Airmar's stations; the one called STNP never is.
var nmeaMeasures = []sensors.Measure{
	{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -90, Max: 80},
	{Quantity: sensors.Pressure, Unit: sensors.Pascal, Min: 30000, Max: 120000},
	{Quantity: sensors.Humidity, Unit: sensors.RelativeHumidity, Min: 0, Max: 100},
	{Quantity: "dew_point", Unit: sensors.Celsius, Min: -100, Max: 80},
	{Quantity: "water_temperature", Unit: sensors.Celsius, Min: -10, Max: 80},
	{Quantity: "station_pressure", Unit: sensors.Pascal, Min: 30000, Max: 120000},
}

func nmeaQuantities() []string {
	names := make([]string, len(nmeaMeasures))
	for i, m := range nmeaMeasures {
		names[i] = string(m.Quantity)
	}
	return names
}

// transducer is a type and a name in XDR.
type transducer struct{ kind, name string }

// usualTransducers are names that stations give. Wind chill, heat index and the
// like are temperatures too, and are not taken for the air's.
var usualTransducers = map[transducer]sensors.Quantity{
	{"C", "AIRT"}: sensors.Temperature, {"C", "AIR"}: sensors.Temperature, {"C", "TEMP"}: sensors.Temperature, {"C", "TEMPAIR"}: sensors.Temperature,
	{"C", "ENV_OUTAIR_T"}: sensors.Temperature, {"C", "ENV_OUTSIDE_T"}: sensors.Temperature, {"C", "0"}: sensors.Temperature,
	{"C", "DP"}: "dew_point", {"C", "DEWP"}: "dew_point",
	{"P", "BARO"}: sensors.Pressure, {"P", "BAROMETER"}: sensors.Pressure, {"P", "PRESS"}: sensors.Pressure, {"P", "0"}: sensors.Pressure,
	{"P", "STNP"}: "station_pressure",
	{"H", "RELH"}: sensors.Humidity, {"H", "RH"}: sensors.Humidity, {"H", "HUM"}: sensors.Humidity, {"H", "0"}: sensors.Humidity,
}

// nmeaKind says what is taken from sentences. It is not changed after it was made.
type nmeaKind struct {
	measures    []sensors.Measure
	transducers map[transducer]sensors.Quantity
	talker      string
	required    bool // a checksum
	faults      []string
}

// nmeaValue is what a sentence says about one quantity, in the unit of its measure.
type nmeaValue struct {
	quantity     sensors.Quantity
	number, step float64
	why          sensors.Reason // "": it is good
	sent         string         // the text of it
}

func newNMEAKind(s sensors.Settings) (*nmeaKind, *sensors.KeyError) {
	k := &nmeaKind{transducers: map[transducer]sensors.Quantity{}, talker: s.Text("talker"), required: s.Text("checksum") == "required", faults: s.Texts("fault")}
	if k.talker != "" && len(k.talker) != 2 {
		return nil, rowError("talker", `got %q, want two letters, such as "WI"`, k.talker)
	}
	for t, q := range usualTransducers {
		k.transducers[t] = q
	}
	known := slices.Clone(nmeaMeasures)
	for _, text := range s.Texts("xdr") {
		t, m, err := newTransducer(text)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(known, func(old sensors.Measure) bool { return old.Quantity == m.Quantity }); i < 0 {
			known = append(known, m)
		} else if known[i].Unit != m.Unit {
			return nil, rowError("xdr", "%s is in %q, which transducers of type %s are not", m.Quantity, known[i].Unit, t.kind)
		}
		k.transducers[t] = m.Quantity
	}
	for _, name := range s.Texts("quantities") {
		i := slices.IndexFunc(known, func(m sensors.Measure) bool { return string(m.Quantity) == name })
		if i < 0 {
			return nil, rowError("quantities", "got %q, want one of %s, or one that xdr names", name, strings.Join(nmeaQuantities(), ", "))
		}
		if !slices.Contains(k.measures, known[i]) {
			k.measures = append(k.measures, known[i])
		}
	}
	if len(k.measures) == 0 {
		return nil, rowError("quantities", "empty, want at least one")
	}
	return k, nil
}

// newTransducer reads "C:ENGINE=engine_temperature".
func newTransducer(text string) (transducer, sensors.Measure, *sensors.KeyError) {
	left, quantity, ok1 := strings.Cut(text, "=")
	kind, name, ok2 := strings.Cut(left, ":")
	t := transducer{strings.ToUpper(strings.TrimSpace(kind)), strings.ToUpper(strings.TrimSpace(name))}
	units := map[string]sensors.Unit{"C": sensors.Celsius, "P": sensors.Pascal, "H": sensors.RelativeHumidity}
	m := sensors.Measure{Quantity: sensors.Quantity(strings.TrimSpace(quantity)), Unit: units[t.kind]}
	if !ok1 || !ok2 || m.Unit == "" || m.Quantity == "" || t.name == "" {
		return t, m, rowError("xdr", `got %q, want C, P or H, a name and a quantity, such as "C:ENGINE=engine_temperature"`, text)
	}
	return t, m, nil
}

func (k *nmeaKind) named() string {
	names := make([]string, len(k.measures))
	for i, m := range k.measures {
		names[i] = string(m.Quantity)
	}
	return strings.Join(names, " or ")
}

// values returns what a line says. The error is what is wrong with a sentence;
// sentences of other kinds or talkers say nothing.
func (k *nmeaKind) values(line string) ([]nmeaValue, error) {
	start := strings.LastIndexByte(line, '$') // noise and tag blocks may stand before it
	if start < 0 {
		return nil, fmt.Errorf("%.60q is no sentence", line)
	}
	body, sum, sealed := strings.Cut(line[start+1:], "*")
	if !sealed && k.required {
		return nil, fmt.Errorf(`%.60q has no checksum; checksum = "optional" takes it`, line)
	}
	if sealed {
		want := lineChecksum("xor", body)
		if got, err := strconv.ParseUint(strings.TrimSpace(sum), 16, 8); err != nil || uint16(got) != want {
			return nil, fmt.Errorf("checksum of %.60q is wrong, want %02X", line, want)
		}
	}
	fields := strings.Split(body, ",")
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	head := fields[0]
	if len(head) != 5 || k.talker != "" && head[:2] != k.talker || head[0] == 'P' {
		return nil, nil // $P: a maker's own
	}
	return k.sentence(head[2:], fields[1:]), nil
}

// sentence reads the fields of one kind of sentence.
func (k *nmeaKind) sentence(kind string, fields []string) []nmeaValue {
	at := func(i int) string {
		if i < len(fields) {
			return fields[i]
		}
		return ""
	}
	plain := func(q sensors.Quantity, unit sensors.Unit, i int) nmeaValue { return k.value(q, unit, at(i)) }
	switch kind {
	case "MDA":
		return []nmeaValue{
			k.pressure(at(0), at(2)), plain(sensors.Temperature, sensors.Celsius, 4), plain("water_temperature", sensors.Celsius, 6),
			plain(sensors.Humidity, sensors.RelativeHumidity, 8), plain("dew_point", sensors.Celsius, 10),
		}
	case "MMB":
		return []nmeaValue{k.pressure(at(0), at(2))}
	case "MTA":
		return []nmeaValue{plain(sensors.Temperature, sensors.Celsius, 0)}
	case "MHU":
		return []nmeaValue{plain(sensors.Humidity, sensors.RelativeHumidity, 0), plain("dew_point", sensors.Celsius, 2)}
	case "XDR":
		return k.groups(fields)
	}
	return nil
}

// xdrUnits are the units of XDR by type; those of Vaisala that the standard lacks
// are among them.
var xdrUnits = map[transducer]sensors.Unit{
	{"C", "C"}: sensors.Celsius, {"C", "F"}: sensors.Fahrenheit, {"H", "P"}: sensors.RelativeHumidity,
	{"P", "B"}: sensors.Bar, {"P", "P"}: sensors.Pascal, {"P", "H"}: sensors.Hectopascal, {"P", "I"}: sensors.InchHg, {"P", "M"}: sensors.MillimetreHg,
}

// groups reads XDR.
func (k *nmeaKind) groups(fields []string) (values []nmeaValue) {
	for ; len(fields) >= 4; fields = fields[4:] {
		kind, name := strings.ToUpper(fields[0]), strings.ToUpper(fields[3])
		q, wanted := k.transducers[transducer{kind, name}]
		if !wanted {
			continue
		}
		unit, known := xdrUnits[transducer{kind, strings.ToUpper(fields[2])}]
		if !known {
			values = append(values, nmeaValue{quantity: q, why: sensors.BadDescription, sent: fields[1]})
			continue
		}
		values = append(values, k.value(q, unit, fields[1]))
	}
	return values
}

// value reads one field.
func (k *nmeaKind) value(q sensors.Quantity, unit sensors.Unit, text string) nmeaValue {
	v := nmeaValue{quantity: q, sent: text}
	if text == "" {
		v.why = sensors.Missing
		return v
	}
	number, decimals, ok := parseNumber(text)
	if !ok {
		v.why = sensors.NotANumber
		return v
	}
	for _, fault := range k.faults {
		if n, _, ok := parseNumber(fault); ok && n == number {
			v.why = sensors.FaultValue
			return v
		}
	}
	if unit == sensors.Bar && number >= 300 && number <= 1200 {
		unit = sensors.Hectopascal // Lambrecht gives hPa with the letter of bar; no air is that heavy
	}
	v.number, _ = sensors.Convert(number, unit, unit.Base())
	v.step, _ = sensors.ConvertStep(math.Pow10(-decimals), unit, unit.Base())
	if math.IsInf(v.number, 0) || math.IsInf(v.step, 0) {
		return nmeaValue{quantity: q, why: sensors.NotANumber, sent: text}
	}
	return v
}

// pressure reads the two forms of the pressure in MDA and MMB: the one with the
// finer step counts, and the other one must agree.
func (k *nmeaKind) pressure(inches, bars string) nmeaValue {
	a, b := k.value(sensors.Pressure, sensors.InchHg, inches), k.value(sensors.Pressure, sensors.Bar, bars)
	switch {
	case inches == "":
		return b
	case bars == "":
		return a
	case a.why != "":
		return a
	case b.why != "":
		return b
	case math.Abs(a.number-b.number) > a.step+b.step+0.002*math.Abs(a.number):
		return nmeaValue{quantity: sensors.Pressure, why: sensors.Disagreement, sent: inches + " and " + bars}
	case a.step < b.step:
		return a
	}
	return b
}
