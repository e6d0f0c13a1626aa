package sim

import (
	"testing"
	"time"
)

func TestHTU21DFamilyMeasures(t *testing.T) {
	for name, v := range map[string]struct {
		chip *HTU21D
		t, h time.Duration
	}{
		"HTU21D": {NewHTU21D(Steady(room)), 50 * time.Millisecond, 16 * time.Millisecond},
		"SHT21":  {NewSHT21(Steady(room)), 85 * time.Millisecond, 29 * time.Millisecond},
		"Si7021": {NewSi7021(Steady(room)), 10800 * time.Microsecond, 22800 * time.Microsecond},
	} {
		t.Run(name, func(t *testing.T) {
			onTalk(t, v.chip, func(k talk) {
				b := k.takesExactly(v.t, 3, 0xF3)
				k.near("temperature", htuCelsius(int64(k.word(b, 0, 0))), room.Temperature, 0.006)
				if b[1]&3 != 0 {
					k.Errorf("status bits of a temperature: % x", b)
				}
				b = k.takesExactly(v.h, 3, 0xF5)
				k.near("humidity", htuPercent(int64(k.word(b, 0, 0))), room.Humidity, 0.004)
				if b[1]&3 != 2 {
					k.Errorf("status bits of a humidity: % x", b)
				}
				if v.chip.Conversions() != 2 {
					k.Errorf("%d conversions, want 2", v.chip.Conversions())
				}
			})
		})
	}
}

func TestHTU21DRegister(t *testing.T) {
	onTalk(t, NewHTU21D(Steady(room)), func(k talk) {
		k.same("user register", k.ask(1, 0xE7), 0x02)
		k.say(0xE6, 0x83) // 11 bits
		k.same("written", k.ask(1, 0xE7), 0x83)
		k.takesExactly(7*time.Millisecond, 3, 0xF3)
		k.takesExactly(8*time.Millisecond, 3, 0xF5)
		k.say(0xE6, 0x06) // heater
		b := k.takesExactly(50*time.Millisecond, 3, 0xF3)
		k.near("warmed", htuCelsius(int64(k.word(b, 0, 0))), room.Temperature+1.5, 0.01)
		k.say(0xFE)
		k.refuses(0xE7)
		time.Sleep(15 * time.Millisecond)
		k.same("a reset leaves the heater on", k.ask(1, 0xE7), 0x06)
		k.refuses(0xE0)
		k.refuses(0x11)
		k.same("identity", k.ask(1, 0xFC, 0xC9), 0x32)
	})
}

func TestSi7021Identity(t *testing.T) {
	c := NewSi7021(Steady(room))
	onTalk(t, c, func(k talk) {
		b := k.ask(6, 0xFC, 0xC9)
		if w := k.word(b, 0, 0); w != 0x15FF || k.word(b, 1, 0) != 0xFFFF {
			k.Errorf("second half of the serial number % x", b)
		}
		for i, b := 0, k.ask(8, 0xFA, 0x0F); i < 8; i += 2 {
			if checksum(0, b[i]) != b[i+1] {
				k.Errorf("first half of the serial number % x", b)
			}
		}
		k.same("firmware", k.ask(1, 0x84, 0xB8), 0x20)
		c.Tune(ChipID(0x0D))
		k.same("a Si7013", k.ask(1, 0xFC, 0xC9), 0x0D)
		k.same("user register", k.ask(1, 0xE7), 0x3A)
		k.say(0x51, 0x07)
		k.same("heater register", k.ask(1, 0x11), 0x07)
	})
}

// The temperature of the last humidity, without a checksum.
func TestSi7021LastTemperature(t *testing.T) {
	onTalk(t, NewSi7021(Steady(room)), func(k talk) {
		k.takesExactly(22800*time.Microsecond, 3, 0xF5)
		b := k.ask(3, 0xE0)
		k.near("temperature", htuCelsius(int64(b[0])<<8|int64(b[1])), room.Temperature, 0.006)
		if b[2] != 0xFF {
			k.Errorf("a third byte % x", b)
		}
		k.wire.BrownOut(0x44)
		time.Sleep(79 * time.Millisecond)
		k.refuses(0xE7)
		time.Sleep(time.Millisecond)
		k.say(0xE7)
	})
}
