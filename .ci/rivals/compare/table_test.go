package main

import (
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	subjects := func(weir, mosquitto, mochi, nats []float64) (all []*subject) {
		for _, v := range [][]float64{weir, mosquitto, mochi, nats} {
			all = append(all, &subject{name: [...]string{"weir", "mosquitto", "mochi", "nats"}[len(all)], values: map[string][]float64{"s f": v}})
		}
		return all
	}
	is := func(v ...float64) []float64 { return v }
	for _, c := range []struct {
		name   string
		bar    bar
		all    []*subject
		want   string
		missed bool
	}{
		{"kept", bar{least: true, mosquitto: 8, rivals: 2}, subjects(is(1, 800, 9000), is(100), is(200), is(400)),
			"PASS   8 times mosquitto, want at least 8; PASS   2 times nats, want at least 2", false},
		{"missed against the best", bar{rivals: 0.5}, subjects(is(6), is(100), is(20), is(10)), "MISSED 0.6 times nats, want at most 0.5", true},
		{"even number of runs", bar{mosquitto: 1}, subjects(is(1, 3), is(2, 4), nil, nil), "PASS   0.667 times mosquitto, want at most 1", false},
		{"fixed", bar{fixed: 600}, subjects(is(601), nil, nil, nil), "MISSED want at most 600", true},
		{"none", bar{none: true}, subjects(is(0, 0, 0), nil, nil, nil), "PASS   want none", false},
		{"not there", bar{mosquitto: 8, rivals: 2}, subjects(is(1), nil, nil, nil), "NOT RUN against mosquitto; NOT RUN against mochi and NATS", false},
		{"weir not there", bar{mosquitto: 8}, subjects(nil, is(1), nil, nil), "NOT RUN", false},
	} {
		c.bar.scenario, c.bar.figure = "s", "f"
		if got, missed := c.bar.judge(c.all); got != c.want || missed != c.missed {
			t.Errorf("%s: got %q, %v; want %q, %v", c.name, got, missed, c.want, c.missed)
		}
	}
}

// TestTableIsFailedByWeirOnly: what goes wrong with the others is printed and is no miss.
func TestTableIsFailedByWeirOnly(t *testing.T) {
	for _, who := range []string{"weir", "mochi"} {
		var all []*subject
		for _, name := range []string{"weir", "mosquitto", "mochi", "nats", ownLimit} {
			s := &subject{name: name, values: map[string][]float64{}}
			if name == who {
				s.errors = []string{name + " was broken"}
			}
			all = append(all, s)
		}
		var out strings.Builder
		if missed := table(&out, all, nil); missed != (who == "weir") || !strings.Contains(out.String(), "FAILED: "+who+" was broken") {
			t.Errorf("%s: missed %v:\n%s", who, missed, out.String())
		}
	}
}
