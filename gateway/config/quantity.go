package config

import (
	"fmt"
	"math"

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

var numbersKind = byQuantity("numbers", "a number, or one for each quantity, such as { temperature = -0.4 }", func(v any) (float64, error) {
	f, ok := v.(float64)
	if n, whole := v.(int64); whole {
		f, ok = float64(n), true
	}
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, errWant
	}
	return f, nil
})

var decimalsKind = byQuantity("integers", "a whole number from 0 to 9, or one for each quantity, such as { temperature = 1 }", func(v any) (int, error) {
	n, ok := v.(int64)
	if !ok || n < 0 || n > 9 {
		return 0, errWant
	}
	return int(n), nil
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
