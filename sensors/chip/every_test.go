package chip_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/chip"
	"weir/sensors/sim"
)

// simulated is a chip as it stands on a board, and the driver that reads it.
type simulated struct {
	driver    string
	says      string   // what a scan calls it; "": it cannot tell
	addresses []uint16 // that it can have
	make      func() sim.Device
	settings  map[string]any // that the driver cannot do without
}

var (
	outside = sim.Steady(indoors)
	in15psi = map[string]any{"range_min": 0.0, "range_max": 15.0, "range_unit": "psi", "reference": "absolute"}
)

// everyChip is one simulated chip for each driver of an I2C chip.
var everyChip = []simulated{
	{"bme280", "BME280", []uint16{0x76, 0x77}, func() sim.Device { return sim.NewBME280(outside) }, nil},
	{"bmp280", "BMP280", []uint16{0x76, 0x77}, func() sim.Device { return sim.NewBMP280(outside) }, nil},
	{"bmp180", "BMP180", []uint16{0x77}, func() sim.Device { return sim.NewBMP180(outside) }, nil},
	{"bmp085", "BMP180", []uint16{0x77}, func() sim.Device { return sim.NewBMP085(outside) }, nil}, // it has the id of a BMP180
	{"bme680", "BME680", []uint16{0x76, 0x77}, func() sim.Device { return sim.NewBME680(outside) }, nil},
	{"bme688", "BME688", []uint16{0x76, 0x77}, func() sim.Device { return sim.NewBME688(outside) }, nil},
	{"bmp388", "BMP388", []uint16{0x76, 0x77}, func() sim.Device { return sim.NewBMP388(outside) }, nil},
	{"bmp390", "BMP390", []uint16{0x76, 0x77}, func() sim.Device { return sim.NewBMP390(outside) }, nil},
	{"bmp581", "BMP581", []uint16{0x46, 0x47}, func() sim.Device { return sim.NewBMP581(outside) }, nil},
	{"bmp585", "BMP585", []uint16{0x46, 0x47}, func() sim.Device { return sim.NewBMP585(outside) }, nil},
	{"sht3x", "SHT3x", []uint16{0x44, 0x45}, func() sim.Device { return sim.NewSHT3x(outside) }, nil},
	{"sht4x", "SHT4x", []uint16{0x44, 0x45, 0x46}, func() sim.Device { return sim.NewSHT4x(outside) }, nil},
	{"shtc3", "SHTC3", []uint16{0x70}, func() sim.Device { return sim.NewSHTC3(outside) }, nil},
	{"hdc302x", "HDC302x", []uint16{0x44, 0x45, 0x46, 0x47}, func() sim.Device { return sim.NewHDC302x(outside) }, nil},
	{"htu21d", "HTU21D", []uint16{0x40}, func() sim.Device { return sim.NewHTU21D(outside) }, nil},
	{"si7021", "Si7021", []uint16{0x40}, func() sim.Device { return sim.NewSi7021(outside) }, nil},
	{"sht2x", "SHT2x", []uint16{0x40}, func() sim.Device { return sim.NewSHT21(outside) }, nil},
	{"hdc1080", "HDC1080", []uint16{0x40}, func() sim.Device { return sim.NewHDC1080(outside) }, nil},
	{"hdc1000", "HDC1000", []uint16{0x40, 0x41, 0x42, 0x43}, func() sim.Device { return sim.NewHDC1010(outside) }, nil},
	{"aht20", "AHT20", []uint16{0x38}, func() sim.Device { return sim.NewAHT20(outside) }, nil},
	{"aht10", "", []uint16{0x38}, func() sim.Device { return sim.NewAHT10(outside) }, nil},
	{"ms5611", "", []uint16{0x76, 0x77}, func() sim.Device { return sim.NewMS5611(outside) }, nil},
	{"ms5607", "", []uint16{0x76, 0x77}, func() sim.Device { return sim.NewMS5607(outside) }, nil},
	{"dps310", "DPS310", []uint16{0x77, 0x76}, func() sim.Device { return sim.NewDPS310(outside) }, nil},
	{"spl06", "DPS310", []uint16{0x77, 0x76}, func() sim.Device { return sim.NewSPL06(outside) }, nil}, // it has the id of a DPS310
	{"lps22hb", "LPS22HB", []uint16{0x5c, 0x5d}, func() sim.Device { return sim.NewLPS22HB(outside) }, nil},
	{"lps33hw", "LPS22HB", []uint16{0x5c, 0x5d}, func() sim.Device { return sim.NewLPS33HW(outside) }, nil}, // it has the id of an LPS22HB
	{"lps22hh", "LPS22HH", []uint16{0x5c, 0x5d}, func() sim.Device { return sim.NewLPS22HH(outside) }, nil},
	{"lps25hb", "LPS25HB", []uint16{0x5c, 0x5d}, func() sim.Device { return sim.NewLPS25HB(outside) }, nil},
	{"lps331", "LPS331AP", []uint16{0x5c, 0x5d}, func() sim.Device { return sim.NewLPS331(outside) }, nil},
	{"mpl3115a2", "MPL3115A2", []uint16{0x60}, func() sim.Device { return sim.NewMPL3115A2(outside) }, nil},
	{"mpl115a2", "", []uint16{0x60}, func() sim.Device { return sim.NewMPL115A2(outside) }, nil},
	{"hsc", "", []uint16{0x28}, func() sim.Device { return sim.NewHSC(outside, sim.TransferA, 0, 15*psi) }, in15psi},
	{"ssc", "", []uint16{0x28}, func() sim.Device { return sim.NewHSC(outside, sim.TransferA, 0, 15*psi) }, in15psi},
	{"abp", "", []uint16{0x28}, func() sim.Device { return sim.NewHSC(outside, sim.TransferA, 0, 15*psi) }, in15psi},
	{"abp2", "", []uint16{0x28}, func() sim.Device { return sim.NewABP2(outside, sim.TransferA, 0, 15*psi) }, in15psi},
	{"mpr", "", []uint16{0x18}, func() sim.Device { return sim.NewMPR(outside, sim.TransferA, 0, 15*psi) }, in15psi},
	{"lm75", "", []uint16{0x48, 0x4f}, func() sim.Device { return sim.NewLM75(outside) }, nil},
	{"tmp105", "", []uint16{0x48, 0x4f}, func() sim.Device { return sim.NewTMP105(outside) }, nil},
	{"tmp102", "", []uint16{0x48, 0x4b}, func() sim.Device { return sim.NewTMP102(outside) }, nil},
	{"tmp112", "", []uint16{0x48, 0x4b}, func() sim.Device { return sim.NewTMP112(outside) }, nil},
	{"tmp1075", "TMP1075", []uint16{0x48, 0x4f}, func() sim.Device { return sim.NewTMP1075(outside) }, nil},
	{"tmp117", "TMP117", []uint16{0x48, 0x4b}, func() sim.Device { return sim.NewTMP117(outside) }, nil},
	{"mcp9808", "MCP9808", []uint16{0x18, 0x1f}, func() sim.Device { return sim.NewMCP9808(outside) }, nil},
	{"mlx90614", "MLX90614", []uint16{0x5a}, func() sim.Device { return sim.NewMLX90614(outside) }, nil},
}

