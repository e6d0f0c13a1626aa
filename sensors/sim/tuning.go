package sim

import (
	"math/rand/v2"
	"time"
)

// ChipOption changes how a chip is made.
type ChipOption func(*tuning)

// tuning is what options set, for all chips alike.
type tuning struct {
	world   World
	id      byte
	typical bool
	slow    float64
	noise   *rand.Rand // nil: none
	offset  Climate
	ohms    float64 // of a gas sensor's layer
}

func tune(w World, id byte, options []ChipOption) tuning {
	t := tuning{world: w, id: id, slow: 1, ohms: 50e3}
	t.apply(options)
	return t
}

func (t *tuning) apply(options []ChipOption) {
	for _, o := range options {
		o(t)
	}
}

// ChipID makes the chip say that it is another one, as some clones do.
func ChipID(id byte) ChipOption { return func(t *tuning) { t.id = id } }

// Typical makes conversions take the typical time of the sheet instead of the
// longest.
func Typical() ChipOption { return func(t *tuning) { t.typical = true } }

// Slow makes conversions take so many times as long.
func Slow(factor float64) ChipOption { return func(t *tuning) { t.slow = factor } }

// Noise adds the noise that the sheet names. Equal seeds give equal noise.
func Noise(seed uint64) ChipOption {
	return func(t *tuning) { t.noise = rand.New(rand.NewPCG(seed, 1)) }
}

// Offset makes the chip measure beside the truth by these amounts.
func Offset(by Climate) ChipOption { return func(t *tuning) { t.offset = by } }

// Gas sets the resistance a hot gas sensor has in this air; 50 kΩ if it is not set.
func Gas(ohms float64) ChipOption { return func(t *tuning) { t.ohms = ohms } }

// In puts the chip into another world.
func In(w World) ChipOption { return func(t *tuning) { t.world = w } }

// feels is what the chip is exposed to, with the given root mean square noise if
// noise is on.
func (t *tuning) feels(at time.Time, noise Climate) Climate {
	c := t.world.At(at)
	c.Temperature += t.offset.Temperature
	c.Pressure += t.offset.Pressure
	c.Humidity += t.offset.Humidity
	if t.noise != nil {
		c.Temperature += t.noise.NormFloat64() * noise.Temperature
		c.Pressure += t.noise.NormFloat64() * noise.Pressure
		c.Humidity += t.noise.NormFloat64() * noise.Humidity
	}
	c.Humidity = min(max(c.Humidity, 0), 100)
	return c
}

func (t *tuning) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * t.slow)
}
