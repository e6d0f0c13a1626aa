package chip_test

import (
	"strings"
	"testing"

	"weir/sensors"
	"weir/sensors/chip"
	"weir/sensors/sim"
)

const psi = 6894.757293

// A gauge sensor around 0, a differential one below it, every transfer function, a
// range in the user's own unit.
func TestHoneywellReads(tt *testing.T) {
	low, mid := sim.Climate{Temperature: 21.5, Pressure: -4000}, sim.Climate{Temperature: -10, Pressure: 3000}
	for name, v := range map[string]struct {
		driver string
		given  map[string]any
		chip   sim.Device
		air    sim.Climate
		q      sensors.Quantity
	}{
		"differential": {"hsc", map[string]any{"range": "001PD"}, sim.NewHSC(sim.Steady(low), sim.TransferA, -psi, psi), low, "differential_pressure"},
		"named":        {"hsc", map[string]any{"range": "001PD", "quantity": "draught"}, sim.NewHSC(sim.Steady(low), sim.TransferA, -psi, psi), low, "draught"},
		"function B":   {"ssc", map[string]any{"range": "001PD", "function": "B"}, sim.NewHSC(sim.Steady(low), sim.TransferB, -psi, psi), low, "differential_pressure"},
		"function C":   {"ssc", map[string]any{"range": "001PG", "function": "C"}, sim.NewHSC(sim.Steady(mid), sim.TransferC, 0, psi), mid, p},
		"function F":   {"abp", map[string]any{"range": "001PG", "function": "F", "temperature": true}, sim.NewHSC(sim.Steady(mid), sim.TransferF, 0, psi), mid, p},
		"own unit": {"hsc", map[string]any{"range_min": -50, "range_max": 100, "range_unit": "mbar", "reference": "gauge"},
			sim.NewHSC(sim.Steady(mid), sim.TransferA, -5000, 10000), mid, p},
		"ABP2":   {"abp2", map[string]any{"range": "001PD"}, sim.NewABP2(sim.Steady(low), sim.TransferA, -psi, psi), low, "differential_pressure"},
		"ABP2 B": {"abp2", map[string]any{"range": "001PG", "function": "B"}, sim.NewABP2(sim.Steady(mid), sim.TransferBOfMPR, 0, psi), mid, p},
		"MPR C":  {"mpr", map[string]any{"range": "001PG", "function": "C", "address": 0x28}, sim.NewMPR(sim.Steady(mid), sim.TransferCOfMPR, 0, psi), mid, p},
	} {
		tt.Run(name, func(tt *testing.T) {
			onBench(tt, func(b *bench) {
				b.wire.Add(0x28, v.chip)
				d := b.open(v.driver, v.given)
				for range 3 {
					s, err := b.read(d)
					if err != nil {
						b.Fatal(err)
					}
					got, ok := s.Get(v.q)
					if !ok || wrongBy(got, v.air) > 1 || got.Quality.Level != sensors.Good || got.Unit != sensors.Pascal {
						b.Errorf("%s in %+v: %+v", v.q, v.air, s.Readings)
					}
					if temp, ok := s.Get(t); ok && wrongBy(temp, v.air) > 0.06 {
						b.Errorf("%v °C in %+v", temp.Value, v.air)
					}
				}
			})
		})
	}
}

func TestHoneywellStatus(tt *testing.T) {
	bad := func(why sensors.Reason) map[sensors.Quantity]sensors.Reason {
		return map[sensors.Quantity]sensors.Reason{t: why, p: why}
	}
	onBench(tt, func(b *bench) {
		c := sim.NewHSC(sim.Steady(indoors), sim.TransferA, 0, 30*psi)
		b.wire.Add(0x28, c)
		d := b.open("hsc", map[string]any{"range": "030PA"})
		c.Say(sim.HSCCommand)
		b.wantFault(d, sensors.Garbage, "it waits for commands instead of measuring: its power has to be switched off and on")
		c.Say(sim.HSCFault)
		b.wantBad(d, bad(sensors.FaultValue))
		c.Say(sim.HSCStale)
		b.wantFault(d, sensors.Timeout, "it sends what it has sent before")
		c.Say(sim.HSCNormal)
		b.wantBad(d, nil)
		c.WithoutTemperature()
		b.wantBad(d, map[sensors.Quantity]sensors.Reason{t: sensors.Saturated, p: sensors.NoTemperature})
	})
	onBench(tt, func(b *bench) {
		c := sim.NewABP2(sim.Steady(indoors), sim.TransferA, 0, 30*psi)
		b.wire.Add(0x28, c)
		d := b.open("abp2", map[string]any{"range": "030PA"})
		b.wantBad(d, nil)
		c.Fail(false, true)
		b.wantBad(d, bad(sensors.Saturated))
		c.Fail(true, false)
		b.wantBad(d, bad(sensors.BadCalibration))
		c.Fail(false, false)
		b.wire.Inject(0x28, sim.Answer(0x41|0x20))
		b.wantFault(d, sensors.Timeout, "still measuring")
	})
	onBench(tt, func(b *bench) {
		b.wire.Add(0x28, sim.NewABP2(sim.Steady(indoors), sim.TransferA, 0, 30*psi))
		d := b.open("abp2", map[string]any{"range": "030PA"})
		b.wire.Inject(0x28, sim.Answer(0x02))
		b.wantFault(d, sensors.Garbage, "its status is 0x02, want 0x40")
	})
}

