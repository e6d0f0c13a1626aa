package gateway

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"periph.io/x/conn/v3/i2c"

	"weir/broker/message"
	"weir/gateway/config"
	"weir/sensors"
	"weir/sensors/bus"
	"weir/sensors/chip"
	"weir/sensors/sim"
)

// gives is a device whose reads give these temperatures, the last of them for ever. NaN is a reading that is bad.
func gives(values ...float64) func(n int, s *sensors.Sample) {
	return func(n int, s *sensors.Sample) {
		v := values[min(n, len(values)-1)]
		r := reading(sensors.Temperature, v, 0.01)
		if math.IsNaN(v) {
			r.Value, r.Quality = 0, sensors.Quality{Reason: sensors.FaultValue}
		}
		s.Chip, s.Readings = "T1", append(s.Readings, r)
	}
}

// airOf is a device that measures everything a BME280 does.
func airOf(pressure func(n int) float64) func(n int, s *sensors.Sample) {
	return func(n int, s *sensors.Sample) {
		s.Readings = append(s.Readings, reading(sensors.Temperature, 20, 0.01), reading(sensors.Pressure, pressure(n), 1), reading(sensors.Humidity, 50, 0.01))
	}
}

// values are the payloads of one topic.
func (s *stub) values(topic string) (all []string) {
	for i := range s.topics {
		if s.topics[i] == topic {
			all = append(all, s.payloads[i])
		}
	}
	return all
}

func same(q sensors.Quantity, v float64) map[sensors.Quantity]float64 {
	return map[sensors.Quantity]float64{q: v}
}

// TestSettingsOfASensor: each setting does what it says, in the unit that is published.
func TestSettingsOfASensor(t *testing.T) {
	fahrenheit := map[sensors.Quantity]sensors.Unit{"": sensors.Fahrenheit}
	nan := math.NaN()
	for _, c := range []struct {
		name string
		c    config.Sensor
		give []float64
		want string
	}{
		{"nothing", config.Sensor{}, []float64{20, 20, 20.5}, "20 20 20.5"},
		{"min and max in °F", config.Sensor{Units: fahrenheit, Min: same("", 50), Max: same("", 70)}, []float64{9.9, 10.1, 21, 21.2}, "50.18 69.8"},
		{"max_rate in °F", config.Sensor{Units: fahrenheit, MaxRate: same("", 1.8), Rearm: 3}, []float64{10, 11, 13, 12}, "50 51.8 53.6"},
		{"max_rate, a real step", config.Sensor{MaxRate: same("", 1), Rearm: 2}, []float64{10, 30, 30, 30}, "10 30 30"},
		{"offset in °F", config.Sensor{Units: fahrenheit, Offset: same("", 1.8)}, []float64{10}, "51.8"},
		{"gain in °F", config.Sensor{Units: fahrenheit, Gain: same("", 2)}, []float64{10}, "100"},
		{"gain and offset in °F", config.Sensor{Units: fahrenheit, Gain: same("", 2), Offset: same("", -1)}, []float64{10}, "99"},
		{"points in °F", config.Sensor{Units: fahrenheit, Calibrate: map[sensors.Quantity][][2]float64{"": {{32, 30}, {212, 210}, {300, 299}}}}, []float64{0, 50, 100}, "30 120 210"},
		{"median", config.Sensor{Median: map[sensors.Quantity]int{"": 3}}, []float64{20, 20, 80, 20.5}, "20 20 20 20.5"},
		{"smooth", config.Sensor{Smooth: map[sensors.Quantity]time.Duration{"": time.Second}}, []float64{0, 1}, "0 0.63"},
		{"stuck", config.Sensor{Stuck: map[sensors.Quantity]time.Duration{"": 10 * time.Second}}, slices.Repeat([]float64{7}, 14), "7 7 7 7 7 7 7 7 7 7"},
		{"deadband in °F", config.Sensor{Units: fahrenheit, Deadband: same("", 1.8)}, []float64{10, 10.9, 11, 10.1}, "50 51.8"},
		{"deadband_percent", config.Sensor{DeadbandPercent: same("", 10)}, []float64{10, 10.9, 11}, "10 11"},
		{"heartbeat", config.Sensor{Deadband: same("", 1), Heartbeat: map[sensors.Quantity]time.Duration{"": 3 * time.Second}}, []float64{1, 1.1, 1.2, 1.3, 1.4}, "1 1.3"},
		{"min_interval", config.Sensor{MinInterval: map[sensors.Quantity]time.Duration{"": 2 * time.Second}}, []float64{1, 2, 3, 4, 5}, "1 3 5"},
		{"publish_every", config.Sensor{PublishEvery: map[sensors.Quantity]time.Duration{"": 2 * time.Second}}, []float64{1, 2, 3, 4, 5}, "1 3 5"},
		{"the mean of it", config.Sensor{PublishEvery: map[sensors.Quantity]time.Duration{"": 2 * time.Second}, Publish: map[sensors.Quantity]string{"": "mean"}}, []float64{1, 2, 4, 4, 5}, "1 3 4.5"},
		{"a change of quality goes out", config.Sensor{Deadband: same("", 50)}, []float64{1, 2, nan, 3, 4}, "1 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sampledAs(t, &stub{give: gives(c.give...)}, c.c, func(s *stub, _ *sampler) {
				s.pass(time.Duration(len(c.give))*time.Second - time.Millisecond)
				if got := strings.Join(s.values("temperature"), " "); got != c.want {
					t.Errorf("published %s, want %s", got, c.want)
				}
			})
		})
	}
}

