package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An empty file is valid and gives the defaults of the documentation, and so
// does a file that is not there when it is optional.
func TestEmpty(t *testing.T) {
	none := filepath.Join(t.TempDir(), "weir.toml")
	opts := Options{Getenv: func(string) string { return "" }, Geteuid: func() int { return 0 }, Optional: true}
	for name, load := range map[string]func() (*Config, []Problem, error){
		"no file":  func() (*Config, []Problem, error) { return Load(none, opts) },
		"empty":    func() (*Config, []Problem, error) { return Parse("weir.toml", nil, opts) },
		"comments": func() (*Config, []Problem, error) { return Parse("weir.toml", []byte("\n# nothing\n"), opts) },
	} {
		cfg, problems, err := load()
		if err != nil || len(problems) > 0 {
			t.Fatal(name, err, Report(problems))
		}
		l := cfg.Listener["default"]
		if l == nil || l.Address.String() != "127.0.0.1:1883" || !l.Anonymous || len(cfg.Listener) != 1 {
			t.Errorf("%s: got listeners %v, want an anonymous one on the loopback interface", name, cfg.Listener)
		}
		if !cfg.Sensors.Auto || cfg.Sensors.Every.String() != "10s" {
			t.Errorf("%s: got %+v, want automatic sensors every 10 s", name, cfg.Sensors)
		}
		if cfg.Gateway.DataDir != "/var/lib/weir" || cfg.Gateway.Timezone == nil {
			t.Errorf("%s: got %+v for root", name, cfg.Gateway)
		}
		b := cfg.Buffer
		if b.MaxSize != 0 || b.MinFree != 256<<20 || b.Tail != 8<<20 || b.SpillAfter.String() != "200ms" || b.Gather.String() != "100ms" || b.AckFlush.String() != "5s" || b.Compress != "zstd" {
			t.Errorf("%s: got buffer %+v", name, b)
		}
	}
}

func TestDataDir(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		euid int
		want string
	}{
		{"systemd", map[string]string{"STATE_DIRECTORY": "/var/lib/weir:/var/lib/other", "HOME": "/x"}, 1000, "/var/lib/weir"},
		{"root", map[string]string{"HOME": "/root"}, 0, "/var/lib/weir"},
		{"state home", map[string]string{"XDG_STATE_HOME": "/s", "HOME": "/x"}, 1000, "/s/weir"},
		{"home", map[string]string{"HOME": "/x"}, 1000, "/x/.local/state/weir"},
		{"relative ones do not count", map[string]string{"STATE_DIRECTORY": "a", "XDG_STATE_HOME": "b", "HOME": "c"}, 1000, ""},
	} {
		cfg, problems, err := Parse("", nil, Options{Getenv: func(k string) string { return tt.env[k] }, Geteuid: func() int { return tt.euid }})
		if err != nil || cfg.Gateway.DataDir != tt.want {
			t.Errorf("%s: got %v, %s, want %q", tt.name, cfg, Report(problems), tt.want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "weir.toml")
	opts := testOptions()
	opts.Shared = false
	if _, _, err := Load(path, opts); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v, want that it does not exist", err)
	}
	if _, _, err := Load(dir, opts); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("a directory: got %v", err)
	}
	text := "[bridge.a]\nurl = \"mqtts://a.example.com\"\nusername = \"me\"\npassword = \"swordfish\"\n[[bridge.a.forward]]\nfilter = \"#\"\n"
	for mode, warnings := range map[os.FileMode]int{0o600: 0, 0o640: 1, 0o604: 1} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		cfg, problems, err := Load(path, opts)
		if err != nil || len(problems) != warnings {
			t.Fatalf("mode %o: got %v, %s, want %d warnings", mode, err, Report(problems), warnings)
		}
		if cfg.File != path {
			t.Errorf("got file %q, want %q", cfg.File, path)
		}
	}
	if err := os.WriteFile(path, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(path, opts); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a file that is too large: got %v", err)
	}
	if _, problems, err := Parse("x", make([]byte, maxFile+1), opts); !errors.Is(err, ErrInvalid) || len(problems) != 1 {
		t.Errorf("a text that is too large: got %v, %s", err, Report(problems))
	}
}