func TestHoneywellWordsAtTheirEnds(tt *testing.T) {
	for name, c := range map[string]struct {
		raw sim.RawWords
		why map[sensors.Quantity]sensors.Reason
	}{
		"pressure lowest":     {sim.RawWords{Pressure: 0, Temperature: 700}, map[sensors.Quantity]sensors.Reason{p: sensors.Saturated}},
		"pressure highest":    {sim.RawWords{Pressure: 1<<14 - 1, Temperature: 700}, map[sensors.Quantity]sensors.Reason{p: sensors.Saturated}},
		"pressure beyond":     {sim.RawWords{Pressure: 15800, Temperature: 700}, map[sensors.Quantity]sensors.Reason{p: sensors.OutsideChip}},
		"temperature highest": {sim.RawWords{Pressure: 8192, Temperature: 2047}, map[sensors.Quantity]sensors.Reason{t: sensors.Saturated, p: sensors.NoTemperature}},
		"temperature beyond":  {sim.RawWords{Pressure: 8192, Temperature: 2000}, map[sensors.Quantity]sensors.Reason{t: sensors.OutsideChip, p: sensors.NoTemperature}},
	} {
		tt.Run(name, func(tt *testing.T) {
			onBench(tt, func(b *bench) {
				chip := sim.NewHSC(sim.Steady(indoors), sim.TransferA, 0, 30*psi)
				b.wire.Add(0x28, chip)
				d := b.open("hsc", map[string]any{"range": "030PA"})
				chip.Hold(&c.raw)
				b.wantBad(d, c.why)
			})
		})
	}
}

// What is missing or contradicts itself is an error at load, under the key it is
// about.
func TestHoneywellSettings(tt *testing.T) {
	for text, given := range map[string]map[string]any{
		`range: missing, want the range of the order code, such as "015PA"`: nil,
		`range: got "15", want the range of the order code`:                 {"range": "15"},
		`range: given beside range_min`:                                     {"range": "015PA", "range_unit": "bar"},
		`range_unit: want the unit of range_min and range_max`:              {"range_min": 0, "range_max": 5},
		`range: given beside range_min,`:                                    {"range": "015PG", "reference": "gauge"},
		`reference: missing, want "absolute", "gauge" or "differential"`:    {"range_min": 0, "range_max": 5, "range_unit": "bar"},
		`range_min: want at least 0: no absolute pressure is below`:         {"range_min": -1, "range_max": 5, "range_unit": "bar", "reference": "absolute"},
		`reference: got "vacuum", want "absolute", "gauge" or`:              {"range_min": 0, "range_max": 5, "range_unit": "bar", "reference": "vacuum"},
		`range_max: want more than range_min`:                               {"range_min": 5, "range_max": 5, "range_unit": "bar"},
		`function: got "D", want "A", "B", "C" or "F"`:                      {"range": "015PA", "function": "D"},
	} {
		_, wrong := sensors.Find(chip.Drivers, "hsc").Settings("x", given, nil)
		if len(wrong) != 1 || !strings.HasPrefix(wrong[0].Error(), text) {
			tt.Errorf("%v: got %v, want %s", given, wrong, text)
		}
	}
}

// Only of an absolute sensor is the pressure that of the air, whatever it is called;
// that is said by what the driver says it measures and by each reading.
func TestHoneywellReference(tt *testing.T) {
	own := func(reference string) map[string]any {
		return map[string]any{"range_min": 0, "range_max": 2, "range_unit": "bar", "reference": reference, "quantity": "pressure"}
	}
	for name, v := range map[string]struct {
		given map[string]any
		gauge bool
	}{
		"015PA": {map[string]any{"range": "015PA"}, false}, "015PG": {map[string]any{"range": "015PG"}, true},
		"015PD": {map[string]any{"range": "015PD", "quantity": "pressure"}, true},
		"own A": {own("absolute"), false}, "own G": {own("gauge"), true}, "own D": {own("differential"), true},
	} {
		for _, driver := range []string{"hsc", "ssc", "abp", "abp2", "mpr"} {
			tt.Run(driver+" "+name, func(tt *testing.T) {
				onBench(tt, func(b *bench) {
					found := sensors.Find(chip.Drivers, driver)
					settings, wrong := found.Settings("x", v.given, nil)
					if len(wrong) > 0 {
						b.Fatal(wrong)
					}
					for _, m := range found.Named(settings) {
						if m.Gauge != (v.gauge && m.Quantity == p) {
							b.Errorf("%s: gauge is %v", m.Quantity, m.Gauge)
						}
					}
					addr := found.Addresses[0]
					if driver == "abp2" || driver == "mpr" {
						b.wire.Add(addr, sim.NewABP2(sim.Steady(indoors), sim.TransferA, 0, 15*psi))
					} else {
						b.wire.Add(addr, sim.NewHSC(sim.Steady(indoors), sim.TransferA, 0, 15*psi))
					}
					s, err := b.read(b.open(driver, v.given))
					if r, has := s.Get(p); err != nil || !has || r.Gauge != v.gauge {
						b.Errorf("reading %+v, %v: gauge is %v, want %v", r, err, r.Gauge, v.gauge)
					}
				})
			})
		}
	}
}