// TestFirstAfterAnOutageGoesOut: however small the change since the last value published.
func TestFirstAfterAnOutageGoesOut(t *testing.T) {
	sampledAs(t, &stub{give: gives(20, 21)}, config.Sensor{Deadband: same("", 50), MinInterval: map[sensors.Quantity]time.Duration{"": time.Hour}}, func(s *stub, _ *sampler) {
		s.pass(2500 * time.Millisecond)
		s.readErr = sensors.Errorf(sensors.NotAnswering, "", "unplugged")
		s.pass(time.Second)
		s.readErr = nil
		s.pass(3 * time.Second)
		if got := strings.Join(s.topics, " "); got != "temperature state state temperature state" {
			t.Errorf("published to %s, want a value and a state before the outage, a state in it, and both after it", got)
		}
	})
}

// TestBadIsStateAndNeverANumber: each reason is told once in the state, and the value comes back at once.
func TestBadIsStateAndNeverANumber(t *testing.T) {
	sampledAs(t, &stub{give: gives(20, 99, 99, math.NaN(), 21)}, config.Sensor{Max: same("", 50), Deadband: same("", 50)}, func(s *stub, sampler *sampler) {
		s.pass(4500 * time.Millisecond)
		if want := []string{"temperature", "state", "state", "state", "temperature", "state"}; !slices.Equal(s.topics, want) {
			t.Fatalf("published %v, want %v", s.topics, want)
		}
		for i, want := range map[int]string{1: `{"state":"ok","since"`, 2: `"bad":{"temperature":"outside the range that was set"}`, 3: `"bad":{"temperature":"the device sent its fault value"}`, 5: `{"state":"ok","since"`} {
			if !strings.Contains(s.payloads[i], want) {
				t.Errorf("state %d: %s, want %s", i, s.payloads[i], want)
			}
		}
		if f := sampler.snapshot().Faults; f.Refused != 2 {
			t.Errorf("%+v, want two readings refused", f)
		}
	})
}

// TestDerivedHaveTheirOwnTopics: what is computed is published as what is measured is, with settings of its own.
func TestDerivedHaveTheirOwnTopics(t *testing.T) {
	height := 111.14
	c := config.Sensor{
		Topic: "/a/{Quantity}", Derive: []sensors.Quantity{sensors.DewPoint, sensors.SeaLevelPressure, sensors.PressureTendency}, Elevation: &height, Outdoors: true,
		Decimals: map[sensors.Quantity]int{sensors.DewPoint: 1}, Offset: same(sensors.Pressure, 1), Names: map[sensors.Quantity]string{sensors.SeaLevelPressure: "qff"},
		Every: time.Minute, MaxRate: same(sensors.DewPoint, 0.001),
	}
	sampledAs(t, &stub{give: airOf(func(n int) float64 { return 99900 + float64(n) })}, c, func(s *stub, sampler *sampler) {
		s.pass(time.Second)
		want := map[string]string{"/a/Temperature": "20", "/a/Pressure": "1000", "/a/Humidity": "50", "/a/Dew_point": "9.3"}
		for topic, value := range want {
			if got := s.values(topic); !slices.Equal(got, []string{value}) {
				t.Errorf("%s: %v, want %s", topic, got, value)
			}
		}
		if got := s.values("/a/Qff"); len(got) != 1 || !strings.HasPrefix(got[0], "1012.9") { // of 20 °C and moist air, not of 15 °C
			t.Errorf("sea level pressure %v, of the corrected pressure, want 1012.9 and something", got)
		}
		if got := s.values("/a/Pressure_tendency"); got != nil {
			t.Errorf("a tendency without a history: %v", got)
		}
		s.pass(3 * time.Hour)
		if got := s.values("/a/Pressure_tendency"); !slices.Equal(got, []string{"1.8"}) {
			t.Errorf("tendency %v, want 1.8: 180 readings, each 0.01 hPa higher", got)
		}
		if v := sampler.snapshot().Values; len(v) != 6 || v[5].Unit != "hPa" {
			t.Errorf("status %+v, want six values", v)
		}
	})
}

