package sim

import (
	"bytes"
	"testing"
	"time"
)

func TestLPSIdentities(t *testing.T) {
	for _, v := range []struct {
		name   string
		chip   *LPS
		id     byte
		data   []byte // of 28 to 2C, never measured
		status byte   // after a measurement
	}{
		{"LPS22HB", NewLPS22HB(Steady(room)), 0xB1, []byte{0, 0, 0, 0, 0}, 0x03},
		{"LPS33HW", NewLPS33HW(Steady(room)), 0xB1, []byte{0, 0, 0, 0, 0}, 0x03},
		{"LPS22HH", NewLPS22HH(Steady(room)), 0xB3, []byte{0, 0, 0, 0, 0}, 0x03},
		{"LPS25HB", NewLPS25HB(Steady(room)), 0xBD, []byte{0, 0x80, 0x2F, 0, 0}, 0x03},
		{"LPS331", NewLPS331(Steady(room)), 0xBB, []byte{0, 0x80, 0x2F, 0, 0}, 0x03},
	} {
		on77(t, v.chip, func(b *Bus) {
			burst := byte(0x28)
			if v.chip.kind.old {
				burst |= 0x80
			}
			if got := tx(t, b, 1, 0x0F)[0]; got != v.id {
				t.Errorf("%s: id %02x", v.name, got)
			}
			if got := tx(t, b, 5, burst); !bytes.Equal(got, v.data) {
				t.Errorf("%s: data % x, want % x", v.name, got, v.data)
			}
			if got := tx(t, b, 1, 0x27)[0]; got != 0 {
				t.Errorf("%s: status %02x", v.name, got)
			}
			if v.chip.kind.old {
				tx(t, b, 0, 0x20, 0x80)
			}
			tx(t, b, 0, v.chip.kind.ctrl2, 0x11)
			time.Sleep(100 * time.Millisecond)
			if got := tx(t, b, 1, 0x27)[0]; got != v.status {
				t.Errorf("%s: status %02x after a measurement, want %02x", v.name, got, v.status)
			}
		})
	}
}

// 3FF58D is 1023.347 hPa: the sheet's own example of an output.
func TestLPSVector(t *testing.T) {
	c := NewLPS22HB(Steady(Climate{Pressure: 102334.692, Temperature: 25.01}))
	if got := c.words(morning); got != (RawWords{Pressure: 0x3FF58D, Temperature: 2501}) {
		t.Errorf("%x", got)
	}
	old := NewLPS25HB(Steady(Climate{Pressure: 102334.692, Temperature: -20}))
	if got := old.words(morning); got != (RawWords{Pressure: 0x3FF58D, Temperature: -30000}) {
		t.Errorf("%x", got)
	}
}

func TestLPSOneShot(t *testing.T) {
	for name, v := range map[string]struct {
		chip  *LPS
		setUp []byte
		start []byte
		takes time.Duration
	}{
		"22HB":       {NewLPS22HB(Steady(room)), []byte{0x10, 0x02}, []byte{0x11, 0x11}, hertz(75)},
		"22HH":       {NewLPS22HH(Steady(room)), []byte{0x10, 0x02}, []byte{0x11, 0x11}, 4700 * time.Microsecond},
		"22HH quiet": {NewLPS22HH(Steady(room)), []byte{0x10, 0x02}, []byte{0x11, 0x13}, 13200 * time.Microsecond},
		"25HB":       {NewLPS25HB(Steady(room)), []byte{0x20, 0x84}, []byte{0x21, 0x01}, hertz(25)},
		"331":        {NewLPS331(Steady(room)), []byte{0x20, 0x84}, []byte{0x21, 0x01}, hertz(12.5)},
	} {
		on77(t, v.chip, func(b *Bus) {
			tx(t, b, 0, v.setUp...)
			tx(t, b, 0, v.start...)
			time.Sleep(v.takes - 1)
			if got, s := tx(t, b, 1, v.start[0])[0], tx(t, b, 1, 0x27)[0]; got != v.start[1] || s != 0 {
				t.Errorf("%s: control %02x, status %02x before the end", name, got, s)
			}
			time.Sleep(1)
			if got, s := tx(t, b, 1, v.start[0])[0], tx(t, b, 1, 0x27)[0]; got != v.start[1]&^1 || s != 3 {
				t.Errorf("%s: control %02x, status %02x at the end", name, got, s)
			}
			time.Sleep(time.Second)
			if v.chip.Conversions() != 1 {
				t.Errorf("%s: %d conversions, want 1", name, v.chip.Conversions())
			}
		})
	}
}

