package sensors

// Unit is the symbol of a unit as it is published.
type Unit string

// The units that can be converted into each other, by dimension; the first of
// each is the one values have inside.
const (
	Celsius    Unit = "°C"
	Kelvin     Unit = "K"
	Fahrenheit Unit = "°F"

	Pascal       Unit = "Pa"
	Hectopascal  Unit = "hPa"
	Millibar     Unit = "mbar"
	Kilopascal   Unit = "kPa"
	Megapascal   Unit = "MPa"
	Bar          Unit = "bar"
	PSI          Unit = "psi"
	InchHg       Unit = "inHg" // at 0 °C
	MillimetreHg Unit = "mmHg"

	Torr                             Unit = "Torr"
	MetreHg                          Unit = "mHg"
	Atmosphere                       Unit = "atm"
	KilogramForcePerSquareCentimetre Unit = "kg/cm²" // kilogram-force
	GramForcePerSquareCentimetre     Unit = "g/cm²"
	MetreWater                       Unit = "mH2O" // conventional, as kg/cm²
	MillimetreWater                  Unit = "mmH2O"
	InchWater                        Unit = "inH2O"
	FootWater                        Unit = "ftH2O"

	RelativeHumidity Unit = "%RH"

	Metre Unit = "m"
	Foot  Unit = "ft"

	KilogramPerCubicMetre Unit = "kg/m³"
	GramPerCubicMetre     Unit = "g/m³"

	Ohm Unit = "Ω"
)

// conversion says how a value becomes one in the base unit: value*scale + shift.
type conversion struct {
	unit, base   Unit
	scale, shift float64
}

var conversions = []conversion{
	{Celsius, Celsius, 1, 0},
	{Kelvin, Celsius, 1, -273.15},
	{Fahrenheit, Celsius, 5.0 / 9, -160.0 / 9},
	{Pascal, Pascal, 1, 0},
	{Hectopascal, Pascal, 100, 0},
	{Millibar, Pascal, 100, 0},
	{Kilopascal, Pascal, 1e3, 0},
	{Megapascal, Pascal, 1e6, 0},
	{Bar, Pascal, 1e5, 0},
	{PSI, Pascal, 6894.757293, 0},
	{InchHg, Pascal, 3386.389, 0},
	{MillimetreHg, Pascal, 133.322, 0},
	{Torr, Pascal, 101325.0 / 760, 0},
	{MetreHg, Pascal, 133322, 0},
	{Atmosphere, Pascal, 101325, 0},
	{KilogramForcePerSquareCentimetre, Pascal, 98066.5, 0},
	{GramForcePerSquareCentimetre, Pascal, 98.0665, 0},
	{MetreWater, Pascal, 9806.65, 0},
	{MillimetreWater, Pascal, 9.80665, 0},
	{InchWater, Pascal, 249.08891, 0},
	{FootWater, Pascal, 2989.06692, 0},
	{RelativeHumidity, RelativeHumidity, 1, 0},
	{Metre, Metre, 1, 0},
	{Foot, Metre, 0.3048, 0},
	{KilogramPerCubicMetre, KilogramPerCubicMetre, 1, 0},
	{GramPerCubicMetre, KilogramPerCubicMetre, 1e-3, 0},
	{Ohm, Ohm, 1, 0},
}

// other ways people write a unit.
var spellings = map[string]Unit{
	"C": Celsius, "degC": Celsius, "Cel": Celsius, "F": Fahrenheit, "degF": Fahrenheit,
	"%": RelativeHumidity, "%rh": RelativeHumidity, "mb": Millibar, "PSI": PSI, "torr": Torr, "Ohm": Ohm, "ohm": Ohm,
	"kg/cm2": KilogramForcePerSquareCentimetre, "kgf/cm²": KilogramForcePerSquareCentimetre, "kgf/cm2": KilogramForcePerSquareCentimetre,
	"g/m3": GramPerCubicMetre, "kg/m3": KilogramPerCubicMetre,
}

// ParseUnit returns the unit a text means. Every text of 1 to 16 bytes is a
// unit, though only the listed ones can be converted.
func ParseUnit(s string) (Unit, bool) {
	if u, ok := spellings[s]; ok {
		return u, true
	}
	return Unit(s), len(s) > 0 && len(s) <= 16
}

func (u Unit) conversion() (conversion, bool) {
	for _, c := range conversions {
		if c.unit == u {
			return c, true
		}
	}
	return conversion{}, false
}

// Base returns the first unit of this dimension, such as °C, Pa or %RH; u itself
// if it is of no known dimension.
func (u Unit) Base() Unit {
	if c, ok := u.conversion(); ok {
		return c.base
	}
	return u
}

// Alike returns all units that u can be shown in, in the order of a list for people; u alone if it is of no known dimension.
func (u Unit) Alike() (units []Unit) {
	for _, c := range conversions {
		if c.base == u.Base() {
			units = append(units, c.unit)
		}
	}
	if units == nil {
		units = []Unit{u}
	}
	return units
}

// Shown returns the unit a value in u is published in when nothing else is set:
// hPa for pressures, g/m³ for what is in it, the base unit otherwise.
func (u Unit) Shown() Unit {
	switch {
	case u.Base() == Pascal:
		return Hectopascal
	case u == GramPerCubicMetre:
		return u
	}
	return u.Base()
}

// Convert returns v, which is in from, in the unit to. It is not ok if the two
// are not of the same dimension.
func Convert(v float64, from, to Unit) (out float64, ok bool) {
	if from == to {
		return v, true
	}
	f, ok1 := from.conversion()
	t, ok2 := to.conversion()
	if !ok1 || !ok2 || f.base != t.base {
		return 0, false
	}
	return (v*f.scale + f.shift - t.shift) / t.scale, true
}

// ConvertStep returns a difference, such as a resolution, in another unit.
func ConvertStep(v float64, from, to Unit) (out float64, ok bool) {
	if from == to {
		return v, true
	}
	f, ok1 := from.conversion()
	t, ok2 := to.conversion()
	if !ok1 || !ok2 || f.base != t.base {
		return 0, false
	}
	return v * f.scale / t.scale, true
}
