package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layers is the house: which of our rooms, and which modules of others, each room may import.
// "*" stands for every room of ours. A room that needs more is argued for by changing this table in the same commit.
// A name ending in "/..." takes in every package below it.
var layers = map[string]string{
	"broker/packet":    "",
	"broker/topic":     "",
	"broker/qos":       "broker/packet",
	"broker/message":   "broker/packet broker/topic",
	"broker/auth":      "broker/topic golang.org/x/crypto/...",
	"broker/transport": "",
	"broker/bench":     "broker/packet",
	"broker":           "broker/packet broker/topic broker/qos broker/message broker/auth broker/transport",

	"broker/transport/authority": "", // certificates for tests; no binary imports it
	"broker/leak":                "", // how tests find what they left running; no binary imports it

	"buffer":         "github.com/klauspost/compress/zstd",
	"buffer/crashfs": "buffer", // the file system of the tests; no binary imports it

	"bridge/client":   "broker/packet broker/topic broker/qos",
	"bridge/upstream": "broker/packet broker/topic broker/qos", // the strict recording upstream of demo and tests
	"bridge":          "bridge/client broker/packet broker/topic broker/qos broker/message",

	"sensors":         "periph.io/x/conn/...",
	"sensors/chip":    "sensors periph.io/x/conn/...",
	"sensors/bus":     "sensors periph.io/x/conn/... periph.io/x/host/v3/sysfs github.com/tarm/serial",
	"sensors/quality": "sensors",
	"sensors/sim":     "periph.io/x/conn/... github.com/creack/pty", // pseudo terminals of simulated serial devices

	"gateway/config":    "broker/topic sensors github.com/BurntSushi/toml",
	"gateway/journal":   "buffer bridge broker broker/packet broker/topic broker/qos broker/message",
	"gateway/clock":     "broker/message",
	"gateway/identity":  "",
	"gateway/mosquitto": "bridge broker/topic gateway/config", // what its topic lines become is told by the bridge's own remapping
	"gateway/status":    "",
	"gateway/discovery": "sensors",
	"gateway/web":       "gateway/status",
	"gateway/demo":      "gateway gateway/config gateway/status broker broker/message bridge/upstream sensors sensors/sim configs periph.io/x/conn/v3/i2c",
	"gateway":           "* github.com/coreos/go-systemd/... periph.io/x/conn/v3/i2c",

	"configs":  "",
	"systemd":  "",
	"cmd/weir": "gateway gateway/... sensors sensors/chip sensors/bus sensors/quality broker/auth broker/bench broker/packet broker/topic broker/message bridge bridge/client buffer configs golang.org/x/term",
}

// notIn lists what even "*" does not open.
var notIn = map[string]string{
	"gateway": "gateway/demo sensors/sim bridge/upstream buffer/crashfs broker/transport/authority broker/leak",
}

// strangers must not see each other even in tests: the simulated chips are written by other eyes than the drivers.
var strangers = map[string]string{"sensors/sim": "sensors/chip"}

// inTests is what the test files of one room may import besides: a load is tried on the real broker, the model of the broker
// on the real journal, and what drivers read under faults is judged as it will be.
var inTests = map[string]string{
	"broker/bench": "broker broker/message broker/transport",
	"broker":       "gateway/journal buffer",
	"sensors/chip": "sensors/quality",
}

// testOnly may be imported by test files of any room besides what the table grants.
var testOnly = []string{
	"broker/transport/authority", "broker/leak", "buffer/crashfs", "sensors/sim", "sensors/bus", "sensors/chip", "bridge/client", "bridge/upstream", "broker/packet", "sensors", "configs",
	"github.com/rogpeppe/go-internal/...", "github.com/creack/pty", "periph.io/x/...", "github.com/tarm/serial", "github.com/BurntSushi/toml",
	"github.com/coder/websocket", // a second opinion on the frames of broker/transport
}

type listed struct {
	Dir          string
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// TestLayers holds every import of every room against the table, one line per offence.
func TestLayers(t *testing.T) {
	for _, p := range goList(t) {
		room := strings.TrimPrefix(p.ImportPath, "weir/")
		granted, known := layers[room]
		if !known {
			t.Errorf("room %s is not in the table of layers", room)
			continue
		}
		allow := strings.Fields(granted)
		for _, imp := range p.Imports {
			if bad := offence(room, imp, allow, strings.Fields(notIn[room])); bad != "" {
				t.Error(bad)
			}
		}
		if room == "cmd/weir" {
			continue // its tests run the whole program
		}
		tests := slices.Concat(allow, testOnly, strings.Fields(inTests[room]), []string{room})
		for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
			if bad := offence(room, imp, tests, strings.Fields(strangers[room])); bad != "" {
				t.Error(bad + " (in a test)")
			}
		}
	}
}

// TestEveryRoomSaysWhatItIs wants a doc.go in each package.
func TestEveryRoomSaysWhatItIs(t *testing.T) {
	for _, p := range goList(t) {
		if _, err := os.Stat(filepath.Join(p.Dir, "doc.go")); err != nil {
			t.Errorf("%s: %v", p.ImportPath, err)
		}
	}
}

func goList(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=Dir,ImportPath,Imports,TestImports,XTestImports", "weir/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
}

// offence says in one line what is wrong with room importing imp, or "".
func offence(room, imp string, allow, never []string) string {
	ours, isOurs := strings.CutPrefix(imp, "weir/")
	switch {
	case isOurs:
		if slices.Contains(never, ours) || !(slices.Contains(allow, "*") || granted(ours, allow)) {
			return fmt.Sprintf("%s imports %s, which the table of layers does not grant", room, ours)
		}
	case !strings.Contains(strings.Split(imp, "/")[0], "."): // standard library
	case strings.HasPrefix(imp, "golang.org/x/sys"):
	case !granted(imp, allow):
		return fmt.Sprintf("%s imports %s, which the table of layers does not grant", room, imp)
	}
	return ""
}

func granted(imp string, allow []string) bool {
	return slices.ContainsFunc(allow, func(a string) bool {
		if tree, ok := strings.CutSuffix(a, "/..."); ok {
			return imp == tree || strings.HasPrefix(imp, tree+"/")
		}
		return imp == path.Clean(a)
	})
}
