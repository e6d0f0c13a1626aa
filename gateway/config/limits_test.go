package config

import (
	"strings"
	"testing"
	"time"
)

// TestLimits: an empty file has the defaults, and each limit of a file is taken or said to be wrong where it stands.
func TestLimits(t *testing.T) {
	cfg, problems, err := Parse("weir.toml", nil, testOptions())
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	b := cfg.Broker
	b.InnerWildcard, b.MaxPacket, b.QueueMessages, b.QueueBytes = false, 0, 0, 0
	if want := (Broker{
		MaxConnections: 10_000, MaxSessions: 20_000, MaxSubscriptions: 200_000, MaxClientSubscriptions: 100_000,
		MaxRetained: 200_000, MaxRetainedBytes: 64 << 20, QueueTotal: 200_000, Memory: 128 << 20, Inflight: 256,
		ReceiveMaximum: 1024, TopicAliases: 32, MaxTopicLevels: 128, MaxTopicLength: 4096, SessionExpiry: 30 * 24 * time.Hour,
		MaxQoS: 2, Retain: true, SysInterval: 10 * time.Second,
		MaxConnecting: 1000, MaxAddressConnecting: 100, ConnectTimeout: 10 * time.Second, LoginFailures: 5, LoginAddressFailures: 30,
		LoginForget: time.Minute, LoginAddressForget: 10 * time.Second, LoginWait: time.Second, LoginMaxWait: time.Minute,
		LoginChecks: 64, LoginAddressChecks: 8,
	}); b != want {
		t.Errorf("defaults are %+v, want %+v", b, want)
	}
	cfg, problems, err = Parse("weir.toml", []byte(`[broker]
max_connections = 5
memory = "16MiB"
topic_aliases = 0
max_keep_alive = "10m"
max_qos = 0
retain = false
sys_interval = "0s"
[listener.lan]
address = "127.0.0.1:1884"
max_connections = 3
`), testOptions())
	if err != nil || len(problems) > 0 {
		t.Fatal(err, Report(problems))
	}
	b = cfg.Broker
	if b.MaxConnections != 5 || b.Memory != 16<<20 || b.TopicAliases != 0 || b.MaxKeepAlive != 10*time.Minute || b.MaxQoS != 0 || b.Retain ||
		b.SysInterval != 0 || cfg.Listener["lan"].MaxConnections != 3 {
		t.Errorf("got %+v", b)
	}
	_, problems, _ = Parse("weir.toml", []byte("[broker]\nmax_connections = 0\nmemory = \"1KiB\"\nmax_qos = 3\ninflight = 65536\nmax_keep_alive = \"1d\"\nmax_retained_byte = \"1MiB\"\n"), testOptions())
	got := Report(problems)
	for _, want := range []string{
		`weir.toml:2:19: broker.max_connections: got 0, want a whole number from 1 to 1000000`,
		`weir.toml:3:10: broker.memory: got "1KiB", want a size from 4MiB to`,
		`weir.toml:4:11: broker.max_qos: got 3, want 0, 1 or 2`,
		`weir.toml:5:12: broker.inflight: got 65536, want a whole number from 1 to 65535`,
		`weir.toml:6:18: broker.max_keep_alive: got "1d", want a duration from`,
		`weir.toml:7:1: broker.max_retained_byte: unknown key, did you mean "max_retained_bytes"?`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("not said: %s\nbut:\n%s", want, got)
		}
	}
}
