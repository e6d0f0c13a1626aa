package chip_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"periph.io/x/conn/v3/i2c"

	"weir/sensors"
	"weir/sensors/quality"
	"weir/sensors/sim"
)

// Ten devices on one bus, each read once a second and judged as a gateway does, and
// one fault a second of those a bus or a chip can have. What is asked for:
//
//   - a value that is called good is right, unless a bit was flipped where no
//     checksum, range or rate shows it: those are counted and printed;
//   - a device that has no fault itself misses nothing beyond the time the bus was
//     blocked, and one slot;
//   - every device is good again 10 s after the end of its fault.
const (
	soakFor      = time.Hour
	soakEvery    = time.Second
	soakRecovers = 10 * time.Second
	soakReading  = 200 * time.Millisecond // a reading takes no longer without a fault
)

// soakDevices are the ten.
var soakDevices = []struct {
	driver string
	addr   uint16
	make   func(sim.World) sim.Device
	near   map[sensors.Quantity]float64 // half a step of the chip and of its noise
	proof  bool                         // what it sends is checked: no flip gets through
}{
	{"bme280", 0x76, func(w sim.World) sim.Device { return sim.NewBME280(w) }, map[sensors.Quantity]float64{t: 0.02, p: 6, h: 0.1}, false},
	{"bmp388", 0x77, func(w sim.World) sim.Device { return sim.NewBMP388(w) }, map[sensors.Quantity]float64{t: 0.02, p: 6}, false},
	{"bmp581", 0x46, func(w sim.World) sim.Device { return sim.NewBMP581(w) }, map[sensors.Quantity]float64{t: 0.02, p: 1}, false},
	{"sht4x", 0x44, func(w sim.World) sim.Device { return sim.NewSHT4x(w) }, map[sensors.Quantity]float64{t: 0.01, h: 0.02}, true},
	{"htu21d", 0x40, func(w sim.World) sim.Device { return sim.NewHTU21D(w) }, map[sensors.Quantity]float64{t: 0.02, h: 0.02}, true},
	{"aht20", 0x38, func(w sim.World) sim.Device { return sim.NewAHT20(w) }, map[sensors.Quantity]float64{t: 0.01, h: 0.02}, true},
	{"tmp117", 0x48, func(w sim.World) sim.Device { return sim.NewTMP117(w) }, map[sensors.Quantity]float64{t: 0.01}, false},
	{"lm75", 0x4a, func(w sim.World) sim.Device { return sim.NewLM75(w) }, map[sensors.Quantity]float64{t: 0.51}, false},
	{"mlx90614", 0x5a, func(w sim.World) sim.Device { return sim.NewMLX90614(w) }, map[sensors.Quantity]float64{t: 0.03}, true},
	{"lps22hb", 0x5c, func(w sim.World) sim.Device { return sim.NewLPS22HB(w) }, map[sensors.Quantity]float64{t: 0.02, p: 6}, false},
}

// soakRates are the fastest changes a user would let pass, per second.
var soakRates = map[sensors.Quantity]float64{t: 1, p: 100, h: 5}

// blocked is a bus that says how long time-outs have kept it.
type blocked struct {
	i2c.Bus
	mu  sync.Mutex // guards all
	all time.Duration
}

func (w *blocked) Tx(addr uint16, out, in []byte) error {
	err := w.Bus.Tx(addr, out, in)
	if errors.Is(err, sim.ErrTimeout) {
		w.mu.Lock()
		w.all += sim.AdapterTimeout
		w.mu.Unlock()
	}
	return err
}

func (w *blocked) so() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all
}

// soaked is one device with what is known of it.
type soaked struct {
	name     string
	addr     uint16
	near     map[sensors.Quantity]float64
	proof    bool
	device   sensors.Device
	channels map[sensors.Quantity]*quality.Channel

	mu        sync.Mutex // guards the fields below
	active    int        // faults that go on
	since     time.Time  // when the last one ended, its own or one of the bus
	faulty    bool       // it had one of its own since it was good
	flips     int        // readings that a flipped bit may still be in
	good      time.Time  // when it was good last
	waitedFor time.Duration
	tally     tally
}

// tally is what became of the readings of a device.
type tally struct {
	good, notGood, failed int
	residual              int     // good values that a flipped bit made wrong
	worst                 float64 // of them, in tolerances
}

func (d *soaked) begin(flips int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.active++
	d.faulty, d.flips = true, max(d.flips, flips)
}

func (d *soaked) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.active--
	d.since = time.Now()
}

// soak is the bus with all of them.
type soak struct {
	*bench
	bus     *blocked
	devices []*soaked
	start   time.Time
}

func TestTenDevicesUnderOneFaultASecond(tt *testing.T) {
	for _, seed := range []uint64{7, 101, 5} { // the second once hit the id of a chip that was being set up, the third an SHT4x being looked for
		onBench(tt, func(b *bench) { tenDevices(b, seed) })
	}
}

func tenDevices(b *bench, seed uint64) {
	s := &soak{bench: b, bus: &blocked{Bus: b.wire}, start: time.Now()}
	b.machine.wire = s.bus
	for _, c := range soakDevices {
		b.wire.Add(c.addr, c.make(sim.Steady(indoors)))
		d := &soaked{name: c.driver, addr: c.addr, near: c.near, proof: c.proof, channels: map[sensors.Quantity]*quality.Channel{}, good: s.start}
		d.device = b.open(c.driver, map[string]any{"bus": "1", "address": int(c.addr)})
		for q, rate := range soakRates {
			d.channels[q] = quality.NewChannel(quality.Config{MaxRate: rate})
		}
		s.devices = append(s.devices, d)
	}
	var g sync.WaitGroup
	for i, d := range s.devices {
		g.Go(func() { s.follow(d, time.Duration(i)*soakEvery/time.Duration(len(s.devices))) })
	}
	g.Go(func() { s.hurt(&g, seed) })
	g.Wait()
	s.report()
}

