package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/packet"
	"weir/sensors/sim"
)

const serialConfig = `
[gateway]
id = "serial"
[listener.test]
address = "127.0.0.1:%d"

[serial.barometer]
device = %q
mode   = "9600 8N1"
[serial.rs485]
device = %q
mode   = "9600 8N1"

[modbus.transmitter.pressure]
table    = "holding"
register = 22
type     = "float32"
order    = "CDAB"
unit     = "kPa"

[sensor.air]
driver  = "ascii-line"
bus     = "barometer"
pattern = 'T=(?P<temperature>[-\d.]+) P=[\d.]+ H=(?P<humidity>[\d.]+)'
timeout = "1s"
every   = "100ms"
topic   = "plant/{sensor}/{quantity}"
[sensor.rack]
driver  = "modbus-rtu"
bus     = "rs485"
map     = "xy-md02"
address = 1
every   = "100ms"
topic   = "plant/{sensor}/{quantity}"
[sensor.tank]
driver  = "modbus-rtu"
bus     = "rs485"
map     = "transmitter"
address = 2
every   = "100ms"
units   = { pressure = "kPa" }
topic   = "plant/{sensor}/{quantity}"

[bridge.cloud]
url = %q
[[bridge.cloud.forward]]
filter = "plant/#"
prefix = "sites/{id}"
format = "json"
[[bridge.cloud.forward]]
filter = "weir/{id}/sensor/#"
prefix = "sites/{id}"
`

// TestSerialPath follows readings from two serial ports, one with an instrument that sends lines by itself and one with
// two Modbus slaves, through a weir in a process of its own to an upstream. Both adapters are pulled out and put in
// again, which gives them other device names: the sensors say so, and the values come back. What local subscribers got
// is what the upstream got, all of it and in that order.
func TestSerialPath(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cloud, err := upstream.Listen(upstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer cloud.Close()
	spoken := &countingWorld{seen: map[string]bool{}}
	line := sim.NewLine(spoken)
	line.Interval = 40 * time.Millisecond
	var climate atomic.Pointer[sim.Climate]
	before := sim.Climate{Temperature: -5.3, Humidity: 61.7, Pressure: 101_325}
	after := sim.Climate{Temperature: 23.6, Humidity: 44.2, Pressure: 98_765}
	climate.Store(&before)
	world := sim.WorldFunc(func(time.Time) sim.Climate { return *climate.Load() })
	ports := []*sim.Terminal{
		plugged(ctx, t, "usb-Instrument-if00-port0", line),
		plugged(ctx, t, "usb-RS485-if00-port0", sim.NewModbusLine(sim.NewXYMD02(1, world), sim.NewPressureTransmitter(2, world, "CDAB"))),
	}
	w := newWeir(t, fmt.Sprintf(serialConfig, freePort(t), ports[0].Link(), ports[1].Link(), cloud.URL()))
	w.start()
	local := subscribeLocally(ctx, t, w.address)
	s := &serialPath{t: t, ctx: ctx, cloud: cloud, weir: w}

	s.state("ok")
	s.values(before)
	s.more(10)
	first := []string{ports[0].Path(), ports[1].Path()}
	s.each(ports, (*sim.Terminal).Unplug)
	s.state("failing")

	climate.Store(&after)
	s.mark()
	s.each(ports, (*sim.Terminal).Plug)
	if now := []string{ports[0].Path(), ports[1].Path()}; now[0] == first[0] || now[1] == first[1] {
		t.Fatalf("plugged in as %v, want other names than %v", now, first)
	}
	s.state("ok")
	s.values(after)
	s.more(10)

	s.each(ports, (*sim.Terminal).Unplug) // so that readings end
	s.state("failing")
	local.compare(s)
	w.stop()
	for i, a := range cloud.Arrivals() {
		if text := measured(a); strings.HasSuffix(a.Topic, "/air/temperature") && !spoken.has(text) {
			t.Errorf("arrival %d: temperature %s, which the instrument never sent", i, text)
		}
	}
	for _, v := range cloud.Violations() {
		t.Errorf("protocol violation seen by the upstream: %s", v)
	}
}

// plugged is a serial port with an instrument, under a link as udev makes it.
func plugged(ctx context.Context, t *testing.T, name string, i sim.Instrument) *sim.Terminal {
	t.Helper()
	p, err := sim.OpenTerminal(filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx, i) }()
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := <-served; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	return p
}

// countingWorld is a little warmer each time it is asked, so that each line is another.
type countingWorld struct {
	mu   sync.Mutex // guards the fields below
	n    int
	seen map[string]bool // temperatures
}

// At counts.
func (c *countingWorld) At(time.Time) sim.Climate {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	climate := sim.Climate{Temperature: float64(c.n-300) / 100, Pressure: 100_012, Humidity: 48.5}
	c.seen[strconv.FormatFloat(climate.Temperature, 'f', -1, 64)] = true
	return climate
}

func (c *countingWorld) has(temperature string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[temperature]
}

// serialPath looks at what arrives upstream.
type serialPath struct {
	t     *testing.T
	ctx   context.Context
	cloud *upstream.Server
	weir  *weir
	from  int // arrivals before are no longer looked at
}

func (s *serialPath) each(ports []*sim.Terminal, do func(*sim.Terminal) error) {
	s.t.Helper()
	for _, p := range ports {
		if err := do(p); err != nil {
			s.t.Fatal(err)
		}
	}
}

// mark goes on from now.
func (s *serialPath) mark() { s.from = s.cloud.Count() }

