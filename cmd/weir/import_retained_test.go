package main

import (
	"bytes"
	"strings"
	"testing"

	"weir/bridge/upstream"
	"weir/broker/packet"
)

// TestImportRetainedWhole: what an MQTT 5.0 broker keeps with a retained message comes along, and one that speaks 3.1.1 alone, or
// hangs up at anything else, is understood too.
func TestImportRetainedWhole(t *testing.T) {
	for name, from := range map[string]upstream.Behaviour{
		"both": {}, "5.0": {Only: packet.V5}, "3.1.1": {Only: packet.V311}, "3.1.1, hangs up": {Only: packet.V311, CloseOther: true},
	} {
		t.Run(name, func(t *testing.T) {
			source, err := upstream.Listen(upstream.Options{Behaviour: from})
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			target, err := upstream.Listen(upstream.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer target.Close()
			source.Send(upstream.Arrival{Topic: "plant/mode", Payload: []byte("auto"), Retain: true, User: [][2]string{{"by", "hand"}, {"by", "two"}}})
			_, port, _ := strings.Cut(target.Address(), ":")
			var out, errs bytes.Buffer
			status := importRetained(t.Context(), console{out: &out, err: &errs}, []string{"--from", source.URL(), "--quiet", "50ms", "-p", port})
			if status != exitOK {
				t.Fatalf("status %d: %s", status, &errs)
			}
			kept, there := target.Retained("plant/mode")
			if !there || string(kept.Payload) != "auto" {
				t.Fatalf("%q retained", kept.Payload)
			}
			if want := from.Only != packet.V311; (len(kept.User) == 2 && kept.User[1] == [2]string{"by", "two"}) != want {
				t.Errorf("user properties %q", kept.User)
			}
			if v := append(source.Violations(), target.Violations()...); len(v) > 0 {
				t.Errorf("offences: %q", v)
			}
		})
	}
}
