package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// The measurement cycle of BME680 and BME688; the sheets stand at the head of
// bme680.go.

// setUp resets the chip, reads its calibration and throws the first
// measurement away.
func (d *bme68x) setUp(ctx context.Context) error {
	if err := d.set(ctx, bmxReset, 0xb6); err != nil {
		return err
	}
	if err := d.wait(ctx, 10*time.Millisecond); err != nil {
		return err
	}
	if err := d.calibrate(ctx); err != nil {
		return err
	}
	if err := d.prepare(ctx); err != nil {
		return err
	}
	if err := d.trigger(ctx); err != nil {
		return err
	}
	_, err := d.collect(ctx)
	return err
}

func (d *bme68x) calibrate(ctx context.Context) error {
	id, err := d.get(ctx, bmxID, 1)
	if err != nil {
		return err
	}
	if id[0] != idBME68x {
		return wrongChip(ctx, d.conn, bmxID, id[0], "the one of before the reset")
	}
	var v [1]byte
	if err := d.readBlocks(ctx, v[:], block{bme68xVariant, 1}); err != nil {
		return err
	}
	if v[0] > 1 {
		return d.garbage("it says that it is variant 0x%02x, which no BME680 or BME688 is", v[0])
	}
	d.high = v[0] == 1
	var words [bme68xCalSize]byte
	if err := d.readBlocks(ctx, words[:], block{0x8a, 23}, block{0xe1, 14}, block{0x00, 5}); err != nil {
		return err
	}
	for _, part := range [][]byte{words[:23], words[23:37]} {
		if busFault(part) {
			return d.garbage("its calibration is all 0x%02x", part[0])
		}
	}
	cal := parseBME68x(&words)
	if !cal.usable() {
		return d.garbage("its calibration cannot be: T1 %v, P1 %v", cal.t1, cal.p1)
	}
	d.take(cal, d.machine, d.settings, d.conn)
	return nil
}

// gasBits are the contents of the two gas control registers.
func (d *bme68x) gasBits() (heat, run byte) {
	switch {
	case !d.gas:
		return bme68xNoHeat, 0
	case d.high:
		return 0, bme68xRun688
	}
	return 0, bme68xRun680
}

// ctrlMeas is the register without the mode.
func (d *bme68x) ctrlMeas() byte { return d.over<<5 | d.over<<2 }

// prepare writes what stays the same between measurements, in sleep.
func (d *bme68x) prepare(ctx context.Context) error {
	heat, run := d.gasBits()
	return d.set(ctx, bme68xGas0, heat, bme68xGas1, run, bme68xConfig, d.filter<<2)
}

// convert checks that the chip still has its settings, and measures.
func (d *bme68x) convert(ctx context.Context) (bme68xRaw, error) {
	b, err := d.get(ctx, bme68xGas0, 6)
	if err != nil {
		return bme68xRaw{}, err
	}
	heat, run := d.gasBits()
	if b[0]&bme68xNoHeat != heat || b[1]&(bme68xRun680|bme68xRun688) != run || b[2]&7 != d.over || b[4] != d.ctrlMeas() || b[5]&0x1c != d.filter<<2 {
		return bme68xRaw{}, d.garbage("it lost its settings (registers 0x70 to 0x75 are % x): its power failed for a moment, or the bus is bad", b)
	}
	if err := d.trigger(ctx); err != nil {
		return bme68xRaw{}, err
	}
	return d.collect(ctx)
}

// trigger starts one measurement. How the heater is to be driven depends on how
// warm it is around it.
func (d *bme68x) trigger(ctx context.Context) error {
	if d.gas {
		wait, _ := heatingTime(d.settings.Duration("heater_time"))
		d.heater = [2]byte{d.cal.heaterResistance(float64(d.settings.Int("heater_temperature")), d.celsius), wait}
		if err := d.set(ctx, bme68xResHeat, d.heater[0], bme68xGasWait, d.heater[1]); err != nil {
			return err
		}
	}
	return d.set(ctx, bme68xCtrlHum, d.over, bme68xCtrlMeas, d.ctrlMeas()|bme68xForced)
}

// collect waits for the end of the measurement. The burst that says so holds it.
func (d *bme68x) collect(ctx context.Context) (bme68xRaw, error) {
	if err := d.wait(ctx, bme68xTime(d.settings)); err != nil {
		return bme68xRaw{}, err
	}
	for range 50 { // up to 100 ms and the transfers more
		b, err := d.get(ctx, bme68xField, bme68xFieldSize)
		if err != nil {
			return bme68xRaw{}, err
		}
		if busFault(b) {
			return bme68xRaw{}, d.garbage("all data bytes are 0x%02x", b[0])
		}
		if b[0]&bme68xNew != 0 && b[0]&bme68xWorking == 0 {
			return d.accept(ctx, b)
		}
		if err := d.wait(ctx, 2*time.Millisecond); err != nil {
			return bme68xRaw{}, err
		}
	}
	return bme68xRaw{}, sensors.Errorf(sensors.Timeout, d.conn.String(), "still measuring 100 ms after the longest time of the data sheet")
}

// accept takes the words out of a field, if it is one of a whole measurement.
func (d *bme68x) accept(ctx context.Context, field []byte) (bme68xRaw, error) {
	raw := parseField(field, d.high)
	if raw.t == bmxSkipped || raw.p == bmxSkipped {
		return bme68xRaw{}, d.garbage("it sent the code of a channel that was not measured (0x80000)")
	}
	b, err := d.get(ctx, bme68xCtrlMeas, 1)
	if err != nil {
		return bme68xRaw{}, err
	}
	if b[0] != d.ctrlMeas() {
		return bme68xRaw{}, d.garbage("it lost its settings while measuring (ctrl_meas 0x%02x)", b[0])
	}
	return raw, nil
}
