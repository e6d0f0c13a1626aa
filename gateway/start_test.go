package gateway

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/auth"
	"weir/buffer"
	"weir/gateway/status"
	"weir/sensors/sim"
)

// TestSecondGateway: two gateways never share a directory, and the second harms the first not at all.
func TestSecondGateway(t *testing.T) {
	s := newSite(t, upstream.Options{})
	s.start(head + noSensors + toCloud)
	_, err := New(s.config(head+noSensors+toCloud), s.options())
	if !errors.Is(err, buffer.ErrInUse) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("second gateway: %v, want that the directory is in use and by which process", err)
	}
	c, err := s.connect(client.Options{ClientID: "pump"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.publish("/Home/x", "1"); err != nil {
		t.Error(err)
	}
	s.arrived("sites/g1/Home/x")
}

// TestListenerInUse: if no address can be opened that is told by the listener's name, and everything is given back.
func TestListenerInUse(t *testing.T) {
	s := newSite(t, upstream.Options{})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	text := head + noSensors + toCloud + fmt.Sprintf("[listener.only]\naddress = %q\n", taken.Addr())
	before := runtime.NumGoroutine()
	for range 2 { // nothing of the first attempt is in the way of the second
		_, err = New(s.config(text), s.options())
		var listen *ListenError
		if !errors.As(err, &listen) || listen.Listener != "only" {
			t.Fatalf("err %v, want a ListenError of the listener", err)
		}
	}
	if !within(time.Second, func() bool { return runtime.NumGoroutine() <= before }) {
		t.Error("goroutines left behind")
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	s.start(text)
}

// TestListenerLater: one address that cannot be opened stops nothing else. It is opened when it can be, and the status says
// so all the time.
func TestListenerLater(t *testing.T) {
	s := newSite(t, upstream.Options{})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	text := head + noSensors + fmt.Sprintf("[listener.first]\naddress = \"127.0.0.1:1883\"\n[listener.second]\naddress = %q\n", taken.Addr())
	s.start(text)
	s.stop() // while it waits
	s.start(text)
	st := s.gateway.Status()
	if len(st.Listeners) != 2 || st.Listeners[0].Err != "" || !strings.Contains(st.Listeners[1].Err, "address already in use") || st.OK() {
		t.Errorf("listeners %+v, want the second with its error", st.Listeners)
	}
	c, err := s.connect(client.Options{})
	if err != nil {
		t.Fatalf("at the first: %v", err)
	}
	c.close()
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	s.want("the second", func(st *status.Snapshot) bool { return st.Listeners[1].Err == "" && st.OK() })
	if c, err = s.connect(client.Options{URL: "mqtt://" + taken.Addr().String()}); err != nil {
		t.Fatalf("at the second: %v", err)
	}
	c.close()
	if n := strings.Count(s.said.String(), "listener cannot be opened"); n != 2 {
		t.Errorf("%d log lines of it, want one at each start", n)
	}
}

// TestCloseWithoutRun: a gateway that was built and is not run gives everything back.
func TestCloseWithoutRun(t *testing.T) {
	s := newSite(t, upstream.Options{})
	for range 2 {
		g, err := New(s.config(head+room1+toCloud), s.options())
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

// TestDegradedStart: with something else in the place of the data directory, sensors and local delivery work, nothing is
// acknowledged that is not kept, the status says why, and Run ends when the directory can be used again.
func TestDegradedStart(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "300000") // so that the gateway looks around often
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	s := newSite(t, upstream.Options{})
	s.bus.Add(0x76, sim.NewBME280(sim.Steady(air)))
	if err := os.WriteFile(s.dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.cloud.Down()
	s.start(head + room1 + toCloud)
	reader := s.subscribe("/Home/#")
	defer reader.close()
	reader.wait("temperature", func(topic, _ string, _ bool) bool { return topic == "/Home/Room1/Temperature" })
	st := s.want("the cause", func(st *status.Snapshot) bool { return st.Store.Err != "" })
	if !strings.Contains(st.Store.Err, "data") || st.OK() || !strings.Contains(st.Verdict(), "The store takes no writes: ") {
		t.Errorf("store %+v, verdict %q: want the cause in both", st.Store, st.Verdict())
	}

	pump, err := s.connect(client.Options{ClientID: "pump"})
	if err != nil {
		t.Fatal(err)
	}
	defer pump.close()
	acknowledged := make(chan error, 1)
	go func() { acknowledged <- pump.publish("/Home/pump", "75") }()
	reader.wait("the message, locally", func(topic, payload string, _ bool) bool { return topic == "/Home/pump" && payload == "75" })
	select {
	case err := <-acknowledged:
		t.Errorf("acknowledged (%v) although neither the upstream nor a disk has it", err)
	default:
	}
	if err := s.cloud.Up(); err != nil {
		t.Fatal(err)
	}
	s.arrived("sites/g1/Home/pump")
	select {
	case err := <-acknowledged:
		if err != nil {
			t.Errorf("publish: %v", err)
		}
	case <-s.ctx.Done():
		t.Error("not acknowledged although the upstream has it")
	}

	if err := os.Remove(s.dir); err != nil {
		t.Fatal(err)
	}
	if err := s.end(); !errors.Is(err, ErrStoreBack) {
		t.Fatalf("run ended with %v, want %v", err, ErrStoreBack)
	}
	s.start(head + room1 + toCloud)
	if st := s.gateway.Status(); st.Store.Err != "" {
		t.Errorf("built anew, the store still fails: %s", st.Store.Err)
	}
}

// TestLogins: by password in the configuration, by password file, and not otherwise.
func TestLogins(t *testing.T) {
	s := newSite(t, upstream.Options{})
	file := filepath.Join(t.TempDir(), "passwords")
	if _, err := auth.Set(file, "meter", []byte("under water")); err != nil {
		t.Fatal(err)
	}
	text := head + noSensors + fmt.Sprintf("[listener.lan]\naddress = \"127.0.0.1:1883\"\nanonymous = false\npasswords = %q\n", file) + `
[user.pump7]
password = { file = "` + s.write("secret", "over the edge\n") + `" }
publish = ["plant/#"]
subscribe = ["plant/#"]
[user."*"]
publish = ["plant/#"]
`
	s.start(text)
	var logins sync.WaitGroup // refusals are slow by design
	for _, c := range []struct {
		user, password string
		ok             bool
	}{
		{"pump7", "over the edge", true},
		{"meter", "under water", true},
		{"pump7", "under water", false},
		{"meter", "over the edge", false},
		{"pump7", "", false},
		{"pump7", "over the edge\n", false},
		{"nobody", "over the edge", false},
		{"*", "", false},
		{"", "", false},
	} {
		logins.Go(func() {
			l, err := s.connect(client.Options{Username: c.user, Password: []byte(c.password)})
			if (err == nil) != c.ok {
				t.Errorf("login of %q with %q: %v, want success %v", c.user, c.password, err, c.ok)
			}
			if err != nil {
				return
			}
			defer l.close()
			if err := l.publish("plant/level", "1"); err != nil {
				t.Errorf("publish as %s: %v", c.user, err)
			}
		})
	}
	logins.Wait()
	if text := s.said.String(); strings.Contains(text, "over the edge") || strings.Contains(text, "under water") {
		t.Error("a password is in the log")
	}
}

// TestWrittenDaySurvives: what was written in the last 24 hours counts across a restart, and keeping that makes no commit.
func TestWrittenDaySurvives(t *testing.T) {
	s := newSite(t, upstream.Options{})
	before := int64(0)
	for i := range 3 {
		g, err := New(s.config(head+noSensors+toCloud), s.options())
		if err != nil {
			t.Fatal(err)
		}
		st := g.Status().Store
		if st.WrittenDay < before+st.Written || st.Written == 0 {
			t.Errorf("start %d: %d bytes of the last day, %d of this process, want %d more", i, st.WrittenDay, st.Written, before)
		}
		g.store.keepWritten()
		if after := g.Status().Store; after.Syncs != st.Syncs || after.Written != st.Written {
			t.Errorf("start %d: to keep it cost %d syncs", i, after.Syncs-st.Syncs)
		}
		before = st.WrittenDay
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
