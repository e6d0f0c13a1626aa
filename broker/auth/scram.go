package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The server's half of SCRAM-SHA-256: RFC 5802 for the exchange, RFC 7677 for the hash. Section numbers here are those of
// RFC 5802. Which packets carry the messages is not known here.
//
//	client ──▶ n,,n=pump7,r=CLIENT                             BeginScram
//	       ◀── r=CLIENTSERVER,s=SALT,i=15000                   Challenge
//	       ──▶ c=biws,r=CLIENTSERVER,p=PROOF                   Finish
//	       ◀── v=SIGNATURE

// ScramMethod is the name of the mechanism. The variant with channel binding, -PLUS, is not offered.
const ScramMethod = "SCRAM-SHA-256"

// What a message may have.
const (
	maxScramMessage = 4096
	maxScramNonce   = 256
)

// Why an exchange fails, where somebody branches on it. Everything else that is wrong breaks the form of a message.
var (
	ErrScramProof    = errors.New("the proof is wrong")                                 // section 7: invalid-proof
	ErrScramBinding  = errors.New("channel binding is asked for, which is not offered") // section 7: channel-binding-not-supported
	ErrScramOnBehalf = errors.New("a user who logs in as another")                      // section 5.1, a
)

// Scram is one exchange. It belongs to one goroutine at a time.
type Scram struct {
	User string // who says to log in; nothing is proved before Finish

	header string // the GS2 header, which the client repeats
	said   string // the first message without it, then both first messages: the AuthMessage of section 3 but for its last part
	nonce  string // of both sides, once there is a challenge
	keys   Keys
}

// BeginScram takes the first message of a client. It keeps nothing of first.
func BeginScram(first []byte) (*Scram, error) {
	if len(first) > maxScramMessage {
		return nil, fmt.Errorf("a first message of %d bytes, limit %d", len(first), maxScramMessage)
	}
	if !utf8.Valid(first) || bytes.IndexByte(first, 0) >= 0 { // section 7, value-char
		return nil, errors.New("a first message that is not text")
	}
	text := string(first)
	parts := strings.SplitN(text, ",", 3)
	if len(parts) < 3 {
		return nil, errors.New("a first message without its header")
	}
	switch flag := parts[0]; { // section 6
	case flag == "n", flag == "y": // y: the client could, and thinks rightly that the server cannot
	case strings.HasPrefix(flag, "p="):
		return nil, ErrScramBinding
	default:
		return nil, errors.New("a first message without a channel binding flag")
	}
	s := &Scram{header: text[:len(text)-len(parts[2])], said: parts[2]}
	if strings.HasPrefix(s.said, "m=") { // section 5.1, m: it must fail then
		return nil, errors.New("an extension that is mandatory and not known")
	}
	name, rest, _ := strings.Cut(s.said, ",")
	nonce, _, _ := strings.Cut(rest, ",") // extensions behind it are ignored: section 5.1
	var err error
	if s.User, err = scramName(name, "n="); err != nil {
		return nil, err
	}
	if s.nonce, err = scramNonce(nonce); err != nil {
		return nil, err
	}
	if parts[1] != "" {
		as, err := scramName(parts[1], "a=")
		if err != nil {
			return nil, err
		}
		if as != s.User {
			return nil, ErrScramOnBehalf
		}
	}
	return s, nil
}

// Challenge is the first message of the server, for the keys of User. It is called once.
func (s *Scram) Challenge(k Keys) []byte { return s.challenge(k, rand.Text()) } // at least 128 bits, without a comma

func (s *Scram) challenge(k Keys, nonce string) []byte {
	s.keys = k
	s.nonce += nonce
	answer := "r=" + s.nonce + ",s=" + base64.StdEncoding.EncodeToString(k.Salt) + ",i=" + strconv.Itoa(k.Iterations)
	s.said += "," + answer
	return []byte(answer)
}

// Finish takes the last message of the client. If its proof is right, that is User, and the answer proves to the client
// that the server has User's keys; else the error says why not.
func (s *Scram) Finish(last []byte) (answer []byte, err error) {
	if len(last) > maxScramMessage {
		return nil, fmt.Errorf("a last message of %d bytes, limit %d", len(last), maxScramMessage)
	}
	text := string(last)
	at := strings.LastIndex(text, ",p=")
	if at < 0 {
		return nil, errors.New("a last message without a proof")
	}
	parts := strings.SplitN(text[:at], ",", 3) // extensions are third, and ignored
	if len(parts) < 2 || parts[0] != "c="+base64.StdEncoding.EncodeToString([]byte(s.header)) {
		return nil, errors.New("a last message whose channel binding is not that of the first")
	}
	if parts[1] != "r="+s.nonce { // section 5.1, r
		return nil, errors.New("a last message with another nonce")
	}
	proof, err := parsePadded("proof", text[at+len(",p="):], sha256.Size, sha256.Size)
	if err != nil {
		return nil, err
	}
	message := s.said + "," + text[:at]
	if !s.keys.proves(proof, message) {
		return nil, ErrScramProof
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(keyed(s.keys.Server[:], message))), nil
}

// proves tells whether who made the proof has the password: section 3. It takes as long for keys that nobody has.
func (k *Keys) proves(proof []byte, message string) bool {
	signature := keyed(k.Stored[:], message)
	client := make([]byte, sha256.Size)
	subtle.XORBytes(client, proof, signature)
	stored := sha256.Sum256(client)
	return subtle.ConstantTimeCompare(stored[:], k.Stored[:]) == 1 && k.Known
}

// keyed is HMAC of section 2.2.
func keyed(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

// scramName reads a saslname (section 5.1, n) behind its letter. Of names only those that SASLprep leaves as they are are taken.
func scramName(s, letter string) (string, error) {
	coded, ok := strings.CutPrefix(s, letter)
	if !ok {
		return "", fmt.Errorf("a first message without %q where it belongs", letter)
	}
	if len(coded) > 3*maxName {
		return "", fmt.Errorf("a user name of more than %d bytes", maxName)
	}
	var name strings.Builder
	for coded != "" {
		switch {
		case strings.HasPrefix(coded, "=2C"):
			name.WriteByte(',')
			coded = coded[3:]
		case strings.HasPrefix(coded, "=3D"):
			name.WriteByte('=')
			coded = coded[3:]
		case coded[0] == '=':
			return "", errors.New("a user name with = that stands for nothing")
		default:
			name.WriteByte(coded[0])
			coded = coded[1:]
		}
	}
	if err := checkName(name.String()); err != nil {
		return "", err
	}
	if !printable(name.String()) {
		return "", errors.New("a user name that is not printable ASCII")
	}
	return name.String(), nil
}

// scramNonce reads a nonce: printable ASCII without a comma.
func scramNonce(s string) (string, error) {
	nonce, ok := strings.CutPrefix(s, "r=")
	if !ok || nonce == "" || len(nonce) > maxScramNonce {
		return "", fmt.Errorf("a first message without a nonce of 1 to %d bytes", maxScramNonce)
	}
	if !printable(nonce) || strings.Contains(nonce, " ") {
		return "", errors.New("a nonce that is not printable ASCII")
	}
	return nonce, nil
}

// printable tells whether a text is of printable ASCII characters only, which SASLprep (RFC 4013) leaves as they are.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7E {
			return false
		}
	}
	return true
}
