package chip_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/chip"
	"weir/sensors/sim"
)

// followers are chips of every kind, each with how near it comes to its world: half a
// step of its converter, and what the world does while it measures.
var followers = []struct {
	driver           string
	make             func(sim.World) sim.Device
	celsius, pascals float64 // 0: it does not measure that
	percent          float64
	settings         map[string]any
}{
	{"bme280", func(w sim.World) sim.Device { return sim.NewBME280(w) }, 0.02, 6, 0.1, nil},
	{"bmp280", func(w sim.World) sim.Device { return sim.NewBMP280(w) }, 0.02, 6, 0, nil},
	{"bmp180", func(w sim.World) sim.Device { return sim.NewBMP180(w) }, 0.1, 10, 0, nil},
	{"bmp085", func(w sim.World) sim.Device { return sim.NewBMP085(w) }, 0.1, 10, 0, nil},
	{"bme680", func(w sim.World) sim.Device { return sim.NewBME680(w) }, 0.02, 6, 0.1, nil},
	{"bme688", func(w sim.World) sim.Device { return sim.NewBME688(w) }, 0.02, 6, 0.1, nil},
	{"bmp388", func(w sim.World) sim.Device { return sim.NewBMP388(w) }, 0.02, 6, 0, nil},
	{"bmp390", func(w sim.World) sim.Device { return sim.NewBMP390(w) }, 0.02, 6, 0, nil},
	{"bmp581", func(w sim.World) sim.Device { return sim.NewBMP581(w) }, 0.02, 6, 0, nil},
	{"bmp585", func(w sim.World) sim.Device { return sim.NewBMP585(w) }, 0.02, 6, 0, nil},
	{"sht3x", func(w sim.World) sim.Device { return sim.NewSHT3x(w) }, 0.02, 0, 0.1, nil},
	{"sht4x", func(w sim.World) sim.Device { return sim.NewSHT4x(w) }, 0.02, 0, 0.1, nil},
	{"shtc3", func(w sim.World) sim.Device { return sim.NewSHTC3(w) }, 0.02, 0, 0.1, nil},
	{"hdc302x", func(w sim.World) sim.Device { return sim.NewHDC302x(w) }, 0.02, 0, 0.1, nil},
	{"htu21d", func(w sim.World) sim.Device { return sim.NewHTU21D(w) }, 0.05, 0, 0.1, nil},
	{"si7021", func(w sim.World) sim.Device { return sim.NewSi7021(w) }, 0.05, 0, 0.1, nil},
	{"sht2x", func(w sim.World) sim.Device { return sim.NewSHT21(w) }, 0.05, 0, 0.1, nil},
	{"hdc1080", func(w sim.World) sim.Device { return sim.NewHDC1080(w) }, 0.05, 0, 0.1, nil},
	{"hdc1000", func(w sim.World) sim.Device { return sim.NewHDC1010(w) }, 0.05, 0, 0.1, nil},
	{"aht20", func(w sim.World) sim.Device { return sim.NewAHT20(w) }, 0.02, 0, 0.1, nil},
	{"aht10", func(w sim.World) sim.Device { return sim.NewAHT10(w) }, 0.02, 0, 0.1, nil},
	{"ms5611", func(w sim.World) sim.Device { return sim.NewMS5611(w) }, 0.02, 6, 0, nil},
	{"ms5607", func(w sim.World) sim.Device { return sim.NewMS5607(w) }, 0.02, 6, 0, nil},
	{"dps310", func(w sim.World) sim.Device { return sim.NewDPS310(w) }, 0.02, 6, 0, nil},
	{"spl06", func(w sim.World) sim.Device { return sim.NewSPL06(w) }, 0.02, 6, 0, nil},
	{"lps22hb", func(w sim.World) sim.Device { return sim.NewLPS22HB(w) }, 0.02, 6, 0, nil},
	{"lps33hw", func(w sim.World) sim.Device { return sim.NewLPS33HW(w) }, 0.02, 6, 0, nil},
	{"lps22hh", func(w sim.World) sim.Device { return sim.NewLPS22HH(w) }, 0.02, 6, 0, nil},
	{"lps25hb", func(w sim.World) sim.Device { return sim.NewLPS25HB(w) }, 0.02, 6, 0, nil},
	{"lps331", func(w sim.World) sim.Device { return sim.NewLPS331(w) }, 0.02, 6, 0, nil},
	{"mpl3115a2", func(w sim.World) sim.Device { return sim.NewMPL3115A2(w) }, 0.05, 6, 0, nil},
	{"lm75", func(w sim.World) sim.Device { return sim.NewLM75(w) }, 0.26, 0, 0, nil},
	{"tmp105", func(w sim.World) sim.Device { return sim.NewTMP105(w) }, 0.04, 0, 0, nil},
	{"tmp102", func(w sim.World) sim.Device { return sim.NewTMP102(w) }, 0.04, 0, 0, nil},
	{"tmp112", func(w sim.World) sim.Device { return sim.NewTMP112(w) }, 0.04, 0, 0, nil},
	{"tmp1075", func(w sim.World) sim.Device { return sim.NewTMP1075(w) }, 0.04, 0, 0, nil},
	{"tmp117", func(w sim.World) sim.Device { return sim.NewTMP117(w) }, 0.01, 0, 0, nil},
	{"mcp9808", func(w sim.World) sim.Device { return sim.NewMCP9808(w) }, 0.04, 0, 0, nil},
	{"mlx90614", func(w sim.World) sim.Device { return sim.NewMLX90614(w) }, 0.02, 0, 0, nil},
	{"hsc", func(w sim.World) sim.Device { return sim.NewHSC(w, sim.TransferA, 0, 30*psi) }, 0.06, 20, 0, in30psi},
	{"abp2", func(w sim.World) sim.Device { return sim.NewABP2(w, sim.TransferA, 0, 30*psi) }, 0.02, 6, 0, in30psi},
	{"mpr", func(w sim.World) sim.Device { return sim.NewMPR(w, sim.TransferA, 0, 30*psi) }, 0, 6, 0, in30psi},
}

var in30psi = map[string]any{"range_min": 0.0, "range_max": 30.0, "range_unit": "psi", "reference": "absolute"}

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
			for _, c := range followers {
				onBench(tt, func(b *bench) {
					w := world(time.Now())
					d := b.open(c.driver, c.settings)
					b.wire.Add(sensors.Find(chip.Drivers, c.driver).Addresses[0], c.make(w))
					for range 24 {
						time.Sleep(9 * time.Minute)
						s, err := b.read(d)
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
				})
			}
		})
	}
}
