package chip_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/sensors"
	"weir/sensors/chip"
	"weir/sensors/sim"
)

// findPressureChip returns the entry of a driver.
func findPressureChip(tt *testing.T, driver string) *pressureChip {
	tt.Helper()
	for i := range pressureChips {
		if pressureChips[i].driver == driver {
			return &pressureChips[i]
		}
	}
	tt.Fatalf("no entry for %s", driver)
	return nil
}

// A chip that says when it is ready may take longer than its sheet allows: what is
// read is the new value, not the one of before.
func TestPressureChipsWaitUntilReady(tt *testing.T) {
	for _, driver := range []string{"lps22hb", "lps22hh", "lps33hw", "lps25hb", "lps331", "dps310", "spl06", "mpl3115a2", "abp2", "mpr"} {
		c := findPressureChip(tt, driver)
		c.on(tt, func(b *bench) {
			later := sim.Climate{Temperature: 10, Pressure: 99000}
			start := time.Now()
			b.wire.Add(c.addr, c.make(sim.Ramp(indoors, later, start.Add(5*time.Second), start.Add(6*time.Second)), sim.Slow(2)))
			d := b.open(c.driver, c.given)
			b.wantNear(d, c, indoors)
			time.Sleep(10 * time.Second)
			b.wantNear(d, c, later)
		})
	}
}

// A brown-out is noticed, also by chips that would go on measuring: their settings
// are back with the next read.
func TestPressureChipsSetUpAfterABrownOut(tt *testing.T) {
	for driver, want := range map[string][2]byte{ // register and what it holds
		"lps22hb": {0x10, 0x02}, "lps22hh": {0x10, 0x02}, "lps25hb": {0x20, 0x84}, "lps331": {0x20, 0x84},
		"mpl3115a2": {0x13, 0x07}, "dps310": {0x06, 0x13}, "spl06": {0x06, 0x10},
	} {
		c := findPressureChip(tt, driver)
		c.on(tt, func(b *bench) {
			holds := func() byte {
				var one [1]byte
				if err := b.wire.Tx(c.addr, []byte{want[0]}, one[:]); err != nil {
					b.Fatal(err)
				}
				return one[0]
			}
			b.wire.Add(c.addr, c.make(sim.Steady(indoors)))
			d := b.open(c.driver, c.given)
			b.wantNear(d, c, indoors)
			b.wire.BrownOut(c.addr)
			time.Sleep(100 * time.Millisecond)
			if holds() == want[1] {
				b.Errorf("a brown-out left register 0x%02x alone: this test shows nothing", want[0])
			}
			b.wantNear(d, c, indoors)
			if got := holds(); got != want[1] {
				b.Errorf("register 0x%02x holds 0x%02x after a brown-out and a read, want 0x%02x", want[0], got, want[1])
			}
		})
	}
}

// One wrong bit in a calibration, in any of its reads, does not shift what is
// measured.
func TestPressureChipsReadTheirCalibrationTwice(tt *testing.T) {
	for driver, v := range map[string]struct {
		register byte
		bits     int
	}{"dps310": {0x10, 18 * 8}, "mpl115a2": {0x04, 8 * 8}} {
		c := findPressureChip(tt, driver)
		c.on(tt, func(b *bench) {
			for bit := range v.bits {
				for after := range 3 {
					b.wire = sim.NewBus("I2C1")
					b.machine.wire = b.wire
					b.wire.Add(c.addr, c.make(sim.Steady(indoors)))
					b.wire.Inject(c.addr, sim.Flip(bit).At(v.register).Times(1).After(after))
					d := b.open(c.driver, c.given)
					b.wantNear(d, c, indoors)
					if err := d.Close(); err != nil || b.Failed() {
						b.Fatalf("bit %d of read %d: %v", bit, after, err)
					}
				}
			}
		})
	}
	onBench(tt, func(b *bench) { // the bit that says whether it reads 60 °C at room temperature
		c := sim.NewDPS310(sim.Steady(indoors))
		c.ReadHot(true)
		b.wire.Add(0x77, c)
		b.wire.Inject(0x77, sim.Flip(1).At(0x32).Times(1))
		b.wantNear(b.open("dps310", map[string]any{"address": 0x77}), &dps310Chip, indoors)
	})
}

