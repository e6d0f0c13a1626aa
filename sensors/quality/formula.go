package quality

import "math"

// Formulas of moist air. Pressures are Pa, temperatures °C, humidities %RH,
// elevations metres above the sea. Outside of what they hold for they may return
// what is not finite; Deriver makes that a bad reading.

const (
	kelvin      = 273.15
	gasDryAir   = 287.05   // J/(kg·K)
	gravity     = 9.80665  // m/s²
	lapse       = 0.0065   // K/m, of the standard atmosphere (ISO 2533)
	seaLevel    = 101325   // Pa, of the standard atmosphere
	isaScale    = 44330.77 // m: 288.15 K divided by the lapse
	isaExponent = 0.190263 // gas constant times lapse by gravity
)

// SaturationPressure is the vapour pressure over water (Magnus, with the numbers
// of the WMO guide to instruments, good to 0.3 % from -45 to 60 °C).
func SaturationPressure(temperature float64) float64 {
	return 611.2 * math.Exp(17.62*temperature/(243.12+temperature))
}

// DewPoint is the temperature at which the vapour would be saturated. Air
// without vapour has none.
func DewPoint(temperature, humidity float64) (t float64, ok bool) {
	if !(humidity > 0) {
		return 0, false
	}
	g := math.Log(humidity/100) + 17.62*temperature/(243.12+temperature)
	return 243.12 * g / (17.62 - g), true
}

// AbsoluteHumidity is the mass of the vapour in g/m³.
func AbsoluteHumidity(temperature, humidity float64) float64 {
	return 2.167 * humidity / 100 * SaturationPressure(temperature) / (temperature + kelvin)
}

// AirDensity is in kg/m³; a humidity of 0 is that of dry air.
func AirDensity(pressure, temperature, humidity float64) float64 {
	vapour := humidity / 100 * SaturationPressure(temperature)
	return (pressure - 0.378*vapour) / (gasDryAir * (temperature + kelvin))
}

// Altitude is the height at which the standard atmosphere has this pressure.
func Altitude(pressure float64) float64 {
	return isaScale * (1 - math.Pow(pressure/seaLevel, isaExponent))
}

// StandardSeaLevel reduces a pressure to sea level with the temperatures of the
// standard atmosphere, for a sensor in a heated room.
func StandardSeaLevel(pressure, elevation float64) float64 {
	return pressure / math.Pow(1-elevation/isaScale, 1/isaExponent)
}

// SeaLevel reduces a pressure to sea level with the temperature of the air
// outside.
func SeaLevel(pressure, elevation, temperature float64) float64 {
	drop := lapse * elevation
	return pressure * math.Pow(1-drop/(temperature+kelvin+drop), -5.257)
}

// MoistSeaLevel also takes the humidity of the air outside into account, as the
// German weather service does: vapour makes a column of air lighter.
func MoistSeaLevel(pressure, elevation, temperature, humidity float64) float64 {
	vapour := humidity / 100 * SaturationPressure(temperature)
	column := temperature + kelvin + 0.0012*vapour + lapse*elevation/2
	return pressure * math.Exp(gravity*elevation/(gasDryAir*column))
}
