package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// kind is how a hash is computed.
type kind uint8

const (
	argon2id     kind = iota // weir's own
	pbkdf2sha512             // mosquitto's $7$
	sha512once               // mosquitto's $6$: SHA-512 over password and salt
	scramsha256              // the StoredKey of SCRAM-SHA-256
)

// cost is what computing a hash takes.
type cost struct {
	kind   kind
	memory uint32 // KiB; argon2id only
	passes uint32 // iterations of PBKDF2, also that of SCRAM; 1 for SHA-512
	lanes  uint8  // argon2id only
}

// standard is the cost of new hashes: see doc.go.
var standard = cost{memory: 7 * 1024, passes: 5, lanes: 1}

// Bounds of what a file may ask for.
const (
	maxMemory         = 64 * 1024 // KiB
	maxPasses         = 16
	maxLanes          = 4
	minSalt, maxSalt  = 8, 64
	minHash, maxHash  = 16, 64
	newSalt, newHash  = 16, 32
	argon2idPrefix    = "$argon2id$"
	memoryPerLaneKiB  = 8 // RFC 9106, 3.1: at least 8 KiB per lane
	wantedHashPattern = "$argon2id$v=19$m=...,t=...,p=...$salt$hash"
)

// hash is one stored hash: argon2id (RFC 9106), one that mosquitto_passwd made, or keys of SCRAM-SHA-256.
type hash struct {
	cost
	salt, sum []byte
	server    []byte // the ServerKey of SCRAM-SHA-256, whose sum is the StoredKey; else nil
}

// newHashOf hashes a password under a fresh random salt.
func newHashOf(password []byte, c cost) hash {
	h := hash{cost: c, salt: make([]byte, newSalt), sum: make([]byte, newHash)}
	rand.Read(h.salt) // never fails: crypto/rand ends the process instead
	h.sum = h.derive(password)
	return h
}

// derive computes the hash of a password with h's salt and cost.
func (h hash) derive(password []byte) []byte {
	switch h.kind {
	case pbkdf2sha512:
		return deriveMosquitto7(password, h.salt, h.passes, len(h.sum))
	case sha512once:
		return deriveMosquitto6(password, h.salt)
	case scramsha256:
		stored, _ := scramKeys(password, h.salt, int(h.passes))
		return stored
	}
	return argon2.IDKey(password, h.salt, h.passes, h.memory, h.lanes, uint32(len(h.sum)))
}

// matches computes the hash of a password and compares in constant time.
func (h hash) matches(password []byte) bool {
	return subtle.ConstantTimeCompare(h.derive(password), h.sum) == 1
}

// String is the form a file has: PHC, mosquitto's, or that of SCRAM keys.
func (h hash) String() string {
	switch h.kind {
	case pbkdf2sha512, sha512once:
		return h.mosquittoForm()
	case scramsha256:
		return h.scramForm()
	}
	enc := base64.RawStdEncoding
	return fmt.Sprintf("%sv=%d$m=%d,t=%d,p=%d$%s$%s", argon2idPrefix, argon2.Version,
		h.memory, h.passes, h.lanes, enc.EncodeToString(h.salt), enc.EncodeToString(h.sum))
}

// parseHash reads the PHC form, one of mosquitto's, or SCRAM keys. Its errors never repeat the text.
func parseHash(s string) (hash, error) {
	switch {
	case strings.HasPrefix(s, scramPrefix):
		return parseScram(s[len(scramPrefix):])
	case strings.HasPrefix(s, mosquitto7):
		return parseMosquitto7(s[len(mosquitto7):])
	case strings.HasPrefix(s, mosquitto6):
		return parseMosquitto6(s[len(mosquitto6):])
	case !strings.HasPrefix(s, "$"):
		return hash{}, errors.New("no hash (a plain password?), want " + wantedHashPattern + "; make it with: weir passwd")
	case !strings.HasPrefix(s, argon2idPrefix):
		return hash{}, errors.New("an unknown kind of hash, want " + wantedHashPattern)
	}
	parts := strings.Split(s[len(argon2idPrefix):], "$")
	if len(parts) != 4 {
		return hash{}, fmt.Errorf("a hash of %d parts, want %s", len(parts)+1, wantedHashPattern)
	}
	if parts[0] != "v=19" { // RFC 9106's version 0x13; PHC writes it in decimal
		return hash{}, errors.New("an argon2id version other than v=19")
	}
	c, err := parseCost(parts[1])
	if err != nil {
		return hash{}, err
	}
	salt, err := parseBytes("salt", parts[2], minSalt, maxSalt)
	if err != nil {
		return hash{}, err
	}
	sum, err := parseBytes("hash", parts[3], minHash, maxHash)
	if err != nil {
		return hash{}, err
	}
	return hash{cost: c, salt: salt, sum: sum}, nil
}

// parseCost reads "m=7168,t=5,p=1" and holds it against the bounds.
func parseCost(s string) (cost, error) {
	fields := strings.Split(s, ",")
	if len(fields) != 3 {
		return cost{}, fmt.Errorf("%d argon2id parameters, want m, t and p", len(fields))
	}
	var value [3]uint32
	limits := [3]struct {
		name     string
		min, max uint64
	}{{"m", memoryPerLaneKiB, maxMemory}, {"t", 1, maxPasses}, {"p", 1, maxLanes}}
	for i, l := range limits {
		text, ok := strings.CutPrefix(fields[i], l.name+"=")
		n, err := strconv.ParseUint(text, 10, 32)
		if !ok || err != nil || strconv.FormatUint(n, 10) != text {
			return cost{}, fmt.Errorf("argon2id parameter %s is not %s=NUMBER", l.name, l.name)
		}
		if n < l.min || n > l.max {
			return cost{}, fmt.Errorf("argon2id parameter %s=%d, want %d to %d", l.name, n, l.min, l.max)
		}
		value[i] = uint32(n)
	}
	c := cost{memory: value[0], passes: value[1], lanes: uint8(value[2])}
	if c.memory < memoryPerLaneKiB*uint32(c.lanes) {
		return cost{}, fmt.Errorf("argon2id parameter m=%d, want at least %d KiB per lane", c.memory, memoryPerLaneKiB)
	}
	return c, nil
}

// parseBytes decodes base64 without padding to a length within bounds.
func parseBytes(what, s string, min, max int) ([]byte, error) {
	if n := base64.RawStdEncoding.DecodedLen(len(s)); n < min || n > max {
		return nil, fmt.Errorf("a %s of %d bytes, want %d to %d", what, n, min, max)
	}
	b, err := base64.RawStdEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") { // the decoder skips line ends
		return nil, fmt.Errorf("a %s that is not base64 without padding", what)
	}
	return b, nil
}
