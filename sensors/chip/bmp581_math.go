package chip

import "weir/sensors"

// parseBMP5 takes the words out of the six data bytes: BMP581 data sheet 7.11 to
// 7.16. The error is a *sensors.Error without its place.
func parseBMP5(b []byte) (t, p uint32, err error) {
	if busFault(b) {
		return 0, 0, sensors.Errorf(sensors.Garbage, "", "all data bytes are 0x%02x", b[0])
	}
	t, p = little24(b[0:3]), little24(b[3:6])
	if t == bmp5Never || p == bmp5Never {
		return 0, 0, sensors.Errorf(sensors.Garbage, "", "it sent the content of its registers before a measurement (0x7f7f7f)")
	}
	return t, p, nil
}

// bmp5Celsius returns °C: the word is signed, in steps of 1/65536 (4.6).
func bmp5Celsius(raw uint32) float64 { return float64(signed(raw, 24)) / 65536 }

// bmp5Pascal returns Pa: the word is unsigned, in steps of 1/64.
func bmp5Pascal(raw uint32) float64 { return float64(raw) / 64 }

// fillBMP5 puts the values into s. The chip computes the pressure with the
// temperature: with one that cannot be it is wrong and looks right.
func fillBMP5(s *sensors.Sample, rawT, rawP uint32) {
	celsius := bmp5Celsius(rawT)
	if rawT == 0x7fffff || rawT == 0x800000 {
		s.AddBad(bmp5TemperatureRange, sensors.Saturated, int64(signed(rawT, 24)))
		s.AddBad(bmp5PressureRange, sensors.NoTemperature, int64(rawP))
		return
	}
	s.Add(bmp5TemperatureRange, celsius, bmp5StepT, int64(signed(rawT, 24)))
	switch {
	case !within(bmp5TemperatureRange, celsius):
		s.AddBad(bmp5PressureRange, sensors.NoTemperature, int64(rawP))
	case rawP == 0 || rawP == 0xffffff:
		s.AddBad(bmp5PressureRange, sensors.Saturated, int64(rawP))
	default:
		s.Add(bmp5PressureRange, bmp5Pascal(rawP), bmp5StepP, int64(rawP))
	}
}
