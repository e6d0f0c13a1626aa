package sim

// Sheet: Infineon DPS310 revision 1.2, sections 4.9 (how to calculate compensated
// values) and 8.11 (where the coefficients lie). In floating point; c0 counts half.

// TrimDPS310 holds the coefficients of one DPS310 or SPL06-001.
type TrimDPS310 struct {
	C0, C1                  int16 // 12 bits
	C00, C10                int32 // 20 bits
	C01, C11, C20, C21, C30 int16
}

// PublishedTrimDPS310 are the coefficients of a real part, from a public report.
func PublishedTrimDPS310() TrimDPS310 {
	return TrimDPS310{C0: 222, C1: -297, C00: 79832, C10: -56308, C01: -2295, C11: 1444, C20: -9701, C21: 111, C30: -1289}
}

// layout returns the image of the coefficients at 0x10, high bits first.
func (c *TrimDPS310) layout() (image [18]byte) {
	var bits uint64 // c0 and c1, then c00 and c10, packed
	pack := func(at, width int, first, second int64) {
		mask := uint64(1)<<width - 1
		bits = uint64(first)&mask<<width | uint64(second)&mask
		n := 2 * width / 8
		for i := range n {
			image[at+i] = byte(bits >> (8 * (n - 1 - i)))
		}
	}
	pack(0, 12, int64(c.C0), int64(c.C1))
	pack(3, 20, int64(c.C00), int64(c.C10))
	for i, w := range [5]int16{c.C01, c.C11, c.C20, c.C21, c.C30} {
		image[8+2*i], image[9+2*i] = byte(w>>8), byte(w)
	}
	return image
}

// temperature returns °C from a word over its scale factor.
func (c *TrimDPS310) temperature(scaled float64) float64 {
	return float64(c.C0)/2 + float64(c.C1)*scaled
}

// pressure returns Pa from both words over their scale factors.
func (c *TrimDPS310) pressure(p, t float64) float64 {
	return float64(c.C00) + p*(float64(c.C10)+p*(float64(c.C20)+p*float64(c.C30))) +
		t*float64(c.C01) + t*p*(float64(c.C11)+p*float64(c.C21))
}

// scaled is the temperature word over its scale factor, unrounded; 0 for a part
// without a slope.
func (c *TrimDPS310) scaled(celsius float64) float64 {
	if c.C1 == 0 {
		return 0
	}
	return (celsius - float64(c.C0)/2) / float64(c.C1)
}

func (c *TrimDPS310) rawTemperature(celsius float64, scale int64) int64 {
	return clipped(c.scaled(celsius)*float64(scale), 24)
}

// rawPressure searches where the formula rises or falls all the way: a converter
// gives no more than once and a half its scale factor.
func (c *TrimDPS310) rawPressure(pascal, t float64, scale int64) int64 {
	limit := min(scale*3/2, 1<<23-1)
	return nearest(-limit, limit, pascal, func(raw int64) float64 {
		return c.pressure(float64(raw)/float64(scale), t)
	})
}
