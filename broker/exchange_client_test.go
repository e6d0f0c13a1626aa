package broker

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"weir/broker/auth"
	"weir/broker/packet"
)

// scramUser is a client of SCRAM-SHA-256, by the formulas of RFC 5802, section 3.
type scramUser struct {
	header, bare string
	password     string
	signature    string // the server has to show
}

func scramAs(name, password string) *scramUser {
	return &scramUser{header: "n,,", bare: "n=" + name + ",r=fyko+d2lbbFgONRv9qkxdawL", password: password}
}

func (s *scramUser) first() []byte { return []byte(s.header + s.bare) }

// last answers a challenge; nil: it is none.
func (s *scramUser) last(challenge []byte) []byte {
	parts := strings.Split(string(challenge), ",")
	salt, n := "", 0
	if len(parts) == 3 {
		salt = strings.TrimPrefix(parts[1], "s=")
		fmt.Sscanf(parts[2], "i=%d", &n)
	}
	raw, err := base64.StdEncoding.DecodeString(salt)
	if err != nil || n < 1 {
		return nil
	}
	salted := saltedOf(s.password, raw, n)
	client := mac(salted, "Client Key")
	stored := sha256.Sum256(client)
	without := "c=" + base64.StdEncoding.EncodeToString([]byte(s.header)) + "," + parts[0]
	message := s.bare + "," + string(challenge) + "," + without
	for i, b := range mac(stored[:], message) {
		client[i] ^= b
	}
	s.signature = "v=" + base64.StdEncoding.EncodeToString(mac(mac(salted, "Server Key"), message))
	return []byte(without + ",p=" + base64.StdEncoding.EncodeToString(client))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// saltedPasswords are those that were computed, as clients keep them.
var saltedPasswords sync.Map

func saltedOf(password string, salt []byte, n int) []byte {
	key := fmt.Sprintf("%d %x %s", n, salt, password)
	if known, ok := saltedPasswords.Load(key); ok {
		return known.([]byte)
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, n, sha256.Size)
	if err != nil {
		panic(err)
	}
	saltedPasswords.Store(key, salted)
	return salted
}

// scramFile is a password file with user pump, password secret, valve, password tight, who have keys, and plain, password
// secret, who has none. All tests share it, since making it takes a while.
var scramFile = sync.OnceValue(func() *auth.Passwords {
	keys := auth.NewPasswords()
	dir, err := os.MkdirTemp("", "weir")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "passwords")
	for name, password := range map[string]string{"pump": "secret", "valve": "tight"} {
		if _, err := auth.SetScram(path, name, []byte(password), auth.MinIterations); err != nil {
			panic(err)
		}
	}
	if _, err := auth.Set(path, "plain", []byte("secret")); err != nil {
		panic(err)
	}
	if _, err := keys.Load(path); err != nil {
		panic(err)
	}
	return keys
})

// withKeys has the users of scramFile, who need not log in with a password in most tests.
func withKeys(cfg Config) Config {
	file := scramFile()
	cfg.Users = oneFile{file}
	cfg.Keys = func(_, user string) (auth.Keys, bool) { return file.Keys(user) }
	if cfg.Anonymous == nil {
		cfg.Anonymous = func(string) bool { return false }
	}
	return cfg
}

// method makes CONNECT begin an exchange.
func method(s *scramUser) func(*packet.Connect) {
	return func(p *packet.Connect) {
		p.Props.SetAuthMethod([]byte(auth.ScramMethod))
		p.Props.SetAuthData(s.first())
	}
}

// ask sends CONNECT and returns the challenge.
func (c *client) ask(s *scramUser, id string, tweak ...func(*packet.Connect)) (challenge []byte) {
	c.t.Helper()
	p := packet.Connect{CleanStart: true, ClientID: []byte(id)}
	for _, f := range append([]func(*packet.Connect){method(s)}, tweak...) {
		f(&p)
	}
	c.send(&p)
	return c.challenged()
}

// challenged wants the server's AUTH. v5 [MQTT-4.12.0-2] [MQTT-4.12.0-5] [MQTT-3.15.2-2] [MQTT-3.15.2-3]
func (c *client) challenged() []byte {
	c.t.Helper()
	a := c.expect(packet.TypeAuth).(*packet.Auth)
	if a.Reason != packet.ContinueAuthentication || string(a.Props.AuthMethod) != auth.ScramMethod || a.Props.Has(packet.PropReasonString) || len(a.Props.User) > 0 {
		c.t.Fatalf("AUTH %s with %+v", a.Reason, a.Props)
	}
	return append([]byte(nil), a.Props.AuthData...)
}

func authPacket(reason packet.Reason, data []byte) *packet.Auth {
	a := &packet.Auth{Reason: reason}
	a.Props.SetAuthMethod([]byte(auth.ScramMethod))
	a.Props.SetAuthData(data)
	return a
}

// prove answers the challenge.
func (c *client) prove(s *scramUser, challenge []byte) {
	c.t.Helper()
	c.send(authPacket(packet.ContinueAuthentication, s.last(challenge)))
}

// scram logs in by an exchange.
func (c *client) scram(s *scramUser, id string, tweak ...func(*packet.Connect)) packet.Connack {
	c.t.Helper()
	c.prove(s, c.ask(s, id, tweak...))
	return *c.expect(packet.TypeConnack).(*packet.Connack)
}

// entered wants CONNACK to prove that the server has the keys. v5 [MQTT-4.12.0-5]
func (s *scramUser) entered(t testing.TB, ack packet.Connack) {
	t.Helper()
	if ack.Reason != packet.Success || string(ack.Props.AuthMethod) != auth.ScramMethod || string(ack.Props.AuthData) != s.signature {
		t.Fatalf("CONNACK %s with method %q and data %q, want %q", ack.Reason, ack.Props.AuthMethod, ack.Props.AuthData, s.signature)
	}
}
