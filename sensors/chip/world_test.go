package chip_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/sim"
)

// attachedChips are chips of every kind, each with how near it comes to its world: half a
// step of its converter, and what the world does while it measures.
var attachedChips = []struct {
	driver           string
	addr             uint16
	make             func(sim.World) sim.Device
	celsius, pascals float64 // 0: it does not measure that
	percent          float64
}{
	{"bme280", 0x76, func(w sim.World) sim.Device { return sim.NewBME280(w) }, 0.02, 6, 0.1},
	{"bmp180", 0x77, func(w sim.World) sim.Device { return sim.NewBMP180(w) }, 0.1, 10, 0},
	{"lm75", 0x48, func(w sim.World) sim.Device { return sim.NewLM75(w) }, 0.26, 0, 0},
	{"tmp102", 0x49, func(w sim.World) sim.Device { return sim.NewTMP102(w) }, 0.04, 0, 0},
	{"tmp105", 0x4a, func(w sim.World) sim.Device { return sim.NewTMP105(w) }, 0.04, 0, 0},
	{"tmp117", 0x4b, func(w sim.World) sim.Device { return sim.NewTMP117(w) }, 0.01, 0, 0},
	{"tmp1075", 0x4c, func(w sim.World) sim.Device { return sim.NewTMP1075(w) }, 0.04, 0, 0},
	{"mcp9808", 0x18, func(w sim.World) sim.Device { return sim.NewMCP9808(w) }, 0.04, 0, 0},
	{"mlx90614", 0x5a, func(w sim.World) sim.Device { return sim.NewMLX90614(w) }, 0.02, 0, 0},
	{"lps22hb", 0x5c, func(w sim.World) sim.Device { return sim.NewLPS22HB(w) }, 0.02, 6, 0},
	{"lps25hb", 0x5d, func(w sim.World) sim.Device { return sim.NewLPS25HB(w) }, 0.02, 6, 0},
}

// A day in a heated room, a recorded front that passes, and a slow ramp through frost:
// what the world has at the moment of a reading is what every chip on the bus says.
func TestChipsFollowTheirWorlds(tt *testing.T) {
	records, err := sim.ReadRecords(strings.NewReader("second,temperature,pressure,humidity\n" +
		"0,18.2,1013.2,55\n3600,17.9,1009.8,61\n7200,14.1,1002.4,88\n10800,9.6,998.7,97\n14400,9.9,1004.1,83\n"))
	if err != nil {
		tt.Fatal(err)
	}
	for name, world := range map[string]func(start time.Time) sim.World{
		"room":     func(time.Time) sim.World { return sim.Room(3) },
		"recorded": func(start time.Time) sim.World { return sim.Replay(records, start) },
		"ramp": func(start time.Time) sim.World {
			return sim.Ramp(sim.Climate{Temperature: 35, Pressure: 104000, Humidity: 20}, sim.Climate{Temperature: -15, Pressure: 96000, Humidity: 90}, start, start.Add(4*time.Hour))
		},
	} {
		tt.Run(name, func(tt *testing.T) {
			onBench(tt, func(b *bench) {
				w := world(time.Now())
				devices := make([]sensors.Device, len(attachedChips))
				for i, c := range attachedChips {
					b.wire.Add(c.addr, c.make(w))
					devices[i] = b.open(c.driver, map[string]any{"address": int(c.addr)})
				}
				for range 24 {
					time.Sleep(10 * time.Minute)
					for i, c := range attachedChips {
						s, err := b.read(devices[i])
						if err != nil {
							b.Fatalf("%s: %v", c.driver, err)
						}
						air := w.At(time.Now())
						for q, near := range map[sensors.Quantity]struct{ want, within float64 }{
							t: {air.Temperature, c.celsius}, p: {air.Pressure, c.pascals}, h: {air.Humidity, c.percent},
						} {
							r, has := s.Get(q)
							if has != (near.within > 0) {
								b.Errorf("%s: %s is there: %v", c.driver, q, has)
							} else if has && (r.Quality != good || math.Abs(r.Value-near.want) > near.within) {
								b.Errorf("%s: %s is %v %v, want %v within %v", c.driver, q, r.Value, r.Quality, near.want, near.within)
							}
						}
					}
				}
			})
		})
	}
}