// TestObjectAndTopics: with both, each reading is one object and a value for each quantity; alone, the object only. It goes
// out whole when any of its values is worth it.
func TestObjectAndTopics(t *testing.T) {
	for _, c := range []struct {
		name string
		c    config.Sensor
		want string
	}{
		{"object alone", config.Sensor{Object: "o"}, "o state o o"},
		{"both", config.Sensor{Object: "o", Topic: "v/{quantity}"}, "v/temperature v/pressure v/humidity o state v/temperature v/pressure v/humidity o v/temperature v/pressure v/humidity o"},
		{"only what moves, but whole objects", config.Sensor{Object: "o", Topic: "v/{quantity}", Deadband: map[sensors.Quantity]float64{sensors.Temperature: 1, sensors.Pressure: 0.5, sensors.Humidity: 1}},
			"v/temperature v/pressure v/humidity o state v/pressure o"},
	} {
		sampledAs(t, &stub{give: airOf(func(n int) float64 { return 100000 + 60*float64(n/2) })}, c.c, func(s *stub, _ *sampler) {
			s.pass(2500 * time.Millisecond)
			if got := strings.Join(s.topics, " "); got != c.want {
				t.Errorf("%s: published to\n%s, want\n%s", c.name, got, c.want)
			}
			var o map[string]any
			if err := json.Unmarshal([]byte(s.values("o")[0]), &o); err != nil || o["pressure"] != 1000.0 || o["temperature"] != 20.0 || o["humidity"] != 50.0 || o["quality"] != "good" {
				t.Errorf("%s: %v, %v", c.name, o, err)
			}
		})
	}
}

// TestSamplerFollowsTheClock: slots are where they are until the clock is trusted, and at full seconds then.
func TestSamplerFollowsTheClock(t *testing.T) {
	s := &stub{untrusted: true}
	sampledAs(t, s, config.Sensor{Every: 2 * time.Second, Align: true}, func(s *stub, _ *sampler) {
		s.pass(3 * time.Second)
		first := s.start.UnixNano() % int64(2*time.Second)
		s.mu.Lock()
		s.untrusted = false
		s.mu.Unlock()
		s.pass(7 * time.Second)
		for _, at := range s.at[len(s.at)-2:] {
			if past := s.start.Add(at).UnixNano() % int64(2*time.Second); past != 0 {
				t.Errorf("read %v past a whole multiple; the start was %v past one", time.Duration(past), time.Duration(first))
			}
		}
	})
}