// with adds what the driver cannot do without.
func (s *simulated) with(settings map[string]any) map[string]any {
	all := maps.Clone(s.settings)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, settings)
	return all
}

// strangers live at the addresses of others and have no driver.
var strangers = []simulated{
	{"", "", []uint16{0x70, 0x71, 0x77}, func() sim.Device { return sim.NewTCA9548() }, nil},
}

// onlyThose keeps the chips whose driver is in the table.
func onlyThose(all []simulated) []simulated {
	return slices.DeleteFunc(slices.Clone(all), func(s simulated) bool { return sensors.Find(chip.Drivers, s.driver) == nil })
}

func TestEveryDriverHasASimulatedChip(t *testing.T) {
	for _, d := range chip.Drivers {
		if d.Connection == sensors.OnI2C && !slices.ContainsFunc(everyChip, func(s simulated) bool { return s.driver == d.Name }) {
			t.Errorf("%s: add its simulated chip to everyChip", d.Name)
		}
	}
}

// Whoever looks into a driver learns what sheet it was written from; whoever lists
// the drivers learns what they are for.
func TestEveryDriverCitesItsSheet(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") || f == "table.go" {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text[f] = string(b)
	}
	sheet := regexp.MustCompile(`(?i)\bsheets?\b|DocID\d|specification|Documentation/`)
	for _, d := range chip.Drivers {
		cited := false
		for f, s := range text {
			cited = cited || strings.Contains(s, `"`+d.Name+`"`) && sheet.MatchString(s) && f != "air.go"
		}
		if !cited && (d.Connection == sensors.OnI2C || d.Connection == sensors.OnOneWire) {
			t.Errorf("%s: no file names it and a data sheet", d.Name)
		}
		if len(d.Doc) < 10 || strings.HasSuffix(d.Doc, ".") {
			t.Errorf("%s: doc %q, want a phrase that says what it is", d.Name, d.Doc)
		}
		for _, k := range d.Keys {
			share := k.Min >= 0 && k.Max > 0 && k.Max <= 1 // has no unit
			if k.Kind == sensors.KindFloat && k.Unit == "" && !share && !strings.Contains(k.Meaning, "_unit") && !strings.Contains(k.Meaning, "factor") {
				t.Errorf("%s.%s: a number without a unit", d.Name, k.Name)
			}
		}
	}
}

// wired is a connection to an address that asks for no claim.
func (b *bench) wired(addr uint16) sensors.Conn { return &wireConn{m: b.machine, addr: addr} }

// Every driver asks every chip at every address: its own chip is named, no other one
// is taken for it, and a chip that was asked by those of its address measures next as
// if nothing had been.
func TestEveryDriverAsksEveryChip(tt *testing.T) {
	for _, c := range append(onlyThose(everyChip), strangers...) {
		for _, addr := range c.addresses {
			tt.Run(c.driver+" "+string(rune('0'+addr>>4))+string("0123456789abcdef"[addr&15]), func(tt *testing.T) {
				onBench(tt, func(b *bench) { b.askedByAll(c, addr) })
			})
		}
	}
}

