package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/bridge/client"
	"weir/bridge/upstream"
	"weir/broker/message"
	"weir/broker/packet"
)

const stateName = "weir/gw1/bridge/cloud"

// waitRetained waits until the retained state upstream has the word.
func (r *rig) waitRetained(word string) upstream.Arrival {
	r.t.Helper()
	var last upstream.Arrival
	err := r.server.WaitRetained(r.ctx(), stateName, func(a upstream.Arrival) bool {
		last = a
		return stateOf(string(a.Payload)) == word
	})
	if err != nil {
		r.t.Fatalf("state upstream is %s, want %q: %v", last.Payload, word, err)
	}
	return last
}

// The state upstream is true while connected, after an orderly end, and, by the will, after a broken connection.
func TestStateUpstream(t *testing.T) {
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			r := newRig(t, upstream.Options{})
			r.cfg.Connect.Version = v
			r.cfg.MinWait, r.cfg.MaxWait = time.Hour, time.Hour
			r.start()
			a := r.waitRetained(Connected)
			if a.QoS != 1 || !a.Retain {
				t.Errorf("told with %+v, want QoS 1, retained", a)
			}
			r.server.Cut()
			r.waitRetained(Offline)
			r.waitWord(Offline)
			r.stop()

			r.cfg.MinWait, r.cfg.MaxWait = time.Millisecond, time.Millisecond
			r.start()
			r.waitRetained(Connected)
			r.publish("t", "x")
			r.stop()
			var report struct {
				State   string
				Since   time.Time
				Version string
				Backlog *int
				Drops   *int
			}
			last := r.waitRetained(Offline)
			if err := json.Unmarshal(last.Payload, &report); err != nil || report.Version != "test" || report.Backlog == nil || report.Drops == nil || report.Since.IsZero() {
				t.Errorf("last words %s", last.Payload)
			}
		})
	}
}

// A rule that takes everything, the local state among it, does not bring old states to the topic that tells the true one.
func TestStateIsNotForwarded(t *testing.T) {
	r := newRig(t, upstream.Options{})
	old := message.Message{Publish: packet.Publish{QoS: 1, Retain: true, Topic: []byte(stateName), Payload: []byte(`{"state":"offline"}`)}}
	r.source.add(1, old)
	r.publish("t", "x")
	r.start()
	r.source.waitDrained(t)
	r.waitRetained(Connected)
	for _, a := range r.server.Arrivals() {
		if a.Topic == stateName && stateOf(string(a.Payload)) == Offline {
			t.Error("an old state was told while the link was up")
		}
	}
	r.stop()
	r.cfg.NoState = true // then it is a message like any other
	r.source.add(1, old)
	r.start()
	r.source.waitDrained(t)
	r.waitRetained(Offline)
}

// A state that the server had no quota for is told again: until then the retained one is the will of the link before.
func TestStateAfterQuotaExceeded(t *testing.T) {
	var refusals atomic.Int32
	r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{Verdict: func(a *upstream.Arrival) packet.Reason {
		if a.Topic == stateName && refusals.Add(1) <= 2 {
			return packet.QuotaExceeded
		}
		return packet.Success
	}}})
	r.cfg.StateEvery = 20 * time.Millisecond
	r.start()
	r.waitRetained(Connected)
}

// A backlog is told as draining, with numbers, and then as connected.
func TestStateDraining(t *testing.T) {
	r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{AckDelay: 5 * time.Millisecond}})
	r.cfg.Window, r.cfg.StateEvery = 10, 20*time.Millisecond
	r.source.dropped = 7
	for i := range 300 {
		r.publish("t", fmt.Sprint(i))
	}
	r.start()
	a := r.waitRetained(Draining)
	var report struct {
		Backlog    int
		Drops      int
		Oldest_age float64
	}
	if err := json.Unmarshal(a.Payload, &report); err != nil || report.Backlog < 11 || report.Drops != 7 || report.Oldest_age < 0 {
		t.Errorf("told %s", a.Payload)
	}
	r.source.waitDrained(t)
	r.waitRetained(Connected)
	draining := 0
	for _, a := range r.server.Arrivals() {
		if a.Topic == stateName && stateOf(string(a.Payload)) == Draining {
			draining++
		}
	}
	if draining < 3 {
		t.Errorf("told %d times while draining, want it repeated", draining)
	}
}

