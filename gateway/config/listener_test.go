package config

import (
	"slices"
	"testing"
)

const secured = `
[listener.lan]
address   = "0.0.0.0:8883"
cert      = "-----BEGIN CERTIFICATE-----"
key       = "-----BEGIN PRIVATE KEY-----"
client_ca = "-----BEGIN CERTIFICATE-----"
crl       = "clients.crl"
`

// TestSecuredListener: names from certificates are users, so nobody needs a password; certificates without names are not.
func TestSecuredListener(t *testing.T) {
	cfg, problems, err := Parse("testdata/weir.toml", []byte(secured+"identity = \"cn\"\n"), testOptions())
	if err != nil {
		t.Fatalf("%s", Report(problems))
	}
	l := cfg.Listener["lan"]
	if !l.TLS() || l.ClientCertificates != "required" || l.Anonymous || l.Passwords != "" || l.TLSMin != "1.2" || l.CRLExpired != "accept" || l.Protocol != "mqtt" || l.Path != "/mqtt" || l.Mode != 0o660 {
		t.Errorf("got %+v", l)
	}
	if len(l.CRL) != 1 || !slices.Contains([]byte(l.CRL[0]), '/') {
		t.Errorf("got lists %q, want an absolute path", l.CRL)
	}
	if got := cfg.At("listener.lan.key", Error, "is odd").String(); got != "testdata/weir.toml:5:13: listener.lan.key: is odd" {
		t.Errorf("got %q", got)
	}
	if got := cfg.At("listener.lan.mode", Warning, "is odd").String(); got != "testdata/weir.toml: warning: listener.lan.mode: is odd" {
		t.Errorf("got %q", got)
	}
	_, problems, err = Parse("testdata/weir.toml", []byte(secured), testOptions())
	if err == nil {
		t.Error("a certificate without identity = \"cn\" was taken for a login")
	}
	for _, optional := range []string{"optional", "required"} {
		cfg, problems, err = Parse("testdata/weir.toml", []byte(secured+"identity = \"san\"\nclient_certificates = \""+optional+"\"\n"), testOptions())
		if err != nil || cfg.Listener["lan"].ClientCertificates != optional {
			t.Errorf("%s: %s", optional, Report(problems))
		}
	}
}

func TestUnixListener(t *testing.T) {
	cfg, problems, err := Parse("weir.toml", []byte("[listener.here]\naddress = \"unix:/run/weir/mqtt.sock\"\nmode = \"666\"\n"), testOptions())
	if err != nil {
		t.Fatalf("%s", Report(problems))
	}
	l := cfg.Listener["here"]
	if l.Address.Path != "/run/weir/mqtt.sock" || l.Address.String() != "unix:/run/weir/mqtt.sock" || !l.Anonymous || l.Mode != 0o666 {
		t.Errorf("got %+v", l)
	}
	if _, err := ParseAddress("unix:/" + string(make([]byte, 200))); err == nil {
		t.Error("a path of 201 bytes was taken")
	}
}