func (b *bench) askedByAll(c simulated, addr uint16) {
	device := c.make()
	b.wire.Add(addr, device)
	time.Sleep(time.Second)
	asked := b.identities(addr, false)
	for driver, says := range asked {
		if says != c.says {
			b.Errorf("%s takes it for a %s", driver, says)
		}
	}
	if c.says != "" && len(asked) != 1 {
		b.Errorf("%d drivers name it %v, want one", len(asked), asked)
	}
	if c.driver == "" {
		return
	}
	d := b.open(c.driver, c.with(map[string]any{"address": int(addr)}))
	b.readings(d, device)
	time.Sleep(time.Minute) // what being asked and found may have done to it is over
	before, usual := b.readings(d, device)
	for range 2 {
		b.identities(addr, true)
		after, conversions := b.readings(d, device)
		if !slices.Equal(after, before) {
			b.Errorf("after it was asked: %v, before: %v", after, before)
		}
		if conversions > usual { // a set-up measures as well
			b.Errorf("after it was asked: %d conversions for a reading, before: %d; it had to be set up anew", conversions, usual)
		}
	}
}

// identities lets all drivers ask, or those that know the address, and returns what
// they say by driver.
func (b *bench) identities(addr uint16, known bool) map[string]string {
	says := map[string]string{}
	for i := range chip.Drivers {
		d := &chip.Drivers[i]
		if d.Identify == nil || known && !slices.Contains(d.Addresses, addr) {
			continue
		}
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		name, err := d.Identify(ctx, b.wired(addr))
		cancel()
		if err != nil && sensors.FaultOf(err) != sensors.NotAnswering {
			b.Errorf("%s: %v", d.Name, err)
		}
		if name != "" {
			says[d.Name] = name
		}
		time.Sleep(200 * time.Millisecond) // for what it may have begun
	}
	return says
}

// readings are the values of one read, to a thousandth, and how often the chip measured
// for it. A chip that measures by itself counts since it was last spoken to.
func (b *bench) readings(d sensors.Device, device sim.Device) (values []int64, conversions int) {
	b.Helper()
	count := func() int {
		if c, can := device.(interface{ Conversions() int }); can {
			return c.Conversions()
		}
		return 0
	}
	was := count()
	s, err := b.read(d)
	if err != nil {
		b.Fatal(err)
	}
	for _, r := range s.Readings {
		if r.Quality.Level == sensors.Bad {
			b.Errorf("%s: %v", r.Quantity, r.Quality)
		}
		values = append(values, int64(math.Round(r.Value*1000)))
	}
	return values, count() - was
}

// At an address where nothing is, a driver says that, so that a scan shows nothing there.
func TestEveryDriverHearsThatNothingIsThere(tt *testing.T) {
	onBench(tt, func(b *bench) {
		for _, d := range chip.Drivers {
			if d.Identify == nil {
				continue
			}
			for _, addr := range d.Addresses {
				if name, err := d.Identify(b.Context(), b.wired(addr)); name != "" || sensors.FaultOf(err) != sensors.NotAnswering {
					b.Errorf("%s at 0x%02x: %q, %v, want that it does not answer", d.Name, addr, name, err)
				}
			}
		}
	})
}

// With bits that flip in what is read, a chip whose answers carry checksums is not
// recognized more often than not, but it is never taken for another one.
func TestFlippedBitsNameNoOtherChip(tt *testing.T) {
	for _, c := range airCases {
		if !c.crc {
			continue
		}
		onBench(tt, func(b *bench) {
			b.wire.Add(c.addr, c.make(outside))
			b.wire.Inject(c.addr, sim.FlipAny(3).Chance(0.5, 4))
			named := 0
			for range 300 {
				for _, says := range b.identities(c.addr, true) {
					if says != c.chip {
						b.Errorf("%s is taken for a %s", c.chip, says)
					}
					named++
				}
			}
			if named == 0 || named == 300 {
				b.Errorf("%s: named %d times of 300 with every second answer flipped", c.chip, named)
			}
		})
	}
}

// A chip that is at another of its addresses than the one that is set is found there, and the message says what to write. Of
// a chip that cannot be recognised nothing is guessed.
func TestEveryDriverSaysWhereItsChipIs(tt *testing.T) {
	for _, c := range everyChip {
		set, at := c.addresses[0], c.addresses[len(c.addresses)-1]
		onBench(tt, func(b *bench) {
			want := fmt.Sprintf("write address = 0x%02x", at)
			if set == at {
				want, at = "", sensors.Find(chip.Drivers, c.driver).Addresses[0]+0x10
			}
			b.wire.Add(at, c.make())
			time.Sleep(time.Second)
			_, err := b.read(b.open(c.driver, c.with(map[string]any{"address": int(set)})))
			if sensors.FaultOf(err) != sensors.NotAnswering || !strings.Contains(err.Error(), want) || want == "" && strings.Contains(err.Error(), "write") {
				b.Errorf("%s set to 0x%02x, at 0x%02x: %v, want %q", c.driver, set, at, err, want)
			}
		})
	}
}
