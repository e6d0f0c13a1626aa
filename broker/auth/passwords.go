package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// Passwords checks logins against a password file. Make one with NewPasswords;
// before the first Load it knows no user. Safe for concurrent use.
type Passwords struct {
	key     []byte // of the HMAC over remembered successes, random per process
	table   atomic.Pointer[table]
	working chan struct{} // holds one token while a hash is computed
}

// table is the content of one Load with the successes since.
type table struct {
	users   map[string]hash
	unknown []hash // one for each user, of the same cost: computed for names that do not exist
	scram   []hash // those of users who have keys for SCRAM-SHA-256
	secret  []byte // of the keys that are made up for others; nil: the process's own

	mu        sync.Mutex          // guards the field below
	succeeded map[string][32]byte // by name: HMAC over the password that matched
}

// NewPasswords returns a set without users.
func NewPasswords() *Passwords {
	p := &Passwords{key: make([]byte, 32), working: make(chan struct{}, 1)}
	rand.Read(p.key)
	p.table.Store(newTable(nil, nil))
	return p
}

// Another returns a set without users that computes its hashes in turn with those of p, so that one is computed at a time
// for both, and whose Credentials can be compared with those of p.
func (p *Passwords) Another() *Passwords {
	o := &Passwords{key: p.key, working: p.working}
	o.table.Store(newTable(nil, nil))
	return o
}

func newTable(users []user, secret []byte) *table {
	t := &table{users: make(map[string]hash, len(users)), secret: secret, succeeded: map[string][32]byte{}}
	for _, u := range users {
		t.users[u.name] = u.hash
		t.unknown = append(t.unknown, u.hash.decoy())
		if u.hash.kind == scramsha256 {
			t.scram = append(t.scram, u.hash)
		}
	}
	if len(users) == 0 {
		t.unknown = append(t.unknown, hash{cost: standard, salt: make([]byte, newSalt), sum: make([]byte, newHash)}.decoy())
	}
	return t
}

// decoy is a hash of the same cost that no password has.
func (h hash) decoy() hash {
	d := hash{cost: h.cost, salt: make([]byte, len(h.salt)), sum: make([]byte, len(h.sum))}
	rand.Read(d.salt)
	rand.Read(d.sum)
	return d
}

// forUnknown picks the hash that is computed for a name that does not exist: always the same one for a name, and over
// all names as many of each cost as users have it, so that the time tells nothing, whatever kinds of hashes there are.
func (p *Passwords) forUnknown(t *table, name string) hash {
	mac := p.mac(name, nil)
	return t.unknown[binary.BigEndian.Uint64(mac[:])%uint64(len(t.unknown))]
}

// Load replaces all users by those of the file and forgets remembered successes.
// On an error, which names file and line, the users stay as they were. The
// warning tells of permissions that are too wide; the file is used all the same.
func (p *Passwords) Load(path string) (Warning, error) {
	data, warning, err := readFile(path)
	if err != nil {
		return Warning{}, err
	}
	users, err := parse(path, data)
	if err != nil {
		return warning, err
	}
	p.table.Store(newTable(users, secretIn(data)))
	return warning, nil
}

// Len is the number of users.
func (p *Passwords) Len() int { return len(p.table.Load().users) }

// Verify reports whether the user exists and has this password. It may wait for
// other verifications and then compute a hash (tens of milliseconds on a small
// board); a login that succeeded since the last Load is answered at once. The
// only error is ctx's, when it has ended before the hash is computed.
func (p *Passwords) Verify(ctx context.Context, name string, password []byte) (bool, error) {
	t := p.table.Load()
	mac := p.mac(name, password)
	if t.remembers(name, mac) {
		return true, nil
	}
	if err := ctx.Err(); err != nil { // select would choose by chance
		return false, err
	}
	select {
	case p.working <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-p.working }()
	// Many connections of one device may have waited here for the same answer.
	if t.remembers(name, mac) {
		return true, nil
	}
	h, known := t.users[name]
	if !known {
		h = p.forUnknown(t, name)
	}
	if !h.matches(password) || !known {
		return false, nil
	}
	t.remember(name, mac)
	return true, nil
}

// Credential is a number that stands for the hash of the user: another one when the file holds another hash, and if there
// is no such user. It is meaningful in this process only.
func (p *Passwords) Credential(name string) uint64 {
	h, known := p.table.Load().users[name]
	mac := hmac.New(sha256.New, p.key)
	if known {
		mac.Write([]byte(h.String()))
	}
	return binary.BigEndian.Uint64(mac.Sum(nil))
}

// mac is the keyed hash under which a login is remembered. A zero byte separates
// name from password: the name comes from CONNECT, where U+0000 is malformed.
func (p *Passwords) mac(name string, password []byte) (sum [32]byte) {
	h := hmac.New(sha256.New, p.key)
	h.Write([]byte(name))
	h.Write([]byte{0})
	h.Write(password)
	h.Sum(sum[:0])
	return sum
}

func (t *table) remembers(name string, mac [32]byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, ok := t.succeeded[name]
	return hmac.Equal(known[:], mac[:]) && ok
}

func (t *table) remember(name string, mac [32]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.succeeded[name] = mac
}
