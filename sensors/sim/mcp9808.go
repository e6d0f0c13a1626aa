package sim

// Sheet: Microchip MCP9808, DS25095: registers section 5.1 (pointer, table 5-1),
// configuration 5.1.1, limits 5.1.2, ambient temperature 5.1.3 and 5.1.3.1,
// manufacturer and device id 5.1.4 and 5.1.5, resolution 5.1.6, conversion times
// in the electrical specification. The sheet was not at hand; this is what is
// known of it from public drivers (Linux, periph) and their test values.
//
// Where that is silent:
//   - the temperature register reads 0 °C until the first conversion is over;
//   - leaving shutdown and a new resolution begin a new conversion at once, and
//     entering shutdown ends it;
//   - the alert bits of the temperature register are worked out when it is read;
//   - locks, alert output and hysteresis only read back;
//   - reads beyond a register begin it again; unused registers read as 0;
//   - the noise is half a step at the finest resolution.

import "time"

const (
	mcpConfig      = 1
	mcpUpper       = 2
	mcpLower       = 3
	mcpCritical    = 4
	mcpTemperature = 5
	mcpMaker       = 6
	mcpDevice      = 7
	mcpResolution  = 8

	mcpShutdown = 1 << 8
)

// MCP9808 is a simulated MCP9808. Safe for concurrent use.
type MCP9808 struct {
	repeater[uint16]
	pointer    byte
	config     uint16
	limits     [3]uint16 // upper, lower, critical
	resolution byte
	data       uint16 // 13 bits in two's complement
}

// NewMCP9808 returns an MCP9808 (temperature) in this world. ChipID sets the high
// byte of its device id.
func NewMCP9808(w World, options ...ChipOption) *MCP9808 {
	c := &MCP9808{}
	c.tuning = tune(w, 0x04, options)
	c.PowerUp(time.Time{})
	return c
}

// PowerUp is part of Device.
func (c *MCP9808) PowerUp(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pointer, c.config, c.limits = 0, 0, [3]uint16{}
	c.resolution, c.data = 3, 0
	c.repeated = repeating{}
	c.begin(now)
}

func (c *MCP9808) begin(now time.Time) {
	if c.config&mcpShutdown != 0 {
		c.repeated.on = false
		return
	}
	times := [4]time.Duration{30, 65, 130, 250} // ms
	takes := c.tuning.scaled(times[c.resolution] * time.Millisecond)
	c.repeated.start(now, takes, takes, false)
}

// Write is part of Device: the pointer, then the bytes of one register.
func (c *MCP9808) Write(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	c.pointer = data[0] & 0x0F
	if c.pointer == mcpResolution && len(data) > 1 {
		c.resolution = data[1] & 3
		c.begin(now)
	}
	if len(data) < 3 {
		return nil
	}
	word := uint16(data[1])<<8 | uint16(data[2])
	switch c.pointer {
	case mcpConfig:
		before := c.config
		c.config = word & 0x07EF
		if (before^c.config)&mcpShutdown != 0 {
			c.begin(now)
		}
	case mcpUpper, mcpLower, mcpCritical:
		c.limits[c.pointer-mcpUpper] = word & 0x1FFC
	}
	return nil
}

// Read is part of Device.
func (c *MCP9808) Read(now time.Time, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	word := c.load()
	for i := range data {
		data[i] = byte(word >> (8 * (1 - i%2)))
	}
	return nil
}

// load returns the register under the pointer; the resolution, which has one byte,
// twice.
func (c *MCP9808) load() uint16 {
	switch c.pointer {
	case mcpConfig:
		return c.config
	case mcpUpper, mcpLower, mcpCritical:
		return c.limits[c.pointer-mcpUpper]
	case mcpTemperature:
		return c.temperature()
	case mcpMaker:
		return 0x0054
	case mcpDevice:
		return uint16(c.tuning.id) << 8
	case mcpResolution:
		return uint16(c.resolution)<<8 | uint16(c.resolution)
	}
	return 0
}

// temperature is register 5: the word, and how it compares with the limits.
func (c *MCP9808) temperature() uint16 {
	signed := func(word uint16) int16 { return int16(word<<3) >> 3 }
	word, t := c.data&0x1FFF, signed(c.data)
	if t >= signed(c.limits[mcpCritical-mcpUpper]) {
		word |= 1 << 15
	}
	if t > signed(c.limits[0]) {
		word |= 1 << 14
	}
	if t < signed(c.limits[mcpLower-mcpUpper]) {
		word |= 1 << 13
	}
	return word
}

// advance takes over the newest conversion that is over.
func (c *MCP9808) advance(now time.Time) {
	at, ok := c.repeated.ended(now)
	if !ok {
		return
	}
	air := c.tuning.feels(at, Climate{Temperature: 0.03})
	c.data = mcpWord(air.Temperature, c.resolution)
	if c.held != nil {
		c.data = *c.held
	}
}

// mcpWord returns the 13 bits for a temperature at a resolution, 0.5 °C and finer
// by half each.
func mcpWord(celsius float64, resolution byte) uint16 {
	coarse := int64(8 >> resolution) // in steps of 1/16 °C
	code := nearest(-4096/coarse, 4096/coarse-1, celsius, func(code int64) float64 { return float64(code*coarse) / 16 })
	return uint16(code*coarse) & 0x1FFF
}