// follow reads a device on time.
func (s *soak) follow(d *soaked, phase time.Duration) {
	time.Sleep(phase)
	tick := time.NewTicker(soakEvery)
	defer tick.Stop()
	for time.Since(s.start) < soakFor+2*soakRecovers {
		sample, err := s.read(d.device)
		s.judge(d, &sample, err)
		<-tick.C
	}
}

// judge does with a reading what a gateway does, and holds it against the truth.
func (s *soak) judge(d *soaked, sample *sensors.Sample, err error) {
	truth := map[sensors.Quantity]float64{t: indoors.Temperature, p: indoors.Pressure, h: indoors.Humidity}
	now, waited := time.Now(), s.bus.so()
	d.mu.Lock()
	defer d.mu.Unlock()
	allGood := err == nil
	for q, near := range d.near {
		r, ok := sample.Get(q)
		if !ok {
			allGood = false
			continue
		}
		d.channels[q].Apply(now.Sub(s.start), &r)
		off := math.Abs(r.Value-truth[q]) / near
		switch {
		case r.Quality.Level != sensors.Good:
			allGood = false
		case off <= 1:
		case d.flips > 0 && !d.proof:
			d.tally.residual++
			d.tally.worst = max(d.tally.worst, off)
		default:
			s.Errorf("%s after %v: %s is %v and called good, want %v", d.name, now.Sub(s.start), q, r.Value, truth[q])
		}
	}
	d.flips = max(d.flips-1, 0)
	switch {
	case allGood:
		d.tally.good++
		// What it waited for since it was good: its interval, the bus, one slot.
		if missed := now.Sub(d.good) - (waited - d.waitedFor); missed > 2*soakEvery+soakReading && !d.faulty {
			s.Errorf("%s after %v: without a fault of its own it was not good for %v beyond the time the bus was blocked", d.name, now.Sub(s.start), missed)
		}
		d.good, d.waitedFor, d.faulty = now, waited, d.active > 0
		return
	case err != nil:
		d.tally.failed++
	default:
		d.tally.notGood++
	}
	if d.active == 0 && now.Sub(d.since) > soakRecovers && now.Sub(d.good) > soakRecovers {
		s.Errorf("%s after %v: not good %v after the end of its fault: %v, %+v", d.name, now.Sub(s.start), now.Sub(d.since), err, sample.Readings)
	}
}

// hurt puts one fault a second on the bus.
func (s *soak) hurt(g *sync.WaitGroup, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 11))
	for second := time.Second; second < soakFor; second += time.Second {
		time.Sleep(time.Until(s.start.Add(second + time.Duration(random.IntN(1000))*time.Millisecond)))
		d := s.devices[random.IntN(len(s.devices))]
		n, skip, lasts := 1+random.IntN(6), random.IntN(8), time.Duration(100+random.IntN(2400))*time.Millisecond
		kind, seed := random.IntN(40), random.Uint64()
		g.Go(func() { s.fault(d, kind, n, skip, lasts, seed) })
	}
}

// fault does one of them, from its beginning to its end.
func (s *soak) fault(d *soaked, kind, n, skip int, lasts time.Duration, seed uint64) {
	if kind == 39 {
		release := s.wire.Hang()
		time.Sleep(lasts)
		release()
		for _, d := range s.devices {
			d.mu.Lock()
			d.since = time.Now()
			d.mu.Unlock()
		}
		return
	}
	wire := []sim.Fault{
		sim.Nack().Times(n), sim.InputOutput().Times(n), sim.Lost().Times(n), sim.Timeout().Times(1 + n%2),
		sim.Zeros().Times(n), sim.Ones().Times(n), sim.FlipAny(seed).Times(1), sim.FlipAny(seed).Times(1),
	}
	flips := 0
	if kind%10 == 6 || kind%10 == 7 {
		flips = 3
	}
	d.begin(flips)
	defer d.end()
	switch kind % 10 {
	case 8:
		s.wire.Unplug(d.addr)
		time.Sleep(lasts)
		s.wire.Plug(d.addr)
	case 9:
		s.wire.BrownOut(d.addr)
	default:
		clear := s.wire.Inject(d.addr, wire[kind%10].After(skip)) // anywhere in a reading
		time.Sleep(1900 * time.Millisecond)                       // what is not used up by then does not come
		clear()
	}
}

func (s *soak) report() {
	var all tally
	for _, d := range s.devices {
		t := d.tally
		s.Logf("%-9s %5d good, %3d not good, %3d failed, %2d wrong by a flipped bit nobody could see (the worst by %.0f steps)",
			d.name, t.good, t.notGood, t.failed, t.residual, t.worst)
		all.good, all.notGood, all.failed, all.residual = all.good+t.good, all.notGood+t.notGood, all.failed+t.failed, all.residual+t.residual
	}
	counts := s.wire.Counts()
	s.Log(fmt.Sprintf("%v, %d faults: %d good, %d not good, %d failed, %d wrong unseen; %d transfers, %d failed, %d altered; bus blocked for %v",
		soakFor, int(soakFor/time.Second)-1, all.good, all.notGood, all.failed, all.residual, counts.Transactions, counts.Failed, counts.Altered, s.bus.so()))
	if counts.Failed == 0 || counts.Altered == 0 || all.failed == 0 {
		s.Error("the faults did not reach anybody")
	}
}
