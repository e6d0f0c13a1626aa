package chip_test

import (
	"testing"

	"weir/sensors"
	"weir/sensors/sim"
)

// wantBad reads: what is named is bad for its reason, all else good.
func (b *bench) wantBad(d sensors.Device, why map[sensors.Quantity]sensors.Reason) {
	b.Helper()
	s, err := b.read(d)
	if err != nil {
		b.Fatalf("read: %v", err)
	}
	for i := range s.Readings {
		r := &s.Readings[i]
		measured := r.Value
		if r.Quality.Level == sensors.Good && (measured < r.Min || measured > r.Max) { // as the pipeline will
			r.Quality = sensors.Quality{Level: sensors.Bad, Reason: sensors.OutsideChip}
		}
		want := sensors.Quality{Level: sensors.Good}
		if reason, bad := why[r.Quantity]; bad {
			want = sensors.Quality{Level: sensors.Bad, Reason: reason}
		}
		if r.Quality != want {
			b.Errorf("%s: %v %v, want %v", r.Quantity, measured, r.Quality, want)
		}
	}
}

// wantBadHeld reads the first quantities of a chip, and then what is bad of these words.
func wantBadHeld[Raw any](tt *testing.T, name, driver string, settings map[string]any, address uint16, chip interface {
	sim.Device
	Hold(*Raw)
}, raw *Raw, why map[sensors.Quantity]sensors.Reason, quantities ...sensors.Quantity) {
	tt.Run(name, func(tt *testing.T) {
		onBench(tt, func(b *bench) {
			b.wire.Add(address, chip)
			d := b.open(driver, settings)
			s, err := b.read(d)
			if err != nil {
				b.Fatal(err)
			}
			s.Readings = s.Readings[:len(quantities)]
			b.check(s, indoors, quantities...)
			chip.Hold(raw)
			b.wantBad(d, why)
		})
	})
}

// Pressure and humidity are compensated with the temperature. One that cannot be
// gives plausible numbers for both.
func TestWithoutTemperatureNothingIsGood(tt *testing.T) {
	type reasons = map[sensors.Quantity]sensors.Reason
	normal := sim.RawBMx280{Temperature: 519888, Pressure: 415148, Humidity: 30987}
	with := func(change func(*sim.RawBMx280)) *sim.RawBMx280 {
		raw := normal
		change(&raw)
		return &raw
	}
	for name, c := range map[string]struct {
		raw *sim.RawBMx280
		why reasons
	}{
		"sound":                   {&normal, nil},
		"temperature word 0":      {with(func(r *sim.RawBMx280) { r.Temperature = 0 }), reasons{t: sensors.Saturated, p: sensors.NoTemperature, h: sensors.NoTemperature}},
		"temperature word full":   {with(func(r *sim.RawBMx280) { r.Temperature = 0xfffff }), reasons{t: sensors.Saturated, p: sensors.NoTemperature, h: sensors.NoTemperature}},
		"too cold":                {with(func(r *sim.RawBMx280) { r.Temperature = 300000 }), reasons{t: sensors.OutsideChip, p: sensors.NoTemperature, h: sensors.NoTemperature}},
		"too hot":                 {with(func(r *sim.RawBMx280) { r.Temperature = 800000 }), reasons{t: sensors.OutsideChip, p: sensors.NoTemperature, h: sensors.NoTemperature}},
		"pressure word 0":         {with(func(r *sim.RawBMx280) { r.Pressure = 0 }), reasons{p: sensors.Saturated}},
		"humidity word 0":         {with(func(r *sim.RawBMx280) { r.Humidity = 0 }), reasons{h: sensors.Saturated}},
		"humidity word full":      {with(func(r *sim.RawBMx280) { r.Humidity = 0xffff }), reasons{h: sensors.Saturated}},
		"humidity never measured": {with(func(r *sim.RawBMx280) { r.Humidity = 0x8000 }), reasons{h: sensors.NotMeasured}},
	} {
		wantBadHeld(tt, name, "bme280", nil, 0x76, sim.NewBME280(sim.Steady(indoors)), c.raw, c.why, t, p, h)
	}
}

func TestBMP180WithoutTemperatureHasNoPressure(tt *testing.T) {
	for _, word := range []uint32{12000, 50000} { // with the sheet's calibration -102 and 156 °C
		onBench(tt, func(b *bench) {
			chip := sim.NewBMP180(sim.Steady(indoors))
			b.wire.Add(0x77, chip)
			d := b.open("bmp180", nil)
			b.want(d, indoors, t, p)
			chip.Hold(&sim.RawBMP180{Temperature: word, Pressure: 23843 << 2})
			b.wantBad(d, map[sensors.Quantity]sensors.Reason{t: sensors.OutsideChip, p: sensors.NoTemperature})
		})
	}
}

// Empty humidity words give 0 or 100 %, whatever the air is like.
func TestEmptyHumidityCalibration(tt *testing.T) {
	full := sim.SheetTrimBMP280()
	full.H1, full.H2, full.H3, full.H4, full.H5, full.H6 = 0xff, -1, 0xff, -1, -1, -1
	for name, trim := range map[string]sim.TrimBMx280{"all 00": sim.SheetTrimBMP280(), "all FF": full} {
		tt.Run(name, func(tt *testing.T) {
			onBench(tt, func(b *bench) {
				chip := sim.NewBME280(sim.Steady(indoors))
				chip.SetTrim(trim)
				chip.Hold(&sim.RawBMx280{Temperature: 519888, Pressure: 415148, Humidity: 30987})
				b.wire.Add(0x76, chip)
				b.wantBad(b.open("bme280", nil), map[sensors.Quantity]sensors.Reason{h: sensors.BadCalibration})
			})
		})
	}
}

