package bus

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/i2c"

	"weir/sensors"
	"weir/sensors/sim"
)

func TestFindsTheOneThatFits(t *testing.T) {
	for _, c := range []struct {
		name, bus string
		addresses []uint16
		id        byte
		want      string // the connection, or part of the error
		fault     sensors.Fault
	}{
		{"the default bus", "", both, 0x58, "0x77 on bus 1", 0},
		{"another bus when the default has none", "", both, 0x60, "0x76 on bus 3", 0},
		{"named by number", "3", both, 0x58, "0x77 on bus 3", 0},
		{"named by path", "/dev/i2c-3", both, 0x58, "0x77 on bus 3", 0},
		{"named as periph does", "I2C3", both, 0x58, "0x77 on bus 3", 0},
		{"named by adapter", "tiny-usb", both, 0x58, "0x77 on bus 3", 0},
		{"wrong chip", "1", []uint16{0x77}, 0x60, "id 0x58 at 0x77 on bus 1", sensors.WrongChip},
		{"wrong chip, two addresses", "1", both, 0x60, "id 0x58 at 0x77 on bus 1", sensors.WrongChip},
		{"two wrong chips", "3", both, 0x55, "id 0x60 at 0x76 on bus 3; id 0x58 at 0x77 on bus 3", sensors.WrongChip},
		{"nobody", "1", []uint16{0x76}, 0x60, "0x76 on bus 1: not answering", sensors.NotAnswering},
		{"nobody at two addresses", "1", []uint16{0x10, 0x11}, 0x60, "nothing at 0x10, 0x11 on bus 1", sensors.NotAnswering},
		{"no multiplexer", "1/0x71/5", both, 0x60, "0x76 on bus 1 behind mux 0x71 channel 5: not answering: the multiplexer 0x71 on bus 1 does not answer", sensors.NotAnswering},
		{"no such bus", "9", []uint16{0x76}, 0x60, "bus 9: gone: no such bus", sensors.Gone},
		{"no such name", "ft232", both, 0x60, `no bus called "ft232"; there are: 3 (i2c-tiny-usb at 001:004)`, sensors.Gone},
		{"the kernel has it", "1", []uint16{0x48}, 0x60, `0x48 on bus 1: refused: the kernel's driver "lm75"`, sensors.Refused},
	} {
		running(t, board{1: {0x77: 0x58}, 3: {0x76: 0x60, 0x77: 0x58}}, func(ctx context.Context, m *Machine, _ wires) {
			write(t, m.Path("/sys/class/i2c-dev/i2c-3/name"), "i2c-tiny-usb at 001:004\n")
			link(t, m.Path("/sys/bus/i2c/devices/1-0048/driver"), "../../drivers/lm75")
			conn, err := m.I2C(ctx, c.bus, c.addresses, bosch(c.id))
			if sensors.FaultOf(err) != c.fault {
				t.Errorf("%s: got %v, want class %v", c.name, err, c.fault)
				return
			}
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = conn.String()
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("%s: got %q, want %q", c.name, got, c.want)
			}
		})
	}
}

