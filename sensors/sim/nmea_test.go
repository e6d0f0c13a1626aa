package sim

import (
	"bufio"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The sentences agree with published ones.
func TestSentences(t *testing.T) {
	normal := Climate{Temperature: 21.5, Pressure: 101325, Humidity: 45.2}
	for _, v := range []struct {
		name string
		text func(Climate) string
		want string
	}{
		{"XDR", XDR, "$WIXDR,P,1.01325,B,BARO,C,21.5,C,AIRT,H,45.2,P,RELH*76"},
		{"MMB", MMB, "$WIMMB,29.92,I,1.013,B*54"},
		{"MMB of Lambrecht", LambrechtMMB, "$WIMMB,,,1013.2,B*" + xorOf("WIMMB,,,1013.2,B")},
		{"MTA", MTA, "$WIMTA,21.5,C*" + xorOf("WIMTA,21.5,C")},
		{"MHU", MHU, "$WIMHU,45.2,,9.1,C*" + xorOf("WIMHU,45.2,,9.1,C")},
		{"XDR of Lufft", LufftXDR, "$WIXDR,P,1.01325,B,0,C,21.5,C,0,H,45.2,P,0*" + xorOf("WIXDR,P,1.01325,B,0,C,21.5,C,0,H,45.2,P,0")},
	} {
		l := NewNMEA(Steady(normal), time.Second, v.text)
		if got := strings.TrimSpace(l.Text(morning)); got != v.want {
			t.Errorf("%s: %s, want %s", v.name, got, v.want)
		}
	}
	// Magnus formula: 9.255 °C at 20 °C and 50 %, 16.693 at 25 and 60.
	for _, v := range []struct{ t, h, want float64 }{{20, 50, 9.255}, {25, 60, 16.693}, {17.2, 45, 5.1}} {
		if got := dewPoint(Climate{Temperature: v.t, Humidity: v.h}); got < v.want-0.06 || got > v.want+0.06 {
			t.Errorf("dew point of %v °C and %v %%: %v, want %v", v.t, v.h, got, v.want)
		}
	}
}

func TestSentencesInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		port, stop := attach(t, NewNMEA(Steady(room), time.Second, AirmarXDRA, AirmarXDRB, MDA))
		defer stop()
		r := bufio.NewReader(port)
		var got []string
		for range 4 {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, line[:len("$YXXDR,C")])
		}
		if want := "$YXXDR,C $YXXDR,A $WIMDA,2 $YXXDR,C"; strings.Join(got, " ") != want {
			t.Errorf("got %s, want %s", strings.Join(got, " "), want)
		}
	})
}
