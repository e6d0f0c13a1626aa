package config

import (
	"io/fs"
	"time"

	"weir/broker/topic"
	"weir/sensors"
)

// Config is a checked configuration: every default filled in, every value
// inside its range, every {id} replaced. It does not change after Load and may
// be read from many goroutines.
type Config struct {
	File     string // the file read; empty: defaults alone
	Gateway  Gateway
	Sensors  Sensors
	Sensor   map[string]*Sensor
	Serial   map[string]*Serial
	Tables   Tables               // [modbus.MAP.QUANTITY]
	Listener map[string]*Listener // never empty: the loopback listener "default" when the file names none
	User     map[string]*User     // "*" is everyone who has logged in
	Bridge   map[string]*Bridge
	Broker   Broker
	Buffer   Buffer

	HomeAssistant HomeAssistant

	origin map[string]Position // where a setting was written; absent: default
}

// At makes a problem with a setting, such as "listener.lan.cert", with its place in the file, for whoever finds out later
// than Load what is wrong with it.
func (c *Config) At(setting string, severity Severity, text string) Problem {
	p := Problem{File: c.File, Severity: severity, Text: setting + ": " + text}
	for at := setting; at != ""; at = parentPath(at) {
		if place, ok := c.origin[at]; ok {
			p.Position = place
			break
		}
	}
	return p
}

// Gateway is [gateway].
type Gateway struct {
	ID       string         // one topic level; "{id}" when Options gave no way to find it
	DataDir  string         // absolute, or empty when no default could be found
	Timezone *time.Location // never nil
	Clock    string         // "ntp" or "always": when the machine's clock is believed

	Elevation *float64 // of the sensors, metres above the sea; nil: not known
}

// Sensors is [sensors]: what holds for sensors nobody wrote down.
type Sensors struct {
	Auto  bool          // publish every chip that identifies itself beyond doubt
	Every time.Duration // also the default of each [sensor.NAME]
	Align bool          // likewise
}

// Serial is one [serial.NAME].
type Serial struct {
	Name     string
	Settings sensors.Settings // sensors.SerialKeys, checked
	Device   string
	Mode     sensors.Mode
}

// Tables are the register maps of the drivers that read some, by section
// ("modbus") and name: their rows in the order of the file.
type Tables map[string]map[string][]sensors.Row

// Listener is one [listener.NAME].
type Listener struct {
	Name      string
	Address   Address
	Anonymous bool

	MaxConnections int // 0: no limit of its own

	Passwords string // path of a password file, absolute, which need not exist; empty: none
	ACL       string // path of an access control list in mosquitto's form, absolute; empty: none
	ACLCheck  string // "subscribe" or "delivery": when it is judged what a client may read

	Redirect          string // the server reference clients are sent away with; empty: they are served
	RedirectPermanent bool

	Protocol string      // "mqtt" or "websocket"
	Path     string      // of WebSocket requests
	Origins  []string    // pages that may connect by WebSocket; empty: those of the same host
	Mode     fs.FileMode // of a Unix socket

	Cert, Key *Secret // PEM; nil: no TLS
	TLSMin    string  // "1.2" or "1.3"
	ClientCA  *Secret // PEM; nil: clients are not asked for certificates

	ClientCertificates string   // "optional" or "required"; empty: not asked
	Identity           string   // "cn" or "san": the user name comes from the certificate; empty: it does not
	CRL                []string // paths of revocation lists, absolute
	CRLExpired         string   // "accept" or "refuse"
}

// TLS tells whether the listener speaks it.
func (l *Listener) TLS() bool { return l.Cert != nil }

// Broker is [broker].
type Broker struct {
	InnerWildcard bool // local clients may write # before the last level
	MaxPacket     Size // the largest packet taken from a client
	QueueMessages int  // for one session
	QueueBytes    Size // for one session

	MaxConnections, MaxSessions              int
	MaxSubscriptions, MaxClientSubscriptions int
	MaxRetained                              int
	MaxRetainedBytes                         Size
	QueueTotal                               int  // messages
	Memory                                   Size // of everything that clients make the broker hold
	Inflight, ReceiveMaximum, TopicAliases   int
	MaxTopicLevels, MaxTopicLength           int
	MaxKeepAlive                             time.Duration // 0: none
	SessionExpiry                            time.Duration // the longest
	MaxQoS                                   byte
	Retain                                   bool
	SysInterval                              time.Duration // 0: no $SYS topics

	MaxConnecting, MaxAddressConnecting int // connections that have not sent CONNECT
	ConnectTimeout                      time.Duration
	LoginFailures, LoginAddressFailures int
	LoginForget, LoginAddressForget     time.Duration
	LoginWait, LoginMaxWait             time.Duration
	LoginChecks, LoginAddressChecks     int
}

// User is one [user.NAME].
type User struct {
	Name      string
	Password  *Secret // nil: in the password file, or cannot log in
	Publish   []topic.Filter
	Subscribe []topic.Filter // {client} is left, and in the table "*" {user}, in Publish too: they are others for each who logs in
}

// Bridge is one [bridge.NAME].
type Bridge struct {
	Name      string
	URLs      []URL // tried in this order; never empty
	Profile   string
	Version   Version
	ClientID  string
	Username  string
	Password  *Secret // nil: none
	CA        *Secret // PEM; nil: the system's
	Cert, Key *Secret // PEM; nil: none
	KeepAlive time.Duration
	Window    int
	Clean     bool
	Cluster   bool          // all URLs share their sessions
	MaxSize   Size          // 0: no limit of its own
	MaxAge    time.Duration // 0: Buffer.MaxAge
	WhenFull  string        // "drop-oldest" or "drop-newest"

	SessionExpiry time.Duration // how long the upstream keeps the session of a link that is down
	Forward       []*Forward
	Receive       []*Receive
}

// Forward is one [[bridge.NAME.forward]].
type Forward struct {
	Filter     topic.Filter
	Exclude    []topic.Filter
	Strip      string // whole levels, no slash at its end
	Prefix     string // whole levels, no slash at its end
	QoS        QoS
	Retain     Retain
	Format     string // "raw" or "json"
	Durability string // "auto", "disk" or "memory"
}

// Receive is one [[bridge.NAME.receive]].
type Receive struct {
	Filter topic.Filter
	Strip  string
	Prefix string
	QoS    byte // asked for upstream, and the most used for publishing here
}

// HomeAssistant is [home_assistant].
type HomeAssistant struct {
	Discovery bool   // tell Home Assistant of the sensors by MQTT discovery
	Prefix    string // of its discovery topics
}

// Buffer is [buffer].
type Buffer struct {
	MaxSize    Size          // 0: a quarter of the space free at the first start, at most 4 GiB
	MaxAge     time.Duration // 0: any
	WhenFull   string        // "drop-oldest" or "drop-newest"
	MinFree    Size
	Segment    Size
	Tail       Size
	SpillAfter time.Duration
	Gather     time.Duration
	OwnGather  time.Duration
	AckFlush   time.Duration
	Compress   string // "zstd" or "none"

	FlashBudget Size // padding of early commits in an hour

	RetainFlush time.Duration
}
