package sim

import (
	"testing"
	"time"
)

func TestSHT3xMeasures(t *testing.T) {
	for _, v := range []struct {
		low   byte
		takes time.Duration
	}{{0x00, 15500 * time.Microsecond}, {0x0B, 6500 * time.Microsecond}, {0x16, 4500 * time.Microsecond}} {
		onTalk(t, NewSHT3x(Steady(room)), func(k talk) {
			b := k.takesExactly(v.takes, 6, 0x24, v.low)
			k.near("temperature", celsius175(int64(k.word(b, 0, 0xFF))), room.Temperature, 0.002)
			k.near("humidity", percent100(int64(k.word(b, 1, 0xFF))), room.Humidity, 0.001)
		})
	}
	onTalk(t, NewSHT3x(Steady(room), Slow(3)), func(k talk) {
		k.takesExactly(3*15500*time.Microsecond, 6, 0x24, 0x00)
	})
	onTalk(t, NewSHT3x(Steady(room), Typical()), func(k talk) {
		k.takesExactly(12500*time.Microsecond, 6, 0x24, 0x00)
	})
}

// The reply of the sheet's example words.
func TestSHT3xHeldWords(t *testing.T) {
	c := NewSHT3x(Steady(room))
	onTalk(t, c, func(k talk) {
		c.Hold(&RawAir{Temperature: 0x6666, Humidity: 0x8000})
		k.same("reply", k.takesExactly(4500*time.Microsecond, 6, 0x24, 0x16), 0x66, 0x66, 0x93, 0x80, 0x00, 0xA2)
		if c.Conversions() != 1 {
			k.Errorf("%d conversions, want 1", c.Conversions())
		}
	})
}

func TestSHT3xStatus(t *testing.T) {
	c := NewSHT3x(Steady(room))
	onTalk(t, c, func(k talk) {
		ask := func() uint16 {
			time.Sleep(2 * time.Millisecond)
			return uint16(k.word(k.ask(3, 0xF3, 0x2D), 0, 0xFF))
		}
		tell := func(w ...byte) { time.Sleep(2 * time.Millisecond); k.say(w...) }
		want := func(what string, status uint16) {
			k.Helper()
			if got := ask(); got != status {
				k.Errorf("%s: status %04x, want %04x", what, got, status)
			}
		}
		want("power-up", 0x8010)
		tell(0x30, 0x41)
		want("cleared", 0)
		tell(0x30, 0x6D)
		want("heater on", 0x2000)
		tell(0x30, 0x66)
		want("heater off", 0)
		tell(0x12, 0x34)
		want("unknown command", 0x0002)
		want("still, as nothing was sent", 0x0002)
		tell(0x30, 0xA2)
		k.refuses(0xF3, 0x2D)
		want("soft reset", 0x8010)
		tell(0x30, 0x41)
		k.wire.BrownOut(0x44)
		want("brown-out", 0x8010)
		if b := func() []byte { time.Sleep(2 * time.Millisecond); return k.ask(6, 0x37, 0x80) }(); k.word(b, 0, 0xFF) == 0 || k.word(b, 1, 0xFF) == 0 {
			k.Errorf("serial number % x", b)
		}
	})
}

// Section 4.1: a millisecond between two commands.
func TestSHT3xWantsAPause(t *testing.T) {
	onTalk(t, NewSHT3x(Steady(room)), func(k talk) {
		k.say(0x30, 0x41)
		time.Sleep(time.Millisecond - 1)
		k.refuses(0x24, 0x00)
		time.Sleep(time.Millisecond)
		k.say(0x24, 0x00)
		time.Sleep(2 * time.Millisecond)
		k.refuses(0xF3, 0x2D) // it measures
	})
}

func TestSHT3xPeriodic(t *testing.T) {
	onTalk(t, NewSHT3x(Steady(room)), func(k talk) {
		k.say(0x21, 0x30)
		time.Sleep(5 * time.Millisecond)
		k.say(0xE0, 0x00)
		k.silent() // nothing yet
		k.refuses(0x24, 0x00)
		k.refuses(0x30, 0xA2)
		time.Sleep(time.Second)
		b := k.ask(6, 0xE0, 0x00)
		k.near("temperature", celsius175(int64(k.word(b, 0, 0xFF))), room.Temperature, 0.002)
		time.Sleep(2 * time.Millisecond)
		k.say(0xE0, 0x00)
		k.silent() // nothing new
		time.Sleep(time.Second)
		k.ask(6, 0xE0, 0x00)
		time.Sleep(2 * time.Millisecond)
		k.say(0x30, 0x93)
		time.Sleep(2 * time.Millisecond)
		k.takesExactly(15500*time.Microsecond, 6, 0x24, 0x00)
	})
}

func TestSHT3xHeaterWarms(t *testing.T) {
	onTalk(t, NewSHT3x(Steady(room)), func(k talk) {
		k.say(0x30, 0x6D)
		time.Sleep(2 * time.Millisecond)
		b := k.takesExactly(15500*time.Microsecond, 6, 0x24, 0x00)
		if celsius175(int64(k.word(b, 0, 0xFF))) < room.Temperature+2 || percent100(int64(k.word(b, 1, 0xFF))) > room.Humidity-2 {
			k.Errorf("a heater that is on does not show: % x", b)
		}
	})
}