// TestFaultsAreCounted: tries that failed inside a read count although it went well; with nothing counted, the error does.
func TestFaultsAreCounted(t *testing.T) {
	s := &stub{give: func(n int, sample *sensors.Sample) {
		if n%2 == 1 {
			sample.Failed[sensors.Garbage] = 2
		}
		gives(20)(n, sample)
	}}
	sampledAs(t, s, config.Sensor{}, func(s *stub, sampler *sampler) {
		s.pass(3500 * time.Millisecond)
		if f := sampler.snapshot().Faults; f.Garbage != 4 || f.Tries != 4 || f.Sum() != 4 {
			t.Errorf("%+v, want four tries with garbage", f)
		}
		if states := s.values("state"); len(states) != 1 {
			t.Errorf("states %v, want one: counters alone are told each minute", states)
		}
		s.pass(time.Minute)
		if states := s.values("state"); len(states) != 2 || !strings.Contains(states[1], `"faults":{"garbage":`) {
			t.Errorf("states %v, want a second one with its faults", states)
		}
		s.mu.Lock()
		s.readErr = sensors.Errorf(sensors.NotAnswering, "0x76 on bus 1", "look at power")
		s.mu.Unlock()
		s.pass(time.Second)
		st := sampler.snapshot()
		if st.Faults.NotAnswering != 1 || st.Chip != "T1" || st.LastGood.IsZero() {
			t.Errorf("status %+v, want one not answering, the chip and when it was good", st)
		}
		states := s.values("state")
		if last := states[len(states)-1]; !strings.Contains(last, `"state":"failing"`) || !strings.Contains(last, `"not_answering":1`) || !strings.Contains(last, `"last_good":"`) {
			t.Errorf("state %s", last)
		}
	})
}

// TestAnotherChipBeginsAnew: what the chip before measured is no reason to refuse what the new one does.
func TestAnotherChipBeginsAnew(t *testing.T) {
	s := &stub{give: func(n int, sample *sensors.Sample) {
		gives(20, 20, 20, 35, 35)(n, sample)
		if n == 3 {
			sample.Doubt(sensors.OtherChip)
		}
	}}
	sampledAs(t, s, config.Sensor{MaxRate: same("", 0.1), Rearm: 9, Median: map[sensors.Quantity]int{"": 5}}, func(s *stub, _ *sampler) {
		s.pass(4500 * time.Millisecond)
		if got := strings.Join(s.values("temperature"), " "); got != "20 20 20 35 35" {
			t.Errorf("published %s, want 20 20 20 35 35", got)
		}
	})
}

// nowhere takes all messages.
type nowhere struct{}

func (nowhere) Publish([]message.Message) error { return nil }

// oneReading is a sampler over a simulated BME280 that is read as fast as it can be, with everything a sensor may have set.
func oneReading(tb testing.TB, out publisher, stamp func() message.Stamp, object string) func() {
	wire := sim.NewBus("I2C1")
	wire.Add(0x76, sim.NewBME280(sim.Steady(air), sim.Noise(1)))
	machine := bus.New(bus.Options{Root: tb.TempDir(), Buses: func() []int { return []int{1} }, OpenI2C: func(int) (i2c.BusCloser, error) { return wire, nil }})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = machine.Run(ctx) }()
	tb.Cleanup(func() { cancel(); <-done })

	text := "[sensor.a]\ndriver = \"bme280\"\noversample = 1\ntopic = \"/a/{quantity}\"\n" + object + `
min = { temperature = -20 }
max_rate = { temperature = 100, pressure = 100000 }
median = 3
smooth = "1s"
calibrate = { temperature = [[0, 0.1], [50, 50.2]] }
derive = ["dew_point", "sea_level_pressure", "pressure_tendency"]
elevation = 100
outdoors = true
heartbeat = "1h"
expire = "1h"
`
	cfg, problems, err := config.Parse("test.toml", []byte(text), config.Options{Drivers: chip.Drivers})
	if err != nil {
		tb.Fatal(config.Report(problems))
	}
	c := cfg.Sensor["a"]
	driver := sensors.Find(chip.Drivers, c.Driver)
	s := &sampler{
		name: "a", every: c.Every, limit: readLimit, out: out, stamp: stamp, log: slog.New(slog.NewTextHandler(io.Discard, nil)), stateTopic: "state", another: func() {},
		open:  func() (sensors.Device, error) { return driver.Open(machine, c.Settings) },
		judge: newJudge(c, driver), object: objectOf(c),
	}
	slot, forget := newSlot(ctx)
	tb.Cleanup(func() { forget(); s.close() })
	return func() {
		s.begins(true)
		err := s.read(slot.begin(s.limit))
		slot.end()
		s.begins(false)
		if s.publish(err, 0); err != nil {
			tb.Fatal(err)
		}
	}
}

func still() message.Stamp {
	return message.Stamp{Boot: 1, Since: time.Hour, Wall: 1795356131250000000}
}

var readings = map[string]string{"values": "", "json": "format = \"json\"", "senml": "format = \"senml\"", "object": "object = \"/a\""}

