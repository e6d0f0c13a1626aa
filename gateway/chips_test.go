package gateway

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"periph.io/x/conn/v3/i2c"

	"weir/bridge/upstream"
	"weir/gateway/config"
	"weir/gateway/status"
	"weir/sensors"
	"weir/sensors/chip"
	"weir/sensors/sim"
)

// standard is the air in which every chip is read once.
var standard = sim.Climate{Temperature: 21.5, Pressure: 101325, Humidity: 45}

// onBoard is a chip as it is bought: the driver that reads it, where it can stand, and how fine it measures, by its
// data sheet, with the settings a driver has when nothing is set; 0: it does not measure that.
type onBoard struct {
	driver                string
	addresses             []uint16
	make                  func(sim.World) sim.Device
	celsius, hPa, percent float64
	settings              string
}

const (
	psi    = 6894.757293
	its015 = `range = "015PA"`
)

// chips is one chip for each driver of the table that is on I2C.
var chips = []onBoard{
	{"bme280", at76, func(w sim.World) sim.Device { return sim.NewBME280(w) }, 0.01, 0.01, 0.02, ""},
	{"bmp280", at76, func(w sim.World) sim.Device { return sim.NewBMP280(w) }, 0.01, 0.01, 0, ""},
	{"bmp180", at77, func(w sim.World) sim.Device { return sim.NewBMP180(w) }, 0.1, 0.03, 0, ""},
	{"bmp085", at77, func(w sim.World) sim.Device { return sim.NewBMP085(w) }, 0.1, 0.03, 0, ""},
	{"bme680", at76, func(w sim.World) sim.Device { return sim.NewBME680(w) }, 0.01, 0.01, 0.02, ""},
	{"bme688", at76, func(w sim.World) sim.Device { return sim.NewBME688(w) }, 0.01, 0.01, 0.02, ""},
	{"bmp388", at76, func(w sim.World) sim.Device { return sim.NewBMP388(w) }, 0.01, 0.01, 0, ""},
	{"bmp390", at76, func(w sim.World) sim.Device { return sim.NewBMP390(w) }, 0.01, 0.01, 0, ""},
	{"bmp581", at46, func(w sim.World) sim.Device { return sim.NewBMP581(w) }, 0.01, 0.01, 0, ""},
	{"bmp585", at46, func(w sim.World) sim.Device { return sim.NewBMP585(w) }, 0.01, 0.01, 0, ""},
	{"ms5611", at76, func(w sim.World) sim.Device { return sim.NewMS5611(w) }, 0.01, 0.02, 0, ""},
	{"ms5607", at76, func(w sim.World) sim.Device { return sim.NewMS5607(w) }, 0.01, 0.03, 0, ""},
	{"dps310", at76, func(w sim.World) sim.Device { return sim.NewDPS310(w) }, 0.01, 0.01, 0, ""},
	{"spl06", at76, func(w sim.World) sim.Device { return sim.NewSPL06(w) }, 0.01, 0.01, 0, ""},
	{"lps22hb", at5c, func(w sim.World) sim.Device { return sim.NewLPS22HB(w) }, 0.01, 0.01, 0, ""},
	{"lps33hw", at5c, func(w sim.World) sim.Device { return sim.NewLPS33HW(w) }, 0.01, 0.01, 0, ""},
	{"lps22hh", at5c, func(w sim.World) sim.Device { return sim.NewLPS22HH(w) }, 0.01, 0.01, 0, ""},
	{"lps25hb", at5c, func(w sim.World) sim.Device { return sim.NewLPS25HB(w) }, 0.01, 0.01, 0, ""},
	{"lps331", at5c, func(w sim.World) sim.Device { return sim.NewLPS331(w) }, 0.01, 0.01, 0, ""},
	{"mpl3115a2", []uint16{0x60}, func(w sim.World) sim.Device { return sim.NewMPL3115A2(w) }, 0.0625, 0.015, 0, ""},
	{"mpl115a2", []uint16{0x60}, func(w sim.World) sim.Device { return sim.NewMPL115A2(w) }, 0.2, 1.5, 0, ""},
	{"hsc", []uint16{0x28}, func(w sim.World) sim.Device { return sim.NewHSC(w, sim.TransferA, 0, 15*psi) }, 0.1, 0.13, 0, its015},
	{"ssc", []uint16{0x28}, func(w sim.World) sim.Device { return sim.NewHSC(w, sim.TransferA, 0, 15*psi) }, 0.1, 0.13, 0, its015},
	{"abp", []uint16{0x28}, func(w sim.World) sim.Device { return sim.NewHSC(w, sim.TransferA, 0, 15*psi) }, 0, 0.13, 0, its015},
	{"abp2", []uint16{0x28}, func(w sim.World) sim.Device { return sim.NewABP2(w, sim.TransferA, 0, 15*psi) }, 0.1, 0.13, 0, its015},
	{"mpr", []uint16{0x18}, func(w sim.World) sim.Device { return sim.NewMPR(w, sim.TransferA, 0, 15*psi) }, 0, 0.13, 0, its015},
	{"sht3x", []uint16{0x44, 0x45}, func(w sim.World) sim.Device { return sim.NewSHT3x(w) }, 0.01, 0, 0.01, ""},
	{"sht4x", []uint16{0x44, 0x45}, func(w sim.World) sim.Device { return sim.NewSHT4x(w) }, 0.01, 0, 0.01, ""},
	{"shtc3", []uint16{0x70}, func(w sim.World) sim.Device { return sim.NewSHTC3(w) }, 0.01, 0, 0.01, ""},
	{"hdc302x", []uint16{0x44, 0x45}, func(w sim.World) sim.Device { return sim.NewHDC302x(w) }, 0.01, 0, 0.01, ""},
	{"htu21d", []uint16{0x40}, func(w sim.World) sim.Device { return sim.NewHTU21D(w) }, 0.01, 0, 0.04, ""},
	{"si7021", []uint16{0x40}, func(w sim.World) sim.Device { return sim.NewSi7021(w) }, 0.01, 0, 0.04, ""},
	{"sht2x", []uint16{0x40}, func(w sim.World) sim.Device { return sim.NewSHT21(w) }, 0.01, 0, 0.04, ""},
	{"hdc1080", []uint16{0x40}, func(w sim.World) sim.Device { return sim.NewHDC1080(w) }, 0.01, 0, 0.01, ""},
	{"hdc1000", []uint16{0x41, 0x40}, func(w sim.World) sim.Device { return sim.NewHDC1010(w) }, 0.01, 0, 0.01, ""},
	{"aht20", []uint16{0x38}, func(w sim.World) sim.Device { return sim.NewAHT20(w) }, 0.01, 0, 0.024, ""},
	{"aht10", []uint16{0x38}, func(w sim.World) sim.Device { return sim.NewAHT10(w) }, 0.01, 0, 0.024, ""},
	{"lm75", at48, func(w sim.World) sim.Device { return sim.NewLM75(w) }, 0.5, 0, 0, ""},
	{"tmp105", at48, func(w sim.World) sim.Device { return sim.NewTMP105(w) }, 0.0625, 0, 0, ""},
	{"tmp102", at48, func(w sim.World) sim.Device { return sim.NewTMP102(w) }, 0.0625, 0, 0, ""},
	{"tmp112", at48, func(w sim.World) sim.Device { return sim.NewTMP112(w) }, 0.0625, 0, 0, ""},
	{"tmp1075", at48, func(w sim.World) sim.Device { return sim.NewTMP1075(w) }, 0.0625, 0, 0, ""},
	{"tmp117", at48, func(w sim.World) sim.Device { return sim.NewTMP117(w) }, 0.0078125, 0, 0, ""},
	{"mcp9808", []uint16{0x19, 0x1f}, func(w sim.World) sim.Device { return sim.NewMCP9808(w) }, 0.0625, 0, 0, ""},
	{"mlx90614", []uint16{0x5a}, func(w sim.World) sim.Device { return sim.NewMLX90614(w) }, 0.02, 0, 0, ""},
}