// A listener that others can reach needs users or a plain word that it is open.
func TestClosedByDefault(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "weir.toml")
	if err := os.WriteFile(filepath.Join(dir, "users"), []byte("# users\n\npump7:$argon2id$x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "nobody"), []byte("# none yet\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const lan = "[listener.lan]\naddress = \"0.0.0.0:1883\"\n"
	for _, tt := range []struct {
		what, text string
		skip       bool
		errors     int
		warnings   int
	}{
		{"no users", lan, false, 1, 0},
		{"no users, elsewhere", lan, true, 1, 0},
		{"open in so many words", lan + "anonymous = true\n", false, 0, 0},
		{"password file", lan + "passwords = \"users\"\n", false, 0, 0},
		{"password file without users", lan + "passwords = \"nobody\"\n", false, 1, 0},
		{"password file that is not there", lan + "passwords = \"gone\"\n", false, 1, 0},
		{"password file, elsewhere", lan + "passwords = \"gone\"\n", true, 0, 0},
		{"user with a password", lan + "[user.a]\npassword = \"x\"\npublish = [\"a\"]\n", false, 0, 0},
		{"user without rights", lan + "[user.a]\npassword = \"x\"\n", false, 0, 1},
		{"user with everyone's rights", lan + "[user.a]\npassword = \"x\"\n[user.\"*\"]\nsubscribe = [\"a\"]\n", false, 0, 0},
		{"users beside an open listener", lan + "anonymous = true\n[user.a]\npublish = [\"a\"]\n", false, 0, 1},
		{"users and the default listener", "[user.a]\npublish = [\"a\"]\n", false, 0, 1},
		{"user without a password", lan + "[user.a]\npublish = [\"a\"]\n", false, 0, 1},
		{"user without a password, elsewhere", lan + "[user.a]\npublish = [\"a\"]\n", true, 0, 0},
		{"loopback", "[listener.a]\naddress = \"127.0.0.1:1883\"\n", false, 0, 0},
		{"closed loopback", "[listener.a]\naddress = \"[::1]:1883\"\nanonymous = false\n", false, 1, 0},
	} {
		opts := testOptions()
		opts.Shared, opts.SkipFiles = false, tt.skip
		_, problems, _ := Parse(name, []byte(tt.text), opts)
		got := [2]int{}
		for _, p := range problems {
			got[p.Severity]++
		}
		if got != [2]int{tt.errors, tt.warnings} {
			t.Errorf("%s: got %d errors and %d warnings, want %d and %d\n%s", tt.what, got[0], got[1], tt.errors, tt.warnings, Report(problems))
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "passwords"), []byte("pump7:$argon2id$x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := testOptions()
	cfg, problems, err := Parse(name, []byte(lan), opts)
	if err != nil || cfg.Listener["lan"].Passwords != filepath.Join(dir, "passwords") {
		t.Errorf("a password file beside the configuration: got %v, %s", err, Report(problems))
	}
}

// Every setting in force says where it comes from.
func TestEffective(t *testing.T) {
	cfg, _ := mustParse(t, strings.Replace(designFirst, "[bridge.cloud]", "offset = { temperature = -0.5 }\naddress = 0x76\n[bridge.cloud]", 1))
	got := map[string]Setting{}
	for _, s := range Effective(cfg, testDrivers()) {
		if _, twice := got[s.Path]; twice {
			t.Errorf("%s is listed twice", s.Path)
		}
		got[s.Path] = s
	}
	for path, want := range map[string]Setting{
		"gateway.id":                     {"gateway.id", `"gw-1"`, "default"},
		"sensor.room1.driver":            {"", `"bme280"`, "testdata/weir.toml:3:10"},
		"sensor.room1.topic":             {"", `"/Home/Floor1/Room1/{Quantity}"`, "testdata/weir.toml:4:10"},
		"sensor.room1.every":             {"", `"10s"`, "default"},
		"sensor.room1.offset":            {"", "{ temperature = -0.5 }", "testdata/weir.toml:6:10"},
		"sensor.room1.address":           {"", "0x76", "testdata/weir.toml:7:11"},
		"sensor.room1.oversample":        {"", "4", "default"},
		"bridge.cloud.url":               {"", `"mqtts://broker.example.com:8883"`, "testdata/weir.toml:9:12"},
		"bridge.cloud.password":          {"", `{ file = "cloud.password" }`, "testdata/weir.toml:11:12"},
		"bridge.cloud.forward[1].prefix": {"", `"sites/gw-1"`, "testdata/weir.toml:15:10"},
		"bridge.cloud.forward[1].qos":    {"", "1", "default"},
		"bridge.cloud.forward[1].retain": {"", `"as published"`, "default"},
		"bridge.cloud.receive[1].filter": {"", `"sites/gw-1/command/#"`, "testdata/weir.toml:19:10"},
		"listener.default.address":       {"", `"127.0.0.1:1883"`, "default"},
		"buffer.gather":                  {"", `"100ms"`, "default"},
	} {
		if s := got[path]; s.Value != want.Value || s.Origin != want.Origin {
			t.Errorf("%s: got %s from %s, want %s from %s", path, s.Value, s.Origin, want.Value, want.Origin)
		}
	}
	if _, there := got["buffer.max_size"]; there {
		t.Error("max_size is listed though it is not set")
	}
}

// A long line is read in one pass, and a file of problems in little
// more: were it not so, this test would take long.
func TestLongFiles(t *testing.T) {
	for name, text := range map[string]string{
		"numbers": "a = [" + strings.Repeat("1,", 60_000) + "]",
		"texts":   "a = [" + strings.Repeat("'',", 40_000) + "]",
		"keys":    "a = {" + strings.Repeat("b=1,", 20_000) + "}",
		"bridges": strings.Repeat("[bridge.b]\nhost=1\n", 3_000),
		"rules":   "[bridge.b]\nurl = 'mqtt://a'\n" + strings.Repeat("[[bridge.b.forward]]\nfilter='a/+'\n", 3_000),
		"unknown": func() string {
			var b strings.Builder
			for i := range 3_000 {
				fmt.Fprintf(&b, "[bridge.b%d]\nhost = 1\n", i)
			}
			return b.String()
		}(),
	} {
		if _, problems, err := Parse("weir.toml", []byte(text), fuzzOptions()); err == nil || len(problems) == 0 {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}
