package chip

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"weir/sensors"
)

// Barometers and transmitters of Vaisala that are asked for each reading, alone on a
// line or several on one. User's Guides: PTB210, chapter 4 (pages 13 to 15); PTB220
// M210194EN, pages 18 to 21 and 48; PTB330 M210855EN, pages 71 and 101; PTU300, page
// 103.
var vaisala = sensors.Driver{
	Name: "vaisala", Connection: sensors.OnSerial,
	Doc: "Vaisala barometer or transmitter that is polled: PTB210, PTB220, PTB330, PTU300",
	Keys: []sensors.Key{
		{Name: "bus", Kind: sensors.KindString, Required: true, Example: `"barometer"`,
			Meaning: `the serial line, [serial.NAME]; new instruments talk "4800 7E1", "9600 7E1" or "9600 8N1"`},
		{Name: "model", Kind: sensors.KindEnum, Choices: []string{"ptb210", "ptb220", "ptb330", "ptu300"}, Required: true, Example: `"ptb330"`,
			Meaning: "the instrument; it is asked with .P (PTB210) or SEND (all others)"},
		{Name: "address", Kind: sensors.KindString, Default: "", Example: `"7"`,
			Meaning: "ID code (PTB210) or address of the instrument, where several share a line; without it the only one answers"},
		{Name: "unit", Kind: sensors.KindUnit, Default: "hPa", Meaning: "unit of a pressure that the instrument sends without one"},
		{Name: "timeout", Kind: sensors.KindDuration, Default: "2s", Min: 0.05, Max: 60, Meaning: "how long to wait for an answer"},
	},
	Named: vaisalaMeasures,
	Check: checkVaisala,
	Open:  openVaisala,
	Most: func(s sensors.Settings) time.Duration {
		return mostOf(3*s.Duration("timeout") + time.Second) // late answers, and others on the line
	},
}

// What the widest of the instruments measure.
var (
	vaisalaPressure    = sensors.Measure{Quantity: sensors.Pressure, Unit: sensors.Pascal, Min: 5000, Max: 110000}
	vaisalaTemperature = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -70, Max: 180}
	vaisalaHumidity    = sensors.Measure{Quantity: sensors.Humidity, Unit: sensors.RelativeHumidity, Min: 0, Max: 100}
)

func vaisalaMeasures(s sensors.Settings) []sensors.Measure {
	if s.Text("model") == "ptu300" {
		return []sensors.Measure{vaisalaPressure, vaisalaTemperature, vaisalaHumidity}
	}
	return []sensors.Measure{vaisalaPressure}
}

// idCode is what a PTB210 can be called: at most 15 characters, none of which ends
// the name in a command (page 15).
var idCode = regexp.MustCompile(`^[0-9A-Za-z_-]{1,15}$`)

func checkVaisala(s sensors.Settings) []*sensors.KeyError {
	var wrong []*sensors.KeyError
	if u := s.Unit("unit"); u.Base() != sensors.Pascal {
		wrong = append(wrong, rowError("unit", "got %q, want a unit of pressure", u))
	}
	address, most := s.Text("address"), 99
	if s.Text("model") == "ptb330" {
		most = 255
	}
	if address == "" {
		return wrong
	}
	n, err := strconv.Atoi(address)
	switch {
	case s.Text("model") != "ptb210" && (err != nil || n < 0 || n > most || strconv.Itoa(n) != address):
		wrong = append(wrong, rowError("address", "got %q, want a number from 0 to %d", address, most))
	case s.Text("model") == "ptb210" && !idCode.MatchString(address):
		wrong = append(wrong, rowError("address", "got %q, want an ID code of at most 15 letters and digits", address))
	}
	return wrong
}

func openVaisala(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
	line, err := m.Serial(s.Text("bus"))
	if err != nil {
		return nil, err
	}
	model, address := strings.ToUpper(s.Text("model")), s.Text("address")
	poll, where := strings.TrimRight("SEND "+address, " "), fmt.Sprintf("%s on %s", model, line)
	if address != "" {
		where = fmt.Sprintf("%s %s on %s", model, address, line)
	}
	if model == "PTB210" {
		poll = address + ".P"
	}
	return newPolled(line, &polled{
		kind: &vaisalaLine{measures: vaisalaMeasures(s), bare: s.Unit("unit")}, name: model, where: where,
		cutter: cutter{longest: 256}, poll: []byte(poll + "\r"), timeout: s.Duration("timeout"), shared: address != "",
	}), nil
}
