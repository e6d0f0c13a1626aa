package broker

import (
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/broker/auth"
	"weir/broker/packet"
)

// passwordFile holds users whose password is "secret", hashed as old versions of mosquitto did, which takes no time.
func passwordFile(t *testing.T, names ...string) *auth.Passwords {
	t.Helper()
	path, text := filepath.Join(t.TempDir(), "passwords"), ""
	sum := sha512.Sum512([]byte("secret" + "twelve bytes"))
	for _, name := range names {
		text += fmt.Sprintf("%s:$6$%s$%s\n", name, base64.StdEncoding.EncodeToString([]byte("twelve bytes")), base64.StdEncoding.EncodeToString(sum[:]))
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := auth.NewPasswords()
	if _, err := p.Load(path); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestFloodSparesFamiliar: who tries many names makes the address wait, and with it those behind it who have not logged in from there
// yet. Those who have come in with the password that they had, and whoever guesses at theirs learns nothing and has to wait.
func TestFloodSparesFamiliar(t *testing.T) {
	both(t, func(t *testing.T, v packet.Version) {
		h := build(t, Config{Users: oneFile{passwordFile(t, "pump", "valve", "new")}, Anonymous: func(string) bool { return false }})
		login := func(user, password string) packet.Reason {
			c := h.dial(v)
			defer c.nc.Close()
			return c.connect("c"+user, as(user), func(p *packet.Connect) { p.HasPassword, p.Password = true, []byte(password) }).Reason
		}
		for _, user := range []string{"pump", "valve"} {
			if r := login(user, "secret"); r != packet.Success {
				t.Fatalf("%s: CONNACK %s", user, r)
			}
		}
		for i := range usualLogins.AddressFailures + 1 {
			if r := login(fmt.Sprint("name", i), "guess"); r != packet.BadUserNameOrPassword {
				t.Fatalf("guess %d: CONNACK %s", i+1, r)
			}
		}
		waits := packet.ServerUnavailable
		if v == packet.V5 {
			waits = packet.ConnectionRateExceeded
		}
		for _, c := range []struct {
			user, password string
			want           packet.Reason
		}{
			{"nobody", "guess", waits}, {"new", "secret", waits},
			{"pump", "guess", waits}, // not 0x86, which would tell that there is such a user
			{"pump", "secret", packet.Success}, {"valve", "secret", packet.Success},
		} {
			if r := login(c.user, c.password); r != c.want {
				t.Errorf("%s with %q: CONNACK %s, want %s", c.user, c.password, r, c.want)
			}
		}
		for range usualLogins.Failures + 1 {
			login("valve", "guess")
		}
		if r := login("valve", "secret"); r != waits {
			t.Errorf("after too many guesses at one: CONNACK %s, want %s", r, waits)
		}
		if r := login("pump", "secret"); r != packet.Success {
			t.Errorf("another one: CONNACK %s", r)
		}
		if s := h.b.Stats(); s.LoginsFailed != uint64(usualLogins.AddressFailures+1) {
			t.Errorf("%d logins counted as failed, want those that were checked: %d", s.LoginsFailed, usualLogins.AddressFailures+1)
		}
	})
}

// TestFamiliarAreBounded: memory is bounded, and who came last is among them.
func TestFamiliarAreBounded(t *testing.T) {
	var a attempts
	now := time.Now()
	for i := range 3 * mostFamiliar {
		address := netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}).String()
		if a.try(address, "u", true, now) {
			t.Fatal("had to wait")
		}
		if len(a.familiar) > mostFamiliar {
			t.Fatalf("%d are familiar, limit %d", len(a.familiar), mostFamiliar)
		}
		at, ok, _ := a.begin(&usualLogins, addressOf(address), "u", now)
		if !ok || !a.glance(&usualLogins, at, now) {
			t.Fatalf("login %d: not familiar", i)
		}
		a.end(&usualLogins, at, false, now)
	}
}
