package chip

import (
	"context"
	"math"
	"time"

	"weir/sensors"
)

// setUp resets the chip, reads its calibration and throws the first
// measurement away.
func (d *bmx) setUp(ctx context.Context) error {
	if err := d.reset(ctx); err != nil {
		return err
	}
	if err := d.calibrate(ctx); err != nil {
		return err
	}
	if err := d.set(ctx, bmxConfig, d.filter<<2); err != nil { // in sleep, where it cannot be ignored
		return err
	}
	if err := d.trigger(ctx); err != nil {
		return err
	}
	_, err := d.collect(ctx)
	return err
}

// reset brings the chip to its power-up state and waits until its calibration
// is readable.
func (d *bmx) reset(ctx context.Context) error {
	if err := d.set(ctx, bmxReset, 0xb6); err != nil {
		return err
	}
	for range 20 {
		if err := d.wait(ctx, 2500*time.Microsecond); err != nil { // start-up takes 2 ms: table 1
			return err
		}
		b, err := d.get(ctx, bmxStatus, 1)
		if err != nil {
			return err
		}
		if b[0]&bmxCopying == 0 {
			return nil
		}
	}
	return sensors.Errorf(sensors.Timeout, d.conn.String(), "still copying its calibration 50 ms after a reset")
}

// calibrate reads the id and the calibration.
func (d *bmx) calibrate(ctx context.Context) error {
	b, err := d.get(ctx, bmxID, 1)
	if err != nil {
		return err
	}
	if b[0] != idBME280 && bmpIDs[b[0]] == "" {
		return wrongChip(ctx, d.conn, bmxID, b[0], "the one of before the reset")
	}
	d.hasHumidity = b[0] == idBME280
	d.calBytes = [len(d.calBytes)]byte{}
	blocks := []block{{bmxCal, 24}}
	if d.hasHumidity {
		blocks = append(blocks, block{bmeCalH1, 1}, block{bmeCalH2, 7})
	}
	if err := d.readBlocks(ctx, d.calBytes[:], blocks...); err != nil {
		return err
	}
	if busFault(d.calBytes[:24]) {
		return d.garbage("its calibration is all 0x%02x", d.calBytes[0])
	}
	cal := parseBMX(&d.calBytes, d.hasHumidity)
	if !cal.usable() {
		return d.garbage("its calibration cannot be: T1 %v, P1 %v", cal.t1, cal.p1)
	}
	d.take(cal, d.machine, d.settings, d.conn)
	d.warnOnce()
	return nil
}

func (d *bmx) warnOnce() {
	if !d.humid || d.hasHumidity || d.warned {
		return
	}
	d.warned = true
	d.machine.Log().Warn(`the chip says it is a BMP280: no humidity; write driver = "bmp280"`,
		"sensor", d.settings.Name, "at", d.conn.String())
}

// bmxRaw are the words of one measurement.
type bmxRaw struct {
	t, p uint32 // 20 bits
	h    uint32 // 16 bits
}

// convert checks that the chip still has its settings, and measures.
func (d *bmx) convert(ctx context.Context) (bmxRaw, error) {
	b, err := d.get(ctx, bmeCtrlHum, 4)
	if err != nil {
		return bmxRaw{}, err
	}
	lostHum := d.hasHumidity && b[0]&7 != d.oversteps
	if lostHum || b[2]&^bmxModeMask != d.ctrlMeas() || b[3]&0xfc != d.filter<<2 {
		return bmxRaw{}, d.garbage("it lost its settings (ctrl_meas 0x%02x, config 0x%02x): its power failed for a moment, or the bus is bad", b[2], b[3])
	}
	if err := d.trigger(ctx); err != nil {
		return bmxRaw{}, err
	}
	return d.collect(ctx)
}

// ctrlMeas is the register without the mode.
func (d *bmx) ctrlMeas() byte { return d.oversteps<<5 | d.oversteps<<2 }

func (d *bmx) trigger(ctx context.Context) error {
	if d.hasHumidity {
		return d.set(ctx, bmeCtrlHum, d.oversteps, bmxCtrlMeas, d.ctrlMeas()|bmxForced)
	}
	return d.set(ctx, bmxCtrlMeas, d.ctrlMeas()|bmxForced)
}

