package config

import (
	"strings"
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Size
		text string
	}{
		{"512MiB", 512 << 20, "512MiB"}, {"4KiB", 4096, "4KiB"}, {"1.5GiB", 3 << 29, "1536MiB"}, {"0B", 0, "0B"},
		{"100kB", 100_000, "100000B"}, {"1 GB", 1e9, "1000000000B"}, {"4096B", 4096, "4KiB"}, {"7TiB", 7 << 40, "7TiB"},
	} {
		got, err := ParseSize(tt.in)
		if err != nil || got != tt.want || got.String() != tt.text {
			t.Errorf("ParseSize(%q) = %d (%s), %v, want %d (%s)", tt.in, got, got, err, tt.want, tt.text)
		}
	}
	for _, in := range []string{"", "512", "512M", "MiB", "-1B", "NaNB", "InfB", "9999999TiB", "1e300B", "0x10"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", in, got)
		}
	}
}

func TestParseDuration(t *testing.T) {
	day := 24 * time.Hour
	for in, want := range map[string]time.Duration{
		"10s": 10 * time.Second, "1h30m": 90 * time.Minute, "7d": 7 * day, "1d12h": 36 * time.Hour, "0s": 0, "-5s": -5 * time.Second, "1.5s": 1500 * time.Millisecond,
	} {
		if got, err := ParseDuration(in); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "10", "d", "-1d", "1d-1h", "1.5d", "99999999999d", "10 s", "ten seconds", "106751d24h"} {
		if got, err := ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", in, got)
		}
	}
	for d, want := range map[time.Duration]string{90 * time.Second: "1m30s", time.Hour: "1h", 10 * time.Minute: "10m", 0: "0s", 20 * time.Second: "20s"} {
		if got := formatDuration(d); got != want {
			t.Errorf("formatDuration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for in, loopback := range map[string]bool{
		"127.0.0.1:1883": true, "[::1]:1883": true, "localhost:0": true, "127.1.2.3:1": true, "[::ffff:127.0.0.1]:1": true,
		"0.0.0.0:1883": false, ":1883": false, "[::]:1883": false, "192.168.1.5:65535": false,
	} {
		a, err := ParseAddress(in)
		if err != nil || a.Loopback() != loopback || a.String() != in {
			t.Errorf("ParseAddress(%q) = %v, loopback %v, %v, want loopback %v", in, a, a.Loopback(), err, loopback)
		}
	}
	for _, in := range []string{"", "1883", "127.0.0.1", "::1", "127.0.0.1:", "127.0.0.1:+1", "127.0.0.1:65536", "host:1883", "1.2.3:1", "127.0.0.1:1883:1"} {
		if a, err := ParseAddress(in); err == nil {
			t.Errorf("ParseAddress(%q) = %v, want an error", in, a)
		}
	}
}

func TestParseURL(t *testing.T) {
	for in, want := range map[string]string{
		"mqtt://a": "mqtt://a:1883", "mqtts://a.example.com": "mqtts://a.example.com:8883", "MQTTS://a:1/": "mqtts://a:1",
		"tcp://10.0.0.1": "mqtt://10.0.0.1:1883", "ssl://[::1]:99": "mqtts://[::1]:99", "mqtt://[fe80::1]": "mqtt://[fe80::1]:1883",
	} {
		if u, err := ParseURL(in); err != nil || u.String() != want {
			t.Errorf("ParseURL(%q) = %v, %v, want %s", in, u, err, want)
		}
	}
	for _, in := range []string{
		"", "a", "mqtt://", "mqtt://a:", "mqtt://a:0", "mqtt://a:x", "mqtt://a/b", "mqtt://a?b", "mqtt://a#b", "mqtt://a b", "mqtt://::1",
		"mqtt://me:swordfish@a", "http://a", "ws://a", "me:swordfish@a", "mqtt://%61",
	} {
		u, err := ParseURL(in)
		if err == nil {
			t.Errorf("ParseURL(%q) = %v, want an error", in, u)
		} else if strings.Contains(err.Error(), "swordfish") {
			t.Errorf("ParseURL(%q) shows the password: %v", in, err)
		}
	}
}

func TestTemplate(t *testing.T) {
	for _, tt := range []struct{ in, quantity, want string }{
		{"/Home/{Quantity}", "temperature", "/Home/Temperature"},
		{"a/{quantity}/{Quantity}", "humidity", "a/humidity/Humidity"},
		{"a", "x", "a"},
		{"{Quantity}", "", ""},
	} {
		if got := Template(tt.in).Expand(tt.quantity); got != tt.want {
			t.Errorf("%q expanded with %q: got %q, want %q", tt.in, tt.quantity, got, tt.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"every", "evry", 1}, {"adress", "address", 1}, {"topic", "tpoic", 1}, {"bem280", "bme280", 1}, {"abc", "", 3}, {"kitten", "sitting", 3}} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
