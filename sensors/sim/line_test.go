package sim

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// attach runs an instrument at the far end of a pipe, in the bubble of the caller,
// until the returned function is called.
func attach(t *testing.T, i Instrument) (near net.Conn, stop func()) {
	t.Helper()
	near, far := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- i.Run(ctx, far) }()
	return near, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stopped instrument: %v", err)
		}
		_ = near.Close()
	}
}

func TestLineAtAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLine(Steady(room))
		l.Interval = time.Second
		port, stop := attach(t, l)
		defer stop()
		start := time.Now()
		r := bufio.NewReader(port)
		for i := range 3 {
			got, err := r.ReadString('\n')
			if err != nil || got != "T=21.50 P=1013.25 H=45.0\r\n" {
				t.Errorf("line %d: %q, %v", i, got, err)
			}
			if took := time.Since(start); took != time.Duration(i+1)*time.Second {
				t.Errorf("line %d after %v", i, took)
			}
		}
		if l.Sent() != 3 {
			t.Errorf("%d lines sent", l.Sent())
		}
	})
}

func TestLineWhenPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLine(Steady(room))
		l.Poll, l.Terminator = ".P\r", "\n"
		l.Format = func(c Climate) string { return "$WIMTA,21.5,C" }
		l.Checksum = StarXor
		port, stop := attach(t, l)
		defer stop()
		r := bufio.NewReader(port)
		for _, ask := range []string{".P\r", "x.P.P\r", "\r\r\r.P\r"} {
			for _, b := range []byte(ask) {
				if _, err := port.Write([]byte{b}); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := r.ReadString('\n'); err != nil || got != "$WIMTA,21.5,C*"+xorOf("WIMTA,21.5,C")+"\n" {
				t.Errorf("%q: %q, %v", ask, got, err)
			}
		}
		_, _ = port.Write([]byte("P\r.\r.p\r"))
		synctest.Wait()
		if l.Sent() != 3 {
			t.Errorf("%d lines sent, want 3", l.Sent())
		}
	})
}

func xorOf(text string) string {
	sum := 0
	for _, c := range text {
		sum ^= int(c)
	}
	return strings.ToUpper(string("0123456789abcdef"[sum>>4]) + string("0123456789abcdef"[sum&15]))
}

func TestStarXor(t *testing.T) {
	for text, want := range map[string]string{
		"$WIXDR,P,1.01325,B,BARO,C,21.5,C,AIRT,H,45.2,P,RELH":        "*76",
		"$WIMDA,29.9870,I,1.0154,B,17.2,C,,,45.0,,5.1,C,,T,,M,,N,,M": "*54",
	} {
		if got := StarXor(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestDistortions(t *testing.T) {
	type sent struct {
		after time.Duration
		text  string
	}
	for _, v := range []struct {
		name string
		d    Distortion
		want []sent
	}{
		{"silence", Silence(), nil},
		{"late", Late(2 * time.Second), []sent{{2 * time.Second, "T=21\r\n"}}},
		{"split", Split(3, time.Second), []sent{{0, "T=2"}, {time.Second, "1\r\n"}}},
		{"split beyond", Split(99, time.Second), []sent{{0, "T=21\r\n"}}},
		{"prefix", Prefix(0, 0xFF), []sent{{0, "\x00\xff"}, {0, "T=21\r\n"}}},
		{"suffix", Suffix('!'), []sent{{0, "T=21\r\n"}, {0, "!"}}},
		{"cut", Cut(2), []sent{{0, "T="}}},
		{"invert", Invert(0), []sent{{0, "U=21\r\n"}}},
		{"invert last", Invert(-8), []sent{{0, "T=21\r\v"}}},
		{"invert beyond", Invert(48), []sent{{0, "T=21\r\n"}}},
		{"instead", Instead('?'), []sent{{0, "?"}}},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := NewLine(Steady(room))
			l.Poll, l.Format = "?", func(Climate) string { return "T=21" }
			l.Distort(v.d, 1)
			port, stop := attach(t, l)
			defer stop()
			start := time.Now()
			_, _ = port.Write([]byte("?"))
			buffer := make([]byte, 64)
			for _, want := range v.want {
				n, err := port.Read(buffer)
				if got := (sent{time.Since(start), string(buffer[:n])}); err != nil || got != want {
					t.Errorf("%s: %v %v, want %v", v.name, got, err, want)
				}
			}
			_ = port.SetReadDeadline(time.Now().Add(time.Minute))
			if n, err := port.Read(buffer); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
				t.Errorf("%s: then %q, %v; want nothing", v.name, buffer[:n], err)
			}
			_ = port.SetReadDeadline(time.Time{})
			_, _ = port.Write([]byte("?"))
			if n, err := port.Read(buffer); err != nil || string(buffer[:n]) != "T=21\r\n" {
				t.Errorf("%s: the next line is %q, %v", v.name, buffer[:n], err)
			}
		})
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestDistortUntilCleared(t *testing.T) {
	var d distortions
	clear := d.add(Cut(1), 0)
	d.add(Cut(2), 1)
	one := func() string { return string(d.apply([]byte("abc"))[0].Bytes) }
	got := one() + "," + one()
	clear()
	got += "," + one() + "," + one()
	if got != "a,a,ab,abc" {
		t.Errorf("got %s, want a,a,ab,abc", got)
	}
}

func TestRunEndsWithThePort(t *testing.T) {
	for name, i := range map[string]Instrument{
		"line":            &Line{world: Steady(room), Interval: time.Second},
		"polled line":     &Line{world: Steady(room), Poll: "?"},
		"modbus":          NewModbusLine(NewXYMD02(1, Steady(room))),
		"modbus and echo": &ModbusLine{Echo: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			done := make(chan error)
			go func() { done <- i.Run(t.Context(), far) }()
			time.Sleep(100 * time.Millisecond)
			_ = near.Close()
			if err := <-done; !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("%s: %v, want the error of the port", name, err)
			}
		})
	}
}
