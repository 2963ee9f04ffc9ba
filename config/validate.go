package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// MinHMACSecret is how many bytes an HMAC secret has at least (RFC 7518, 3.2).
const MinHMACSecret = 32

// Validate tells everything that is wrong, each with its key.
func (c *Config) Validate() error {
	var v validation
	v.oneOf("env", c.Env, EnvDevelopment, EnvProduction)
	v.require(c.Port >= 0 && c.Port <= 65535, "port", "is %d; it must be 0 to 65535", c.Port)
	v.require(c.DataDir != "", "data_dir", "is empty; name a folder")
	v.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	v.oneOf("log.format", c.Log.Format, "auto", "text", "json")
	v.oneOf("store.driver", c.Store.Driver, DriverSQLite, DriverPostgres)
	v.require(c.Store.Driver != DriverPostgres || c.Store.DSN.Reveal() != "", "store.dsn", "is empty; name the PostgreSQL database")
	v.require(c.Store.Driver != DriverSQLite || c.Store.DSN.Reveal() == "", "store.dsn", "is given, but store.driver is sqlite, which keeps its file in data_dir; set store.driver to postgres")
	v.require(c.ChannelLog.Queue >= 1, "log.queue", "is %d; it must be 1 at least", c.ChannelLog.Queue)
	v.require(c.ChannelLog.QueueBytes >= 1, "log.queue_bytes", "is %d; it must be 1 at least", c.ChannelLog.QueueBytes)
	for pattern, rule := range c.Namespaces {
		v.require(rule.History.Count >= 0 && rule.History.Age >= 0, "namespaces", "%q: history: count and age must not be negative", pattern)
	}
	for _, origin := range c.HTTP.Origins {
		v.require(isOrigin(origin), "http.origins", "%q is not an origin such as https://app.example.com: scheme and host, a port where it is not the scheme's own, nothing behind", origin)
	}
	for key, d := range map[string]time.Duration{
		"shutdown_timeout":     c.ShutdownTimeout,
		"log.dedupe_window":    c.ChannelLog.DedupeWindow,
		"log.forget_after":     c.ChannelLog.ForgetAfter,
		"http.read_timeout":    c.HTTP.ReadTimeout,
		"http.write_timeout":   c.HTTP.WriteTimeout,
		"http.idle_timeout":    c.HTTP.IdleTimeout,
		"http.request_timeout": c.HTTP.RequestTimeout,
		"socket.expiry_notice": c.Socket.ExpiryNotice,
		"socket.ping_interval": c.Socket.PingInterval,
		"socket.ping_timeout":  c.Socket.PingTimeout,
		"socket.write_timeout": c.Socket.WriteTimeout,
		"socket.close_timeout": c.Socket.CloseTimeout,
	} {
		v.above0(key, d)
	}
	v.require(c.Socket.PingTimeout < c.Socket.PingInterval, "socket.ping_timeout", "is %v; it must be below socket.ping_interval, which is %v", c.Socket.PingTimeout, c.Socket.PingInterval)
	v.require(c.HTTP.HeaderBytes >= 12<<10, "http.header_bytes", "is %d; it must be %d at least, for a token of 8 KiB and its company", c.HTTP.HeaderBytes, 12<<10)
	v.require(c.HTTP.BodyBytes >= 1<<10, "http.body_bytes", "is %d; it must be 1024 at least", c.HTTP.BodyBytes)
	v.oneOf("http.metrics", c.HTTP.Metrics, MetricsToken, MetricsOpen, MetricsOff)
	v.auth(c.Auth)
	v.limits(c.Limits)
	v.require(c.Presence.DetailMax >= 1, "presence.detail_max", "is %d; it must be 1 at least", c.Presence.DetailMax)
	if c.Env == EnvProduction {
		v.production(c)
	}
	return v.err()
}

