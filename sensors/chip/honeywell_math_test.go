package chip

import (
	"strings"
	"testing"

	"weir/sensors"
)

func TestHoneywellVectors(t *testing.T) {
	a, a24 := honeywellTransfers["A"], honeywellTransfers24["A"]
	absolute, _ := parseHoneywellRange("015PA")
	// With 14746 for 90 %, as Linux has it, 51710.5; with 14745, as the sheet prints
	// it, 51714.4.
	near(t, "half of 15 psi", absolute.pascal(8192.0/(1<<14), a), 51710.68, 0.2)
	psi, _ := parseHoneywellRange("001PD")
	near(t, "ABP2 example", psi.pascal(14260634.0/(1<<24), a24)/6894.757293, 0.875, 1e-6)
	near(t, "ABP2 example", honeywellCelsius(6291456, 1<<24-1), 25, 1e-5)
	near(t, "coldest", honeywellCelsius(0, 2047), -50, 0)
	near(t, "hottest", honeywellCelsius(2047, 2047), 150, 0)
	for name, f := range honeywellTransfers {
		near(t, name+" at its low end", psi.pascal(f.low, f), -6894.757293, 1e-9)
		near(t, name+" at its high end", psi.pascal(f.high, f), 6894.757293, 1e-9)
		near(t, name+" in the middle", psi.pascal((f.low+f.high)/2, f), 0, 1e-9)
	}
	for name, v := range map[string][2]float64{"A": {1638, 14746}, "B": {819, 15565}, "C": {819, 13926}, "F": {655, 15401}} { // Linux
		near(t, name, honeywellTransfers[name].low*(1<<14), v[0], 0.5)
		near(t, name, honeywellTransfers[name].high*(1<<14), v[1], 0.5)
	}
}

// The ranges as Linux lists them, in Pa.
func TestHoneywellRanges(t *testing.T) {
	for code, want := range map[string]honeywellRange{
		"015PA": {0, 103421, 'A'}, "030PA": {0, 206843, 'A'}, "150PA": {0, 1034214, 'A'}, "001PD": {-6895, 6895, 'D'},
		"060PD": {-413685, 413685, 'D'}, "005PG": {0, 34474, 'G'}, "1.6BA": {0, 160000, 'A'}, "010BG": {0, 1000000, 'G'},
		"2.5MD": {-250, 250, 'D'}, "600MG": {0, 60000, 'G'}, "160KA": {0, 160000, 'A'}, "001GG": {0, 1000000, 'G'},
		"250LD": {-250, 250, 'D'}, "001ND": {-249, 249, 'D'}, "030NG": {0, 7473, 'G'}, "0.5ND": {-125, 125, 'D'},
		"0025PA": {0, 172369, 'A'}, " 015pa ": {0, 103421, 'A'},
	} {
		got, err := parseHoneywellRange(code)
		if err != nil || got.reference != want.reference {
			t.Errorf("%q: %+v, %v", code, got, err)
		}
		near(t, code, got.low, want.low, 1)
		near(t, code, got.high, want.high, 1)
	}
	for _, code := range []string{"", "A", "PA", "015P", "015XA", "015PX", "-15PA", "1e3PA", "..PA", "000PA", "99999PA", "0x5PA", "NaNPA"} {
		if r, err := parseHoneywellRange(code); err == nil {
			t.Errorf("%q is taken for %+v", code, r)
		}
	}
	gauge, _ := parseHoneywellRange("001BG")
	if m := gauge.measure(); m.Quantity != sensors.Pressure || m.Min != -2500 || m.Max != 102500 {
		t.Errorf("a gauge sensor measures %+v", m)
	}
	difference, _ := parseHoneywellRange("010MD")
	if m := difference.measure(); m.Quantity != "differential_pressure" || m.Min != -1050 {
		t.Errorf("a differential sensor measures %+v", m)
	}
}

func FuzzHoneywellRange(f *testing.F) {
	for _, code := range []string{"015PA", "1.6BG", "001ND", "0025PA", ""} {
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code string) {
		r, err := parseHoneywellRange(code)
		if err == nil && (!(r.high > r.low) || r.high > 1e11 || !strings.Contains("AGD", string(r.reference))) {
			t.Errorf("%q is taken for %+v", code, r)
		}
	})
}
