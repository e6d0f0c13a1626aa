package sim

import (
	"testing"
	"time"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/devices/v3/aht20"
	"periph.io/x/devices/v3/hdc302x"
)

// air is what a reply says.
func (k talk) air(b []byte) (celsius, percent float64) {
	k.Helper()
	h := int64(b[1])<<12 | int64(b[2])<<4 | int64(b[3])>>4
	t := int64(b[3]&15)<<16 | int64(b[4])<<8 | int64(b[5])
	return ahtCelsius(t), ahtPercent(h)
}

func TestAHT20Measures(t *testing.T) {
	c := NewAHT20(Steady(room))
	onTalk(t, c, func(k talk) {
		k.same("power-up", k.hear(1), 0x18)
		k.say(0xAC, 0x33, 0x00)
		time.Sleep(80*time.Millisecond - 1)
		k.same("busy", k.hear(6), 0x98, 0, 0, 0, 0, 0)
		time.Sleep(1)
		b := k.hear(8)
		celsius, percent := k.air(b)
		k.near("temperature", celsius, room.Temperature, 0.0001)
		k.near("humidity", percent, room.Humidity, 0.0001)
		if b[0] != 0x18 || checksum(0xFF, b[:6]...) != b[6] || b[7] != 0xFF {
			k.Errorf("reply % x", b)
		}
		if k.ask(1, 0x71)[0] != 0x18 || c.Conversions() != 1 {
			k.Errorf("status % x after %d conversions", k.ask(1, 0x71), c.Conversions())
		}
	})
}

// The words of another project's test.
func TestAHT20HeldWords(t *testing.T) {
	c := NewAHT20(Steady(room))
	onTalk(t, c, func(k talk) {
		c.Hold(&RawAir{Humidity: 0x75520, Temperature: 0x58E40})
		k.say(0xAC, 0x33, 0x00)
		time.Sleep(80 * time.Millisecond)
		k.same("reply", k.hear(7), 0x18, 0x75, 0x52, 0x05, 0x8E, 0x40, 0x7F)
	})
}

func TestAHT20Calibration(t *testing.T) {
	c := NewAHT20(Steady(room))
	onTalk(t, c, func(k talk) {
		k.refuses(0xE1, 0x08, 0x00) // that of the AHT10
		k.refuses(0xAC, 0x00, 0x00)
		c.Blank()
		k.same("not calibrated", k.hear(1), 0x10)
		k.say(0xAC, 0x33, 0x00)
		time.Sleep(80 * time.Millisecond)
		celsius, _ := k.air(k.hear(7))
		k.near("beside the truth", celsius, room.Temperature+20, 0.001)
		k.say(0xBE, 0x08, 0x00)
		k.same("prepares itself", k.hear(1), 0x90)
		time.Sleep(10 * time.Millisecond)
		k.same("calibrated", k.hear(1), 0x18)
		k.say(0xBA)
		k.refuses(0x71)
		time.Sleep(20 * time.Millisecond)
		k.same("a reset makes it blank again", k.hear(1), 0x10)
	})
}

func TestAHT10SendsNoChecksum(t *testing.T) {
	c := NewAHT10(Steady(room))
	onTalk(t, c, func(k talk) {
		k.same("power-up", k.hear(1), 0x00)
		k.refuses(0xBE, 0x08, 0x00)
		k.say(0xE1, 0x08, 0x00)
		time.Sleep(10 * time.Millisecond)
		k.same("calibrated", k.hear(1), 0x08)
		k.say(0xAC, 0x33, 0x00)
		time.Sleep(75 * time.Millisecond)
		b := k.hear(7)
		celsius, percent := k.air(b)
		k.near("temperature", celsius, room.Temperature, 0.0001)
		k.near("humidity", percent, room.Humidity, 0.0001)
		if b[6] != 0xFF {
			k.Errorf("reply % x", b)
		}
		k.wire.BrownOut(0x44)
		k.silent()
		time.Sleep(40 * time.Millisecond)
		k.same("after a brown-out", k.hear(6), 0, 0, 0, 0, 0, 0)
	})
}

// The drivers of the periph project read these two chips as well.
func TestPeriphAgreesOnHumidityChips(t *testing.T) {
	onTalk(t, NewHDC302x(Steady(room)), func(k talk) {
		k.wire.Add(0x38, NewAHT20(Steady(room)))
		compare := func(what string, env physic.Env) {
			k.Helper()
			k.near(what+" temperature", env.Temperature.Celsius(), room.Temperature, 0.002)
			k.near(what+" humidity", float64(env.Humidity)/float64(physic.PercentRH), room.Humidity, 0.001)
		}
		a, err := aht20.NewI2C(k.wire, nil)
		if err != nil {
			k.Fatal(err)
		}
		var env physic.Env
		if err := a.Sense(&env); err != nil {
			k.Fatal(err)
		}
		compare("AHT20", env)
		h, err := hdc302x.NewI2C(k.wire, 0x44, hdc302x.RateHertz)
		if err != nil {
			k.Fatal(err)
		}
		if err := h.Sense(&env); err != nil {
			k.Fatal(err)
		}
		compare("HDC302x", env)
		if err := h.Halt(); err != nil {
			k.Fatal(err)
		}
	})
}
