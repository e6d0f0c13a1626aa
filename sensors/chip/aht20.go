package chip

import (
	"context"
	"time"

	"weir/sensors"
)

// AHT20, AHT21, AHT25, AM2301B and DHT20 (the same die), and the AHT10 and AHT15
// before them, ASAIR. AHT20 data sheet (version 1.1): reading section 5.4, status word
// table 10, conversion section 6; DHT20 data sheet section 7.4. AHT10 data sheet
// (version 1.1) section 5: another command to load the calibration, and no checksum.

// ahtKind is the kind of the old or the new one.
func ahtKind(name, chip, doc string, ask func(context.Context, *asker) (string, error), variant ahtVariant) *airKind {
	return &airKind{
		name: name, chip: chip, doc: doc + "; it warms itself when read more often than every 2 s",
		addresses: []uint16{0x38},
		lowest:    -40, highest: 85, full: 1<<20 - 1, stepT: 0.01, stepH: 0.024,
		takes: ahtTakes,
		ask:   ask,
		begin: func(ctx context.Context, d *air) error { return d.beginAHT(ctx, variant) },
		convert: func(ctx context.Context, d *air) (t, h uint32, err error) {
			return d.convertAHT(ctx, variant)
		},
		celsius: ahtCelsius, percent: ahtPercent,
	}
}

// ahtVariant is what tells the old one from the new one.
type ahtVariant struct {
	load  byte // command that loads the calibration
	reply int  // bytes of a reply: with checksum 7, without 6
}

var (
	aht20 = ahtKind("aht20", "AHT20", "ASAIR AHT20, AHT21, AHT25, AM2301B and DHT20, temperature and humidity", ask38, ahtVariant{load: 0xbe, reply: 7}).driver()
	aht10 = ahtKind("aht10", "AHT10", "ASAIR AHT10 and AHT15, temperature and humidity", nil, ahtVariant{load: 0xe1, reply: 6}).driver()
)

const (
	ahtReset      = 0xba
	ahtBusy       = 1 << 7 // of the status
	ahtUnused     = 1 << 2 // of the status: neither 0 nor 1 means anything
	ahtCalibrated = 1 << 3
	ahtReady      = 0x18 // DHT20 data sheet 7.4: both bits are set in a chip that can measure

	ahtTakes = 80 * time.Millisecond
)

var ahtMeasure = [3]byte{0xac, 0x33, 0x00}

// ask38 knows an AHT20 by the checksum of a measurement. Nothing is written before its
// status was seen in front of other bytes, since an output expander that also lives at
// this address takes all that is written for its outputs, and reads the same in every
// byte.
func ask38(ctx context.Context, a *asker) (string, error) {
	b, err := a.hear(ctx, 7)
	if err != nil || b == nil || b[0]&^(ahtUnused|3) != ahtReady || allSame(b, b[0]) {
		return "", err
	}
	if ahtChecked(b) {
		return "AHT20", nil
	}
	if b, err = a.ask(ctx, ahtTakes, 7, ahtMeasure[:]...); err != nil || b == nil || b[0]&ahtBusy != 0 || !ahtChecked(b) {
		return "", err
	}
	return "AHT20", nil
}

// ahtChecked reports whether the last of the 7 bytes is the checksum of the others.
func ahtChecked(b []byte) bool { return crcHighFirst(crcSensirion, crcFromFF, b[:6]) == b[6] }

// beginAHT resets the chip and loads its calibration if it has not done so itself.
func (d *air) beginAHT(ctx context.Context, v ahtVariant) error {
	if err := d.perform(ctx, 20*time.Millisecond, ahtReset); err != nil {
		return err
	}
	b, err := d.receive(ctx, 1)
	if err != nil || b[0]&ahtCalibrated != 0 {
		return err
	}
	if err := d.perform(ctx, 10*time.Millisecond, v.load, 0x08, 0x00); err != nil {
		return err
	}
	if b, err = d.receive(ctx, 1); err != nil {
		return err
	}
	if b[0]&ahtCalibrated == 0 {
		return d.garbage("it cannot load its calibration (status 0x%02x)", b[0])
	}
	return nil
}

func (d *air) convertAHT(ctx context.Context, v ahtVariant) (t, h uint32, err error) {
	if err := d.command(ctx, ahtMeasure[:]...); err != nil {
		return 0, 0, err
	}
	if err := d.wait(ctx, ahtTakes); err != nil {
		return 0, 0, err
	}
	for range 50 {
		b, err := d.receive(ctx, v.reply)
		if err != nil {
			return 0, 0, err
		}
		if busFault(b) {
			return 0, 0, d.garbage("all data bytes are 0x%02x", b[0])
		}
		if b[0]&ahtBusy == 0 {
			return d.wordsAHT(b)
		}
		if err := d.wait(ctx, 2*time.Millisecond); err != nil {
			return 0, 0, err
		}
	}
	return 0, 0, sensors.Errorf(sensors.Timeout, d.conn.String(), "still measuring 100 ms after the longest time of the data sheet")
}

// wordsAHT checks a reply and takes its words out.
func (d *air) wordsAHT(b []byte) (t, h uint32, err error) {
	switch {
	case len(b) == 7 && !ahtChecked(b):
		return 0, 0, d.garbage("the checksum of the reply % x is wrong", b)
	case b[0]&ahtCalibrated == 0:
		return 0, 0, d.garbage("it lost its calibration (status 0x%02x): its power failed for a moment, or the bus is bad", b[0])
	case busFault(b[1:6]):
		return 0, 0, d.garbage("all bytes of the measurement are 0x%02x", b[1])
	}
	t, h = parseAHT(b)
	return t, h, nil
}