// The old ones read on only when bit 7 of the address says so; on the newer ones
// that is another register.
func TestLPSAutoIncrement(t *testing.T) {
	old := NewLPS25HB(Steady(room))
	on77(t, old, func(b *Bus) {
		if got := tx(t, b, 3, 0x28); !bytes.Equal(got, []byte{0, 0, 0}) {
			t.Errorf("without bit 7: % x, want the same register again", got)
		}
		if got := tx(t, b, 3, 0xA8); !bytes.Equal(got, []byte{0, 0x80, 0x2F}) {
			t.Errorf("with bit 7: % x", got)
		}
		tx(t, b, 0, 0xA0, 0x84, 0x00)
		if got := tx(t, b, 1, 0x20)[0]; got != 0x84 {
			t.Errorf("control 1 %02x", got)
		}
	})
	c := NewLPS22HB(Steady(room))
	on77(t, c, func(b *Bus) {
		tx(t, b, 0, 0x11, 0x11)
		time.Sleep(20 * time.Millisecond)
		want := tx(t, b, 5, 0x28)
		if got := tx(t, b, 5, 0xA8); !bytes.Equal(got, make([]byte, 5)) {
			t.Errorf("with bit 7: % x, want nothing there", got)
		}
		tx(t, b, 0, 0x11, 0x00) // no increment
		if got := tx(t, b, 2, 0x28); got[0] != got[1] || got[0] != want[0] {
			t.Errorf("without IF_ADD_INC: % x", got)
		}
	})
}

// With block data update the bytes of one value stay together.
func TestLPSBlockDataUpdate(t *testing.T) {
	rising := WorldFunc(func(at time.Time) Climate {
		return Climate{Pressure: 100000 + 10*float64(at.UnixMilli()%10000), Temperature: 20}
	})
	for _, bdu := range []byte{0x00, 0x02} {
		c := NewLPS22HB(rising)
		on77(t, c, func(b *Bus) {
			tx(t, b, 0, 0x10, 0x50|bdu) // 75 Hz
			time.Sleep(100 * time.Millisecond)
			low := tx(t, b, 1, 0x28)[0]
			torn := c.shown.Pressure
			time.Sleep(100 * time.Millisecond)
			if got := tx(t, b, 2, 0x29); (int64(low)|word([]byte{got[1], got[0]})<<8 == torn) != (bdu != 0) {
				t.Errorf("BDU %02x: % x behind %02x, first was %06x", bdu, got, low, torn)
			}
			if s := tx(t, b, 1, 0x27)[0]; bdu != 0 && s&0x01 == 0 {
				t.Errorf("status %02x: the value that was kept back is new", s)
			}
		})
	}
}

func TestLPSContinuous(t *testing.T) {
	c := NewLPS25HB(Steady(room))
	on77(t, c, func(b *Bus) {
		tx(t, b, 0, 0x20, 0x94) // 1 Hz
		time.Sleep(10*time.Second + 100*time.Millisecond)
		if got := tx(t, b, 1, 0x27)[0]; got != 0x33 || c.Conversions() != 11 {
			t.Errorf("status %02x after %d conversions, want 33 after 11", got, c.Conversions())
		}
		tx(t, b, 5, 0xA8)
		if got := tx(t, b, 1, 0x27)[0]; got != 0 {
			t.Errorf("status %02x after reading", got)
		}
		tx(t, b, 0, 0x20, 0x14) // switched off
		tx(t, b, 0, 0x21, 0x01)
		time.Sleep(10 * time.Second)
		if c.Conversions() != 11 {
			t.Errorf("%d conversions while it is off", c.Conversions())
		}
	})
}

func TestLPSResetAndBoot(t *testing.T) {
	c := NewLPS22HB(Steady(room), ChipID(0x42))
	on77(t, c, func(b *Bus) {
		if got := tx(t, b, 1, 0x0F)[0]; got != 0x42 {
			t.Errorf("clone says %02x", got)
		}
		tx(t, b, 0, 0x10, 0x12)
		time.Sleep(2 * time.Second)
		tx(t, b, 0, 0x11, 0x84) // both
		if got := tx(t, b, 2, 0x10); !bytes.Equal(got, []byte{0x00, 0x94}) {
			t.Errorf("during a reset: % x", got)
		}
		time.Sleep(50 * time.Microsecond)
		if got := tx(t, b, 2, 0x10); !bytes.Equal(got, []byte{0x00, 0x90}) {
			t.Errorf("after it: % x, want it to be booting", got)
		}
		time.Sleep(10 * time.Millisecond)
		tx(t, b, 0, 0x11, 0x90)
		if got := tx(t, b, 1, 0x11)[0]; got != 0x90 {
			t.Errorf("booting: %02x", got)
		}
		time.Sleep(2500 * time.Microsecond)
		if got := tx(t, b, 1, 0x11)[0]; got != 0x10 {
			t.Errorf("booted: %02x", got)
		}
		tx(t, b, 0, 0x10, 0x12)
		b.BrownOut(0x77)
		refused(t, b, 0x0F)
		time.Sleep(5 * time.Millisecond)
		if got := tx(t, b, 1, 0x10)[0]; got != 0 {
			t.Errorf("control %02x after a brown-out", got)
		}
	})
}
