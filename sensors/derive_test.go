package sensors

import (
	"errors"
	"slices"
	"testing"
)

// TestDerivations: each has a unit that can be converted, and is computed from quantities that are measured.
func TestDerivations(t *testing.T) {
	for _, d := range Derivations {
		if _, ok := Convert(1, d.Unit, d.Unit.Shown()); !ok || d.Doc == "" || len(d.From) == 0 {
			t.Errorf("%+v", d)
		}
		for _, q := range slices.Concat(d.From, d.Better) {
			if _, known := q.Base(); !known || Derive(q) != nil {
				t.Errorf("%s is computed from %s", d.Quantity, q)
			}
		}
		if base, known := d.Quantity.Base(); !known || base != d.Unit || Derive(d.Quantity).Quantity != d.Quantity {
			t.Errorf("%s: base %q, %v", d.Quantity, base, known)
		}
	}
	for from, want := range map[Unit]float64{Foot: 0.3048, GramPerCubicMetre: 0.001} {
		if got, ok := Convert(1, from, from.Base()); !ok || got != want {
			t.Errorf("1 %s is %v %s, want %v", from, got, from.Base(), want)
		}
	}
	if got := GramPerCubicMetre.Shown(); got != GramPerCubicMetre {
		t.Errorf("g/m³ is shown in %s", got)
	}
}

func TestTally(t *testing.T) {
	var a, b Tally
	for _, err := range []error{nil, Errorf(Timeout, "", ""), Errorf(Timeout, "", ""), Errorf(Stuck, "", ""), errors.New("of no class")} {
		a.Count(err)
	}
	b.Count(Errorf(Timeout, "", ""))
	if b.Add(&a); b[Timeout] != 3 || b[Stuck] != 1 || b[0] != 1 || b.Sum() != 5 {
		t.Errorf("counted %v", b)
	}
}
