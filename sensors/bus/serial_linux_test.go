package bus

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"weir/sensors"
	"weir/sensors/sim"
)

func TestExchange(t *testing.T) {
	t.Parallel()
	term := plugged(t, parrot{})
	b := serialMachine(t, LineOptions{Name: "a", Device: term.Link(), Mode: mode, Gap: 5 * time.Millisecond})
	l := b.line(t, "a")
	for _, word := range []string{"abcd", "wxyz", "1a2b"} {
		if got, err := b.ask(l, word, patience); err != nil || got != strings.ToUpper(word) {
			t.Errorf("%s: got %q, %v", word, got, err)
		}
	}
	if _, err := b.ask(l, "abc", 150*time.Millisecond); sensors.FaultOf(err) != sensors.Timeout {
		t.Errorf("no answer: got %v, want a timeout", err)
	}
	if _, err := b.Serial("b"); err == nil || !strings.Contains(err.Error(), "no [serial.b] in the configuration; there are: a") {
		t.Errorf("unknown line: %v", err)
	}
}

// Between an answer and the next request a slow line is silent for 3.5
// characters, or the slaves take both for one frame.
func TestSlowLineHasAFrameGap(t *testing.T) {
	t.Parallel()
	term := plugged(t, parrot{})
	slow := sensors.Mode{Baud: 300, DataBits: 8, Parity: 'N', StopBits: 1}
	b := serialMachine(t, LineOptions{Name: "a", Device: term.Link(), Mode: slow, Gap: 20 * time.Millisecond})
	l := b.line(t, "a")
	if _, err := b.ask(l, "abcd", patience); err != nil {
		t.Fatal(err)
	}
	answered := time.Now()
	if _, err := b.ask(l, "abcd", patience); err != nil {
		t.Fatal(err)
	}
	if gap := time.Since(answered); gap < 110*time.Millisecond {
		t.Errorf("the next answer came after %v, want a silence of 117 ms before its request", gap)
	}
}

func TestEchoIsTakenAway(t *testing.T) {
	t.Parallel()
	term := plugged(t, mirror{})
	b := serialMachine(t, LineOptions{Name: "a", Device: term.Link(), Mode: mode, Echo: true})
	for range 2 {
		if got, err := b.ask(b.line(t, "a"), "abcd", patience); err != nil || got != "ABCD" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	quiet := plugged(t, nil)
	b2 := serialMachine(t, LineOptions{Name: "a", Device: quiet.Link(), Mode: mode, Echo: true})
	if _, err := b2.ask(b2.line(t, "a"), "abcd", patience); err == nil || !strings.Contains(err.Error(), "no echo") {
		t.Errorf("got %v, want that there is no echo", err)
	}
}

func TestUnplugAndReplugUnderAnotherName(t *testing.T) {
	t.Parallel()
	term := plugged(t, parrot{})
	b := serialMachine(t, LineOptions{Name: "a", Device: term.Link(), Mode: mode})
	l := b.line(t, "a")
	if got, err := b.ask(l, "abcd", patience); err != nil || got != "ABCD" {
		t.Fatalf("got %q, %v", got, err)
	}
	first := term.Path()
	if err := term.Unplug(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := b.ask(l, "abcd", time.Second); sensors.FaultOf(err) != sensors.Gone {
			t.Errorf("unplugged: got %v, want gone", err)
		}
	}
	if err := term.Plug(); err != nil {
		t.Fatal(err)
	}
	if term.Path() == first {
		t.Fatal("the terminal came back under the same name; the test proves nothing")
	}
	if got, err := b.ask(l, "abcd", patience); err != nil || got != "ABCD" {
		t.Errorf("replugged: got %q, %v", got, err)
	}
	b.stop()
	if n := strings.Count(b.log.String(), "serial port is gone"); n != 1 {
		t.Errorf("told %d times that it is gone, want once:\n%s", n, b.log.String())
	}
}

func TestListenerHearsAcrossReplugging(t *testing.T) {
	t.Parallel()
	i := sim.NewLine(sim.Steady(sim.Climate{Temperature: 21.5, Pressure: 101325, Humidity: 45}))
	i.Interval = 20 * time.Millisecond
	term := plugged(t, i)
	b := serialMachine(t, LineOptions{Name: "a", Device: term.Link(), Mode: mode})
	e := newEars()
	stop := b.line(t, "a").Listen(e)
	e.await(t, "lines", func(s string) bool { return strings.HasPrefix(s, "|") && strings.Count(s, "T=21.50") >= 3 })
	if err := term.Unplug(); err != nil {
		t.Fatal(err)
	}
	if err := term.Plug(); err != nil {
		t.Fatal(err)
	}
	e.await(t, "lines after replugging", func(s string) bool {
		return strings.Count(s, "|") == 2 && strings.Contains(s[strings.LastIndex(s, "|"):], "T=21.50")
	})
	stop()
	b.stop()
}

func TestAPortHasOneUser(t *testing.T) {
	term := plugged(t, parrot{})
	b := serialMachine(t, LineOptions{Name: "a", Device: term.Link(), Mode: mode}, LineOptions{Name: "b", Device: term.Path(), Mode: mode})
	if _, err := b.ask(b.line(t, "a"), "abcd", patience); err != nil {
		t.Fatal(err)
	}
	_, err := b.ask(b.line(t, "b"), "abcd", time.Second)
	if sensors.FaultOf(err) != sensors.Refused || !strings.Contains(err.Error(), "another [serial] table of this configuration uses the same port") {
		t.Errorf("got %v, want refused", err)
	}
	b.stop()
	b2 := serialMachine(t, LineOptions{Name: "b", Device: term.Path(), Mode: mode})
	if _, err := b2.ask(b2.line(t, "b"), "abcd", patience); err != nil {
		t.Errorf("after the first user left: %v", err)
	}
}

// TestHoldPort is the other program of the next test.
func TestHoldPort(t *testing.T) {
	path := os.Getenv("WEIR_TEST_HOLD_PORT")
	if path == "" {
		return // run by itself
	}
	p, err := openTTY(path, mode)
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("held\n")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the other test is done
	_ = p.Close()
}

func TestAnotherProgramHoldsThePort(t *testing.T) {
	term := plugged(t, parrot{})
	other := exec.Command(os.Args[0], "-test.run=^TestHoldPort$")
	other.Env = append(os.Environ(), "WEIR_TEST_HOLD_PORT="+term.Path())
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		if err := other.Wait(); err != nil {
			t.Error(err)
		}
	}()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "held\n" {
		t.Fatalf("the other program says %q, %v", line, err)
	}
	b := serialMachine(t, LineOptions{Name: "a", Device: term.Link(), Mode: mode})
	_, err = b.ask(b.line(t, "a"), "abcd", time.Second)
	if who := fmt.Sprintf("(process %d) has it", other.Process.Pid); sensors.FaultOf(err) != sensors.Refused || !strings.Contains(err.Error(), who) {
		t.Errorf("got %v, want %s", err, who)
	}
}

