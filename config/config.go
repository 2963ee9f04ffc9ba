// Package config holds every setting of Gatecast with its default and unit,
// and reads them from a YAML file, the environment and flags.
//
// Later layers win: defaults, the file named by --config, the environment
// (key a.b_c is GATECAST_A_B_C), flags (--a.b-c). An unknown key or a bad
// value is an error that names the layer and the key.
package config

import (
	"net/netip"
	"time"
)

// Config is all settings. The zero value is not useful: start from Default.
type Config struct {
	Env             string
	Host            string
	Port            int
	DataDir         string
	ShutdownTimeout time.Duration
	AutoSubscribe   []string
	Demo            bool
	Namespaces      Namespaces
	Log             Log
	ChannelLog      ChannelLog
	Store           Store
	HTTP            HTTP
	Auth            Auth
	Limits          Limits
	Presence        Presence
	Socket          Socket

	given map[string]bool // keys that a layer has set; nil where it was not Load that made this
}

// Environments that a server runs in.
const (
	EnvDevelopment = "development"
	EnvProduction  = "production"
)

// Drivers of the store.
const (
	DriverSQLite   = "sqlite"
	DriverPostgres = "postgres"
)

// Store is where accounts, sessions and channels are kept.
type Store struct {
	Driver string
	DSN    Secret
}

// ChannelLog is about storing messages.
type ChannelLog struct {
	DedupeWindow time.Duration
	ForgetAfter  time.Duration
	Queue        int
	QueueBytes   int
}

// What becomes of the messages of an account that is deleted.
const (
	MessagesAnonymise = "anonymise"
	MessagesRemove    = "remove"
)

// Log says what is logged and how.
type Log struct {
	Level  string
	Format string
}

// HTTP is about requests and what lies in front of the server.
type HTTP struct {
	Origins        []string
	TrustedProxies []netip.Prefix
	ReadTimeout    time.Duration
	WriteTimeout   time.Duration
	IdleTimeout    time.Duration
	RequestTimeout time.Duration
	HeaderBytes    int
	BodyBytes      int
	Metrics        string
}

// Who may read GET /metrics.
const (
	MetricsToken = "token" // whose token is of a backend or an admin
	MetricsOpen  = "open"  // everyone
	MetricsOff   = "off"   // nobody
)

// Who may make an account.
const (
	RegistrationOpen   = "open"
	RegistrationClosed = "closed"
)

// Auth is about accounts and tokens.
type Auth struct {
	Registration           string
	Issuer                 string
	Audience               string
	AccessTTL              time.Duration
	RefreshTTL             time.Duration
	RefreshIdle            time.Duration
	RefreshGrace           time.Duration
	SessionsPerUser        int
	TicketTTL              time.Duration
	RevocationPoll         time.Duration
	VerifiedTokens         int
	HMACSecret             Secret
	KeyPoll                time.Duration
	KeyPublishAhead        time.Duration
	TokenTTLMax            time.Duration
	AllowQueryToken        bool
	QueryTokenInProduction bool
	DeletedMessages        string
	Issuers                Issuers
	PasswordMin            int
	HashMemoryKiB          int
	HashPasses             int
	HashSlots              int
	HashQueue              int
}

// Rate is a token bucket: Rate tokens a second, Burst at most. A Rate of 0
// switches it off.
type Rate struct {
	Rate  float64
	Burst int
}

// Limits are the rates and caps; 0 switches a rate off and lifts a cap.
type Limits struct {
	Messages              Rate
	Bytes                 Rate
	Handshakes            Rate
	Login                 Rate
	LoginAccount          Rate
	LoginFailuresAccount  Rate
	LoginFailures         Rate
	LoginStrict           Rate
	Register              Rate
	Refresh               Rate
	Keys                  int
	Connections           int
	ConnectionsPerUser    int
	ConnectionsPerAddress int
	MessageBytes          int
	Subscriptions         int
	Violations            int
	QueueBytes            int
}

// Presence is about who is told of whom.
type Presence struct {
	DetailMax int
}

// Socket is about the life of a WebSocket connection.
type Socket struct {
	ExpiryNotice time.Duration
	PingInterval time.Duration
	PingTimeout  time.Duration
	WriteTimeout time.Duration
	CloseTimeout time.Duration
}

// Rule says which roles may do what in a namespace, and what is kept. Whoever is
// not named is refused.
type Rule struct {
	Subscribe []string `yaml:"subscribe,flow,omitempty"`
	Publish   []string `yaml:"publish,flow,omitempty"`
	Presence  []string `yaml:"presence,flow,omitempty"`
	Read      []string `yaml:"read,flow,omitempty"`
	History   History  `yaml:"history,flow,omitempty"`
}

// History is what a channel keeps: the newest messages up to a count, and none
// older than an age. A zero sets no bound of its kind; both zero keep nothing.
type History struct {
	Count int      `yaml:"count,omitempty"`
	Age   Duration `yaml:"age,omitempty"`
}

// Duration is a time.Duration that is written as Go does, but shorter: 168h.
type Duration time.Duration

// Namespaces are the rules by pattern: an exact channel name (lobby) or a
// namespace with everything in it (room:*).
type Namespaces map[string]Rule
