package sim

import (
	"bytes"
	"testing"
	"time"
)

func TestMS56Vectors(t *testing.T) {
	for _, v := range []struct {
		name          string
		trim          TrimMS5611
		half          bool
		d1, d2        int64
		dT, centi, pa int64
	}{
		{"MS5611 sheet", SheetTrimMS5611(), false, 9085466, 8569150, 2366, 2007, 100009},
		{"MS5611 below 20 °C", SheetTrimMS5611(), false, 9085466, 8069150, -497634, 205, 96512},
		{"MS5611 below -15 °C", SheetTrimMS5611(), false, 9085466, 7369150, -1197634, -2710, 90613},
		{"MS5607 sheet", SheetTrimMS5607(), true, 6465444, 8077636, 68, 2000, 110002},
	} {
		centi, _, dT := v.trim.temperature(v.d2)
		if pa := v.trim.pressure(v.d1, v.d2, v.half); dT != v.dT || centi != v.centi || pa != v.pa {
			t.Errorf("%s: dT %d, %d, %d, want %d, %d, %d", v.name, dT, centi, pa, v.dT, v.centi, v.pa)
		}
	}
}

// The checksum ignores bits 7 to 4 of the last word, and 0 is a valid one.
func TestMS56Checksum(t *testing.T) {
	words := [8]uint16{0x3132, 0x3334, 0x3536, 0x3738, 0x3940, 0x4142, 0x4344, 0x4500}
	for _, low := range []uint16{0x00, 0x0B, 0xF5} {
		words[7] = 0x4500 | low
		if got := crc4(words); got != 0xB {
			t.Errorf("last word %04x: %x, want b", words[7], got)
		}
	}
	trim := SheetTrimMS5611()
	if prom := trim.layout(); prom[1] != 40127 || prom[6] != 28312 || byte(prom[7]&0xF) != crc4(prom) {
		t.Errorf("PROM %04x", prom)
	}
}

func TestMS56Commands(t *testing.T) {
	c := NewMS5611(Steady(room))
	on77(t, c, func(b *Bus) {
		if got := tx(t, b, 2, 0xA2); !bytes.Equal(got, []byte{0x9C, 0xBF}) { // C1 = 40127
			t.Errorf("C1: % x", got)
		}
		if got := word(tx(t, b, 2, 0xAE)); got != int64(c.PROM()[7]) {
			t.Errorf("last word %04x", got)
		}
		if got := tx(t, b, 2); !bytes.Equal(got, []byte{0xFF, 0xFF}) {
			t.Errorf("a read without a command: % x", got)
		}
		tx(t, b, 0, 0x1E)
		refused(t, b, 0xA0)
		time.Sleep(2799 * time.Microsecond)
		refused(t, b, 0xA0)
		time.Sleep(time.Microsecond)
		if got := word(tx(t, b, 3, 0x00)); got != 0 {
			t.Errorf("nothing was converted, got %06x", got)
		}

		for i, takes := range []time.Duration{600, 1170, 2280, 4540, 9040} {
			tx(t, b, 0, 0x40+2*byte(i))
			time.Sleep(takes * time.Microsecond)
			first := word(tx(t, b, 3, 0x00))
			if again := word(tx(t, b, 3, 0x00)); first == 0 || again != 0 {
				t.Errorf("%02x: %06x, and again %06x, want a word and then 0", 0x40+2*i, first, again)
			}
			tx(t, b, 0, 0x40+2*byte(i))
			time.Sleep(takes*time.Microsecond - 1)
			if early := word(tx(t, b, 3, 0x00)); early != 0 {
				t.Errorf("%02x: %06x too early, want 0", 0x40+2*i, early)
			}
			time.Sleep(1)
			if late := word(tx(t, b, 3, 0x00)); late == first || late&0xFF != 0 {
				t.Errorf("%02x: %06x after it was disturbed, want a wrong word", 0x40+2*i, late)
			}
		}
		tx(t, b, 0, 0x41) // no such command
		time.Sleep(10 * time.Millisecond)
		if got := word(tx(t, b, 3, 0x00)); got != 0 {
			t.Errorf("41 converted: %06x", got)
		}
		b.Tx(0x77, []byte{0x48}, nil)
		time.Sleep(10 * time.Millisecond)
		d1 := word(tx(t, b, 3, 0x00))
		tx(t, b, 0, 0x58)
		time.Sleep(10 * time.Millisecond)
		if d2 := word(tx(t, b, 3, 0x00)); d1 == d2 {
			t.Errorf("D1 and D2 are both %06x", d1)
		}
	})
}

func TestMS56OtherChip(t *testing.T) {
	c := NewMS5607(Steady(room))
	on77(t, c, func(b *Bus) {
		c.SetTrim(TrimMS5611{1, 2, 3, 4, 5, 6})
		for i, want := range []int64{1, 2, 3, 4, 5, 6} {
			if got := word(tx(t, b, 2, 0xA2+2*byte(i))); got != want {
				t.Errorf("C%d: %d", i+1, got)
			}
		}
		c.SetPROM([8]uint16{})
		if got := word(tx(t, b, 2, 0xA2)); got != 0 {
			t.Errorf("an empty PROM: %04x", got)
		}
	})
}
