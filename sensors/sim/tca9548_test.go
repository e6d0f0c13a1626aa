package sim

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// branched runs a test in a bubble with a multiplexer at 0x70, a BMP280 with
// another id behind each of its channels 0 and 3, all at 0x76, and a TMP102 beside.
func branched(t *testing.T, test func(b *Bus, m *TCA9548)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, m := NewBus("I2C1", Speed(0)), NewTCA9548()
		b.Add(0x70, m)
		b.Add(0x48, NewTMP102(Steady(room)))
		m.Channel(0).Add(0x76, NewBMP280(Steady(room), ChipID(0x56)))
		m.Channel(3).Add(0x76, NewBMP280(Steady(room), ChipID(0x5B)))
		test(b, m)
	})
}

func askBehind(t *testing.T, b *Bus, addr uint16, w ...byte) byte {
	t.Helper()
	r := []byte{0}
	if err := b.Tx(addr, w, r); err != nil {
		t.Fatalf("%02x: %v", addr, err)
	}
	return r[0]
}

func wantSilence(t *testing.T, b *Bus, addr uint16, when string) {
	t.Helper()
	if err := b.Tx(addr, []byte{0xD0}, make([]byte, 1)); !errors.Is(err, ErrNack) {
		t.Errorf("%s: %v, want nobody to answer", when, err)
	}
}

func connectChannels(t *testing.T, b *Bus, channels byte) {
	t.Helper()
	if err := b.Tx(0x70, []byte{channels}, nil); err != nil {
		t.Fatal(err)
	}
}

func TestMultiplexerChannels(t *testing.T) {
	branched(t, func(b *Bus, m *TCA9548) {
		if got := askBehind(t, b, 0x70); got != 0 {
			t.Errorf("control %02x after power-up", got)
		}
		wantSilence(t, b, 0x76, "no channel is on")
		for channels, want := range map[byte]byte{1: 0x56, 8: 0x5B, 9: 0x56 & 0x5B, 0xF9: 0x56 & 0x5B} {
			connectChannels(t, b, channels)
			if got := askBehind(t, b, 0x76, 0xD0); got != want || m.Control() != channels {
				t.Errorf("channels %02x: id %02x, control %02x, want %02x", channels, got, m.Control(), want)
			}
		}
		askBehind(t, b, 0x48, 0) // beside it, whatever is on
		connectChannels(t, b, 4)
		wantSilence(t, b, 0x76, "an empty channel is on")
		connectChannels(t, b, 1)
		m.Reset()
		wantSilence(t, b, 0x76, "after a reset")
		connectChannels(t, b, 1)
		b.BrownOut(0x70)
		wantSilence(t, b, 0x76, "after a brown-out")
		connectChannels(t, b, 1)
		b.Unplug(0x70)
		wantSilence(t, b, 0x76, "unplugged")
		b.Plug(0x70)
		wantSilence(t, b, 0x76, "plugged in again")
		// The change comes after the stop: what is asked in one message with it is not.
		if got := askBehind(t, b, 0x70, 2, 8); got != 8 {
			t.Errorf("control %02x after two bytes, want the last", got)
		}
	})
}

func TestMultiplexerFaults(t *testing.T) {
	branched(t, func(b *Bus, m *TCA9548) {
		connectChannels(t, b, 9)
		clear := m.Channel(0).Inject(0x76, Nack())
		if got := askBehind(t, b, 0x76, 0xD0); got != 0x5B {
			t.Errorf("one of two does not answer: id %02x", got)
		}
		connectChannels(t, b, 1)
		wantSilence(t, b, 0x76, "the only one does not answer")
		clear()
		m.Channel(0).Inject(0x76, Flip(0).Times(1))
		if got := askBehind(t, b, 0x76, 0xD0); got != 0x57 || b.Counts().Altered != 1 {
			t.Errorf("flipped behind the multiplexer: %02x, %+v", got, b.Counts())
		}
		m.Channel(0).Unplug(0x76)
		wantSilence(t, b, 0x76, "unplugged behind it")
		m.Channel(0).Plug(0x76)
		time.Sleep(time.Second)
		askBehind(t, b, 0x76, 0xD0)
		m.Channel(0).Inject(0x76, InputOutput().Times(1))
		if err := b.Tx(0x76, []byte{0xD0}, make([]byte, 1)); !errors.Is(err, ErrIO) {
			t.Errorf("EIO behind it: %v", err)
		}
		connectChannels(t, b, 8)
		release := m.Channel(0).Hang()
		askBehind(t, b, 0x76, 0xD0) // a channel that hangs and is off does no harm
		connectChannels(t, b, 1)
		start := time.Now()
		for _, addr := range []uint16{0x76, 0x70, 0x48} {
			if err := b.Tx(addr, []byte{0}, nil); !errors.Is(err, ErrTimeout) {
				t.Errorf("%02x with a hung channel on: %v", addr, err)
			}
		}
		if took := time.Since(start); took != 3*AdapterTimeout {
			t.Errorf("three time-outs took %v", took)
		}
		m.Reset()
		askBehind(t, b, 0x48, 0)
		release()
		connectChannels(t, b, 1)
		askBehind(t, b, 0x76, 0xD0)
	})
}

func TestMultiplexerBehindMultiplexer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, outer, inner := NewBus("I2C1", Speed(0)), NewTCA9548(), NewTCA9548()
		b.Add(0x70, outer)
		outer.Channel(2).Add(0x71, inner)
		inner.Channel(7).Add(0x76, NewBMP280(Steady(room)))
		wantSilence(t, b, 0x71, "the outer one is off")
		connectChannels(t, b, 4)
		if err := b.Tx(0x71, []byte{0x80}, nil); err != nil {
			t.Fatal(err)
		}
		if got := askBehind(t, b, 0x76, 0xD0); got != 0x58 {
			t.Errorf("id %02x", got)
		}
		connectChannels(t, b, 0)
		wantSilence(t, b, 0x76, "the outer one is off again")
		connectChannels(t, b, 4)
		askBehind(t, b, 0x76, 0xD0) // the inner one kept its channel
	})
}

// The channels of one chip do not disturb each other's conversions, and time goes on
// for those that are off.
func TestMultiplexerKeepsChipsApart(t *testing.T) {
	branched(t, func(b *Bus, m *TCA9548) {
		connectChannels(t, b, 1)
		if err := b.Tx(0x76, []byte{0xF4, 0x25}, nil); err != nil {
			t.Fatal(err)
		}
		connectChannels(t, b, 8)
		if got := askBehind(t, b, 0x76, 0xF4); got != 0 {
			t.Errorf("the other chip heard it: ctrl_meas %02x", got)
		}
		time.Sleep(time.Second)
		connectChannels(t, b, 1)
		if got := askBehind(t, b, 0x76, 0xF4); got != 0x24 {
			t.Errorf("ctrl_meas %02x, want the conversion over", got)
		}
	})
}
