package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/broker/message"
	"weir/gateway/config"
	"weir/sensors"
	"weir/sensors/bus"
	"weir/sensors/chip"
	"weir/sensors/sim"
)

// crowd is one RS-485 line at 9600 baud with samplers of ten Modbus slaves at 1 Hz, in a bubble.
type crowd struct {
	slaves   map[int]*sim.ModbusSlave // those that are there
	samplers map[int]*sampler
}

// onOneLine runs a crowd in which some slaves were never there, until f returns.
func onOneLine(t *testing.T, absent map[int]bool, f func(c *crowd)) {
	synctest.Test(t, func(t *testing.T) {
		mode := sensors.Mode{Baud: 9600, DataBits: 8, Parity: 'N', StopBits: 1}
		cable := sim.NewCable("/dev/ttyUSB0", mode.Character())
		m := bus.New(bus.Options{
			Lines:      []bus.LineOptions{{Name: "a", Device: "/dev/ttyUSB0", Mode: mode, Gap: 20 * time.Millisecond}},
			OpenSerial: func(string, sensors.Mode) (bus.SerialPort, error) { return cable, nil },
		})
		c := &crowd{slaves: map[int]*sim.ModbusSlave{}, samplers: map[int]*sampler{}}
		var present []*sim.ModbusSlave
		for id := 1; id <= 10; id++ {
			if !absent[id] {
				c.slaves[id] = sim.NewXYMD02(byte(id), sim.Steady(sim.Climate{Temperature: float64(id), Humidity: 45}))
				present = append(present, c.slaves[id])
			}
			c.samplers[id] = slaveSampler(t, m, id)
		}
		line := sim.NewModbusLine(present...)
		line.Turnaround = 5 * time.Millisecond
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = cable.Serve(ctx, line) })
		running.Go(func() { _ = m.Run(ctx) })
		for _, s := range c.samplers {
			running.Go(func() { s.run(ctx) })
		}
		f(c)
		cancel()
		running.Wait()
	})
}

func slaveSampler(t *testing.T, m sensors.Machine, id int) *sampler {
	driver := sensors.Find(chip.Drivers, "modbus-rtu")
	settings, wrong := driver.Settings(fmt.Sprint(id), map[string]any{"bus": "a", "address": id, "map": "xy-md02"}, nil)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	return &sampler{
		name: fmt.Sprint(id), every: time.Second, limit: limitOf(driver, settings), stateTopic: "state", out: &stub{}, log: slog.New(slog.DiscardHandler),
		open:  func() (sensors.Device, error) { return driver.Open(m, settings) },
		judge: newJudge(&config.Sensor{Topic: "{quantity}", Every: time.Second, Settings: settings}, driver), another: func() {},
		stamp: func() message.Stamp { return message.Stamp{} },
	}
}

// missed returns how many slots each sampler has missed.
func (c *crowd) missed() map[int]uint64 {
	all := map[int]uint64{}
	for id, s := range c.samplers {
		all[id] = s.snapshot().Missed
	}
	return all
}

// Two of ten slaves are dead, and a third dies and comes back: what lives is read in every slot, but for the one in
// which a slave was found dead, and what comes back is good within ten seconds.
func TestADeadSlaveStarvesNobody(t *testing.T) {
	onOneLine(t, map[int]bool{3: true, 7: true}, func(c *crowd) {
		time.Sleep(10 * time.Second)
		for id, n := range c.missed() {
			if c.slaves[id] != nil && n > 2 {
				t.Errorf("slave %d: %d slots missed at the start, want 2 at most", id, n)
			}
		}
		steady := func(what string, length time.Duration, allowed uint64, but int) {
			t.Helper()
			before := c.missed()
			time.Sleep(length)
			for id, n := range c.missed() {
				if c.slaves[id] != nil && id != but && n-before[id] > allowed {
					t.Errorf("%s: slave %d missed %d slots, want %d at most", what, id, n-before[id], allowed)
				}
			}
		}
		steady("two dead", 5*time.Minute, 0, 0)
		for id, s := range c.samplers {
			now := s.snapshot()
			switch alive := c.slaves[id] != nil; {
			case alive && (now.State != "ok" || now.Reads < 300):
				t.Errorf("slave %d: %s after %d reads: %s", id, now.State, now.Reads, now.Err)
			case !alive && (now.State != "failing" || !strings.Contains(now.Err, fmt.Sprintf("slave %d on serial a (/dev/ttyUSB0): not answering", id))):
				t.Errorf("slave %d: %s, %s", id, now.State, now.Err)
			}
		}
		revive := c.slaves[5].Distort(sim.Silence(), 0)
		steady("one more dies", time.Minute, 1, 5)
		if now := c.samplers[5].snapshot(); now.State != "failing" {
			t.Errorf("the one that died is %s", now.State)
		}
		revive()
		steady("it comes back", 10*time.Second, 0, 5)
		if now := c.samplers[5].snapshot(); now.State != "ok" || now.Values[0].Text != "5" {
			t.Errorf("the one that came back is %s: %+v %s", now.State, now.Values, now.Err)
		}
	})
}
