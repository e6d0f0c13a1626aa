package sim

import (
	"errors"
	"testing"
	"time"
)

// pair reads what a trigger of both gives.
func (k talk) pair(b []byte) (celsius, percent float64) {
	return hdcCelsius(int64(b[0])<<8 | int64(b[1])), hdcPercent(int64(b[2])<<8 | int64(b[3]))
}

func TestHDC1080Measures(t *testing.T) {
	onTalk(t, NewHDC1080(Steady(room)), func(k talk) {
		k.say(0x00)
		time.Sleep(12850*time.Microsecond - 1)
		k.silent()
		time.Sleep(1)
		celsius, percent := k.pair(k.hear(4))
		k.near("temperature", celsius, room.Temperature, 0.006)
		k.near("humidity", percent, room.Humidity, 0.004)
		celsius, _ = k.pair(k.hear(4))
		k.near("read again", celsius, room.Temperature, 0.006)

		k.say(0x02, 0x00, 0x00) // one after the other
		k.say(0x00)
		time.Sleep(6350 * time.Microsecond)
		b := k.hear(4)
		k.near("temperature alone", hdcCelsius(int64(b[0])<<8|int64(b[1])), room.Temperature, 0.006)
		if b[2] != 0xFF {
			k.Errorf("a second word % x", b)
		}
		k.say(0x01)
		time.Sleep(6500*time.Microsecond - 1)
		k.silent()
		time.Sleep(1)
		b = k.hear(2)
		k.near("humidity alone", hdcPercent(int64(b[0])<<8|int64(b[1])), room.Humidity, 0.004)
	})
}

// A write and a read in one transaction ask for the words before they are there.
func TestHDC1080RefusesACombinedTransaction(t *testing.T) {
	onTalk(t, NewHDC1080(Steady(room)), func(k talk) {
		if err := k.wire.Tx(0x44, []byte{0x00}, make([]byte, 4)); !errors.Is(err, ErrNack) {
			k.Errorf("%v, want no acknowledgement", err)
		}
		k.refuses(0x02) // it measures
	})
}

func TestHDC1080Registers(t *testing.T) {
	c := NewHDC1080(Steady(room))
	onTalk(t, c, func(k talk) {
		k.same("maker", k.ask(2, 0xFE), 0x54, 0x49)
		k.same("device", k.ask(2, 0xFF), 0x10, 0x50)
		k.same("configuration", k.ask(2, 0x02), 0x10, 0x00)
		k.say(0x02, 0x36, 0x55) // 11 and 8 bits, heater, both
		k.same("written", k.ask(2, 0x02), 0x36, 0x00)
		k.say(0x00)
		time.Sleep(6150 * time.Microsecond)
		b := k.hear(4)
		celsius, _ := k.pair(b)
		k.near("heated, 11 bits", celsius, room.Temperature+2, 0.05)
		if b[1]&0x1F != 0 || b[3] != 0 {
			k.Errorf("too many bits: % x", b)
		}
		k.say(0x02, 0x80, 0x00)
		k.refuses(0x02)
		time.Sleep(15 * time.Millisecond)
		k.same("after a reset", k.ask(2, 0x02), 0x10, 0x00)
		c.Hold(&RawAir{Temperature: 0x6666, Humidity: 0x8000})
		k.say(0x00)
		time.Sleep(13 * time.Millisecond)
		k.same("held", k.hear(4), 0x66, 0x66, 0x80, 0x00)
		c.Tune(ChipID(0x33))
		k.same("clone", k.ask(2, 0xFF), 0x10, 0x33)
	})
	onTalk(t, NewHDC1010(Steady(room)), func(k talk) {
		k.same("device", k.ask(2, 0xFF), 0x10, 0x00)
		k.wire.BrownOut(0x44)
		k.silent()
		time.Sleep(15 * time.Millisecond)
		k.same("after a brown-out", k.hear(4), 0, 0, 0xFF, 0xFF)
	})
}