var (
	at76 = []uint16{0x76, 0x77}
	at77 = []uint16{0x77}
	at46 = []uint16{0x46, 0x47}
	at48 = []uint16{0x48, 0x49}
	at5c = []uint16{0x5c, 0x5d}
)

// board is a set of buses with every chip on one of them.
type board struct {
	buses  []*sim.Bus
	places []map[uint16]bool // that are taken
}

// put solders a chip to the first bus with a free address for it.
func (b *board) put(c *onBoard, w sim.World, o ...sim.Option) (bus int, addr uint16) {
	for bus = 0; ; bus++ {
		if bus == len(b.buses) {
			b.buses = append(b.buses, sim.NewBus(fmt.Sprint("I2C", bus+1), o...))
			b.places = append(b.places, map[uint16]bool{})
		}
		for _, addr = range c.addresses {
			if !b.places[bus][addr] {
				b.places[bus][addr] = true
				b.buses[bus].Add(addr, c.make(w))
				return bus + 1, addr
			}
		}
	}
}

// numbers are the buses there are.
func (b *board) numbers() []int {
	var all []int
	for i := range b.buses {
		all = append(all, i+1)
	}
	return all
}

func (b *board) open(number int) (i2c.BusCloser, error) { return b.buses[number-1], nil }

// wanted is a value at the upstream.
type wanted struct {
	value, within float64
	unit, quality string
}

