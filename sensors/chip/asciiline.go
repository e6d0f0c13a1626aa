package chip

import (
	"errors"
	"slices"
	"strings"
	"time"

	"weir/sensors"
)

var asciiLine = sensors.Driver{
	Name: "ascii-line", Connection: sensors.OnSerial,
	Doc: "a device that sends lines of text, by itself or when polled, read with a regular expression",
	Keys: []sensors.Key{
		{Name: "bus", Kind: sensors.KindString, Required: true, Example: `"barometer"`, Meaning: "the serial line, [serial.NAME]"},
		{Name: "pattern", Kind: sensors.KindRegexp, Required: true, Example: `'P=\s*(?P<pressure>[\d.*]+)'`,
			Meaning: "regular expression with a named group for each quantity"},
		{Name: "device_units", Kind: sensors.KindStrings, Example: `["pressure=hPa"]`,
			Meaning: "unit of each group; temperature is in °C and humidity in %RH if not said, a pressure must be said"},
		{Name: "poll", Kind: sensors.KindString, Default: "", Example: `"{id}.P\r"`, Meaning: "what to send to get a line, {id} standing for id; when not set, the device sends by itself"},
		{Name: "id", Kind: sensors.KindString, Default: "", Example: `"12"`, Meaning: "name of the device where several share a line: what {id} in poll and pattern stands for"},
		{Name: "terminator", Kind: sensors.KindString, Default: "", Example: `"\r\n"`, Meaning: "what ends a line; when not set, CR, LF or both"},
		{Name: "idle", Kind: sensors.KindDuration, Default: "0s", Min: 0, Max: 60,
			Meaning: "a silence this long ends a line too, for devices that send no terminator; 0s: none does"},
		{Name: "checksum", Kind: sensors.KindEnum, Choices: []string{"none", "xor", "sum8", "crc16"}, Default: "none",
			Meaning: "hexadecimal checksum at the end of a line, behind checksum_mark: of the bytes before it, for xor without a leading $ or ! (NMEA)"},
		{Name: "checksum_mark", Kind: sensors.KindString, Default: "*", Meaning: "what stands between text and checksum"},
		{Name: "max_length", Kind: sensors.KindInt, Default: 256, Min: 8, Max: 4096, Unit: "bytes", Meaning: "a longer line is thrown away"},
		{Name: "timeout", Kind: sensors.KindDuration, Default: "5s", Min: 0.05, Max: 3600,
			Meaning: "how long to wait for a line; of a device that sends by itself, a line older than this is not used"},
		{Name: "fault", Kind: sensors.KindStrings, Example: `["999.9", "9999.9"]`,
			Meaning: "values the device sends when it has none; one without any digit, such as ****.**, always means that"},
	},
	Open: openLine,
	Check: func(s sensors.Settings) []*sensors.KeyError {
		if s.Text("poll") != "" && strings.Contains(s.Text("poll"), "{id}") != (s.Text("id") != "") {
			return []*sensors.KeyError{{Key: "id", Text: "poll has {id} or id is set, want both or neither"}}
		}
		var wrong *sensors.KeyError
		if _, err := newLineFormat(s); errors.As(err, &wrong) {
			return []*sensors.KeyError{wrong}
		}
		return nil
	},
	Most: func(s sensors.Settings) time.Duration {
		if s.Text("poll") == "" {
			return s.Duration("timeout") + time.Second
		}
		return mostOf(3*s.Duration("timeout") + time.Second) // late answers, and others on the line
	},
	Named: func(s sensors.Settings) []sensors.Measure {
		f, err := newLineFormat(s)
		if err != nil {
			return nil
		}
		all := make([]sensors.Measure, len(f.groups))
		for i, g := range f.groups {
			all[i] = g.measure
		}
		return all
	},
}

func openLine(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
	f, err := newLineFormat(s)
	if err != nil {
		return nil, err
	}
	line, err := m.Serial(s.Text("bus"))
	if err != nil {
		return nil, err
	}
	cut := cutter{end: s.Text("terminator"), longest: int(s.Int("max_length"))}
	if s.Text("poll") == "" {
		return &spoken{line: line, kind: f, timeout: s.Duration("timeout"), ear: newEar(f, cut, s.Duration("idle"))}, nil
	}
	id := s.Text("id")
	return newPolled(line, &polled{
		kind: f, name: "line", cutter: cut, poll: []byte(strings.ReplaceAll(s.Text("poll"), "{id}", id)),
		timeout: s.Duration("timeout"), idle: s.Duration("idle"), shared: id != "",
	}), nil
}

// unitsOf reads "quantity=unit" texts.
func unitsOf(texts []string, known []string) (map[string]sensors.Unit, error) {
	units := map[string]sensors.Unit{}
	for _, t := range texts {
		name, text, ok := strings.Cut(t, "=")
		unit, valid := sensors.ParseUnit(strings.TrimSpace(text))
		name = strings.TrimSpace(name)
		if !ok || !valid {
			return nil, keyError("device_units", `got %q, want quantity=unit, such as "pressure=hPa"`, t)
		}
		if !slices.Contains(known, name) {
			return nil, keyError("device_units", "pattern has no group called %q; it has: %s", name, strings.Join(known, ", "))
		}
		units[name] = unit
	}
	return units, nil
}