func TestRefusedCredentials(t *testing.T) {
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			r := newRig(t, upstream.Options{Behaviour: upstream.Behaviour{Login: func(user string, pass []byte) bool { return string(pass) == "right" }}})
			r.cfg.Connect.Version, r.cfg.Connect.Username, r.cfg.Connect.Password = v, "me", []byte("sesame")
			r.start()
			r.waitWord(Refused)
			st := r.bridge.Status()
			if st.State != Refused || !strings.Contains(st.Err, "bad user name or password") || strings.Contains(st.Err, "sesame") {
				t.Errorf("status %+v", st)
			}
		})
	}
}

// A server that does not know 5.0 is spoken to in 3.1.1, if nobody said which.
func TestVersionFallback(t *testing.T) {
	for name, b := range map[string]upstream.Behaviour{
		"answers":     {Only: packet.V311},
		"just closes": {Only: packet.V311, CloseOther: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, upstream.Options{Behaviour: b})
			r.cfg.Connect.Version = 0
			r.publish("t", "x")
			r.start()
			r.source.waitDrained(t)
		})
	}
}

// Something before the server that takes connections and closes them, as a relay does whose server is away, does not turn
// the link to 3.1.1 for good.
func TestVersionComesBack(t *testing.T) {
	var closing atomic.Bool
	var closed atomic.Int32
	r := newRig(t, upstream.Options{})
	r.cfg.Connect.Version = 0
	r.cfg.Connect.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if !closing.Load() {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}
		closed.Add(1)
		ours, theirs := net.Pipe()
		go func() {
			theirs.Read(make([]byte, 1))
			theirs.Close()
		}()
		return ours, nil
	}
	versionAfter := func(attempts int32) string {
		closing.Store(true)
		before := closed.Load()
		if r.cancel == nil {
			r.start()
		} else {
			r.server.Cut()
		}
		r.waitStatus("closed upon often enough", func(Status) bool { return closed.Load() >= before+attempts })
		closing.Store(false)
		n := len(r.server.Arrivals())
		r.publish("t", "x")
		r.source.waitDrained(t)
		for _, a := range r.server.Arrivals()[n:] {
			if a.Topic == "t" && len(a.User) > 0 {
				return "5.0" // only there a message has user properties
			}
		}
		return "3.1.1"
	}
	for attempts := range int32(4) { // whatever the first connection speaks
		versionAfter(attempts + 1)
	}
	for attempts := range int32(4) {
		if v := versionAfter(attempts + 1); v != "5.0" {
			t.Errorf("after %d attempts the link speaks %s", attempts+1, v)
		}
	}
}