func (v *validation) auth(a Auth) {
	for key, d := range map[string]time.Duration{
		"auth.access_ttl":      a.AccessTTL,
		"auth.refresh_ttl":     a.RefreshTTL,
		"auth.refresh_idle":    a.RefreshIdle,
		"auth.ticket_ttl":      a.TicketTTL,
		"auth.revocation_poll": a.RevocationPoll,
		"auth.key_poll":        a.KeyPoll,
	} {
		v.above0(key, d)
	}
	v.oneOf("auth.registration", a.Registration, RegistrationOpen, RegistrationClosed)
	v.oneOf("auth.deleted_messages", a.DeletedMessages, MessagesAnonymise, MessagesRemove)
	v.require(a.AccessTTL >= time.Second, "auth.access_ttl", "is %v; tokens count whole seconds, so give 1s at least", a.AccessTTL)
	v.require(a.RefreshGrace >= 0 && a.RefreshGrace <= 10*time.Second, "auth.refresh_grace", "is %v; it must be 0s to 10s", a.RefreshGrace)
	v.require(a.RevocationPoll <= time.Second, "auth.revocation_poll", "is %v; it must be 1s at most, or tokens outlive their session for longer than is promised", a.RevocationPoll)
	v.require(a.SessionsPerUser >= 1 && a.SessionsPerUser <= 1000, "auth.sessions_per_user", "is %d; it must be 1 to 1000", a.SessionsPerUser)
	v.require(a.VerifiedTokens >= 0, "auth.verified_tokens", "is %d; it must not be negative (0 remembers none)", a.VerifiedTokens)
	v.require(a.KeyPublishAhead >= time.Second, "auth.key_publish_ahead", "is %v; keys count whole seconds, so give 1s at least", a.KeyPublishAhead)
	v.require(a.KeyPublishAhead >= 2*a.KeyPoll, "auth.key_publish_ahead", "is %v; it must be at least twice auth.key_poll, which is %v, so that a key is known before it signs", a.KeyPublishAhead, a.KeyPoll)
	v.require(a.TokenTTLMax >= a.AccessTTL, "auth.token_ttl_max", "is %v; it must be at least auth.access_ttl, which is %v", a.TokenTTLMax, a.AccessTTL)
	v.require(a.TokenTTLMax <= 10*365*24*time.Hour, "auth.token_ttl_max", "is %v; it must be 87600h (10 years) at most", a.TokenTTLMax)
	v.require(a.Issuer != "", "auth.issuer", "is empty")
	v.require(a.Audience != "", "auth.audience", "is empty")
	v.issuers(a.Issuers, a.Issuer)
	secret := len(a.HMACSecret.Reveal())
	v.require(secret == 0 || secret >= MinHMACSecret, "auth.hmac_secret", "has %d bytes; give %d random ones at least", secret, MinHMACSecret)
	v.require(a.PasswordMin >= 1 && a.PasswordMin <= 64, "auth.password_min", "is %d; it must be 1 to 64", a.PasswordMin)
	v.require(a.HashMemoryKiB >= 19<<10, "auth.hash_memory_kib", "is %d; it must be %d at least", a.HashMemoryKiB, 19<<10)
	v.require(a.HashPasses >= 2, "auth.hash_passes", "is %d; it must be 2 at least", a.HashPasses)
	v.require(a.HashSlots >= 1, "auth.hash_slots", "is %d; it must be 1 at least", a.HashSlots)
	v.require(a.HashQueue >= 0, "auth.hash_queue", "is %d; it must not be negative", a.HashQueue)
}

// MessageCost is the dearest frame's cost in tokens of limits.messages.
const MessageCost = 1

func (v *validation) limits(l Limits) {
	for key, r := range map[string]Rate{
		"limits.messages":               l.Messages,
		"limits.bytes":                  l.Bytes,
		"limits.handshakes":             l.Handshakes,
		"limits.login":                  l.Login,
		"limits.login_account":          l.LoginAccount,
		"limits.login_failures_account": l.LoginFailuresAccount,
		"limits.login_failures":         l.LoginFailures,
		"limits.login_strict":           l.LoginStrict,
		"limits.register":               l.Register,
		"limits.refresh":                l.Refresh,
	} {
		v.require(r.Rate == 0 || r.Rate >= 1e-6 && r.Rate <= 1e9, key+".rate", "is %v; it must be 0, or 1e-6 to 1e9", r.Rate)
		v.require(r.Rate == 0 || r.Burst >= MessageCost && r.Burst <= 1e9, key+".burst", "is %d; it must be %d to 1e9, or nothing would ever pass (a rate of 0 switches the limiter off)", r.Burst, MessageCost)
	}
	v.require(l.Bytes.Rate == 0 || l.Bytes.Burst >= l.MessageBytes, "limits.bytes.burst",
		"is %d; it must hold the largest frame, limits.message_bytes, which is %d", l.Bytes.Burst, l.MessageBytes)
	v.require(l.QueueBytes == 0 || l.QueueBytes >= l.MessageBytes, "limits.queue_bytes",
		"is %d; it must hold the largest frame, limits.message_bytes, which is %d", l.QueueBytes, l.MessageBytes)
	for key, n := range map[string]int{
		"limits.connections":             l.Connections,
		"limits.connections_per_user":    l.ConnectionsPerUser,
		"limits.connections_per_address": l.ConnectionsPerAddress,
		"limits.message_bytes":           l.MessageBytes,
		"limits.subscriptions":           l.Subscriptions,
		"limits.violations":              l.Violations,
		"limits.queue_bytes":             l.QueueBytes,
	} {
		v.require(n >= 0, key, "is %d; it must not be negative (0 is unlimited)", n)
	}
	v.require(l.Keys >= 1, "limits.keys", "is %d; it must be 1 at least", l.Keys)
}

// isOrigin holds for the one spelling that browsers send (RFC 6454, 6.2).
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return false
	}
	if u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443" {
		return false // browsers leave these out
	}
	return s == u.Scheme+"://"+u.Host && s == strings.ToLower(s) && !strings.Contains(s, "*")
}

// validation gathers what is wrong.
type validation struct{ wrong []string }

func (v *validation) require(ok bool, key, format string, args ...any) {
	if !ok {
		v.wrong = append(v.wrong, key+": "+fmt.Sprintf(format, args...))
	}
}

func (v *validation) above0(key string, d time.Duration) {
	v.require(d > 0, key, "is %v; it must be above 0", d)
}

func (v *validation) oneOf(key, got string, allowed ...string) {
	v.require(slices.Contains(allowed, got), key, "is %q; it must be one of %s", got, strings.Join(allowed, ", "))
}

func (v *validation) err() error {
	slices.Sort(v.wrong) // maps were walked
	errs := make([]error, len(v.wrong))
	for i, wrong := range v.wrong {
		errs[i] = errors.New(wrong)
	}
	return errors.Join(errs...)
}
