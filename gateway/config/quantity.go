package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"weir/sensors"
)

// maxQuantities is the most quantities one setting names.
const maxQuantities = 64

// byQuantity is a value for each quantity: a table, or one value for a sensor
// that has only one quantity, kept under "".
func byQuantity[V any](name, want string, one func(v any) (V, error)) kind {
	return kind{name, want, func(_ *input, v any) (any, error) {
		values, ok := v.(map[string]any)
		if !ok {
			single, err := one(v)
			return result(map[sensors.Quantity]V{"": single}, err)
		}
		if len(values) == 0 || len(values) > maxQuantities {
			return nil, errWant
		}
		all := make(map[sensors.Quantity]V, len(values))
		var wrong parts
		for q, v := range values {
			parsed, err := one(v)
			if !isLevel(q) {
				err = fmt.Errorf("got the quantity %s, want a word such as temperature", quoteClip(q))
			}
			if err != nil {
				wrong = append(wrong, inside{key: q, err: err})
				continue
			}
			all[sensors.Quantity(q)] = parsed
		}
		return all, wrong.orNil()
	}}
}

// number is a finite number of a file, whole or not.
func number(v any) (float64, bool) {
	f, ok := v.(float64)
	if n, whole := v.(int64); whole {
		f, ok = float64(n), true
	}
	return f, ok && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// numbersOf is a number for each quantity that fits.
func numbersOf(want string, fits func(f float64) bool) kind {
	return byQuantity("numbers", want, func(v any) (float64, error) {
		f, ok := number(v)
		if !ok || !fits(f) {
			return 0, errWant
		}
		return f, nil
	})
}

var (
	numbersKind = numbersOf("a number, or one for each quantity, such as { temperature = -0.4 }",
		func(float64) bool { return true })
	positivesKind = numbersOf("a number above 0, or one for each quantity, such as { temperature = 0.5 }",
		func(f float64) bool { return f > 0 })
	gainsKind = numbersOf("a number other than 0, or one for each quantity, such as { pressure = 1.002 }",
		func(f float64) bool { return f != 0 })
	percentsKind = numbersOf("a number above 0 up to 100, or one for each quantity, such as { humidity = 1 }",
		func(f float64) bool { return f > 0 && f <= 100 })
)

// wholeOf is a whole number for each quantity that fits.
func wholeOf(want string, fits func(n int64) bool) kind {
	return byQuantity("integers", want, func(v any) (int, error) {
		n, ok := v.(int64)
		if !ok || !fits(n) {
			return 0, errWant
		}
		return int(n), nil
	})
}

var (
	decimalsKind = wholeOf("a whole number from 0 to 9, or one for each quantity, such as { temperature = 1 }",
		func(n int64) bool { return n >= 0 && n <= 9 })
	mediansKind = wholeOf("1, 3 or 5, or one for each quantity, such as { temperature = 3 }",
		func(n int64) bool { return n == 1 || n == 3 || n == 5 })
)

// spansKind is a duration for each quantity.
func spansKind(example string) kind {
	one := durationKind(0, math.MaxInt64, example)
	want := fmt.Sprintf("a duration, such as %q, or one for each quantity, such as { temperature = %q }", example, example)
	return byQuantity("durations", want, func(v any) (time.Duration, error) {
		d, err := one.parse(nil, v)
		if err != nil {
			return 0, err
		}
		return d.(time.Duration), nil
	})
}

var publishKind = byQuantity("choices", `"last" or "mean", or one for each quantity, such as { pressure = "mean" }`, func(v any) (string, error) {
	if s, ok := v.(string); ok && (s == "last" || s == "mean") {
		return s, nil
	}
	return "", errWant
})

var unitsKind = byQuantity("units", `a unit for each quantity, such as { pressure = "bar" }`, func(v any) (sensors.Unit, error) {
	s, ok := v.(string)
	if !ok {
		return "", errWant
	}
	u, ok := sensors.ParseUnit(s)
	if !ok || plain(s) != nil {
		return "", errWant
	}
	return u, nil
})

var namesKind = byQuantity("names", `a word for each quantity, such as { temperature = "temp" }`, func(v any) (string, error) {
	s, ok := v.(string)
	if !ok || !isLevel(s) || plain(s) != nil {
		return "", errWant
	}
	return s, nil
})

// mostPoints is the most points of one calibration.
const mostPoints = 64

var pointsKind = byQuantity("points", "two or more pairs of what is measured and what is true, such as [[0.3, 0], [99.1, 100]], or some for each quantity", func(v any) ([][2]float64, error) {
	list, ok := v.([]any)
	if !ok || len(list) < 2 || len(list) > mostPoints {
		return nil, errWant
	}
	points := make([][2]float64, len(list))
	for i, v := range list {
		pair, ok := v.([]any)
		if !ok || len(pair) != 2 {
			return nil, errWant
		}
		measured, ok1 := number(pair[0])
		actual, ok2 := number(pair[1])
		if !ok1 || !ok2 {
			return nil, errWant
		}
		if points[i] = [2]float64{measured, actual}; i > 0 && measured <= points[i-1][0] {
			return nil, fmt.Errorf("got %v behind %v, want the measured values to rise", measured, points[i-1][0])
		}
	}
	return points, nil
})

// derivesKind is an array of quantities that can be computed.
func derivesKind() kind {
	var names []string
	for _, d := range sensors.Derivations {
		names = append(names, string(d.Quantity))
	}
	one := choiceKind(names)
	want := "an array of " + sensors.OrList(names, true)
	return kind{"quantities", want, func(in *input, v any) (any, error) {
		list, ok := v.([]any)
		if !ok {
			return nil, errWant
		}
		all := make([]sensors.Quantity, 0, len(list))
		var wrong parts
		for i, v := range list {
			name, err := one.parse(in, v)
			if err == nil && slices.Contains(all, sensors.Quantity(name.(string))) {
				err = fmt.Errorf("got %q a second time", name)
			}
			if errors.Is(err, errWant) {
				err = fmt.Errorf("got %s, want %s", tomlText(v), one.want)
			}
			if err != nil {
				wrong = append(wrong, inside{n: i + 1, err: err})
				continue
			}
			all = append(all, sensors.Quantity(name.(string)))
		}
		return all, wrong.orNil()
	}}
}

var elevationKind = kind{"number", "a number of metres from -500 to 9000", func(_ *input, v any) (any, error) {
	f, ok := number(v)
	if !ok || f < -500 || f > 9000 {
		return nil, errWant
	}
	return &f, nil
}}
