package broker

import (
	"context"
	"time"

	"weir/broker/auth"
)

// Config of a broker. The zero value is usable: no users, anonymous clients on loopback listeners only, the defaults
// named at each field.
type Config struct {
	// Users checks logins; nil: there are none, and every login with a user name is refused unless the listener is
	// anonymous.
	Users Authenticator

	// Keys gives the keys by which a user of Users logs in with SCRAM-SHA-256 on a listener, made-up ones that stay the same
	// for a user who has none. offered is false where nobody has any: the method is refused then (0x8C). It does not block and
	// is safe for concurrent use. nil: it is refused everywhere.
	Keys func(listener, user string) (keys auth.Keys, offered bool)

	// Anonymous tells whether clients without a user name may use the listener of that name. nil: where the address of
	// the listener is a loopback address.
	Anonymous func(listener string) bool

	// Redirect gives where clients of a listener are to go instead of being served here; nil: they are served. It is asked for each
	// CONNECT, before the client has logged in, and again by Reauthorize. It does not block and is safe for concurrent use. nil:
	// there is none.
	Redirect func(listener string) *Redirect

	// Rights gives what a client may do, and does not return nil. It is asked for each connection after the login, and
	// again by Reauthorize. nil: everyone may do everything. In-process publishers are not asked about.
	Rights func(Who) Rights

	// Store keeps sessions and retained messages; nil: they live in memory only. It belongs to the Journal.
	Store       Store
	RetainFlush time.Duration // how old a retained value may be that a crash brings back; default 30 s
	SpillAfter  time.Duration // how long answers wait for a store that fails; default 200 ms

	InnerWildcard bool // filters of clients may have # before the last level

	MaxPacket   int           // largest packet accepted, bytes; default 1 MiB
	ConnectWait time.Duration // time for a whole CONNECT and the check of its login, an exchange included; default 10 s

	ReceiveMaximum int // QoS 1 and 2 messages a client may have unacknowledged, 1 to 65535; default 1024
	TopicAliases   int // topic aliases of a 5.0 client, each way, to 65535; default 32; negative: none
	Inflight       int // QoS 1 and 2 messages unacknowledged towards a client at most; default 256

	QueueMessages int // QoS 1 and 2 messages that wait for one session; default 4000
	QueueBytes    int // bytes that wait for one session, and again for its socket; default 1 MiB

	MaxSessionExpiry time.Duration // how long a session may outlive its connection; default 30 days
	MaxKeepAlive     time.Duration // the longest keep alive, whole seconds; 0: none, and clients need not have any

	MaxQoS   *byte // the highest QoS taken from clients and granted to them; nil: 2
	NoRetain bool  // messages are not retained

	MaxTopicLevels int // levels of a topic or filter; default 128
	MaxTopicLength int // bytes of a topic or filter; default 4096

	// Of the whole broker; what is beyond is refused. See limits.
	MaxConnections         int                       // clients connected at once; default 10,000
	ListenerConnections    func(listener string) int // the same for one listener; nil, or 0: as many as there may be at all
	MaxSessions            int                       // with and without a connection; default 20,000
	MaxSubscriptions       int                       // default 200,000
	MaxClientSubscriptions int                       // of one client; default 100,000
	MaxRetained            int                       // retained messages; default 200,000
	MaxRetainedBytes       int                       // bytes they take, about; default 64 MiB
	QueueTotal             int                       // messages that wait for sessions in memory; default 200,000
	Memory                 int                       // bytes that clients make the broker hold, about; default 128 MiB
	MaxConnecting          int                       // connections that have not sent CONNECT, or authenticate still; default 1000
	AddressConnecting      int                       // the same for one address that is not of this machine; default 100

	Logins Logins // how often logins may fail

	SysInterval time.Duration // how often $SYS topics are published while somebody wants them; default 10 s; negative: there are none
	Version     string        // what $SYS/broker/version says

	AllowanceBytes      int // what one publisher may have waiting for room in the journal; default 256 KiB
	AllowanceTotalBytes int // what all publishers together may; default 4 MiB

	// Calm is called a moment after the start, and when many clients have come or gone and for a moment hardly any more do, then
	// at most once a minute: a time to give memory back. nil: nobody wants to know.
	Calm func()

	Goroutines bool // every connection has a goroutine, also where pollers could drive it

	MaxHops uint8 // a message that passed that many gateways goes to no route; default 8
}

// An Authenticator checks logins by user name and password. Safe for concurrent use.
type Authenticator interface {
	// Verify tells whether the user exists and has the password, for clients of a listener. It may block for as long as a
	// check takes: it is called by the goroutine of the connection that logs in. An error means that it could not be
	// found out. With a context that has ended it does not block and computes nothing: it knows a login that has
	// succeeded before and may do so again, and everything else is an error, or false.
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
	orDefault(&c.MaxTopicLevels, 128)
	orDefault(&c.MaxTopicLength, 4096)
	orDefault(&c.MaxConnections, 10_000)
	orDefault(&c.MaxSessions, 20_000)
	orDefault(&c.MaxSubscriptions, 200_000)
	orDefault(&c.MaxClientSubscriptions, 100_000)
	orDefault(&c.MaxRetained, 200_000)
	orDefault(&c.MaxRetainedBytes, 64<<20)
	orDefault(&c.QueueTotal, 200_000)
	orDefault(&c.Memory, 128<<20)
	orDefault(&c.MaxConnecting, 1000)
	orDefault(&c.AddressConnecting, 100)
	c.Logins.withDefaults()
	orDefault(&c.SysInterval, 10*time.Second)
	if c.MaxQoS == nil {
		c.MaxQoS = new(byte)
		*c.MaxQoS = 2
	}
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