func TestBMP388WithoutTemperatureHasNoPressure(tt *testing.T) {
	type reasons = map[sensors.Quantity]sensors.Reason
	for name, c := range map[string]struct {
		raw sim.RawBMP3
		why reasons
	}{
		"sound":                 {sim.RawBMP3{Pressure: 0x6d9f97, Temperature: 0x85d873}, nil},
		"temperature word 0":    {sim.RawBMP3{Pressure: 0x6d9f97}, reasons{t: sensors.Saturated, p: sensors.NoTemperature}},
		"temperature word full": {sim.RawBMP3{Pressure: 0x6d9f97, Temperature: 0xffffff}, reasons{t: sensors.Saturated, p: sensors.NoTemperature}},
		"too cold":              {sim.RawBMP3{Pressure: 0x6d9f97, Temperature: 0x200000}, reasons{t: sensors.OutsideChip, p: sensors.NoTemperature}},
		"too hot":               {sim.RawBMP3{Pressure: 0x6d9f97, Temperature: 0xf00000}, reasons{t: sensors.OutsideChip, p: sensors.NoTemperature}},
		"pressure word 0":       {sim.RawBMP3{Temperature: 0x85d873}, reasons{p: sensors.Saturated}},
		"pressure word full":    {sim.RawBMP3{Pressure: 0xffffff, Temperature: 0x85d873}, reasons{p: sensors.Saturated}},
	} {
		wantBadHeld(tt, name, "bmp388", nil, 0x76, sim.NewBMP388(sim.Steady(indoors)), &c.raw, c.why, t, p)
	}
}

func TestBMP581WithoutTemperatureHasNoPressure(tt *testing.T) {
	type reasons = map[sensors.Quantity]sensors.Reason
	for name, c := range map[string]struct {
		raw sim.RawBMP58x
		why reasons
	}{
		"sound":              {sim.RawBMP58x{Pressure: 0x62f340, Temperature: 0x190000}, nil},
		"too cold":           {sim.RawBMP58x{Pressure: 0x62f340, Temperature: 0xd70000}, reasons{t: sensors.OutsideChip, p: sensors.NoTemperature}},
		"too hot":            {sim.RawBMP58x{Pressure: 0x62f340, Temperature: 0x560000}, reasons{t: sensors.OutsideChip, p: sensors.NoTemperature}},
		"at its end":         {sim.RawBMP58x{Pressure: 0x62f340, Temperature: 0x800000}, reasons{t: sensors.Saturated, p: sensors.NoTemperature}},
		"pressure word 0":    {sim.RawBMP58x{Temperature: 0x190000}, reasons{p: sensors.Saturated}},
		"pressure too high":  {sim.RawBMP58x{Pressure: 0x900000, Temperature: 0x190000}, reasons{p: sensors.OutsideChip}},
		"pressure word full": {sim.RawBMP58x{Pressure: 0xffffff, Temperature: 0x190000}, reasons{p: sensors.Saturated}},
	} {
		wantBadHeld(tt, name, "bmp581", nil, 0x46, sim.NewBMP581(sim.Steady(indoors)), &c.raw, c.why, t, p)
	}
}

func TestBME680WithoutTemperatureNothingIsGood(tt *testing.T) {
	type reasons = map[sensors.Quantity]sensors.Reason
	normal := sim.RawBME68x{Temperature: 501240, Pressure: 353485, Humidity: 19019, Gas: 512, Range: 5}
	with := func(change func(*sim.RawBME68x)) sim.RawBME68x {
		raw := normal
		change(&raw)
		return raw
	}
	for name, c := range map[string]struct {
		raw sim.RawBME68x
		why reasons
	}{
		"sound":                   {normal, nil},
		"temperature word 0":      {with(func(r *sim.RawBME68x) { r.Temperature = 0 }), reasons{t: sensors.Saturated, p: sensors.NoTemperature, h: sensors.NoTemperature}},
		"temperature word full":   {with(func(r *sim.RawBME68x) { r.Temperature = 0xfffff }), reasons{t: sensors.Saturated, p: sensors.NoTemperature, h: sensors.NoTemperature}},
		"too cold":                {with(func(r *sim.RawBME68x) { r.Temperature = 200000 }), reasons{t: sensors.OutsideChip, p: sensors.NoTemperature, h: sensors.NoTemperature}},
		"pressure word 0":         {with(func(r *sim.RawBME68x) { r.Pressure = 0 }), reasons{p: sensors.Saturated}},
		"humidity word 0":         {with(func(r *sim.RawBME68x) { r.Humidity = 0 }), reasons{h: sensors.Saturated}},
		"humidity word full":      {with(func(r *sim.RawBME68x) { r.Humidity = 0xffff }), reasons{h: sensors.Saturated}},
		"humidity never measured": {with(func(r *sim.RawBME68x) { r.Humidity = 0x8000 }), reasons{h: sensors.NotMeasured}},
	} {
		wantBadHeld(tt, name, "bme680", map[string]any{"gas": true}, 0x76, sim.NewBME680(sim.Steady(indoors)), &c.raw, c.why, t, p, h)
	}
}
