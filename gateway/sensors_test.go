package gateway

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"periph.io/x/conn/v3/i2c"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/gateway/status"
	"weir/sensors/sim"
)

// TestReadings: what a chip measures arrives upstream as JSON, within the resolution of the chip, with unit, quality and
// time, and locally as a plain number.
func TestReadings(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
	s.start(head + room1 + toCloud)
	reader := s.subscribe("/Home/#")
	defer reader.close()
	for _, c := range []struct {
		topic, unit string
		want, step  float64
	}{
		{"/Home/Room1/Temperature", "°C", air.Temperature, 0.01},
		{"/Home/Room1/Pressure", "hPa", air.Pressure / 100, 0.01},
		{"/Home/Room1/Humidity", "%RH", air.Humidity, 0.02},
	} {
		payload := string(s.arrived("sites/g1" + c.topic).Payload)
		var v struct {
			Time, Unit, Quality string
			Value               json.Number
		}
		if err := json.Unmarshal([]byte(payload), &v); err != nil {
			t.Fatalf("%s: %v in %s", c.topic, err, payload)
		}
		value, err := v.Value.Float64()
		if err != nil || math.Abs(value-c.want) > c.step || v.Unit != c.unit || v.Quality != "good" {
			t.Errorf("%s: %s, want %v ± %v %s, good", c.topic, payload, c.want, c.step, c.unit)
		}
		at, err := time.Parse(time.RFC3339Nano, v.Time)
		if err != nil || time.Since(at).Abs() > limit {
			t.Errorf("%s: time %q, want about now", c.topic, v.Time)
		}
		plain := reader.wait(c.topic, func(topic, _ string, _ bool) bool { return topic == c.topic })
		if value, err := strconv.ParseFloat(plain, 64); err != nil || math.Abs(value-c.want) > c.step {
			t.Errorf("%s locally: %q, want the plain number %v", c.topic, plain, c.want)
		}
	}
	st := s.want("connected", func(st *status.Snapshot) bool {
		return st.OK() && st.Bridges[0].State == "connected" && st.Bridges[0].Backlog == 0
	})
	if len(st.Sensors) != 1 || st.Sensors[0].State != "ok" || len(st.Sensors[0].Values) != 3 || st.Sensors[0].Driver != "bme280" {
		t.Errorf("sensors in the status: %+v", st.Sensors)
	}
	if got := st.Verdict(); got != "The sensor answers. cloud: connected, nothing waiting." {
		t.Errorf("verdict %q", got)
	}
}

// TestClockNotSet: readings taken before the clock was set leave with their time once it is known, and as uncertain until
// then; an upstream with TLS waits for it.
func TestClockNotSet(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.ntp.Store(false)
	s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
	s.start(head + strings.Replace(room1, "100ms", "1h", 1) + toCloud)
	uncertain := string(s.arrived("sites/g1/Home/Room1/Temperature").Payload)
	if !strings.Contains(uncertain, `"time_quality":"uncertain"`) {
		t.Errorf("%s, want it marked as uncertain", uncertain)
	}
	s.want("connected", func(st *status.Snapshot) bool {
		return st.Bridges[0].State == "connected" && st.Bridges[0].Backlog == 0
	})
	s.wantVerdict("The sensor answers. cloud: connected, nothing waiting. The clock is not set yet.")

	s.cloud.Down()
	s.want("offline", func(st *status.Snapshot) bool { return st.Bridges[0].State == "offline" })
	pump, err := s.connect(client.Options{ClientID: "pump"})
	if err != nil {
		t.Fatal(err)
	}
	defer pump.close()
	taken := time.Now()
	if err := pump.publish("/Home/pump", "75"); err != nil {
		t.Fatal(err)
	}
	if s.gateway.Status().Clock.Trusted {
		t.Fatal("trusted without NTP")
	}
	s.ntp.Store(true)
	s.want("trusted", func(st *status.Snapshot) bool { return st.Clock.Trusted })
	if err := s.cloud.Up(); err != nil {
		t.Fatal(err)
	}
	var v struct{ Time time.Time }
	payload := s.arrived("sites/g1/Home/pump").Payload
	if err := json.Unmarshal(payload, &v); err != nil || v.Time.Sub(taken).Abs() > 2*time.Second {
		t.Errorf("%s, %v: want the time it was published, %v", payload, err, taken)
	}
}

// TestSensorState: the state of a sensor stands, retained, beside its values, through being unplugged and plugged in.
func TestSensorState(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
	s.start(head + room1)
	const topic = "weir/g1/sensor/room1"
	state := func(word string) func(topic, payload string, retained bool) bool {
		return func(at, payload string, _ bool) bool {
			return at == topic && strings.Contains(payload, `"state":"`+word+`"`)
		}
	}
	reader := s.subscribe("weir/#")
	reader.wait("ok", state("ok"))
	s.bus.Unplug(0x76)
	reader.wait("failing", state("failing"))
	reader.close()

	late := s.subscribe("weir/#") // who comes later is told by the retained message
	defer late.close()
	failing := late.wait("failing, retained", func(at, payload string, retained bool) bool {
		return retained && state("failing")(at, payload, retained)
	})
	if !strings.Contains(failing, "0x76") || !strings.Contains(failing, `"error"`) {
		t.Errorf("state %s, want the error with the address", failing)
	}
	st := s.want("failing", func(st *status.Snapshot) bool { return st.Sensors[0].State == "failing" })
	if st.OK() || st.Sensors[0].Err == "" || st.Sensors[0].Failures == 0 {
		t.Errorf("status %+v, want the failure in it", st.Sensors[0])
	}
	s.wantVerdict("1 of 1 sensors failing: room1.")
	s.bus.Plug(0x76)
	late.wait("ok again", state("ok"))
	s.want("ok again", func(st *status.Snapshot) bool { return st.OK() })
}

