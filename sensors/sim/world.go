package sim

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"strconv"
	"time"
)

// Climate is the state of the air at one moment.
type Climate struct {
	Temperature float64 // °C
	Pressure    float64 // Pa
	Humidity    float64 // % relative, 0 to 100
}

// World says what the air is like at a moment. Implementations are safe for
// concurrent use and may be asked about any moment, in any order.
type World interface {
	At(t time.Time) Climate
}

// WorldFunc is a function as a World.
type WorldFunc func(t time.Time) Climate

// At calls the function.
func (f WorldFunc) At(t time.Time) Climate { return f(t) }

// Steady is a world in which nothing changes.
func Steady(c Climate) World {
	return WorldFunc(func(time.Time) Climate { return c })
}

// Ramp goes in straight lines from one climate to another between two moments and
// stays at the ends before and after.
func Ramp(from, to Climate, start, end time.Time) World {
	return WorldFunc(func(t time.Time) Climate {
		switch {
		case !t.After(start):
			return from
		case !t.Before(end):
			return to
		}
		return between(from, to, float64(t.Sub(start))/float64(end.Sub(start)))
	})
}

// between is the climate a share of the way from a to b.
func between(a, b Climate, share float64) Climate {
	mix := func(x, y float64) float64 { return x + (y-x)*share }
	return Climate{
		Temperature: mix(a.Temperature, b.Temperature),
		Pressure:    mix(a.Pressure, b.Pressure),
		Humidity:    mix(a.Humidity, b.Humidity),
	}
}

// Weather is a mild day after a mild day: warmest in mid-afternoon (of UTC), damp
// at night, with highs and lows passing every few days. Seed shifts their phases.
// Temperature stays within 5 and 23 °C, pressure within 98,500 and 104,000 Pa.
func Weather(seed uint64) World {
	phase := func(n uint64) float64 {
		return float64((seed+1)*(2*n+1)*0x9E3779B97F4A7C15>>40) / (1 << 24) * 2 * math.Pi
	}
	fronts, squalls, warmth, gusts := phase(0), phase(1), phase(2), phase(3)
	return WorldFunc(func(t time.Time) Climate {
		hours := float64(t.UnixMilli()) / float64(time.Hour.Milliseconds())
		wave := func(period, phase float64) float64 { return math.Sin(2*math.Pi*hours/period + phase) }
		day := math.Cos(2 * math.Pi * (hours - 15) / 24)
		temperature := 14 + 5*day + 3*wave(137, warmth) + 0.15*wave(0.21, gusts)
		return Climate{
			Temperature: temperature,
			Pressure:    101250 + 1900*wave(103, fronts) + 500*wave(31, squalls) + 60*wave(12.42, 0) + 4*wave(0.05, gusts),
			Humidity:    min(max(68-3.2*(temperature-14)+8*wave(61, fronts), 15), 98),
		}
	})
}

// Room is a living room under that weather: heated to 21 °C by a thermostat that
// lets it swing by 0.4 °C, its air dried by the heating.
func Room(seed uint64) World {
	outside := Weather(seed)
	return WorldFunc(func(t time.Time) Climate {
		out := outside.At(t)
		minutes := float64(t.UnixMilli()) / float64(time.Minute.Milliseconds())
		swing := 0.4 * saw(minutes/35+float64(seed%97)/97)
		in := Climate{Temperature: 21 + swing + 0.05*(out.Temperature-14), Pressure: out.Pressure}
		moisture := out.Humidity * saturation(out.Temperature)
		in.Humidity = min(max(moisture/saturation(in.Temperature), 5), 95)
		return in
	})
}

// saw rises from -1 to 1 in the first third of each turn, the time of heating, and
// falls back in the rest.
func saw(turns float64) float64 {
	x := turns - math.Floor(turns)
	if x < 1.0/3 {
		return 6*x - 1
	}
	return 1 - 3*(x-1.0/3)
}

// saturation is the pressure of saturated water vapour in hPa (Magnus formula).
func saturation(celsius float64) float64 {
	return 6.112 * math.Exp(17.62*celsius/(243.12+celsius))
}

// Record is a climate at a moment of a recording.
type Record struct {
	After   time.Duration // since the first record
	Climate Climate
}

// Replay plays a recording from start on, in straight lines between its records,
// and starts over when it ends; before start it shows the first record. Records
// are in order of After and not empty.
func Replay(records []Record, start time.Time) World {
	length := records[len(records)-1].After
	return WorldFunc(func(t time.Time) Climate {
		at := t.Sub(start)
		if at <= 0 || length <= 0 {
			return records[0].Climate
		}
		if at > length {
			at %= length
		}
		i := sort.Search(len(records), func(i int) bool { return records[i].After >= at })
		if i == 0 {
			return records[0].Climate
		}
		a, b := records[i-1], records[i]
		return between(a.Climate, b.Climate, float64(at-a.After)/float64(b.After-a.After))
	})
}

// A recording is bounded: a year at one record a minute, and some.
const (
	mostRecords      = 1 << 20
	longestRecording = 100 * 366 * 86400.0 // s
)

// ReadRecords reads a recording from CSV: four columns, seconds since any origin,
// °C, hPa and %. A first row that does not begin with a number is taken for a
// heading. The seconds must rise.
func ReadRecords(r io.Reader) ([]Record, error) {
	rows := csv.NewReader(r)
	rows.FieldsPerRecord = 4
	rows.ReuseRecord = true
	var records []Record
	var origin, last float64
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("recording: %w", err)
		}
		line, _ := rows.FieldPos(0)
		second, climate, err := parseRow(row)
		switch {
		case err != nil && line == 1:
			continue
		case err != nil:
			return nil, fmt.Errorf("recording line %d: %w", line, err)
		case len(records) == 0:
			origin = second
		case second <= last:
			return nil, fmt.Errorf("recording line %d: second %g after second %g, want rising seconds", line, second, last)
		case second-origin > longestRecording:
			return nil, fmt.Errorf("recording line %d: %g s after the first row, want at most %g", line, second-origin, longestRecording)
		case len(records) == mostRecords:
			return nil, fmt.Errorf("recording line %d: more than %d rows", line, mostRecords)
		}
		last = second
		after := time.Duration((second - origin) * float64(time.Second))
		records = append(records, Record{After: after, Climate: climate})
	}
	if len(records) == 0 {
		return nil, errors.New("recording: no rows")
	}
	return records, nil
}

func parseRow(row []string) (second float64, c Climate, err error) {
	var v [4]float64
	for i := range v {
		if v[i], err = strconv.ParseFloat(row[i], 64); err != nil {
			return 0, c, err
		}
		if math.Abs(v[i]) > 1e12 || math.IsNaN(v[i]) {
			return 0, c, fmt.Errorf("got %s, want a number up to 1e12", row[i])
		}
	}
	return v[0], Climate{Temperature: v[1], Pressure: v[2] * 100, Humidity: v[3]}, nil
}