// Bits that no measurement sets show that the bus is bad.
func TestPressureChipsImpossibleBits(tt *testing.T) {
	for name, v := range map[string]struct {
		driver string
		fault  sim.Fault
		class  sensors.Fault
		text   string
	}{
		"MPL3115A2 pressure":    {"mpl3115a2", sim.Flip(3*8 + 1).At(0), sensors.Garbage, "no measurement gives the data bytes"},
		"MPL3115A2 temperature": {"mpl3115a2", sim.Flip(5*8 + 3).At(0), sensors.Garbage, "no measurement gives the data bytes"},
		"MPL115A2 pressure":     {"mpl115a2", sim.Flip(1*8 + 5).At(0), sensors.Garbage, "no measurement gives the data bytes"},
		"MPL115A2 temperature":  {"mpl115a2", sim.Flip(3 * 8).At(0), sensors.Garbage, "no measurement gives the data bytes"},
		"LPS22HB nothing new":   {"lps22hb", sim.Answer(1).At(0x27), sensors.Timeout, "still measuring"},
		"LPS22HB status FF":     {"lps22hb", sim.Answer(0xff).At(0x27), sensors.Garbage, "its status is 0xff"},
		"LPS25HB control":       {"lps25hb", sim.Answer(0).At(0x20), sensors.Garbage, "it lost its settings (register 0x20 is 0x00)"},
	} {
		tt.Run(name, func(tt *testing.T) {
			c := findPressureChip(tt, v.driver)
			onBench(tt, func(b *bench) {
				b.wire.Add(c.addr, c.make(sim.Steady(indoors)))
				d := b.open(c.driver, c.given)
				b.wantNear(d, c, indoors)
				clear := b.wire.Inject(c.addr, v.fault)
				b.wantFault(d, v.class, v.text)
				clear()
				b.wantNear(d, c, indoors)
			})
		})
	}
}

// What the first measurement after a start gives is not used.
func TestPressureChipsThrowTheFirstAway(tt *testing.T) {
	for i := range pressureChips {
		c := &pressureChips[i]
		if c.driver == "hsc" || c.driver == "abp" {
			continue // they measure without being asked
		}
		c.on(tt, func(b *bench) {
			chip := c.make(sim.Steady(indoors)).(interface {
				sim.Device
				Conversions() int
			})
			b.wire.Add(c.addr, chip)
			d := b.open(c.driver, c.given)
			b.wantNear(d, c, indoors)
			first := chip.Conversions()
			b.wantNear(d, c, indoors)
			if each := chip.Conversions() - first; each == 0 || first < 2*each {
				b.Errorf("%d conversions for the first reading, %d for the second: none was thrown away", first, each)
			}
		})
	}
}

// What a scan is told about a chip: those with an id are named, those without are a
// guess, and no driver takes another's chip for its own.
func TestPressureChipsInAScan(tt *testing.T) {
	air := sim.Steady(indoors)
	for _, v := range []struct {
		addr               uint16
		chip               sim.Device
		identified, likely string
	}{
		{0x77, sim.NewMS5611(air), "", "MS5611 or MS5607"}, {0x76, sim.NewMS5607(air), "", "MS5611 or MS5607"},
		{0x77, sim.NewDPS310(air), "DPS310", ""}, {0x76, sim.NewBMP280(air), "BMP280", ""}, {0x77, sim.NewBMP180(air), "BMP180", ""},
		{0x5c, sim.NewLPS22HB(air), "LPS22HB", ""}, {0x5d, sim.NewLPS22HH(air), "LPS22HH", ""}, {0x5c, sim.NewLPS25HB(air), "LPS25HB", ""},
		{0x5d, sim.NewLPS331(air), "LPS331AP", ""}, {0x60, sim.NewMPL3115A2(air), "MPL3115A2", ""}, {0x60, sim.NewMPL115A2(air), "", "MPL115A2"},
		{0x28, sim.NewHSC(air, sim.TransferA, 0, 30*psi), "", ""},
	} {
		onBench(tt, func(b *bench) {
			b.wire.Add(v.addr, v.chip)
			c := &wireConn{m: b.machine, addr: v.addr}
			names := func(ask func(d *sensors.Driver) func(context.Context, sensors.Conn) (string, error)) string {
				var all []string
				for i := range chip.Drivers {
					d := &chip.Drivers[i]
					if ask(d) == nil || !slices.Contains(d.Addresses, v.addr) {
						continue
					}
					name, err := ask(d)(b.Context(), c)
					if err != nil && sensors.FaultOf(err) != sensors.NotAnswering {
						b.Errorf("%s at 0x%02x: %v", d.Name, v.addr, err)
					}
					if name != "" && !slices.Contains(all, name) {
						all = append(all, name)
					}
				}
				return strings.Join(all, ", ")
			}
			identified := names(func(d *sensors.Driver) func(context.Context, sensors.Conn) (string, error) { return d.Identify })
			likely := names(func(d *sensors.Driver) func(context.Context, sensors.Conn) (string, error) { return d.Guess })
			if identified != v.identified || identified == "" && likely != v.likely {
				b.Errorf("%T at 0x%02x is %q, likely %q, want %q, %q", v.chip, v.addr, identified, likely, v.identified, v.likely)
			}
		})
	}
}