// The next server of the list takes over.
func TestServersInTurn(t *testing.T) {
	r := newRig(t, upstream.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	r.cfg.Servers = []string{"mqtt://" + l.Addr().String(), r.server.URL()}
	r.publish("t", "x")
	r.start()
	r.source.waitDrained(t)
}

func TestNoState(t *testing.T) {
	r := newRig(t, upstream.Options{})
	r.cfg.NoState = true
	r.publish("t", "x")
	r.start()
	r.source.waitDrained(t)
	r.waitWord(Connected)
	r.stop()
	if got := r.server.Arrivals(); len(got) != 1 {
		t.Errorf("arrived %+v, want the one record", got)
	}
}

// Live follows the link.
func TestLive(t *testing.T) {
	r := newRig(t, upstream.Options{})
	r.start()
	r.waitRetained(Connected)
	r.server.Cut()
	r.source.wait(t, "up again", func() bool { return len(r.source.live) == 3 })
	r.stop()
	if got := fmt.Sprint(r.source.live); got != "[true false true false]" {
		t.Errorf("live: %s", got)
	}
}

// On a fake clock: attempts at a server that is not there come no closer than MinWait and no rarer than MaxWait, and
// Run ends at once when told, in the middle of a pause or of a step.
func TestReconnectTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts []time.Time
		cfg := Config{Name: "cloud", Gateway: "gw1", Connect: client.Options{URL: "mqtt://cloud", ClientID: "gw1"}}
		cfg.Connect.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			attempts = append(attempts, time.Now())
			if len(attempts)%3 == 0 {
				<-ctx.Done() // a black hole
				return nil, ctx.Err()
			}
			return nil, errors.New("not there")
		}
		b := New(cfg, newFakeSource(), newFakeSink(), newFakeClock(), quiet)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		st := b.Status()
		if st.State != Offline || st.Err == "" {
			t.Errorf("status %+v", st)
		}
		cancel()
		synctest.Wait()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if len(attempts) < 6*30 { // six hours at two minutes at most, and the black holes
			t.Errorf("%d attempts in six hours", len(attempts))
		}
		for i := 1; i < len(attempts); i++ {
			gap := attempts[i].Sub(attempts[i-1])
			if least, most := time.Second, 120*time.Second+client.DefaultConnectTimeout; gap < least || gap > most {
				t.Errorf("attempt %d after %s", i, gap)
			}
		}
	})
}

// TLS waits for the clock for two minutes, tells so, and then tries without.
func TestTLSWaitsForClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := newFakeClock()
		clock.trust(false)
		var words []string
		var dialled atomic.Int64 // when first; Unix nanoseconds
		cfg := Config{
			Name: "cloud", Gateway: "gw1", Connect: client.Options{URL: "mqtts://cloud", ClientID: "gw1"},
			Announce: func(_ string, payload []byte, _ bool) { words = append(words, stateOf(string(payload))) },
		}
		cfg.Connect.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled.CompareAndSwap(0, time.Now().UnixNano())
			return nil, errors.New("not there")
		}
		for _, late := range []bool{false, true} {
			words = nil
			dialled.Store(0)
			clock.trust(false)
			b := New(cfg, newFakeSource(), newFakeSink(), clock, quiet)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			start := time.Now()
			go func() { done <- b.Run(ctx) }()
			time.Sleep(30 * time.Second)
			synctest.Wait()
			if st := b.Status(); st.State != NoClock || dialled.Load() != 0 {
				t.Errorf("after 30 s: status %+v, dialled at %d", st, dialled.Load())
			}
			want := 120 * time.Second
			if !late {
				clock.trust(true)
				want = 31 * time.Second
			}
			time.Sleep(100 * time.Second)
			synctest.Wait()
			if waited := time.Unix(0, dialled.Load()).Sub(start); waited > want || waited < 30*time.Second {
				t.Errorf("late %v: dialled after %s, want %s", late, waited, want)
			}
			cancel()
			<-done
			if words[0] != NoClock || words[1] != Offline {
				t.Errorf("announced %q", words)
			}
		}
	})
}

// Status may be asked for at any time.
func TestStatusConcurrent(t *testing.T) {
	r := newRig(t, upstream.Options{})
	r.start()
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				r.bridge.Status()
			}
		}
	}()
	for i := range 200 {
		r.source.add(1, message.Message{Publish: packet.Publish{Topic: []byte("t"), Payload: []byte(fmt.Sprint(i))}})
	}
	r.source.waitDrained(t)
	close(stop)
	<-done
	if st := r.bridge.Status(); st.Acked != 200 || st.Sent != 200 || st.Backlog.Records != 0 {
		t.Errorf("status %+v", st)
	}
}
