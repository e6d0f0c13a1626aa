package broker

import (
	"context"
	"time"
)

// Config of a broker. The zero value is usable: no users, anonymous clients on loopback listeners only, the defaults
// named at each field.
type Config struct {
	// Users checks logins; nil: there are none, and every login with a user name is refused unless the listener is
	// anonymous.
	Users Authenticator

	// Anonymous tells whether clients without a user name may use the listener of that name. nil: where the address of
	// the listener is a loopback address.
	Anonymous func(listener string) bool

	// Rights gives what a client may do, and does not return nil. It is asked for each connection after the login, and
	// again by Reauthorize. nil: everyone may do everything. In-process publishers are not asked about.
	Rights func(Who) Rights

	// Store keeps sessions and retained messages; nil: they live in memory only. It belongs to the Journal.
	Store       Store
	RetainFlush time.Duration // how old a retained value may be that a crash brings back; default 30 s
	SpillAfter  time.Duration // how long answers wait for a store that fails; default 200 ms

	InnerWildcard bool // filters of clients may have # before the last level

	MaxPacket   int           // largest packet accepted, bytes; default 1 MiB
	ConnectWait time.Duration // time for a whole CONNECT and the check of its login; default 10 s

	ReceiveMaximum int // QoS 1 and 2 messages a client may have unacknowledged, 1 to 65535; default 1024
	TopicAliases   int // topic aliases a 5.0 client may use, to 65535; default 32; negative: none
	Inflight       int // QoS 1 and 2 messages unacknowledged towards a client at most; default 256

	QueueMessages int // QoS 1 and 2 messages that wait for one session; default 4000
	QueueBytes    int // bytes that wait for one session, and again for its socket; default 1 MiB

	MaxSessionExpiry time.Duration // how long a session may outlive its connection; default 30 days

	AllowanceBytes      int // what one publisher may have waiting for room in the journal; default 256 KiB
	AllowanceTotalBytes int // what all publishers together may; default 4 MiB

	MaxHops uint8 // a message that passed that many gateways goes to no route; default 8
}

// An Authenticator checks logins by user name and password. Safe for concurrent use.
type Authenticator interface {
	// Verify tells whether the user exists and has the password, for clients of a listener. It may block for as long as a
	// check takes: it is called by the goroutine of the connection that logs in. An error means that it could not be
	// found out.
	Verify(ctx context.Context, listener, user string, password []byte) (bool, error)
	// Credential is a number that stands for what the user can log in with: another one after a change of the password,
	// and once the user is gone. It does not block.
	Credential(listener, user string) uint64
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	orDefault(&c.MaxPacket, 1<<20)
	orDefault(&c.ReceiveMaximum, 1024)
	orDefault(&c.TopicAliases, 32)
	orDefault(&c.Inflight, 256)
	orDefault(&c.QueueMessages, 4000)
	orDefault(&c.QueueBytes, 1<<20)
	orDefault(&c.AllowanceBytes, 256<<10)
	orDefault(&c.AllowanceTotalBytes, 4<<20)
	orDefault(&c.ConnectWait, 10*time.Second)
	orDefault(&c.MaxSessionExpiry, 30*24*time.Hour)
	orDefault(&c.MaxHops, 8)
	orDefault(&c.RetainFlush, 30*time.Second)
	orDefault(&c.SpillAfter, 200*time.Millisecond)
	c.TopicAliases = max(c.TopicAliases, 0)
	return c
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
