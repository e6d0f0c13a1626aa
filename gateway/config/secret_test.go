package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const withSecrets = `
[bridge.a]
url = "mqtts://a.example.com"
username = "me"
password = "swordfish"
ca = "-----BEGIN CERTIFICATE-----swordfish-----END CERTIFICATE-----"
[[bridge.a.forward]]
filter = "#"

[bridge.b]
url = "mqtts://b.example.com"
username = "me"
password = { file = "cloud.password" }
[[bridge.b.forward]]
filter = "#"

[bridge.c]
url = "mqtts://c.example.com"
username = "me"
password = { credential = "cloud" }
[[bridge.c.forward]]
filter = "#"

[bridge.d]
url = "mqtts://d.example.com"
username = "me"
password = { env = "CLOUD_PASSWORD" }
[[bridge.d.forward]]
filter = "#"

[user.pump7]
password = "swordfish"
`

// Whatever prints a configuration, a literal secret comes out as ***.
func TestSecretsAreNeverPrinted(t *testing.T) {
	cfg, problems := mustParse(t, withSecrets)
	a := cfg.Bridge["a"]
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&b, verb+"\n", a.Password)
		fmt.Fprintf(&b, verb+"\n", *a.Password)
		fmt.Fprintf(&b, verb+"\n", a)
		fmt.Fprintf(&b, verb+"\n", *a)
		fmt.Fprintf(&b, verb+"\n", cfg)
	}
	text, err := json.Marshal(map[string]any{"a": a.Password, "b": *a.Password, "user": cfg.User["pump7"].Password})
	if err != nil {
		t.Fatal(err)
	}
	b.Write(text)
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&b, nil)), slog.New(slog.NewJSONHandler(&b, nil))} {
		log.Info("x", "pointer", a.Password, "value", *a.Password, "bridge", a.CA)
	}
	for _, s := range Effective(cfg, testDrivers()) {
		fmt.Fprintln(&b, s.Path, s.Value, s.Origin)
	}
	b.WriteString(Report(problems))
	for _, secret := range []string{"swordfish", "73776f726466697368", "hunter2"} {
		if strings.Contains(b.String(), secret) {
			t.Errorf("the secret %s is shown in\n%s", secret, b.String())
		}
	}
	if !strings.Contains(b.String(), masked) || !strings.Contains(b.String(), `{ file = "cloud.password" }`) {
		t.Errorf("got\n%s\nwant %s for literal secrets and references as they are", b.String(), masked)
	}
	if n := strings.Count(Report(problems), "others can read this file"); n != 2 {
		t.Errorf("got %d warnings of secrets in a readable file, want 2:\n%s", n, Report(problems))
	}
}

func TestSecretRead(t *testing.T) {
	cfg, _ := mustParse(t, withSecrets)
	t.Setenv("CLOUD_PASSWORD", "from the environment\n")
	for name, want := range map[string]string{"a": "swordfish", "b": "swordfish", "c": "swordfish", "d": "from the environment"} {
		if got, err := cfg.Bridge[name].Password.Read(); err != nil || got != want {
			t.Errorf("bridge.%s.password: got %q, %v, want %q", name, got, err, want)
		}
	}
	if got := filepath.Base(cfg.Bridge["b"].Password.Path()); got != "cloud.password" || !filepath.IsAbs(cfg.Bridge["b"].Password.Path()) {
		t.Errorf("got path %q, want an absolute one", got)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "p")
	s := &Secret{from: "file", name: path}
	for in, want := range map[string]string{"a\r\n": "a", "a\n\n": "a\n", "a": "a", " a ": " a "} {
		if err := os.WriteFile(path, []byte(in), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Read(); err != nil || got != want {
			t.Errorf("a file of %q: got %q, %v, want %q", in, got, err, want)
		}
	}
	if err := os.WriteFile(path, make([]byte, maxSecret+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, s := range map[string]*Secret{
		"too large": s, "a directory": {from: "file", name: dir}, "not there": {from: "file", name: path + "x"}, "not set": {from: "env", name: "NO_SUCH_VARIABLE"},
	} {
		if got, err := s.Read(); err == nil {
			t.Errorf("%s: got %d bytes, want an error", what, len(got))
		}
	}
}
