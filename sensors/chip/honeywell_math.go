package chip

import (
	"fmt"
	"strconv"
	"strings"

	"weir/sensors"
)

// What the words of Honeywell's pressure sensors mean: data sheets of TruStability HSC
// and SSC and Basic ABP (section "Digital output", "Transfer function"), technical
// note "I2C communications with digital output pressure sensors", data sheets of ABP2
// and MPR (output formula, status byte). The order code names range and transfer
// function; a chip cannot be asked for either.

// honeywellTransfer says which share of all counts the pressure range takes. The sheets
// also print rounded counts, 14745 or 14746 for 90 % of 2^14: 4 Pa apart in 1 bar.
type honeywellTransfer struct{ low, high float64 }

var (
	honeywellTransfers = map[string]honeywellTransfer{ // HSC, SSC, ABP
		"A": {0.10, 0.90}, "B": {0.05, 0.95}, "C": {0.05, 0.85}, "F": {0.04, 0.94},
	}
	honeywellTransfers24 = map[string]honeywellTransfer{ // ABP2, MPR
		"A": {0.10, 0.90}, "B": {0.025, 0.225}, "C": {0.20, 0.80},
	}
)

// honeywellRange is what a sensor is made for, in Pa.
type honeywellRange struct {
	low, high float64
	reference byte // 'A' absolute, 'G' gauge, 'D' differential
}

// honeywellUnits are the units of order codes.
var honeywellUnits = map[byte]float64{
	'P': 6894.757293, // psi
	'B': 1e5,         // bar
	'M': 100,         // mbar
	'G': 1e6,         // MPa
	'K': 1e3,         // kPa
	'L': 1,           // Pa
	'N': 249.08891,   // inches of water at 4 °C
}

// parseHoneywellRange reads the part of an order code that names the range: "015PA",
// "001PD", "1.6BA", "0025PA". A differential sensor measures as far in both
// directions.
func parseHoneywellRange(code string) (r honeywellRange, err error) {
	code = strings.ToUpper(strings.TrimSpace(code))
	wrong := fmt.Errorf(`got %q, want the range of the order code: a number, the unit (P psi, B bar, M mbar, K kPa, L Pa, G MPa, N inH2O) and A, G or D, such as "015PA"`, code)
	if len(code) < 3 || strings.Trim(code[:len(code)-2], "0123456789.") != "" {
		return r, wrong
	}
	n, err := strconv.ParseFloat(code[:len(code)-2], 64)
	unit := honeywellUnits[code[len(code)-2]]
	r.reference = code[len(code)-1]
	if err != nil || !(n > 0 && n < 1e4) || unit == 0 || !strings.Contains("AGD", string(r.reference)) {
		return r, wrong
	}
	r.high = n * unit
	if r.reference == 'D' {
		r.low = -r.high
	}
	return r, nil
}

// quantity is what the pressure is called. Against the pressure of the air around is
// what most people call the pressure in a pipe or vessel.
func (r honeywellRange) quantity() sensors.Quantity {
	if r.reference == 'D' {
		return "differential_pressure"
	}
	return sensors.Pressure
}

// measure is the range with what a sensor measures beyond it: around 0 Pa a gauge
// sensor sees both signs.
func (r honeywellRange) measure() sensors.Measure {
	beyond := (r.high - r.low) / 40
	return sensors.Measure{Quantity: r.quantity(), Unit: sensors.Pascal, Min: r.low - beyond, Max: r.high + beyond, Gauge: r.reference != 'A'}
}

// pascal returns the pressure of a share of all counts.
func (r honeywellRange) pascal(share float64, t honeywellTransfer) float64 {
	return r.low + (share-t.low)/(t.high-t.low)*(r.high-r.low)
}

// honeywellCelsius is the temperature of a count out of the highest one.
func honeywellCelsius(count, highest float64) float64 { return count*200/highest - 50 }