// wants adds what a chip is to bring, by topic.
func (c *onBoard) wants(all map[string]wanted) {
	for quantity, w := range map[string]wanted{
		"Temperature": {standard.Temperature, c.celsius, "°C", "good"},
		"Pressure":    {standard.Pressure / 100, c.hPa, "hPa", "good"},
		"Humidity":    {standard.Humidity, c.percent, "%RH", "good"},
	} {
		if w.within > 0 {
			all[above+c.driver+"/"+quantity] = w
		}
	}
	switch c.driver {
	case "mlx90614": // what it looks at is as warm as the air
		all[above+c.driver+"/Object_temperature"] = wanted{standard.Temperature, c.celsius, "°C", "good"}
	case "mpl115a2": // its thermometer is not calibrated
		all[above+c.driver+"/Temperature"] = wanted{standard.Temperature, c.celsius, "°C", "uncertain"}
	}
}

// above is where the readings are at the upstream.
const above = "sites/g1/Home/"

// TestEveryChipArrives: every chip there is a driver for on I2C stands in the same air, on six buses of one gateway. From its
// first value on, what the upstream is sent of each is that air, as fine as the chip measures, and good.
func TestEveryChipArrives(t *testing.T) {
	for _, d := range chip.Drivers {
		if d.Connection == sensors.OnI2C && !slices.ContainsFunc(chips, func(c onBoard) bool { return c.driver == d.Name }) {
			t.Errorf("%s: add its chip to chips", d.Name)
		}
	}
	s := newSite(t, upstream.Options{})
	text := head + noSensors + toCloud
	want := map[string]wanted{}
	var b board
	for i := range chips {
		c := &chips[i]
		bus, addr := b.put(c, sim.Steady(standard), sim.Speed(0))
		text += fmt.Sprintf("\n[sensor.%s]\ndriver = %q\nbus = \"%d\"\naddress = 0x%02x\nevery = \"1s\"\ntopic = \"/Home/%s/{Quantity}\"\n%s\n",
			c.driver, c.driver, bus, addr, c.driver, c.settings)
		c.wants(want)
	}
	o := s.options()
	o.Buses, o.OpenI2C = b.numbers, b.open
	s.startWith(s.config(text), o)
	came := map[string]int{}
	seen := 0
	err := s.cloud.Wait(s.ctx, func(all []upstream.Arrival) bool {
		for ; seen < len(all); seen++ {
			came[all[seen].Topic]++
			checkArrival(t, all[seen], want)
		}
		for topic := range want {
			if came[topic] < 2 {
				return false
			}
		}
		return true
	})
	if err != nil {
		for topic := range want {
			if came[topic] < 2 {
				t.Errorf("%s came %d times, want it twice", topic, came[topic])
			}
		}
	}
	s.want("all ok", func(st *status.Snapshot) bool {
		return !slices.ContainsFunc(st.Sensors, func(s status.Sensor) bool { return s.State != "ok" })
	})
}

// checkArrival compares one value at the upstream.
func checkArrival(t *testing.T, a upstream.Arrival, want map[string]wanted) {
	t.Helper()
	if !strings.HasPrefix(a.Topic, above) {
		return
	}
	var got struct {
		Value         *float64
		Unit, Quality string
	}
	w, known := want[a.Topic]
	err := json.Unmarshal(a.Payload, &got)
	switch {
	case !known:
		t.Errorf("%s: %s, want nothing there", a.Topic, a.Payload)
	case err != nil || got.Value == nil || math.Abs(*got.Value-w.value) > w.within+1e-9 || got.Unit != w.unit || got.Quality != w.quality:
		t.Errorf("%s: %s, want %v ± %v %s, %s", a.Topic, a.Payload, w.value, w.within, w.unit, w.quality)
	}
}

// TestNoSeaLevelFromAGauge: a Honeywell sensor measures against a vacuum, the air or another vessel, as its order code or its
// settings say, and only with the first can a sea level pressure be computed from it.
func TestNoSeaLevelFromAGauge(t *testing.T) {
	const gauge, own = "sea_level_pressure is computed from the absolute pressure, and x measures gauge", "range_min = 0\nrange_max = 2\nrange_unit = \"bar\"\n"
	for settings, want := range map[string]string{
		`range = "015PA"`: "",
		`range = "015PG"`: gauge,
		`range = "015PD"`: "sea_level_pressure is computed from pressure, which ssc does not measure",
		"range = \"015PD\"\nquantity = \"pressure\"":                  gauge,
		own + `reference = "absolute"`:                                "",
		own + `reference = "gauge"`:                                   gauge,
		own + "reference = \"differential\"\nquantity = \"pressure\"": gauge,
		own: `sensor.x.reference: missing, want "absolute", "gauge" or "differential"`,
	} {
		text := "[sensor.x]\ndriver = \"ssc\"\nderive = [\"sea_level_pressure\"]\nelevation = 520\n" + settings
		_, problems, err := config.Parse("test.toml", []byte(text), config.Options{Drivers: chip.Drivers})
		if report := config.Report(problems); (want == "") != (err == nil) || !strings.Contains(report, want) {
			t.Errorf("%s: %v, %s, want %q", settings, err, report, want)
		}
	}
}
