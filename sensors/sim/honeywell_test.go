package sim

import (
	"bytes"
	"math"
	"testing"
	"time"
)

// Half of 15 psi is the middle of the output, whatever the transfer function.
func TestHoneywellTransfer(t *testing.T) {
	for _, v := range []struct {
		f      Transfer
		pascal float64
		bits   uint
		want   int64
	}{
		{TransferA, 0, 14, 1638}, {TransferA, 103421, 14, 14746}, {TransferA, 51710.5, 14, 8192},
		{TransferB, 0, 14, 819}, {TransferB, 103421, 14, 15565},
		{TransferC, 0, 14, 819}, {TransferC, 103421, 14, 13926},
		{TransferF, 0, 14, 655}, {TransferF, 103421, 14, 15401},
		{TransferA, 0, 24, 1677722}, {TransferA, 103421, 24, 15099494},
		{TransferBOfMPR, 0, 24, 419430}, {TransferBOfMPR, 103421, 24, 3774874},
		{TransferCOfMPR, 0, 24, 3355443}, {TransferCOfMPR, 103421, 24, 13421773},
		{TransferA, -1e6, 14, 0}, {TransferA, 1e6, 14, 16383},
	} {
		if got := v.f.counts(v.pascal, 0, 103421, v.bits); got != v.want {
			t.Errorf("%v %.1f Pa: %d, want %d", v.f, v.pascal, got, v.want)
		}
	}
	// The ABP2's example: 14260634 on ±1 psi is 0.875 psi, 6291456 is 25 °C.
	if got := TransferA.counts(0.875, -1, 1, 24); math.Abs(float64(got-14260634)) > 1 {
		t.Errorf("0.875 psi: %d", got)
	}
	if got := celsiusCounts(25, 24); math.Abs(float64(got-6291456)) > 1 {
		t.Errorf("25 °C: %d", got)
	}
}

func TestHSCAnswers(t *testing.T) {
	c := NewHSC(Steady(room), TransferA, 0, 103421)
	on77(t, c, func(b *Bus) {
		first := tx(t, b, 6)
		if first[0]>>6 != 0 || !bytes.Equal(first[4:], []byte{0xFF, 0xFF}) || first[3]&0x1F != 0 {
			t.Errorf("% x", first)
		}
		if got := tx(t, b, 2); got[0] != first[0]|0x80 || got[1] != first[1] {
			t.Errorf("the same words again: % x, want them to be stale", got)
		}
		time.Sleep(460 * time.Microsecond)
		if got := tx(t, b, 4); !bytes.Equal(got, first[:4]) {
			t.Errorf("% x, want % x", got, first[:4])
		}
		for _, s := range []HSCStatus{HSCCommand, HSCStale, HSCFault} {
			time.Sleep(time.Millisecond)
			c.Say(s)
			if got := tx(t, b, 4); got[0]>>6 != byte(s) {
				t.Errorf("status %d: % x", s, got)
			}
		}
		c.Say(HSCNormal)
		c.WithoutTemperature()
		time.Sleep(time.Millisecond)
		if got := tx(t, b, 4); !bytes.Equal(got[2:], []byte{0, 0}) || got[0]>>6 != 0 {
			t.Errorf("without temperature: % x", got)
		}
		b.BrownOut(0x77)
		refused(t, b)
		time.Sleep(3 * time.Millisecond)
		if got := tx(t, b, 2)[0] >> 6; got != 0 {
			t.Errorf("status %d after a start", got)
		}
	})
}

func TestMPRAnswers(t *testing.T) {
	c := NewMPR(Steady(room), TransferA, 0, 172369)
	on77(t, c, func(b *Bus) {
		if got := tx(t, b, 5); !bytes.Equal(got, []byte{0x40, 0, 0, 0, 0xFF}) {
			t.Errorf("before a measurement: % x", got)
		}
		tx(t, b, 0, 0xAA, 0x00) // not the whole command
		if got := tx(t, b, 1)[0]; got != 0x40 {
			t.Errorf("status %02x, want 40", got)
		}
		tx(t, b, 0, 0xAA, 0x00, 0x00)
		time.Sleep(5*time.Millisecond - 1)
		if got := tx(t, b, 4); !bytes.Equal(got, []byte{0x60, 0, 0, 0}) {
			t.Errorf("while busy: % x", got)
		}
		time.Sleep(1)
		want := 1677721.6 + room.Pressure/172369*13421772.8
		if got := tx(t, b, 4); got[0] != 0x40 || math.Abs(float64(word(got[1:]))-want) > 1 {
			t.Errorf("% x, want 40 and %.0f", got, want)
		}
		c.Fail(true, false)
		if got := tx(t, b, 1)[0]; got != 0x44 {
			t.Errorf("status %02x, want 44", got)
		}
		c.Fail(false, true)
		if got := tx(t, b, 1)[0]; got != 0x41 {
			t.Errorf("status %02x, want 41", got)
		}
	})
}
