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
}

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

// Default is the configuration that a fresh start runs with.
func Default() Config {
	everyone := []string{"user", "service", "admin"}
	backend := []string{"service", "admin"}
	owner := []string{"owner"}
	week := History{Count: 1000, Age: Duration(7 * 24 * time.Hour)}
	return Config{
		Env:             EnvDevelopment,
		Port:            3000,
		DataDir:         "./data",
		ShutdownTimeout: 10 * time.Second,
		AutoSubscribe:   []string{"lobby"},
		Namespaces: Namespaces{
			"lobby":  {Subscribe: everyone, Publish: everyone, Presence: everyone, Read: everyone, History: week},
			"room:*": {Subscribe: everyone, Publish: everyone, Presence: everyone, Read: everyone, History: week},
			"user:*": {Subscribe: owner, Publish: backend, Presence: owner, Read: owner, History: week},
			"live:*": {Subscribe: everyone, Publish: everyone, Presence: everyone, Read: everyone}, // nothing is there to read
		},
		Log: Log{Level: "info", Format: "auto"},
		ChannelLog: ChannelLog{
			DedupeWindow: 5 * time.Minute,
			ForgetAfter:  7 * 24 * time.Hour,
			Queue:        8192,
			QueueBytes:   32 << 20,
		},
		Store: Store{Driver: DriverSQLite},
		HTTP: HTTP{
			ReadTimeout:    10 * time.Second,
			WriteTimeout:   10 * time.Second,
			IdleTimeout:    60 * time.Second,
			RequestTimeout: 10 * time.Second,
			HeaderBytes:    16 << 10,
			BodyBytes:      16 << 10,
		},
		Auth: Auth{
			Registration:    RegistrationOpen,
			Issuer:          "gatecast",
			Audience:        "gatecast",
			AccessTTL:       15 * time.Minute,
			RefreshTTL:      30 * 24 * time.Hour,
			RefreshIdle:     7 * 24 * time.Hour,
			RefreshGrace:    10 * time.Second,
			SessionsPerUser: 100,
			TicketTTL:       30 * time.Second,
			RevocationPoll:  300 * time.Millisecond,
			KeyPoll:         2 * time.Second,
			KeyPublishAhead: 10 * time.Minute,
			TokenTTLMax:     90 * 24 * time.Hour,
			DeletedMessages: MessagesAnonymise,
			PasswordMin:     8,
			HashMemoryKiB:   19 << 10,
			HashPasses:      2,
			HashSlots:       4,
			HashQueue:       32,
		},
		Limits: Limits{
			Messages:              Rate{10, 20},
			Bytes:                 Rate{128 << 10, 1 << 20},
			Handshakes:            Rate{10, 40},
			Login:                 Rate{0.5, 10},
			LoginAccount:          Rate{0.1, 5},
			LoginFailuresAccount:  Rate{0.05, 20},
			LoginFailures:         Rate{5, 200},
			LoginStrict:           Rate{0.0167, 1},
			Register:              Rate{0.5, 10},
			Refresh:               Rate{5, 100},
			Keys:                  100_000,
			ConnectionsPerUser:    20,
			ConnectionsPerAddress: 200,
			MessageBytes:          64 << 10,
			Subscriptions:         128,
			Violations:            50,
			QueueBytes:            1 << 20,
		},
		Presence: Presence{DetailMax: 200},
		Socket: Socket{
			ExpiryNotice: 30 * time.Second,
			PingInterval: 25 * time.Second,
			PingTimeout:  10 * time.Second,
			WriteTimeout: 10 * time.Second,
			CloseTimeout: time.Second,
		},
	}
}

