package gateway

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"periph.io/x/conn/v3/i2c"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/packet"
	"weir/gateway/config"
	"weir/gateway/status"
	"weir/sensors/chip"
	"weir/sensors/sim"
)

// limit bounds every wait of these tests: nothing takes nearly as long unless it is broken.
const limit = 15 * time.Second

// air is what the simulated chips measure.
var air = sim.Climate{Temperature: 21.53, Pressure: 100_850, Humidity: 41.2}

// site is a gateway with a simulated I2C bus and, if it is asked for, an upstream.
type site struct {
	*testing.T
	ctx   context.Context
	bus   *sim.Bus
	cloud *upstream.Server
	dir   string
	said  *logged
	ntp   atomic.Bool // NTP has set the clock

	gateway   *Gateway
	addresses []string
	ended     chan error
	cancel    context.CancelFunc
}

// logged takes what a gateway logs.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newSite prepares a bus and an upstream. At the end of the test nothing of the gateway may be left running.
func newSite(t *testing.T, u upstream.Options) *site {
	t.Helper()
	before := runtime.NumGoroutine()
	s := &site{T: t, bus: sim.NewBus("I2C1"), dir: t.TempDir() + "/data", said: &logged{}}
	s.ntp.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	s.ctx = ctx
	cloud, err := upstream.Listen(u)
	if err != nil {
		t.Fatal(err)
	}
	s.cloud = cloud
	t.Cleanup(func() {
		s.stop()
		if err := cloud.Close(); err != nil {
			t.Errorf("close the upstream: %v", err)
		}
		cancel()
		if !within(5*time.Second, func() bool { return runtime.NumGoroutine() <= before }) {
			stacks := make([]byte, 1<<20)
			t.Errorf("%d goroutines, %d before the test:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
		for _, v := range cloud.Violations() {
			t.Errorf("protocol violation seen by the upstream: %s", v)
		}
		if t.Failed() {
			t.Logf("the gateway said:\n%s", s.said)
		}
	})
	return s
}

// within asks until ok, for some time.
func within(limit time.Duration, ok func() bool) bool {
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	over := time.After(limit)
	for !ok() {
		select {
		case <-over:
			return ok()
		case <-look.C:
		}
	}
	return true
}

// config reads a configuration. CLOUD, DIR stand for the upstream's URL and the data directory; listeners take free ports.
func (s *site) config(text string) *config.Config {
	s.Helper()
	text = strings.NewReplacer("CLOUD", s.cloud.URL(), "DIR", s.dir).Replace(text)
	cfg, problems, err := config.Parse("test.toml", []byte(text), config.Options{Drivers: chip.Drivers})
	if err != nil {
		s.Fatalf("%v\n%s", err, config.Report(problems))
	}
	for _, l := range cfg.Listener {
		if l.Address.Port == 1883 {
			l.Address.Port = 0
		}
	}
	return cfg
}

const head = `
[gateway]
id = "g1"
data_dir = "DIR"
`

const noSensors = `
[sensors]
auto = false
`

const toCloud = `
[bridge.cloud]
url = "CLOUD"
[[bridge.cloud.forward]]
filter = "/Home/#"
prefix = "sites/{id}"
format = "json"
`

const room1 = `
[sensor.room1]
driver = "bme280"
bus = "1"
address = 0x76
every = "100ms"
topic = "/Home/Room1/{Quantity}"
`

func (s *site) options() Options {
	return Options{
		Drivers: chip.Drivers, Version: "test", Log: slog.New(slog.NewTextHandler(s.said, nil)),
		Root:    s.TempDir(), // no kernel files of this machine
		Buses:   func() []int { return []int{1} },
		OpenI2C: func(int) (i2c.BusCloser, error) { return s.bus, nil },
		time:    machineTime{s},
	}
}

// machineTime is a machine whose clock is right, and set by NTP when the site says so.
type machineTime struct{ s *site }

var booted = time.Now().Add(-time.Hour)

func (machineTime) Boot() uint64         { return 4711 }
func (machineTime) Since() time.Duration { return time.Since(booted) }
func (machineTime) Wall() time.Time      { return time.Now() }
func (m machineTime) Synchronized() bool { return m.s.ntp.Load() }

// start builds and runs a gateway.
func (s *site) start(text string) {
	s.Helper()
	s.startWith(s.config(text), s.options())
}

func (s *site) startWith(cfg *config.Config, o Options) {
	s.Helper()
	ready := make(chan []string, 1)
	o.Ready = func(addresses []string) { ready <- addresses }
	g, err := New(cfg, o)
	if err != nil {
		s.Fatalf("new gateway: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.gateway, s.cancel, s.ended = g, cancel, make(chan error, 1)
	ended := s.ended
	go func() { ended <- g.Run(ctx) }()
	select {
	case s.addresses = <-ready:
	case err := <-s.ended:
		s.gateway = nil
		s.Fatalf("the gateway ended at its start: %v", err)
	case <-s.ctx.Done():
		s.Fatal("the gateway does not become ready")
	}
}

// stop ends the gateway in the orderly way, if it runs.
func (s *site) stop() {
	s.Helper()
	if s.gateway == nil {
		return
	}
	s.cancel()
	if err := s.end(); err != nil {
		s.Errorf("the gateway ended with: %v", err)
	}
}

// end waits for the end of the gateway.
func (s *site) end() error {
	s.Helper()
	s.gateway = nil
	select {
	case err := <-s.ended:
		s.cancel()
		return err
	case <-time.After(limit):
		stacks := make([]byte, 1<<20)
		s.Fatalf("the gateway does not end:\n%s", stacks[:runtime.Stack(stacks, true)])
		return nil
	}
}

// want waits until something is true of the status.
func (s *site) want(what string, ok func(st *status.Snapshot) bool) status.Snapshot {
	s.Helper()
	var st status.Snapshot
	if !within(limit, func() bool { st = s.gateway.Status(); return ok(&st) }) {
		s.Fatalf("%s: never; the status is %+v", what, st)
	}
	return st
}

func (s *site) wantVerdict(want string) {
	s.Helper()
	st := s.gateway.Status()
	if got := st.Verdict(); got != want {
		s.Errorf("verdict %q, want %q", got, want)
	}
}

// arrived waits for a message at the upstream.
func (s *site) arrived(topic string) upstream.Arrival {
	s.Helper()
	var found upstream.Arrival
	err := s.cloud.Wait(s.ctx, func(all []upstream.Arrival) bool {
		i := slices.IndexFunc(all, func(a upstream.Arrival) bool { return a.Topic == topic })
		if i >= 0 {
			found = all[i]
		}
		return i >= 0
	})
	if err != nil {
		var topics []string
		for _, a := range s.cloud.Arrivals() {
			topics = append(topics, a.Topic)
		}
		s.Fatalf("%s never arrived at the upstream, only %v", topic, topics)
	}
	return found
}

// local is a client of the gateway's broker that remembers what it is sent.
type local struct {
	s    *site
	conn *client.Conn

	mu   sync.Mutex
	came []packet.Publish
}

func (s *site) connect(o client.Options) (*local, error) {
	s.Helper()
	l := &local{s: s}
	if o.URL == "" {
		o.URL = "mqtt://" + s.addresses[0]
	}
	o.Version = packet.V5
	o.OnMessages = func(messages []packet.Publish) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, m := range messages {
			kept := packet.Publish{Topic: bytes.Clone(m.Topic), Payload: bytes.Clone(m.Payload), Retain: m.Retain, QoS: m.QoS}
			kept.Props.ContentType, kept.Props.MessageExpiry = bytes.Clone(m.Props.ContentType), m.Props.MessageExpiry
			l.came = append(l.came, kept)
		}
	}
	conn, err := client.Connect(s.ctx, o)
	if err != nil {
		return nil, err
	}
	l.conn = conn
	return l, nil
}

// subscribe connects a client and subscribes.
func (s *site) subscribe(filter string) *local {
	s.Helper()
	l, err := s.connect(client.Options{ClientID: "reader"})
	if err != nil {
		s.Fatalf("connect: %v", err)
	}
	if reasons, err := l.conn.Subscribe(s.ctx, packet.Subscription{Filter: []byte(filter), QoS: 1}); err != nil || reasons[0].Failed() {
		s.Fatalf("subscribe: %v, %v", reasons, err)
	}
	return l
}

// wait waits for a message whose topic and payload fit.
func (l *local) wait(what string, ok func(topic, payload string, retained bool) bool) string {
	l.s.Helper()
	found, seen := "", 0
	if !within(limit, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for ; seen < len(l.came); seen++ {
			if m := &l.came[seen]; ok(string(m.Topic), string(m.Payload), m.Retain) {
				found = string(m.Payload)
				return true
			}
		}
		return false
	}) {
		l.s.Fatalf("%s: never came; what came was %s", what, l)
	}
	return found
}

func (l *local) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, m := range l.came {
		fmt.Fprintf(&b, "\n%s %s", m.Topic, m.Payload)
	}
	return b.String()
}

func (l *local) close() {
	if err := l.conn.Close(); err != nil {
		l.s.Errorf("close the client: %v", err)
	}
}

// publish sends messages at QoS 1 and waits for each acknowledgement.
func (l *local) publish(topic string, payloads ...string) error {
	for _, p := range payloads {
		if err := l.conn.Publish(l.s.ctx, packet.Publish{QoS: 1, Topic: []byte(topic), Payload: []byte(p)}); err != nil {
			return err
		}
	}
	return nil
}

// write makes a file that only its owner can read.
func (s *site) write(name, text string) string {
	s.Helper()
	path := s.TempDir() + "/" + name
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	return path
}
