package main

// bar is what weir is held to for one figure of one scenario. A number of 0 is no bar.
type bar struct {
	scenario, figure string
	least            bool    // weir is to have at least that much; otherwise at most
	mosquitto        float64 // times what mosquitto has in the same run
	rivals           float64 // times what the best of mochi and NATS has
	fixed            float64 // in the unit of the figure
	none             bool    // it is to be 0
}

var bars = []bar{
	{scenario: "fan-in-0", figure: "rate", least: true, mosquitto: 8, rivals: 2.5},
	{scenario: "fan-in-0", figure: "cpu", mosquitto: 0.10, rivals: 0.35},
	{scenario: "fan-in-1", figure: "rate", least: true, mosquitto: 5, rivals: 5},
	{scenario: "fan-in-1", figure: "cpu", mosquitto: 0.15, rivals: 0.15},
	{scenario: "fan-in-1", figure: "lost", none: true},
	{scenario: "fan-in-2", figure: "rate", least: true, mosquitto: 5, rivals: 3},
	{scenario: "fan-in-2", figure: "cpu", mosquitto: 0.20, rivals: 0.20},
	{scenario: "fan-in-2", figure: "lost", none: true},
	{scenario: "fan-out", figure: "rate", least: true, mosquitto: 10, rivals: 2.5},
	{scenario: "fan-out", figure: "cpu", mosquitto: 0.08, rivals: 0.4},
	{scenario: "paced-0", figure: "p99", mosquitto: 1.0, rivals: 0.8},
	{scenario: "paced-0", figure: "cpu", mosquitto: 2.0, rivals: 0.8},
	{scenario: "paced-1", figure: "p99", mosquitto: 1.0, rivals: 0.8},
	{scenario: "paced-1", figure: "cpu", mosquitto: 2.0, rivals: 0.8},
	{scenario: "idle", figure: "resident", mosquitto: 1.0},
	{scenario: "filters", figure: "resident", fixed: 600},
	{scenario: "filters", figure: "rate", least: true, mosquitto: 1.0},
	{scenario: "filters", figure: "growth", fixed: 10},
	{scenario: "retained", figure: "resident", fixed: 600},
	{scenario: "retained", figure: "lost", none: true},
	{scenario: "retained", figure: "rate", least: true, mosquitto: 1.5},
	{scenario: "empty", figure: "resident", fixed: 10 << 20},
	{scenario: "empty", figure: "cpu", fixed: 0.06},
	{scenario: "empty", figure: "ready", fixed: 15},
}

// kept tells whether got is within want.
func (b *bar) kept(got, want float64) bool {
	if b.least {
		return got >= want
	}
	return got <= want
}

// better tells whether x is the better of two figures.
func (b *bar) better(x, y float64) bool {
	if b.least {
		return x > y
	}
	return x < y
}