// wait blocks until something that fits has arrived, and says what did not.
func (s *serialPath) wait(what string, fits func(a upstream.Arrival) bool) {
	s.t.Helper()
	err := s.cloud.Wait(s.ctx, func(all []upstream.Arrival) bool { return slices.ContainsFunc(all[s.from:], fits) })
	if err != nil {
		s.t.Fatalf("no %s: %v; weir said:\n%s", what, err, s.weir.said())
	}
}

// state waits until the last word of each sensor is this state.
func (s *serialPath) state(want string) {
	s.t.Helper()
	for _, sensor := range []string{"air", "rack", "tank"} {
		topic := "sites/serial/weir/serial/sensor/" + sensor
		err := s.cloud.WaitRetained(s.ctx, topic, func(a upstream.Arrival) bool {
			var state struct{ State string }
			return json.Unmarshal(a.Payload, &state) == nil && state.State == want
		})
		if err != nil {
			last, _ := s.cloud.Retained(topic)
			s.t.Fatalf("%s says %s, want %s: %v; weir said:\n%s", topic, last.Payload, want, err, s.weir.said())
		}
	}
}

// values waits for every quantity, within half of what the device resolves.
func (s *serialPath) values(c sim.Climate) {
	s.t.Helper()
	for _, q := range []struct {
		topic, unit      string
		want, resolution float64
	}{
		{"air/temperature", "°C", math.NaN(), 0}, // counts: any
		{"air/humidity", "%RH", 48.5, 0.1},
		{"rack/temperature", "°C", c.Temperature, 0.1},
		{"rack/humidity", "%RH", c.Humidity, 0.1},
		{"tank/pressure", "kPa", c.Pressure / 1000, 0.001},
	} {
		s.wait(fmt.Sprintf("%s of %g %s", q.topic, q.want, q.unit), func(a upstream.Arrival) bool {
			var v struct {
				Time          time.Time
				Value         *float64
				Unit, Quality string
			}
			if a.Topic != "sites/serial/plant/"+q.topic {
				return false
			}
			if err := json.Unmarshal(a.Payload, &v); err != nil || v.Value == nil {
				s.t.Errorf("%s: payload %s: %v", a.Topic, a.Payload, err)
				return true
			}
			if v.Unit != q.unit || v.Quality != "good" || v.Time.IsZero() {
				s.t.Errorf("%s: %s, want unit %s, good quality and a time", a.Topic, a.Payload, q.unit)
			}
			return math.IsNaN(q.want) || math.Abs(*v.Value-q.want) <= q.resolution/2*1.0001
		})
	}
}

// more waits for so many further readings of every topic.
func (s *serialPath) more(n int) {
	s.t.Helper()
	begin := s.cloud.Count()
	for _, topic := range []string{"air/temperature", "air/humidity", "rack/temperature", "rack/humidity", "tank/pressure"} {
		err := s.cloud.Wait(s.ctx, func(all []upstream.Arrival) bool {
			count := 0
			for _, a := range all[begin:] {
				if a.Topic == "sites/serial/plant/"+topic {
					count++
				}
			}
			return count >= n
		})
		if err != nil {
			s.t.Fatalf("%s: fewer than %d further readings: %v; weir said:\n%s", topic, n, err, s.weir.said())
		}
	}
}

// measured is the number of an arrival as it was written.
func measured(a upstream.Arrival) string {
	var v struct{ Value json.Number }
	if json.Unmarshal(a.Payload, &v) != nil {
		return string(a.Payload)
	}
	return v.Value.String()
}

// localReadings are the values a local subscriber got, by topic and in order.
type localReadings struct {
	mu sync.Mutex // guards the field below
	of map[string][]string
}

func subscribeLocally(ctx context.Context, t *testing.T, address string) *localReadings {
	t.Helper()
	l := &localReadings{of: map[string][]string{}}
	conn, err := client.Connect(ctx, client.Options{URL: address, OnMessages: func(messages []packet.Publish) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i := range messages {
			l.of[string(messages[i].Topic)] = append(l.of[string(messages[i].Topic)], string(messages[i].Payload))
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := conn.Subscribe(ctx, packet.Subscription{Filter: []byte("plant/#"), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	return l
}

// compare wants the readings of each topic upstream to end with those that the local subscriber, who came later, got.
// The sensors must have stopped.
func (l *localReadings) compare(s *serialPath) {
	s.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.of) != 5 {
		s.t.Errorf("local subscriber got %d topics, want 5", len(l.of))
	}
	for topic, want := range l.of {
		got := func(all []upstream.Arrival) (values []string) {
			for _, a := range all {
				if a.Topic == "sites/serial/"+topic {
					values = append(values, measured(a))
				}
			}
			return values
		}
		ends := func(all []upstream.Arrival) bool {
			values := got(all)
			return len(values) >= len(want) && slices.Equal(values[len(values)-len(want):], want)
		}
		if err := s.cloud.Wait(s.ctx, ends); err != nil {
			s.t.Errorf("%s: locally %d values, upstream not all of them in that order: %v\nlocal    %v\nupstream %v", topic, len(want), err, want, got(s.cloud.Arrivals()))
		}
		if strings.HasSuffix(topic, "air/temperature") && !rising(want) {
			s.t.Errorf("%s went back: %v", topic, want)
		}
	}
}

// rising tells whether no number is below the one before.
func rising(values []string) bool {
	return slices.IsSortedFunc(values, func(a, b string) int {
		x, _ := strconv.ParseFloat(a, 64)
		y, _ := strconv.ParseFloat(b, 64)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
}