func TestAnAddressHasOneUser(t *testing.T) {
	running(t, board{1: {0x76: 0x58, 0x77: 0x58}}, func(ctx context.Context, m *Machine, _ wires) {
		_, err := m.I2C(ctx, "", both, bosch(0x58))
		if sensors.FaultOf(err) != sensors.Ambiguous || !strings.Contains(err.Error(), "2 chips fit: 0x76 on bus 1, 0x77 on bus 1; set bus and address") {
			t.Errorf("two free chips: got %v, want ambiguous", err)
		}
		first, err := m.I2C(ctx, "1", both[:1], bosch(0x58))
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.I2C(ctx, "1", []uint16{0x76, 0x10}, bosch(0x58))
		if sensors.FaultOf(err) != sensors.NotAnswering || !strings.Contains(err.Error(), "nothing at 0x76, 0x10 on bus 1; look at power and wiring; 0x76 on bus 1: another sensor") {
			t.Errorf("one taken, one silent: got %v, want not answering, worth trying again", err)
		}
		if _, err = m.I2C(ctx, "1", both[:1], bosch(0x58)); sensors.FaultOf(err) != sensors.Refused {
			t.Errorf("second user: got %v, want refused", err)
		}
		second, err := m.I2C(ctx, "", both, bosch(0x58))
		if err != nil || second.String() != "0x77 on bus 1" {
			t.Errorf("the other one: got %v %v", second, err)
		}
		if err := first.Close(); err != nil {
			t.Error(err)
		}
		if err := first.Close(); err != nil { // twice is harmless
			t.Error(err)
		}
		if _, err = m.I2C(ctx, "1", both[:1], bosch(0x58)); err != nil {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestNoBusAtAll(t *testing.T) {
	running(t, nil, func(ctx context.Context, m *Machine, _ wires) {
		if _, err := m.I2C(ctx, "", both, bosch(0x58)); sensors.FaultOf(err) != sensors.Gone || !strings.Contains(err.Error(), "dtparam=i2c_arm=on") {
			t.Errorf("got %v, want gone with advice", err)
		}
	})
}

// A bus that is not there is said once, not for each address.
func TestMissingBusIsSaidOnce(t *testing.T) {
	m := New(Options{Buses: func() []int { return nil }, OpenI2C: func(int) (i2c.BusCloser, error) {
		return nil, errors.New("sysfs-i2c: bus #7 is not configured: open /dev/i2c-7: no such file or directory")
	}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = m.Run(ctx) }()
	defer func() { cancel(); <-done }()
	_, err := m.I2C(ctx, "7", both, bosch(0x58))
	if sensors.FaultOf(err) != sensors.Gone || strings.Count(err.Error(), "bus 7") != 1 || !strings.Contains(err.Error(), "dtparam=i2c_arm=on") {
		t.Errorf("got %v, want once that bus 7 is gone", err)
	}
}

// TestSearchesDoNotMeet: a sensor that looks for its chip at an address where another one is just looking waits for the end of
// that, on its own wire and behind a multiplexer, and for no other bus.
func TestSearchesDoNotMeet(t *testing.T) {
	running(t, board{1: {0x76: 0x60, 0x77: 0x58}, 3: {0x76: 0x60}}, func(ctx context.Context, m *Machine, w wires) {
		mux := sim.NewTCA9548()
		w[1].Add(0x70, mux)
		mux.Channel(2).Add(0x75, sim.NewBME280(air))
		thinking := func(ctx context.Context, c sensors.Conn) (int, error) {
			time.Sleep(time.Second)
			return 0, sensors.Errorf(sensors.WrongChip, "", "not %s", c)
		}
		wrong := make(chan error, 1)
		go func() {
			_, err := m.I2C(ctx, "1", []uint16{0x75, 0x76, 0x77}, thinking)
			wrong <- err
		}()
		synctest.Wait()
		begun := time.Now()
		got := make(chan string, 3)
		for bus, at := range map[string]uint16{"1": 0x77, "1/0x70/2": 0x75, "3": 0x76} {
			id := map[uint16]byte{0x77: 0x58, 0x75: 0x60, 0x76: 0x60}[at]
			go func() {
				c, err := m.I2C(ctx, bus, []uint16{at}, bosch(id))
				if err != nil {
					got <- err.Error()
					return
				}
				got <- c.String()
			}()
		}
		if first := <-got; first != "0x76 on bus 3" || time.Since(begun) >= time.Second {
			t.Errorf("first %s after %v, want the other bus at once", first, time.Since(begun))
		}
		rest := []string{<-got, <-got}
		slices.Sort(rest)
		if want := []string{"0x75 on bus 1 behind mux 0x70 channel 2", "0x77 on bus 1"}; !slices.Equal(rest, want) {
			t.Errorf("found %q, want %q", rest, want)
		}
		if err := <-wrong; sensors.FaultOf(err) != sensors.WrongChip {
			t.Error(err)
		}
		short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		go func() { _, err := m.I2C(ctx, "3", []uint16{0x75, 0x77}, thinking); wrong <- err }()
		synctest.Wait()
		if _, err := m.I2C(short, "3", []uint16{0x74}, thinking); sensors.FaultOf(err) != sensors.Timeout || !strings.Contains(err.Error(), "looked for") {
			t.Errorf("without time to wait: %v", err)
		}
		<-wrong
	})
}
