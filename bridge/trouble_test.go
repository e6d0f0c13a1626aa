package bridge

import "testing"

// Ten refusals in a row end the moving; one acceptance begins it anew.
func TestTroubleRefusals(t *testing.T) {
	var x trouble
	for round := range 2 {
		for i := range uint64(rowMax - 1) {
			if !x.refused(i) || x.refusing() {
				t.Fatalf("round %d: refusal %d is not moved", round, i+1)
			}
		}
		for range 3 {
			if x.refused(50) || !x.refusing() {
				t.Fatalf("round %d: the tenth refusal is moved", round)
			}
		}
		x.accepted(50)
	}
}

func TestTroublePoison(t *testing.T) {
	type loss struct {
		first, last uint64
		proven      bool
		poison      bool
	}
	for name, losses := range map[string][]loss{
		"alone and proven three times":   {{5, 9, true, false}, {5, 5, true, false}, {5, 5, true, false}, {5, 5, true, true}},
		"an upstream that takes nothing": {{5, 5, false, false}, {5, 5, false, false}, {5, 5, false, false}, {5, 5, false, false}, {5, 5, false, false}},
		"never alone":                    {{5, 9, true, false}, {5, 9, true, false}, {5, 9, true, false}, {5, 9, true, false}},
		"another one each time":          {{5, 5, true, false}, {6, 6, true, false}, {5, 5, true, false}, {6, 6, true, false}},
	} {
		var x trouble
		for i, l := range losses {
			if got := x.disconnected(l.first, l.last, l.proven); got != l.poison {
				t.Errorf("%s: loss %d: poison %t, want %t", name, i+1, got, l.poison)
			}
		}
	}
	var x trouble
	if x.disconnected(5, 9, true); x.narrow != 0 {
		t.Error("narrow after one disconnect: links break")
	}
	x.disconnected(5, 9, true)
	if x.accepted(8); x.narrow != 9 {
		t.Errorf("narrow up to %d before 9 is accepted", x.narrow)
	}
	if x.accepted(9); x.narrow != 0 {
		t.Error("still narrow after 9 was accepted")
	}
	for range rowMax {
		x.disconnected(5, 5, false)
	}
	if !x.refusing() || x.disconnected(5, 5, true) || x.disconnected(5, 5, true) || x.disconnected(5, 5, true) {
		t.Error("a refused lane moves a record")
	}
}