// collect waits for the end of the measurement and reads it in one burst, so
// that its bytes belong together.
func (d *bmx) collect(ctx context.Context) (bmxRaw, error) {
	if err := d.wait(ctx, bmxConversion(1<<(d.oversteps-1), d.hasHumidity)); err != nil {
		return bmxRaw{}, err
	}
	if err := d.untilIdle(ctx); err != nil {
		return bmxRaw{}, err
	}
	n := 6
	if d.hasHumidity {
		n = 8
	}
	b, err := d.get(ctx, bmxData, n)
	if err != nil {
		return bmxRaw{}, err
	}
	if busFault(b) {
		return bmxRaw{}, d.garbage("all data bytes are 0x%02x", b[0])
	}
	raw := bmxRaw{p: word20(b[0:3]), t: word20(b[3:6])}
	if d.hasHumidity {
		raw.h = word16(b[6:])
	}
	if raw.t == bmxSkipped || raw.p == bmxSkipped {
		return bmxRaw{}, d.garbage("it sent the code of a channel that was not measured (0x80000)")
	}
	return raw, nil
}

// untilIdle polls until the measurement is over, for up to 100 ms more than the
// sheet allows.
func (d *bmx) untilIdle(ctx context.Context) error {
	for range 50 {
		b, err := d.get(ctx, bmxStatus, 2)
		if err != nil {
			return err
		}
		if b[1]&^bmxModeMask != d.ctrlMeas() {
			return d.garbage("it lost its settings while measuring (ctrl_meas 0x%02x)", b[1])
		}
		if b[0]&bmxMeasuring == 0 && b[1]&bmxModeMask == 0 {
			return nil
		}
		if err := d.wait(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
	return sensors.Errorf(sensors.Timeout, d.conn.String(), "still measuring 100 ms after the longest time of the data sheet")
}

// fill puts the compensated values into s. Pressure and humidity are computed
// with the temperature: with one that cannot be they would be wrong and look
// right.
func (d *bmx) fill(s *sensors.Sample, raw bmxRaw) {
	s.Chip = "BMP280"
	if d.hasHumidity {
		s.Chip = "BME280"
	}
	t, fine := d.cal.temperature(raw.t)
	addBMX(s, bmxTemperature, t, bmxStepT, raw.t)
	useless := saturated(raw.t) || !within(bmxTemperature, t)
	if useless {
		s.AddBad(bmxPressure, sensors.NoTemperature, int64(raw.p))
	} else {
		addBMX(s, bmxPressure, d.cal.pressure(raw.p, fine), bmxStepP, raw.p)
	}
	switch {
	case !d.humid:
	case !d.hasHumidity:
		s.AddBad(bmeHumidity, sensors.NoHumidity, 0)
	case raw.h == bmxSkippedH:
		s.AddBad(bmeHumidity, sensors.NotMeasured, int64(raw.h))
	case raw.h == 0 || raw.h == bmeFullScaleH:
		s.AddBad(bmeHumidity, sensors.Saturated, int64(raw.h))
	case useless:
		s.AddBad(bmeHumidity, sensors.NoTemperature, int64(raw.h))
	case busFault(d.calBytes[25:]): // clamped to 0 and 100 % it would look right
		s.AddBad(bmeHumidity, sensors.BadCalibration, int64(raw.h))
	default:
		s.Add(bmeHumidity, d.cal.humidity(raw.h, fine), bmeStepH, int64(raw.h))
	}
}

// saturated reports whether a 20-bit word is at one of its two ends, where the
// converter could not follow.
func saturated(raw uint32) bool { return raw == 0 || raw >= bmxFullScale&^0xf }

// addBMX adds a value of a 20-bit channel.
func addBMX(s *sensors.Sample, m sensors.Measure, v, step float64, raw uint32) {
	switch {
	case saturated(raw):
		s.AddBad(m, sensors.Saturated, int64(raw))
	case math.IsNaN(v) || math.IsInf(v, 0):
		s.AddBad(m, sensors.BadCalibration, int64(raw))
	default:
		s.Add(m, v, step, int64(raw))
	}
}
