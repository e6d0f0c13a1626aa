package sensors

import (
	"math"
	"strconv"
)

// maxDecimals is the most digits printed behind the point.
const maxDecimals = 9

// Decimals returns how many digits behind the point a value with the given
// resolution deserves: 0.01 two, 0.0625 two, 5 none. For an unknown resolution
// (0) it is 3.
func Decimals(resolution float64) int {
	switch {
	case !(resolution > 0):
		return 3
	case resolution >= 1:
		return 0
	}
	// The tiny shift keeps 0.01, whose logarithm may come out as -1.9999, at two.
	n := int(math.Ceil(-math.Log10(resolution) - 1e-9))
	return min(n, maxDecimals)
}

// AppendValue appends v as people write it, with at most the given number of
// digits behind the point, rounded half to even, without trailing zeros: 75
// stays "75", 21.50 is "21.5", and there is no "-0". NaN and infinities, which
// no good reading holds, are appended as "null".
func AppendValue(dst []byte, v float64, decimals int) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, "null"...)
	}
	start := len(dst)
	decimals = min(max(decimals, 0), maxDecimals)
	dst = strconv.AppendFloat(dst, roundHalfEven(v, decimals), 'f', decimals, 64)
	if decimals > 0 {
		for dst[len(dst)-1] == '0' {
			dst = dst[:len(dst)-1]
		}
		if dst[len(dst)-1] == '.' {
			dst = dst[:len(dst)-1]
		}
	}
	if len(dst)-start == 2 && dst[start] == '-' && dst[start+1] == '0' {
		dst = append(dst[:start], '0')
	}
	return dst
}

// roundHalfEven rounds what looks like a half in decimal to the even digit,
// although its binary form lies beside it; large values are left alone.
func roundHalfEven(v float64, decimals int) float64 {
	p := math.Pow10(decimals)
	x := v * p
	if math.Abs(x) > 1<<51 {
		return v
	}
	if half := math.Floor(x) + 0.5; math.Abs(x-half) < 1e-9*math.Max(1, math.Abs(x)) {
		x = half
	}
	return math.RoundToEven(x) / p
}