func TestHDC302xMeasures(t *testing.T) {
	for _, v := range []struct {
		low   byte
		takes time.Duration
	}{{0x00, 12500 * time.Microsecond}, {0x0B, 7500 * time.Microsecond}, {0x16, 5 * time.Millisecond}, {0xFF, 3700 * time.Microsecond}} {
		onTalk(t, NewHDC302x(Steady(room)), func(k talk) {
			b := k.takesExactly(v.takes, 6, 0x24, v.low)
			k.near("temperature", celsius175(int64(k.word(b, 0, 0xFF))), room.Temperature, 0.002)
			k.near("humidity", percent100(int64(k.word(b, 1, 0xFF))), room.Humidity, 0.001)
		})
	}
}

func TestHDC302xWords(t *testing.T) {
	c := NewHDC302x(Steady(room))
	onTalk(t, c, func(k talk) {
		k.same("manufacturer", k.ask(3, 0x37, 0x81), append([]byte{0x30, 0x00}, checksum(0xFF, 0x30, 0x00))...)
		c.Tune(ChipID(0x55))
		k.same("clone", k.ask(2, 0x37, 0x81), 0x55, 0x00)
		k.same("status", k.ask(2, 0xF3, 0x2D), 0x80, 0x10)
		k.say(0x30, 0x41)
		k.say(0x30, 0x6E, 0x3F, 0xFF, checksum(0xFF, 0x3F, 0xFF)) // heater current
		k.same("written", k.ask(2, 0x30, 0x6E), 0x3F, 0xFF)
		k.say(0x30, 0x6E, 0x00, 0x01, 0x00)
		k.same("a wrong checksum shows", k.ask(2, 0xF3, 0x2D), 0x00, 0x01)
		k.same("and changes nothing", k.ask(2, 0x30, 0x6E), 0x3F, 0xFF)
		k.say(0x30, 0xA2)
		k.refuses(0x37, 0x81)
		time.Sleep(3 * time.Millisecond)
		k.same("after a reset", k.ask(2, 0xF3, 0x2D), 0x80, 0x10)
	})
}

func TestSHT4xMeasures(t *testing.T) {
	for command, takes := range map[byte]time.Duration{0xFD: 8300 * time.Microsecond, 0xF6: 4500 * time.Microsecond, 0xE0: 1600 * time.Microsecond} {
		onTalk(t, NewSHT4x(Steady(room)), func(k talk) {
			b := k.takesExactly(takes, 6, command)
			k.near("temperature", celsius175(int64(k.word(b, 0, 0xFF))), room.Temperature, 0.002)
			k.near("humidity", sht4xPercent(int64(k.word(b, 1, 0xFF))), room.Humidity, 0.001)
		})
	}
}

func TestSHT4xCommands(t *testing.T) {
	onTalk(t, NewSHT4x(Steady(room)), func(k talk) {
		k.silent() // a bare read is not answered: a scan does not see it
		k.refuses(0x71)
		b := k.takesExactly(time.Millisecond, 6, 0x89)
		if k.word(b, 0, 0xFF) == 0 || k.word(b, 1, 0xFF) == 0 {
			k.Errorf("serial number % x", b)
		}
		k.say(0x94)
		k.refuses(0x89)
		time.Sleep(time.Millisecond)
		b = k.takesExactly(110*time.Millisecond, 6, 0x15)
		k.near("heated", celsius175(int64(k.word(b, 0, 0xFF))), room.Temperature+3, 0.01)
		time.Sleep(2 * time.Second)
		b = k.takesExactly(8300*time.Microsecond, 6, 0xFD)
		k.near("cooled", celsius175(int64(k.word(b, 0, 0xFF))), room.Temperature, 0.01)
	})
}

// What a look for an SHT3x does to it.
func TestSHT4xIsSpoiledByTheCommandsOfAnother(t *testing.T) {
	onTalk(t, NewSHT4x(Steady(room)), func(k talk) {
		k.refuses(0xF3, 0x2D)
		b := k.takesExactly(8300*time.Microsecond, 6, 0xFD)
		k.near("spoiled", celsius175(int64(k.word(b, 0, 0xFF))), room.Temperature+7.5, 0.01)
		time.Sleep(time.Second)
		b = k.takesExactly(8300*time.Microsecond, 6, 0xFD)
		k.near("well again", celsius175(int64(k.word(b, 0, 0xFF))), room.Temperature, 0.01)
	})
}

func TestSHTC3Sleeps(t *testing.T) {
	c := NewSHTC3(Steady(room))
	onTalk(t, c, func(k talk) {
		k.same("identity", k.ask(2, 0xEF, 0xC8), 0x08, 0x87)
		k.say(0xB0, 0x98)
		k.refuses(0xEF, 0xC8)
		k.refuses(0x78, 0x66)
		k.refuses(0x80, 0x5D) // not even a reset
		k.silent()
		if !c.Asleep() {
			k.Error("awake")
		}
		k.say(0x35, 0x17)
		k.refuses(0x78, 0x66)
		time.Sleep(240 * time.Microsecond)
		b := k.takesExactly(12100*time.Microsecond, 6, 0x78, 0x66)
		k.near("temperature", shtc3Celsius(int64(k.word(b, 0, 0xFF))), room.Temperature, 0.002)
		k.near("humidity", shtc3Percent(int64(k.word(b, 1, 0xFF))), room.Humidity, 0.001)
		b = k.takesExactly(800*time.Microsecond, 6, 0x40, 0x1A)
		k.near("humidity first", shtc3Percent(int64(k.word(b, 0, 0xFF))), room.Humidity, 0.001)
		k.say(0x80, 0x5D)
		k.refuses(0xEF, 0xC8)
		time.Sleep(240 * time.Microsecond)
		c.Tune(ChipID(0x47))
		k.same("another identity", k.ask(2, 0xEF, 0xC8), 0x08, 0x47)
		k.refuses(0x35)
	})
}