// TestAReadingCostsNoMemory: from the bus to the broker, once everything has been seen.
func TestAReadingCostsNoMemory(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(readings)) {
		read := oneReading(t, nowhere{}, still, readings[name])
		for range 10 {
			read()
		}
		if n := testing.AllocsPerRun(30, read); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

// BenchmarkPublish is what becomes of a sample: judged, derived from, written and handed over.
func BenchmarkPublish(b *testing.B) {
	for _, name := range slices.Sorted(maps.Keys(readings)) {
		b.Run(name, func(b *testing.B) {
			c := config.Sensor{Topic: "/a/{quantity}", Format: name, Every: time.Second, BaseName: "g1/a/", Derive: []sensors.Quantity{sensors.DewPoint, sensors.SeaLevelPressure}, Elevation: new(float64)}
			if name == "object" {
				c.Topic, c.Object = "", "/a"
			}
			s := &sampler{out: nowhere{}, another: func() {}, stamp: still, log: slog.New(slog.DiscardHandler), judge: newJudge(&c, nil), object: objectOf(&c)}
			give := airOf(func(n int) float64 { return 100000 + float64(n%7) })
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				s.sample.Reset()
				give(n, &s.sample)
				n++
				s.publish(nil, 0)
			}
		})
	}
}

// TestWhatHomeAssistantFinds: the topic and the template of each quantity, computed ones too, and how long it may be silent.
func TestWhatHomeAssistantFinds(t *testing.T) {
	height := 100.0
	for _, c := range []struct {
		name string
		c    config.Sensor
		want string
	}{
		{"plain", config.Sensor{Topic: "v/{quantity}"}, "temperature v/temperature °C 10s; pressure v/pressure hPa 10s; dew_point v/dew_point °C 10s"},
		{"json", config.Sensor{Topic: "v/{quantity}", Format: "json", Heartbeat: map[sensors.Quantity]time.Duration{"": time.Minute}},
			"temperature v/temperature °C 10s {{ value_json.value }}; pressure v/pressure hPa 10s {{ value_json.value }}; dew_point v/dew_point °C 10s {{ value_json.value }}"},
		{"senml", config.Sensor{Topic: "v/{quantity}", Format: "senml", BaseName: "b/", Deadband: same(sensors.Pressure, 1), Units: map[sensors.Quantity]sensors.Unit{sensors.Pressure: "bar"}},
			"temperature v/temperature °C 10s {{ value_json[0].v }}; pressure v/pressure Pa -1ns {{ value_json[0].v }}; dew_point v/dew_point °C 10s {{ value_json[0].v }}"},
		{"object", config.Sensor{Object: "o", Names: map[sensors.Quantity]string{sensors.Temperature: "temp"}, Deadband: same(sensors.Temperature, 1), Heartbeat: map[sensors.Quantity]time.Duration{"": time.Minute},
			PublishEvery: map[sensors.Quantity]time.Duration{sensors.Pressure: 30 * time.Second}},
			"temperature o °C 1m0s {{ value_json.get('temp') }}; pressure o hPa 30s {{ value_json.get('pressure') }}; dew_point o °C 10s {{ value_json.get('dew_point') }}"},
		{"pack", config.Sensor{Object: "o", Format: "senml", Names: map[sensors.Quantity]string{sensors.Temperature: "t ü"}},
			"temperature o °C 10s {{ value_json | selectattr('n', 'eq', 't___') | map(attribute='v') | first | default('None') }}; " +
				"pressure o Pa 10s {{ value_json | selectattr('n', 'eq', 'pressure') | map(attribute='v') | first | default('None') }}; " +
				"dew_point o °C 10s {{ value_json | selectattr('n', 'eq', 'dew_point') | map(attribute='v') | first | default('None') }}"},
	} {
		c.c.Every, c.c.Derive, c.c.Elevation = 10*time.Second, []sensors.Quantity{sensors.DewPoint}, &height
		var got []string
		for _, q := range quantitiesOf(&c.c, &sensors.Driver{Measures: []sensors.Measure{{Quantity: sensors.Temperature, Unit: sensors.Celsius}, {Quantity: sensors.Pressure, Unit: sensors.Pascal}}}) {
			got = append(got, strings.TrimSpace(strings.Join([]string{q.Name, q.Topic, string(q.Unit), q.Every.String(), q.Template}, " ")))
		}
		if all := strings.Join(got, "; "); all != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.name, all, c.want)
		}
	}
}
