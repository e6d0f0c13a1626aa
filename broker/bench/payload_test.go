package bench

import (
	"bytes"
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"

	"weir/broker/packet"
)

// TestPayloadAsDrawn compares with the line of hex in doc.go.
func TestPayloadAsDrawn(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^//\t([0-9A-F ]+)78\.\.\.$`).FindSubmatch(doc)
	if line == nil {
		t.Fatal("doc.go has no example")
	}
	want, err := hex.DecodeString(strings.ReplaceAll(string(line[1]), " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, payloadHead)
	m := mark{run: 1, publisher: 2, sequence: 3, stamp: 4}
	m.put(got)
	if !bytes.Equal(got, want) {
		t.Errorf("got %X, want %X", got, want)
	}
	if back := markOf(got); back != m {
		t.Errorf("read back as %+v", back)
	}
}

// TestTemplates: what is patched is a PUBLISH as the codec would have written it.
func TestTemplates(t *testing.T) {
	each(t, func(t *testing.T, v packet.Version) {
		r := &run{o: &Options{Version: v}, number: 77}
		for qos := range byte(3) {
			for _, size := range []int{payloadHead, 64, 200, 20_000} {
				tmpl, err := r.newTemplate("a/b", qos, true, 5, size)
				if err != nil {
					t.Fatal(err)
				}
				b := tmpl.append([]byte("before"), 1000, 1<<40, 9)[len("before"):]
				f, n, err := packet.Next(b, 0)
				var p packet.Publish
				if err == nil {
					err = p.Decode(f, v)
				}
				if err != nil || n != len(b) {
					t.Fatalf("QoS %d, %d bytes: %v, %d of %d bytes", qos, size, err, n, len(b))
				}
				want := mark{run: 77, publisher: 5, sequence: 1 << 40, stamp: 9}
				if p.QoS != qos || !p.Retain || len(p.Payload) != size || markOf(p.Payload) != want || qos > 0 && p.ID != 1000 {
					t.Errorf("QoS %d, %d bytes: got %+v", qos, size, p)
				}
			}
		}
	})
}

func TestMeasureFrame(t *testing.T) {
	for _, c := range []struct {
		hex        string
		head, size int
		bad        bool
	}{
		{"", 0, 0, false}, {"30", 0, 0, false}, {"C000", 2, 2, false}, {"3002AA", 0, 0, false}, {"3002AABBCC", 2, 4, false},
		{"3080", 0, 0, false}, {"308001" + strings.Repeat("00", 128), 3, 131, false}, {"30FFFFFF", 0, 0, false}, {"30FFFFFFFF", 0, 0, true},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		head, size, err := measureFrame(b)
		if head != c.head || size != c.size || (err != nil) != c.bad {
			t.Errorf("%.10s: got %d, %d, %v; want %d, %d", c.hex, head, size, err, c.head, c.size)
		}
	}
}

func TestSource(t *testing.T) {
	for _, c := range []struct {
		name                       string
		sequences                  []uint64
		count, repeated, displaced uint64
	}{
		{"in order", []uint64{0, 1, 2}, 3, 0, 0},
		{"one lost", []uint64{0, 2, 3}, 3, 0, 0},
		{"first lost", []uint64{1, 2}, 2, 0, 0},
		{"twice", []uint64{0, 0, 1, 0}, 2, 2, 0},
		{"late", []uint64{0, 2, 1, 3}, 4, 0, 1},
		{"late, twice", []uint64{0, 3, 1, 1, 2}, 4, 1, 2},
		{"a gap beyond what is remembered", []uint64{0, 3 << 20, 5, 2 << 20}, 3, 1, 1},
	} {
		var s source
		var got [3]uint64
		for _, n := range c.sequences {
			got[s.take(n)]++
		}
		if s.count != c.count || got[repeated] != c.repeated || got[disordered] != c.displaced {
			t.Errorf("%s: count %d, repeated %d, disordered %d; want %d, %d, %d", c.name, s.count, got[repeated], got[disordered],
				c.count, c.repeated, c.displaced)
		}
	}
}
