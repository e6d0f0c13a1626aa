package auth

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// What mosquitto_passwd writes behind a name.
const (
	mosquitto6 = "$6$" // $6$salt$hash
	mosquitto7 = "$7$" // $7$iterations$salt$hash
)

// Bounds of it. mosquitto itself takes salts of 12 and of 64 bytes, and hashes of 64; its default is 101 iterations.
const (
	minMosquittoSalt, maxMosquittoSalt = 8, 64
	maxIterations                      = 500_000
)

// parseMosquitto6 reads what stands behind $6$.
func parseMosquitto6(s string) (hash, error) {
	salt, sum, err := parseMosquittoPair(strings.Split(s, "$"), "$6$salt$hash")
	if err != nil {
		return hash{}, err
	}
	return hash{cost: cost{kind: sha512once, passes: 1}, salt: salt, sum: sum}, nil
}

// parseMosquitto7 reads what stands behind $7$.
func parseMosquitto7(s string) (hash, error) {
	iterations, rest, _ := strings.Cut(s, "$")
	n, err := strconv.ParseUint(iterations, 10, 32)
	if err != nil || strconv.FormatUint(n, 10) != iterations {
		return hash{}, errors.New("a mosquitto hash without its iterations, want $7$iterations$salt$hash")
	}
	if n < 1 || n > maxIterations {
		return hash{}, fmt.Errorf("a mosquitto hash of %d iterations, want 1 to %d", n, maxIterations)
	}
	salt, sum, err := parseMosquittoPair(strings.Split(rest, "$"), "$7$iterations$salt$hash")
	if err != nil {
		return hash{}, err
	}
	return hash{cost: cost{kind: pbkdf2sha512, passes: uint32(n)}, salt: salt, sum: sum}, nil
}

// parseMosquittoPair decodes salt and hash, which are base64 with padding.
func parseMosquittoPair(parts []string, want string) (salt, sum []byte, err error) {
	if len(parts) != 2 {
		return nil, nil, errors.New("a mosquitto hash that is cut short or goes on, want " + want)
	}
	if salt, err = parsePadded("salt", parts[0], minMosquittoSalt, maxMosquittoSalt); err != nil {
		return nil, nil, err
	}
	sum, err = parsePadded("hash", parts[1], sha512.Size, sha512.Size)
	return salt, sum, err
}

// parsePadded decodes base64 with padding to a length within bounds.
func parsePadded(what, s string, min, max int) ([]byte, error) {
	enc := base64.StdEncoding
	if len(s) > enc.EncodedLen(max) {
		return nil, fmt.Errorf("a %s of more than %d bytes", what, max)
	}
	b, err := enc.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") { // the decoder skips line ends
		return nil, fmt.Errorf("a %s that is not base64", what)
	}
	if len(b) < min || len(b) > max {
		return nil, fmt.Errorf("a %s of %d bytes, want %d to %d", what, len(b), min, max)
	}
	return b, nil
}

// deriveMosquitto7 is PBKDF2 with HMAC-SHA-512 (RFC 8018).
func deriveMosquitto7(password, salt []byte, iterations uint32, length int) []byte {
	sum, err := pbkdf2.Key(sha512.New, string(password), salt, int(iterations), length)
	if err != nil {
		panic(err) // only for lengths and hashes that the parser lets nobody ask for
	}
	return sum
}

// deriveMosquitto6 is one SHA-512, password first.
func deriveMosquitto6(password, salt []byte) []byte {
	h := sha512.New()
	h.Write(password)
	h.Write(salt)
	return h.Sum(nil)
}

// mosquittoForm is the form of mosquitto's file.
func (h hash) mosquittoForm() string {
	enc := base64.StdEncoding
	pair := enc.EncodeToString(h.salt) + "$" + enc.EncodeToString(h.sum)
	if h.kind == sha512once {
		return mosquitto6 + pair
	}
	return mosquitto7 + strconv.FormatUint(uint64(h.passes), 10) + "$" + pair
}
