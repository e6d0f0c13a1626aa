package sensors

// Derivation is a quantity that is computed from measured ones, as a
// configuration names it: derive = ["dew_point"].
type Derivation struct {
	Quantity   Quantity
	Unit       Unit       // of its readings
	From       []Quantity // must be measured
	Better     []Quantity // used where they are measured
	Doc        string     // one sentence
	Elevation  bool       // the height of the sensor above the sea must be known
	Resolution float64    // in Unit; 0: that of what it is computed from
}

// Derivations are all of them; the formulas are in sensors/quality.
var Derivations = []Derivation{
	{Quantity: SeaLevelPressure, Unit: Pascal, From: []Quantity{Pressure}, Better: []Quantity{Temperature, Humidity}, Elevation: true,
		Doc: "the pressure reduced to sea level, as weather maps show it"},
	{Quantity: Altitude, Unit: Metre, From: []Quantity{Pressure}, Resolution: 0.1,
		Doc: "the height at which the standard atmosphere has this pressure"},
	{Quantity: DewPoint, Unit: Celsius, From: []Quantity{Temperature, Humidity}, Resolution: 0.01,
		Doc: "the temperature at which the air begins to condense"},
	{Quantity: AbsoluteHumidity, Unit: GramPerCubicMetre, From: []Quantity{Temperature, Humidity}, Resolution: 0.01,
		Doc: "the mass of water in a volume of air"},
	{Quantity: AirDensity, Unit: KilogramPerCubicMetre, From: []Quantity{Temperature, Pressure}, Better: []Quantity{Humidity}, Resolution: 1e-4,
		Doc: "the mass of a volume of air"},
	{Quantity: PressureTendency, Unit: Pascal, From: []Quantity{Pressure},
		Doc: "the change of the pressure in three hours, rising is positive"},
}

// Derive returns the derivation of a quantity, or nil.
func Derive(q Quantity) *Derivation {
	for i := range Derivations {
		if Derivations[i].Quantity == q {
			return &Derivations[i]
		}
	}
	return nil
}
