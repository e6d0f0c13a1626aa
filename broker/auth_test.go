package broker

import (
	"context"
	"path/filepath"
	"testing"

	"weir/broker/auth"
	"weir/broker/packet"
)

// oneFile is an Authenticator that has one password file for all listeners.
type oneFile struct{ *auth.Passwords }

func (o oneFile) Verify(ctx context.Context, _, user string, password []byte) (bool, error) {
	return o.Passwords.Verify(ctx, user, password)
}
func (o oneFile) Credential(_, user string) uint64 { return o.Passwords.Credential(user) }

// TestPasswordFile logs in against a real password file.
func TestPasswordFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwords")
	if _, err := auth.Set(path, "pump7", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	users := auth.NewPasswords()
	if _, err := users.Load(path); err != nil {
		t.Fatal(err)
	}
	h := build(t, Config{Users: oneFile{users}, Anonymous: func(string) bool { return false }})
	for password, want := range map[string]packet.Reason{"secret": packet.Success, "wrong": packet.BadUserNameOrPassword} {
		c := h.dial(packet.V5)
		ack := c.connect("c"+password, func(p *packet.Connect) {
			p.HasUsername, p.HasPassword, p.Username, p.Password = true, true, []byte("pump7"), []byte(password)
		})
		if ack.Reason != want {
			t.Errorf("%q: CONNACK %s, want %s", password, ack.Reason, want)
		}
	}
}