// Every speed that a mode may have is one the port takes.
func TestEverySpeedOpens(t *testing.T) {
	term := plugged(t, parrot{})
	opened := 0
	for baud := 50; baud <= 4000000; baud += 50 {
		m, err := sensors.ParseMode(fmt.Sprint(baud, " 8N1"))
		if err != nil {
			continue
		}
		p, err := openTTY(term.Path(), m)
		if err != nil {
			t.Errorf("%d: %v", baud, err)
			continue
		}
		opened++
		_ = p.Close()
	}
	if opened < 24 {
		t.Errorf("%d speeds, want 24", opened)
	}
}

func TestWhatIsNoPort(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	b := serialMachine(t, LineOptions{Name: "missing", Device: file + "x", Mode: mode},
		LineOptions{Name: "null", Device: "/dev/null", Mode: mode}, LineOptions{Name: "file", Device: file, Mode: mode})
	for name, want := range map[string]string{"missing": "there is no such port", "null": "this is not a serial port", "file": "this is not a serial port"} {
		if _, err := b.ask(b.line(t, name), "abcd", time.Second); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}

func TestBlockedWriteIsFreed(t *testing.T) {
	t.Parallel()
	master, slave, err := pty.Open() // nobody reads the master
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	fast := mode
	fast.Baud = 4000000
	b := serialMachine(t, LineOptions{Name: "a", Device: slave.Name(), Mode: fast})
	ctx, cancel := context.WithTimeout(b.ctx, 100*time.Millisecond)
	defer cancel()
	f := &flood{done: make(chan struct{})}
	start := time.Now()
	_ = b.line(t, "a").Do(ctx, f) // stuck, or freed in time: both are right
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("the caller was held for %v", took)
	}
	b.stop() // fails the test if the owner stays blocked
	select {
	case <-f.done:
	default:
		t.Error("the machine stopped while its owner was writing")
	}
}

func TestStopDuringAReadIsQuick(t *testing.T) {
	t.Parallel()
	term := plugged(t, nil)
	b := serialMachine(t, LineOptions{Name: "a", Device: term.Link(), Mode: mode})
	l := b.line(t, "a")
	asked := make(chan error, 1)
	started := make(chan struct{})
	go func() {
		close(started)
		_, err := b.ask(l, "abcd", patience)
		asked <- err
	}()
	<-started
	start := time.Now()
	b.stop()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if err := <-asked; err == nil {
		t.Error("an exchange without an answer ended well")
	}
	if err := l.Do(t.Context(), &ask{}); sensors.FaultOf(err) != sensors.Gone {
		t.Errorf("after the end: got %v, want gone", err)
	}
}

func TestDrainThrowsAway(t *testing.T) {
	t.Parallel()
	term := plugged(t, parrot{})
	b := serialMachine(t, LineOptions{Name: "a", Device: term.Link(), Mode: mode})
	d := &drain{}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := b.line(t, "a").Do(ctx, d); sensors.FaultOf(err) != sensors.Timeout || d.err != nil {
		t.Errorf("got %v after draining with %v, want nothing left", err, d.err)
	}
}

func TestModesOpen(t *testing.T) {
	for _, text := range []string{"300 7E1", "9600 8O2", "4800 5N1", "4000000 8N1"} {
		m, err := sensors.ParseMode(text)
		if err != nil {
			t.Fatal(err)
		}
		term := plugged(t, parrot{})
		b := serialMachine(t, LineOptions{Name: "a", Device: term.Path(), Mode: m})
		if got, err := b.ask(b.line(t, "a"), "1234", patience); err != nil || got != "1234" {
			t.Errorf("%s: got %q, %v", text, got, err)
		}
		b.stop()
	}
}
