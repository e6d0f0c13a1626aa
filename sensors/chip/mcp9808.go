package chip

import (
	"context"
	"encoding/binary"
	"time"

	"weir/sensors"
)

// MCP9808, Microchip. Data sheet DS25095: registers section 5.1 (table 5-1), settings
// 5.1.1, limits 5.1.2, temperature 5.1.3 (the alert bits are above the sign), ids 5.1.4
// and 5.1.5, resolution 5.1.6; conversion times in the table of temperature accuracy.
//
// It converts all the time and has no checksum. A hysteresis of 1.5 °C, which only its
// alert output uses, marks that it has not lost power since it was set up; and with a
// critical limit that is colder than it can be, every value has the critical bit set,
// so that neither all 00 nor all FF is one.
const (
	mcpConfig     = 0x01
	mcpUpper      = 0x02
	mcpLower      = 0x03
	mcpCritical   = 0x04
	mcpValue      = 0x05
	mcpMaker      = 0x06 // 0054
	mcpDevice     = 0x07 // 04 and a revision
	mcpResolution = 0x08

	mcpMarked = 0x0200 // settings: hysteresis 1.5 °C, converting, alert off
	mcpFinest = 3      // 0.0625 °C
	mcpColder = 0x1c00 // -64 °C as a limit

	mcpAbove      = 1 << 15 // of a value: not below the critical limit
	mcpImpossible = 3 << 13 // above the upper limit and below the lower one, which are equal

	mcpMakerID  = 0x0054
	mcpDeviceID = 0x04
)

var mcpAddresses = []uint16{0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f}

var mcpTemperature = sensors.Measure{Quantity: sensors.Temperature, Unit: sensors.Celsius, Min: -40, Max: 125}

const mcpLongest = 300 * time.Millisecond // 250 ms is typical, the sheet has no longest

var mcp9808 = sensors.Driver{
	Name: "mcp9808", Connection: sensors.OnI2C, Addresses: mcpAddresses,
	Doc:      "Microchip MCP9808, temperature to 0.25 °C",
	Measures: []sensors.Measure{mcpTemperature},
	Keys:     i2cKeys(mcpAddresses),
	Open: func(m sensors.Machine, s sensors.Settings) (sensors.Device, error) {
		d := &mcp{}
		d.machine, d.settings, d.addresses = m, s, mcpAddresses
		d.attached.fits, d.begin, d.once = fitsMCP, d.setUp, d.sample
		return d, nil
	},
	Least: func(sensors.Settings) time.Duration { return 5 * time.Millisecond },
	Identify: func(ctx context.Context, c sensors.Conn) (string, error) {
		maker, device, err := mcpIDs(ctx, c)
		if err != nil || maker != mcpMakerID || device>>8 != mcpDeviceID {
			return "", err
		}
		return "MCP9808", nil
	},
}

// mcp is an MCP9808.
type mcp struct{ attached }

func mcpIDs(ctx context.Context, c sensors.Conn) (maker, device uint16, err error) {
	r := registers{conn: c}
	b, err := r.get(ctx, mcpMaker, 2)
	if err != nil {
		return 0, 0, err
	}
	maker = binary.BigEndian.Uint16(b)
	if b, err = r.get(ctx, mcpDevice, 2); err != nil {
		return 0, 0, err
	}
	return maker, binary.BigEndian.Uint16(b), nil
}

func fitsMCP(ctx context.Context, c sensors.Conn) (int, error) {
	maker, device, err := mcpIDs(ctx, c)
	switch {
	case err != nil:
		return 0, err
	case maker == device && (maker == 0 || maker == 0xffff):
		return 0, sensors.Errorf(sensors.Garbage, c.String(), "manufacturer id 0x%04x, which no chip has: look at the wiring", maker)
	case maker != mcpMakerID || device>>8 != mcpDeviceID:
		return 0, sensors.Errorf(sensors.WrongChip, "", "manufacturer id 0x%04x and device id 0x%04x at %s, want 0x0054 and 0x04xx (MCP9808)", maker, device, c)
	}
	return 2, nil
}

// setUp writes the settings and waits for a conversion that began after it.
func (d *mcp) setUp(ctx context.Context) error {
	if err := d.set(ctx, mcpResolution, mcpFinest); err != nil {
		return err
	}
	for _, limit := range [...]struct {
		register byte
		word     uint16
	}{{mcpUpper, 0}, {mcpLower, 0}, {mcpCritical, mcpColder}} {
		if err := d.set(ctx, limit.register, byte(limit.word>>8), byte(limit.word)); err != nil {
			return err
		}
	}
	if err := d.set(ctx, mcpConfig, mcpMarked>>8, mcpMarked&0xff); err != nil {
		return err
	}
	if err := d.wait(ctx, mcpLongest); err != nil {
		return err
	}
	return d.settled(ctx)
}

// settled checks that the settings are still there.
func (d *mcp) settled(ctx context.Context) error {
	b, err := d.get(ctx, mcpConfig, 2)
	if err != nil {
		return err
	}
	if word := binary.BigEndian.Uint16(b); word != mcpMarked {
		if word&0x00c0 != 0 { // 5.1.1: bits 7 and 6 lock the register until power is off
			return d.garbage("its settings are locked (register 0x01 is 0x%04x): switch its power off and on", word)
		}
		return d.garbage("it lost its settings (register 0x01 is 0x%04x): its power failed for a moment, or the bus is bad", word)
	}
	if b, err = d.get(ctx, mcpResolution, 1); err != nil {
		return err
	}
	if b[0]&3 != mcpFinest {
		return d.garbage("it lost its resolution (register 0x08 is 0x%02x): its power failed for a moment, or the bus is bad", b[0])
	}
	return nil
}

func (d *mcp) sample(ctx context.Context, s *sensors.Sample) error {
	if err := d.settled(ctx); err != nil {
		return err
	}
	first, err := d.value(ctx)
	if err != nil {
		return err
	}
	raw, err := d.value(ctx)
	if err != nil {
		return err
	}
	if raw-first > 8 || first-raw > 8 { // it converts all the time, but half a degree is no step
		return d.garbage("its temperature reads %v °C and then %v °C", mcpCelsius(first), mcpCelsius(raw))
	}
	if err := d.settled(ctx); err != nil {
		return err
	}
	s.Chip = "MCP9808"
	s.Add(mcpTemperature, mcpCelsius(raw), 0.0625, int64(raw))
	return nil
}

// value reads the temperature once.
func (d *mcp) value(ctx context.Context) (int32, error) {
	b, err := d.get(ctx, mcpValue, 2)
	if err != nil {
		return 0, err
	}
	word := binary.BigEndian.Uint16(b)
	if word&mcpAbove == 0 || word&mcpImpossible == mcpImpossible {
		return 0, d.garbage("it sent 0x%04x, whose alert bits cannot be", word)
	}
	return mcpRaw(word), nil
}

// mcpRaw is the temperature in the register: 12 bits below a sign, the three bits
// above are alerts.
func mcpRaw(word uint16) int32 { return signed(uint32(word), 13) }

func mcpCelsius(raw int32) float64 { return float64(raw) / 16 }
