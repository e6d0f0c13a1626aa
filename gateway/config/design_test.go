package config

import (
	"strings"
	"testing"
)

// The examples of the documentation, as they stand there.
const (
	designFirst = `
[sensor.room1]
driver = "bme280"                          # bus and address are found when only one fits
topic  = "/Home/Floor1/Room1/{Quantity}"   # .../Temperature, .../Pressure, .../Humidity

[bridge.cloud]
url      = "mqtts://broker.example.com"    # port 8883
username = "{id}"
password = { file = "cloud.password" }

[[bridge.cloud.forward]]                   # qos = 1 is the default
filter = "/Home/#"
prefix = "sites/{id}"
format = "json"

[[bridge.cloud.receive]]
filter = "sites/{id}/command/#"
strip  = "sites/{id}"
`
	designModbus = `
[gateway]
id       = "site-017"                      # default: from the machine, pinned at first start
data_dir = "/var/lib/weir"
timezone = "Europe/Berlin"

[serial.rs485]
device = "/dev/serial/by-id/usb-FTDI_FT232R_A50285BI-if00-port0"
mode   = "9600 8N1"

[modbus.px400.pressure]                    # one register map, many sensors; presets: map = "xy-md02"
table    = "holding"
register = 4                               # number on the wire, from 0 (manual: 40005)
type     = "float32"
order    = "CDAB"
unit     = "bar"

[sensor.inlet]
driver  = "modbus-rtu"
bus     = "rs485"
map     = "px400"
address = 1

[bridge.aws]
profile = "aws-iot-core"
url     = "mqtts://a1b2c3-ats.iot.eu-central-1.amazonaws.com"
cert    = { file = "device.pem.crt" }
key     = { file = "private.pem.key" }
budget  = { bytes = "200MiB", from_day = 1 }

[[bridge.aws.forward]]
filter = "{id}/#"
prefix = "dt/weir"
format = "senml"
batch  = { max_age = "5m", max_size = "4KiB" }
`
	designLAN = `
[listener.lan]
address = "0.0.0.0:1883"                   # users: weir passwd add NAME, or passwords = "/etc/mosquitto/passwd"

[user.pump7]
publish   = ["plant/pump7/#"]
subscribe = ["plant/pump7/cmd/#"]

[user."*"]                                 # everyone who has logged in
publish = ["devices/{user}/#"]

[buffer]
max_size = "512MiB"

[page]
address = "127.0.0.1:8080"
`
)

func mustParse(t *testing.T, data string) (*Config, []Problem) {
	t.Helper()
	cfg, problems, err := Parse("testdata/weir.toml", []byte(data), testOptions())
	if err != nil {
		t.Fatal(Report(problems))
	}
	return cfg, problems
}

func TestDesignFirst(t *testing.T) {
	cfg, problems := mustParse(t, designFirst)
	if len(problems) > 0 {
		t.Error(Report(problems))
	}
	room := cfg.Sensor["room1"]
	if room == nil || room.Topic.Expand("temperature") != "/Home/Floor1/Room1/Temperature" || room.QoS != 1 || room.Every.String() != "10s" {
		t.Errorf("got sensor %+v", room)
	}
	if cfg.Sensors.Auto {
		t.Error("automatic sensors are on beside a sensor that is written down")
	}
	b := cfg.Bridge["cloud"]
	if b.URLs[0].Address() != "broker.example.com:8883" || !b.URLs[0].TLS || b.Username != "gw-1" || b.ClientID != "gw-1" {
		t.Errorf("got bridge %+v", b)
	}
	if password, err := b.Password.Read(); err != nil || password != "swordfish" {
		t.Errorf("got the password %q, %v, want that of the file without its newline", password, err)
	}
	f, r := b.Forward[0], b.Receive[0]
	if f.Filter.String() != "/Home/#" || f.Prefix != "sites/gw-1" || f.Format != "json" || f.QoS != 1 {
		t.Errorf("got forward rule %+v", f)
	}
	if r.Filter.String() != "sites/gw-1/command/#" || r.Strip != "sites/gw-1" || r.QoS != 1 {
		t.Errorf("got receive rule %+v", r)
	}
}

// without takes lines out of a text, leaving their places empty.
func without(text string, beginnings ...string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		for _, b := range beginnings {
			if strings.HasPrefix(line, b) {
				lines[i] = ""
			}
		}
	}
	return strings.Join(lines, "\n")
}

// What is not in this version is said, and nothing else.
func TestDesignModbus(t *testing.T) {
	opts := testOptions()
	opts.SkipFiles = true
	_, problems, err := Parse("weir.toml", []byte(designModbus), opts)
	want := `weir.toml:25:11: bridge.aws.profile: got "aws-iot-core", which is not in this version, want "generic" or "home-assistant"
weir.toml:29:1: bridge.aws.budget: not in this version of weir; take it out, or put # in front
weir.toml:34:10: bridge.aws.forward[1].format: got "senml", which is not in this version, want "raw" or "json"
weir.toml:35:1: bridge.aws.forward[1].batch: not in this version of weir; take it out, or put # in front
`
	if got := Report(problems); err == nil || got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	cfg, problems, err := Parse("weir.toml", []byte(without(designModbus, "profile", "budget", "format", "batch")), opts)
	if err != nil || len(problems) > 0 {
		t.Fatal(Report(problems))
	}
	inlet := cfg.Sensor["inlet"]
	rows := inlet.Settings.Rows
	if len(rows) != 1 || rows[0].Name != "pressure" || rows[0].Int("register") != 4 || rows[0].Text("order") != "CDAB" || rows[0].Text("table") != "holding" {
		t.Errorf("got rows %+v", rows)
	}
	if inlet.Settings.Text("bus") != "rs485" || inlet.Settings.Int("address") != 1 || cfg.Serial["rs485"].Mode.String() != "9600 8N1" {
		t.Errorf("got %+v on %+v", inlet, cfg.Serial["rs485"])
	}
	if cfg.Gateway.ID != "site-017" || cfg.Gateway.DataDir != "/var/lib/weir" || cfg.Gateway.Timezone.String() != "Europe/Berlin" {
		t.Errorf("got %+v", cfg.Gateway)
	}
	if got := cfg.Bridge["aws"].Forward[0].Filter.String(); got != "site-017/#" {
		t.Errorf("got filter %q, want {id} replaced", got)
	}
}

func TestDesignLAN(t *testing.T) {
	_, problems, err := Parse("weir.toml", []byte(designLAN), testOptions())
	if got := Report(problems); err == nil || !strings.Contains(got, "weir.toml:15:1: page: not in this version") || strings.Count(got, "\n") != 2 {
		t.Errorf("got\n%s\nwant [page] refused, and a warning that nobody has a password", got)
	}
	cfg, problems := mustParse(t, without(designLAN, "[page]", `address = "127.0.0.1:8080"`))
	if len(problems) != 1 || problems[0].Severity != Warning || !strings.Contains(problems[0].Text, "nobody can log in; run weir passwd") {
		t.Errorf("got\n%s\nwant one warning that nobody has a password", Report(problems))
	}
	if len(cfg.Listener) != 1 || cfg.Listener["lan"].Anonymous || cfg.Listener["lan"].Address.Loopback() {
		t.Errorf("got listeners %+v, want the one of the file, closed", cfg.Listener)
	}
	if got := cfg.User["*"].Publish[0].String(); got != "devices/{user}/#" {
		t.Errorf("got %q, want {user} left for the broker", got)
	}
	if cfg.Buffer.MaxSize != 512<<20 {
		t.Errorf("got max_size %d", cfg.Buffer.MaxSize)
	}
}
