package status

import "time"

// Snapshot is the state of a gateway at one moment. It shares no memory with the gateway.
type Snapshot struct {
	ID      string
	Version string
	Taken   time.Time // by the machine's clock, trusted or not
	Started time.Time
	Clock   Clock
	Config  Config
	Store   Store
	Broker  Broker

	Listeners []Listener // by name

	Sensors []Sensor // in the order of the configuration
	Buses   []Bus    // those in use, I2C first
	Bridges []Bridge // likewise
}

// Config is which configuration holds.
type Config struct {
	File    string    // empty: defaults alone
	Loaded  time.Time // when the one that holds was taken
	Tried   time.Time // the last reload; zero: none
	Refused string    // why the last one was refused; empty: it was not
	Applied []string  // settings that the last reload changed
	Restart []string  // settings of the file that hold after a restart only
}

// Clock says whether wall time can be believed.
type Clock struct {
	Trusted bool
	Steps   uint64 // times the clock was set again after it had been trusted
}

// Store is the log on disk.
type Store struct {
	Dir      string
	Bytes    int64 // files of the data directory
	MaxBytes int64
	Written  int64  // bytes written by this process
	Syncs    uint64 // by this process

	WrittenDay   int64  // bytes written within the last 24 hours, by earlier processes too; a crash forgets the last hour of them
	EarlyCommits uint64 // commits before gather was over, for publishers that waited
	EarlyPadding int64  // bytes of padding they wrote within the last hour
	FlashBudget  int64  // bytes of it that are allowed in an hour
	FlashHeld    bool   // it is used up: publishers wait for gather

	Full   bool   // the disk has no room to grow: the store makes do with the files it has
	Err    string // why the store takes no writes now; empty: it does
	Since  time.Time
	Damage string // what recovery found at start; empty: nothing
}

// Broker counts the local side.
type Broker struct {
	Connections, Sessions, Subscriptions, Retained int
	Received, Delivered, Dropped                   uint64 // messages since start

	Denied, Withheld            uint64 // publishing and subscribing refused; messages not delivered: for want of rights
	LoginsFailed, LoginsLimited uint64 // logins refused; logins not looked at, as too many had failed
	Revoked                     uint64 // clients disconnected as their login does not hold any more

	Causes []Count // of Dropped, and of what else did not get where it was to go, each since start

	Limits  []Limit
	NotKept uint64 // what should survive a restart and may not, since start
}

// Count is how often something happened since start.
type Count struct {
	Name  string // in words
	Count uint64
}

// Lost are those of Causes that happened.
func (b *Broker) Lost() (some []Count) {
	for _, c := range b.Causes {
		if c.Count > 0 {
			some = append(some, c)
		}
	}
	return some
}

// Limit is something that clients can use up. Name is that of the setting in [broker].
type Limit struct {
	Name      string
	Now, Most int64
	Refused   uint64 // since start
}

// Listener is one address where local clients connect.
type Listener struct {
	Name, Protocol string            // Protocol is mqtt, mqtts, ws or wss
	Addresses      []string          // where it listens; several if systemd handed over several sockets
	Connections    int               // now
	Accepted       uint64            // connections since start
	Failed         map[string]uint64 // handshakes of TLS and WebSocket since start, by reason

	Err      string    // why it is not open; empty: it is
	Expires  time.Time // of its certificate; zero: it has none
	Warnings []string  // what is wrong with its certificate or revocation lists, or soon will be
}

// Sensor is one configured or found sensor.
type Sensor struct {
	Name, Driver string
	State        string    // "ok", "failing", "opening"
	Since        time.Time // of the state
	Err          string    // why it is failing
	Every        time.Duration
	LastGood     time.Time // zero: never
	Reads        uint64
	Failures     uint64
	Missed       uint64 // slots of the schedule that passed unused
	Dropped      uint64 // messages the broker had no room for
	Chip         string // what answered last; empty: nothing did, or it has no name
	Faults       Faults
	Values       []Value
}

// Faults counts what went wrong with a sensor since the start. A read is tried up to three times; each try that failed is
// counted, whether the read failed in the end or not.
type Faults struct {
	NotAnswering uint64 // no acknowledgement
	Timeout      uint64 // busy for too long, a late reply, a bus held low
	Garbage      uint64 // a checksum that is wrong, an answer that cannot be, another chip
	Other        uint64 // bus or port not there, no permission
	Tries        uint64 // all of these
	Refused      uint64 // readings that were taken for faults: outside of a range, too fast, stuck
}

// Sum is how much there is of anything.
func (f *Faults) Sum() uint64 { return f.Tries + f.Refused }

// Add adds what another one has counted.
func (f *Faults) Add(other Faults) {
	f.NotAnswering += other.NotAnswering
	f.Timeout += other.Timeout
	f.Garbage += other.Garbage
	f.Other += other.Other
	f.Tries += other.Tries
	f.Refused += other.Refused
}

// Bus counts what happened on one I2C bus or serial line.
type Bus struct {
	Name      string // "bus 1", "serial rs485 (/dev/ttyUSB0)"
	Transfers uint64 // with those that failed
	Faults    Faults // addresses that a scan found empty are among those not answering
}

// Value is the newest reading of one quantity.
type Value struct {
	Quantity, Unit, Topic string
	Text                  string // as published; empty when the quality is bad
	Quality, Reason       string
	At                    time.Time
}

// Bridge is one upstream.
type Bridge struct {
	Name       string
	State      string // connected draining stalled refused waiting-for-clock offline
	Since      time.Time
	Err        string // the last error in words
	NextTry    time.Time
	RTT        time.Duration
	InFlight   int
	Window     int
	Backlog    uint64 // records waiting, in memory and on disk
	Bytes      int64
	OldestAge  time.Duration // of the oldest waiting record; 0: none, or unknown
	Aside      uint64        // refused by the upstream, not yet among the dead letters
	Dead       uint64        // dead letters: refused by the upstream, kept
	DeadLost   uint64        // of those, given up for want of room
	Repeats    uint64        // may have arrived twice, as the upstream lost its session
	Dropped    uint64        // given up by the store's policy
	Sent       uint64
	Acked      uint64
	Reconnects uint64
}