// settings lists every key once: its name, where it is kept and what it means.
// The flags, the environment, the file and the docs' table all come from here.
func (c *Config) settings() []setting {
	list := []setting{
		{"env", text(&c.Env), "development, or production, which refuses to start with what is a mistake in front of the public"},
		{"host", text(&c.Host), "address to listen on; empty is all"},
		{"port", integer(&c.Port), "TCP port; 0 picks a free one. The variable PORT sets it too, and wins over GATECAST_PORT"},
		{"data_dir", text(&c.DataDir), "folder for the database and the signing keys; made at the first start"},
		{"shutdown_timeout", duration(&c.ShutdownTimeout), "how long a stop may take to close every socket and finish every request"},
		{"auto_subscribe", texts(&c.AutoSubscribe), "channels that every socket joins when it connects"},
		{"namespaces", &c.Namespaces, "who may do what and what is kept, by channel name or `namespace:*`; a given pattern replaces the default rule of the same pattern, `{}` lets nobody in"},
		{"store.driver", text(&c.Store.Driver), "where accounts, sessions and messages are kept: sqlite, a file in data_dir for one process, or postgres"},
		{"store.dsn", &c.Store.DSN, "the PostgreSQL database, such as postgres://user:password@host/database; sqlite takes none"},
		{"log.level", text(&c.Log.Level), "debug, info, warn or error"},
		{"log.format", text(&c.Log.Format), "text, json, or auto: text on a terminal and JSON otherwise"},
		{"log.dedupe_window", duration(&c.ChannelLog.DedupeWindow), "how long a stored message is never trimmed, whatever a channel's count and age say, so that a client may send again with the same key"},
		{"log.forget_after", duration(&c.ChannelLog.ForgetAfter), "how long a channel that keeps nothing any more and that nobody is in is remembered; used again after that, it begins with another epoch"},
		{"log.queue", integer(&c.ChannelLog.Queue), "messages that wait to be stored; more are refused with `busy`"},
		{"log.queue_bytes", integer(&c.ChannelLog.QueueBytes), "bytes of messages that wait to be stored; more are refused with `busy`"},
		{"http.origins", texts(&c.HTTP.Origins), "origins besides the server's own whose pages may call the API and open sockets, such as https://app.example.com"},
		{"http.trusted_proxies", prefixes(&c.HTTP.TrustedProxies), "addresses or CIDR ranges of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed"},
		{"http.read_timeout", duration(&c.HTTP.ReadTimeout), "how long a request may take to arrive"},
		{"http.write_timeout", duration(&c.HTTP.WriteTimeout), "how long a response may take to leave"},
		{"http.idle_timeout", duration(&c.HTTP.IdleTimeout), "how long a kept-alive connection may wait for its next request"},
		{"http.request_timeout", duration(&c.HTTP.RequestTimeout), "how long the work on a request may take"},
		{"http.header_bytes", integer(&c.HTTP.HeaderBytes), "size of a request's line and headers at most, in bytes"},
		{"http.body_bytes", integer(&c.HTTP.BodyBytes), "size of a JSON request body at most, but for messages, in bytes"},
		{"auth.registration", text(&c.Auth.Registration), "who may sign up: open is everyone, closed is nobody"},
		{"auth.issuer", text(&c.Auth.Issuer), "`iss` of our tokens"},
		{"auth.audience", text(&c.Auth.Audience), "`aud` of our tokens"},
		{"auth.access_ttl", duration(&c.Auth.AccessTTL), "life of an access token; 5 to 15 minutes are advised"},
		{"auth.refresh_ttl", duration(&c.Auth.RefreshTTL), "life of a session: how long refresh tokens renew each other"},
		{"auth.refresh_idle", duration(&c.Auth.RefreshIdle), "life of a session that is not refreshed"},
		{"auth.refresh_grace", duration(&c.Auth.RefreshGrace), "how long a refresh token that was used still answers its successor, for calls that cross and answers that are lost; used later than that, it ends the session; 10s at most"},
		{"auth.sessions_per_user", integer(&c.Auth.SessionsPerUser), "sessions of an account; one more ends the longest unused"},
		{"auth.ticket_ttl", duration(&c.Auth.TicketTTL), "life of a ticket for a socket"},
		{"auth.revocation_poll", duration(&c.Auth.RevocationPoll), "time between two looks at the sessions that ended on other nodes, or by a command; their tokens are good until then; 1s at most"},
		{"auth.hmac_secret", &c.Auth.HMACSecret, "sign tokens with HS256 and this secret of at least 32 bytes, shared with a backend; unset signs with Ed25519 and the keys in data_dir"},
		{"auth.key_poll", duration(&c.Auth.KeyPoll), "how often the keys in data_dir are looked at for changes"},
		{"auth.key_publish_ahead", duration(&c.Auth.KeyPublishAhead), "how long a new key is published before it signs, so that all who verify know it by then; the same for every node and for `gatecast keys`"},
		{"auth.token_ttl_max", duration(&c.Auth.TokenTTLMax), "longest life of a token that `gatecast token` issues; a key that no longer signs is kept that long"},
		{"auth.allow_query_token", boolean(&c.Auth.AllowQueryToken), "let sockets in with ?access_token=; tokens in URLs end up in logs, so leave it off where a header, a subprotocol or a ticket can be used"},
		{"auth.query_token_in_production", boolean(&c.Auth.QueryTokenInProduction), "let auth.allow_query_token be on in production"},
		{"auth.deleted_messages", text(&c.Auth.DeletedMessages), "what becomes of the messages of an account that is deleted: anonymise takes its name off them, remove leaves nothing but their places"},
		{"auth.issuers", &c.Auth.Issuers, "other issuers whose access tokens are good here, such as Keycloak, Auth0 or a backend of one's own: a list of `name`, `issuer`, `audience`, `jwks_url` or `key_file`, `claims`, `user_prefix`"},
		{"auth.password_min", integer(&c.Auth.PasswordMin), "characters in a new password at least; 15 are advised where nothing else guards an account"},
		{"auth.hash_memory_kib", integer(&c.Auth.HashMemoryKiB), "argon2id memory of a password hash, in KiB"},
		{"auth.hash_passes", integer(&c.Auth.HashPasses), "argon2id passes of a password hash"},
		{"auth.hash_slots", integer(&c.Auth.HashSlots), "passwords hashed at the same time"},
		{"auth.hash_queue", integer(&c.Auth.HashQueue), "requests that wait for a hash slot; more are answered 503"},
	}
	list = append(list, rate("limits.messages", &c.Limits.Messages, "messages of a user, all sockets and REST calls together; typing and pings cost less")...)
	list = append(list, rate("limits.bytes", &c.Limits.Bytes, "bytes that a user sends over sockets and in requests about channels")...)
	list = append(list, rate("limits.handshakes", &c.Limits.Handshakes, "WebSocket handshakes of an address")...)
	list = append(list, rate("limits.login", &c.Limits.Login, "logins of an address")...)
	list = append(list, rate("limits.login_account", &c.Limits.LoginAccount, "wrong passwords for an account from one address")...)
	list = append(list, rate("limits.login_failures_account", &c.Limits.LoginFailuresAccount, "wrong passwords for an account from anywhere, beyond which limits.login_strict holds for it")...)
	list = append(list, rate("limits.login_failures", &c.Limits.LoginFailures, "wrong passwords for all accounts, beyond which limits.login_strict holds for every address")...)
	list = append(list, rate("limits.login_strict", &c.Limits.LoginStrict, "wrong passwords of an address while many are guessing")...)
	list = append(list, rate("limits.register", &c.Limits.Register, "registrations of an address")...)
	list = append(list, rate("limits.refresh", &c.Limits.Refresh, "refreshes and logouts of an address")...)
	return append(list,
		setting{"limits.keys", integer(&c.Limits.Keys), "users or addresses that each limiter remembers at most; more share buckets. So many tickets may wait to be used, too"},
		setting{"limits.connections", integer(&c.Limits.Connections), "sockets in all; 0 is unlimited"},
		setting{"limits.connections_per_user", integer(&c.Limits.ConnectionsPerUser), "sockets of a user; 0 is unlimited"},
		setting{"limits.connections_per_address", integer(&c.Limits.ConnectionsPerAddress), "sockets of an address (IPv6: of a /64), which may have five times as many connections of any kind; 0 is unlimited"},
		setting{"limits.message_bytes", integer(&c.Limits.MessageBytes), "size of a client's frame, and of a message's data over REST, in bytes; a larger frame closes the socket with 1009; 0 is unlimited, but for 4 MiB over REST"},
		setting{"limits.subscriptions", integer(&c.Limits.Subscriptions), "channels that a socket is subscribed to; 0 is unlimited"},
		setting{"limits.violations", integer(&c.Limits.Violations), "refused frames of a socket within 10 s that close it with 4429; 0 never closes"},
		setting{"limits.queue_bytes", integer(&c.Limits.QueueBytes), "bytes that wait to be sent to a socket; more closes it with 4408; 0 is unlimited"},
		setting{"presence.detail_max", integer(&c.Presence.DetailMax), "users that one presence list names at most; the count is always whole"},
		setting{"socket.expiry_notice", duration(&c.Socket.ExpiryNotice), "how long before its token ends a socket is told `expiring`"},
		setting{"socket.ping_interval", duration(&c.Socket.PingInterval), "time between two pings to a socket"},
		setting{"socket.ping_timeout", duration(&c.Socket.PingTimeout), "time to answer a ping before the socket is closed"},
		setting{"socket.write_timeout", duration(&c.Socket.WriteTimeout), "how long a write to a socket may take"},
		setting{"socket.close_timeout", duration(&c.Socket.CloseTimeout), "how long a closed socket's peer may take to say goodbye"},
	)
}

func rate(key string, r *Rate, doc string) []setting {
	return []setting{
		{key + ".rate", float(&r.Rate), doc + ": tokens a second; 0 switches it off"},
		{key + ".burst", integer(&r.Burst), "the same: tokens held at most"},
	}
}
