package sim

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The answers agree with those the guides print.
func TestBarometerAnswers(t *testing.T) {
	printed := Steady(Climate{Temperature: 31.1, Pressure: 101320, Humidity: 38.3})
	single := Steady(Climate{Pressure: 102030})
	open := NewPTB330(1, single)
	open.Stop()
	broken := NewPTB210("0", single)
	broken.Fail(true)
	for _, v := range []struct {
		name    string
		b       *Barometer
		command string
		want    string // blanks count once
	}{
		{"PTU300", NewPTU300(7, printed), "send 7", "P= 1013.2 hPa T= 31.1 'C RH= 38.3 %RH"},
		{"PTB220", NewPTB220(7, single), "SEND 7", "1020.30 hPa"},
		{"PTB330", NewPTB330(255, single), "SEND 255", "P= 1020.30 hPa"},
		{"PTB210", NewPTB210("123", single), "123.P", "1020.30"},
		{"PTB210, all at once", NewPTB210("123", single), ".P", "1020.30"},
		{"PTB210 with another ID", NewPTB210("01", single), "1.P", ""},
		{"PTB210 outside its limits", broken, ".P", "****.**"},
		{"another address", NewPTB330(1, single), "SEND 11", ""},
		{"no address", NewPTB330(1, single), "SEND", ""},
		{"another command", NewPTB330(1, single), "VERS", ""},
		{"operator", open, "SEND", "SEND P= 1020.30 hPa >"},
		{"operator, another command", open, "VERS", "VERS >"},
	} {
		if got := strings.Join(strings.Fields(v.b.Answer(morning, v.command)), " "); got != v.want {
			t.Errorf("%s: %q, want %q", v.name, got, v.want)
		}
	}
}

func TestOpenAndClose(t *testing.T) {
	b := NewPTB330(1, Steady(room))
	if got := b.Answer(morning, "OPEN 1"); !strings.Contains(got, "1 line opened for operator commands") {
		t.Errorf("OPEN: %q", got)
	}
	if got := b.Answer(morning, "SEND"); !strings.Contains(got, "hPa") {
		t.Errorf("SEND when open: %q", got)
	}
	if got := b.Answer(morning, "CLOSE"); !strings.Contains(got, "line closed") {
		t.Errorf("CLOSE: %q", got)
	}
	if got := b.Answer(morning, "SEND"); got != "" {
		t.Errorf("SEND when closed: %q, want silence", got)
	}
}

func TestBarometersShareALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := NewPTB330(1, Steady(room))
		late.Distort(Late(time.Second), 1)
		l := NewBarometerLine(late, NewPTB330(2, Steady(Climate{Pressure: 99000})))
		l.Turnaround = 10 * time.Millisecond
		port, stop := attach(t, l)
		defer stop()
		say := func(command string) string {
			t.Helper()
			if _, err := port.Write([]byte(command)); err != nil {
				t.Fatal(err)
			}
			return strings.TrimSpace(string(collect(t, port, 100*time.Millisecond)))
		}
		if got := say("SEND 1\r"); got != "" {
			t.Errorf("a late one: %q at once", got)
		}
		if got := say("SE"); got != "" {
			t.Errorf("half a command: %q", got)
		}
		if got := say("ND 2\r\n"); got != "P=  990.00 hPa" {
			t.Errorf("the other: %q", got)
		}
		if got := strings.TrimSpace(string(collect(t, port, time.Second))); got != "P= 1013.25 hPa" {
			t.Errorf("the late answer: %q", got)
		}
		if got := say(strings.Repeat("x", 300) + "\rSEND 2\r"); got != "P=  990.00 hPa" {
			t.Errorf("after noise: %q", got)
		}
	})
}

func TestEvenParity(t *testing.T) {
	got := string(EvenParity()([]byte("P= 1\r\n"))[0].Bytes)
	// P 1010000, = 0111101, blank 0100000, 1 0110001, CR 0001101, LF 0001010
	if want := "P\xbd\xa0\xb1\x8d\x0a"; got != want {
		t.Errorf("% x, want % x", got, want)
	}
}