// TestClone: a BMP280 sold as a BME280 is read as what it is: no humidity, with the reason, and a good temperature.
func TestClone(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.bus.Add(0x76, sim.NewBMP280(sim.Steady(air)))
	s.start(head + room1)
	reader := s.subscribe("#")
	defer reader.close()
	state := reader.wait("the state", func(topic, payload string, _ bool) bool { return topic == "weir/g1/sensor/room1" })
	var told struct {
		State string
		Bad   map[string]string
	}
	if err := json.Unmarshal([]byte(state), &told); err != nil || told.State != "ok" || len(told.Bad) != 1 || !strings.Contains(told.Bad["humidity"], "BMP280") {
		t.Errorf("state %s, want ok, and humidity bad with the chip as the reason", state)
	}
	reader.wait("temperature", func(topic, payload string, _ bool) bool {
		v, err := strconv.ParseFloat(payload, 64)
		return topic == "/Home/Room1/Temperature" && err == nil && math.Abs(v-air.Temperature) < 0.011
	})
	if strings.Contains(reader.String(), "Humidity") {
		t.Errorf("a humidity was published:%s", reader)
	}
	for _, v := range s.gateway.Status().Sensors[0].Values {
		if v.Quantity == "humidity" && (v.Quality != "bad" || v.Text != "" || v.Reason == "") {
			t.Errorf("humidity in the status: %+v", v)
		}
	}
}

// TestAuto: with an empty configuration a chip that identifies itself is found and published.
func TestAuto(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.bus.Add(0x77, sim.NewBMP280(sim.Steady(air)))
	s.start(head)
	reader := s.subscribe("#")
	defer reader.close()
	st := s.want("found", func(st *status.Snapshot) bool { return len(st.Sensors) == 1 && st.Sensors[0].State == "ok" })
	sensor := st.Sensors[0]
	if sensor.Driver != "bmp280" || len(sensor.Values) != 2 {
		t.Errorf("found %+v, want a bmp280 with two values", sensor)
	}
	topic := sensor.Values[0].Topic
	reader.wait(topic, func(at, _ string, _ bool) bool { return at == topic })
}

// TestStopWithAHungBus: lines that are stuck do not keep a gateway from stopping, here in the middle of a transaction.
func TestStopWithAHungBus(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
	o := s.options()
	entered := make(chan struct{}, 1)
	o.OpenI2C = func(int) (i2c.BusCloser, error) { return &toldBus{s.bus, entered}, nil }
	s.startWith(s.config(head+room1), o)
	s.want("ok", func(st *status.Snapshot) bool { return st.Sensors[0].State == "ok" })
	release := s.bus.Hang()
	defer release()
	for range 2 { // the first may have been on the wire before
		select {
		case <-entered:
		default:
		}
		select {
		case <-entered:
		case <-s.ctx.Done():
			t.Fatal("the sensor is not read")
		}
	}
	begin := time.Now()
	s.stop()
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("stopping took %v", took)
	}
}

// toldBus tells of transactions that begin.
type toldBus struct {
	*sim.Bus
	entered chan struct{}
}

func (b *toldBus) Tx(addr uint16, w, r []byte) error {
	select {
	case b.entered <- struct{}{}:
	default:
	}
	return b.Bus.Tx(addr, w, r)
}

// TestHungBusDelaysNoOther: while a transaction on one bus does not come back, a chip on another bus is read on.
func TestHungBusDelaysNoOther(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
	other := sim.NewBus("I2C3")
	other.Add(0x77, sim.NewBMP280(sim.Steady(air)))
	hung := &hungBus{Bus: s.bus, entered: make(chan struct{}), release: make(chan struct{})}
	defer close(hung.release)
	o := s.options()
	o.Buses = func() []int { return []int{1, 3} }
	o.OpenI2C = func(number int) (i2c.BusCloser, error) {
		if number == 3 {
			return other, nil
		}
		return hung, nil
	}
	s.startWith(s.config(head+room1+"\n[sensor.room3]\ndriver = \"bmp280\"\nbus = \"3\"\nevery = \"50ms\"\n"), o)
	select {
	case <-hung.entered:
	case <-s.ctx.Done():
		t.Fatal("the sensor is not read")
	}
	before := s.gateway.Status().Sensors[1].Reads
	st := s.want("read on", func(st *status.Snapshot) bool { return st.Sensors[1].Reads >= before+10 })
	if st.Sensors[0].Reads != 0 || st.Sensors[1].Failures != 0 {
		t.Errorf("sensors %+v, want the first still in its first read, the second without failures", st.Sensors)
	}
}

// hungBus does not come back from a transaction until it is released.
type hungBus struct {
	*sim.Bus
	once             sync.Once
	entered, release chan struct{}
}

func (b *hungBus) Tx(addr uint16, w, r []byte) error {
	b.once.Do(func() { close(b.entered) })
	<-b.release
	return b.Bus.Tx(addr, w, r)
}
