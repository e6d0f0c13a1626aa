package auth

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Keys are what a server keeps of a password for SCRAM-SHA-256 (RFC 5802, section 3). They check a proof and make none.
type Keys struct {
	Salt       []byte // not to be changed
	Iterations int
	Stored     [sha256.Size]byte
	Server     [sha256.Size]byte
	Known      bool // they are those of a user; no proof fits others
}

// The form of an entry, SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey with base64 with padding, is the one PostgreSQL has
// (its documentation, pg_authid).
const scramPrefix = ScramMethod + "$"

// Iterations of SCRAM-SHA-256. RFC 7677, section 4, wants at least 4096, and 15,000 where a client is not slow: see doc.go.
const (
	MinIterations     = 4096
	DefaultIterations = 15_000
	MaxIterations     = maxIterations
)

// newScram makes the entry of a password under a fresh random salt.
func newScram(password []byte, iterations int) hash {
	h := hash{cost: cost{kind: scramsha256, passes: uint32(iterations)}, salt: make([]byte, newSalt)}
	rand.Read(h.salt)
	h.sum, h.server = scramKeys(password, h.salt, iterations)
	return h
}

// scramKeys computes StoredKey and ServerKey. The password is taken as SASLprep leaves it: see doc.go.
func scramKeys(password, salt []byte, iterations int) (stored, server []byte) {
	salted, err := pbkdf2.Key(sha256.New, string(password), salt, iterations, sha256.Size)
	if err != nil {
		panic(err) // only for lengths and hashes that the parser lets nobody ask for
	}
	key := sha256.Sum256(keyed(salted, "Client Key"))
	return key[:], keyed(salted, "Server Key")
}

// parseScram reads what stands behind SCRAM-SHA-256$.
func parseScram(s string) (hash, error) {
	const want = "want " + scramPrefix + "iterations:salt$StoredKey:ServerKey"
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == '$' || r == ':' })
	if len(parts) != 4 || s != parts[0]+":"+parts[1]+"$"+parts[2]+":"+parts[3] {
		return hash{}, errors.New("SCRAM keys that are cut short or go on, " + want)
	}
	n, err := strconv.ParseUint(parts[0], 10, 32)
	if err != nil || strconv.FormatUint(n, 10) != parts[0] {
		return hash{}, errors.New("SCRAM keys without their iterations, " + want)
	}
	if n < MinIterations || n > MaxIterations {
		return hash{}, fmt.Errorf("SCRAM keys of %d iterations, want %d to %d", n, MinIterations, MaxIterations)
	}
	h := hash{cost: cost{kind: scramsha256, passes: uint32(n)}}
	if h.salt, err = parsePadded("salt", parts[1], minSalt, maxSalt); err != nil {
		return hash{}, err
	}
	if h.sum, err = parsePadded("StoredKey", parts[2], sha256.Size, sha256.Size); err != nil {
		return hash{}, err
	}
	h.server, err = parsePadded("ServerKey", parts[3], sha256.Size, sha256.Size)
	return h, err
}

// scramForm is the form of a file.
func (h hash) scramForm() string {
	enc := base64.StdEncoding
	return scramPrefix + strconv.FormatUint(uint64(h.passes), 10) + ":" + enc.EncodeToString(h.salt) + "$" +
		enc.EncodeToString(h.sum) + ":" + enc.EncodeToString(h.server)
}

// Keys returns the keys of the user for SCRAM-SHA-256. For a name that has none they are made up, always the same ones, and
// after the example of one of the users who have some, so that nobody finds out who is a user. offered is false if no user
// has any. It does not block.
func (p *Passwords) Keys(name string) (k Keys, offered bool) {
	t := p.table.Load()
	if len(t.scram) == 0 {
		return Keys{}, false
	}
	secret := t.secret
	if secret == nil {
		secret = p.key
	}
	madeUp := func(what string) []byte { return keyed(secret, what+"\x00"+name) }
	like := t.scram[binary.BigEndian.Uint64(madeUp("user"))%uint64(len(t.scram))]
	k = Keys{Salt: bytes.Repeat(madeUp("salt"), 2)[:len(like.salt)], Iterations: int(like.passes)}
	copy(k.Stored[:], madeUp("stored"))
	copy(k.Server[:], madeUp("server"))
	if h, ok := t.users[name]; ok && h.kind == scramsha256 {
		k = Keys{Salt: h.salt, Iterations: int(h.passes), Stored: [sha256.Size]byte(h.sum), Server: [sha256.Size]byte(h.server), Known: true}
	}
	return k, true
}

// secretMark begins the comment that holds the secret of made-up keys.
const secretMark = "# scram-secret "

// secretIn finds the secret in a file; nil: it has none, or not a sound one.
func secretIn(data []byte) []byte {
	for line := range bytes.Lines(data) {
		coded, ok := strings.CutPrefix(strings.TrimRight(string(line), " \t\r\n"), secretMark)
		if secret, err := base64.StdEncoding.DecodeString(coded); ok && err == nil && len(secret) >= newSalt {
			return secret
		}
	}
	return nil
}

// withSecret puts a fresh secret at the head of a file that has none.
func withSecret(data []byte) []byte {
	if secretIn(data) != nil {
		return data
	}
	secret := make([]byte, sha256.Size)
	rand.Read(secret)
	return append([]byte(secretMark+base64.StdEncoding.EncodeToString(secret)+"\n"), data...)
}

// SetScram is Set for a user who logs in with SCRAM-SHA-256, or with user name and password as well. The password and the name
// must be of printable ASCII; iterations is MinIterations to MaxIterations.
func SetScram(path, name string, password []byte, iterations int) (replaced bool, err error) {
	if iterations < MinIterations || iterations > MaxIterations {
		return false, fmt.Errorf("%d iterations, want %d to %d", iterations, MinIterations, MaxIterations)
	}
	if !printable(name) {
		return false, fmt.Errorf("user %q: for SCRAM a name must be of printable ASCII", name)
	}
	if !printable(string(password)) {
		return false, fmt.Errorf("user %q: for SCRAM a password must be of printable ASCII, since clients may write others in several ways", name)
	}
	return set(path, name, password, func(data []byte) (hash, []byte) {
		return newScram(password, iterations), withSecret(data)
	})
}

// HasScram reports whether the file has keys for SCRAM-SHA-256 of the user. A file that cannot be read has none.
func HasScram(path, name string) bool {
	data, _, err := readFile(path)
	if err != nil {
		return false
	}
	users, _ := parse(path, data)
	for _, u := range users {
		if u.name == name {
			return u.hash.kind == scramsha256
		}
	}
	return false
}
