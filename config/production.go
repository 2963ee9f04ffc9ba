package config

import (
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// What production asks for at least and at most.
const (
	productionPasswordMin = 8
	productionAccessTTL   = time.Hour
)

// production tells what is easy while one develops, and a mistake in front of
// the public.
func (v *validation) production(c *Config) {
	v.require(!c.Demo, "demo", "is on, and would write made-up notifications to your users; switch it off")
	for _, origin := range c.HTTP.Origins {
		v.require(!strings.HasPrefix(origin, "http://"), "http.origins", "%q is plain http; in production give origins with https only", origin)
	}
	for _, proxy := range c.HTTP.TrustedProxies {
		v.require(proxy.Bits() > 0, "http.trusted_proxies", "%v is everyone, so any client could choose its own address; name the proxies that there are", proxy)
	}
	v.require(c.HTTP.Metrics != MetricsOpen, "http.metrics", "is open, so anyone could read how much is going on; in production give token, which Prometheus can show, or off")
	weak := weakness(c.Auth.HMACSecret.Reveal())
	v.require(weak == "", "auth.hmac_secret", "%s; give a random one, such as `openssl rand -hex 32` prints", weak)
	v.require(!c.Auth.AllowQueryToken || c.Auth.QueryTokenInProduction, "auth.allow_query_token",
		"is on, and tokens in URLs end up in logs; switch it off, or say auth.query_token_in_production as well")
	v.require(c.Auth.PasswordMin >= productionPasswordMin, "auth.password_min", "is %d; in production it must be %d at least", c.Auth.PasswordMin, productionPasswordMin)
	v.require(c.Auth.AccessTTL <= productionAccessTTL, "auth.access_ttl", "is %s; in production it must be %s at most", shortDuration(c.Auth.AccessTTL), shortDuration(productionAccessTTL))
	for key, r := range map[string]Rate{
		"limits.messages":               c.Limits.Messages,
		"limits.bytes":                  c.Limits.Bytes,
		"limits.handshakes":             c.Limits.Handshakes,
		"limits.login":                  c.Limits.Login,
		"limits.login_account":          c.Limits.LoginAccount,
		"limits.login_failures_account": c.Limits.LoginFailuresAccount,
		"limits.login_failures":         c.Limits.LoginFailures,
		"limits.login_strict":           c.Limits.LoginStrict,
	} {
		v.require(r.Rate > 0, key+".rate", "is 0, which switches the limit off; in production it must stay on")
	}
	for _, key := range []string{"auth.registration", "namespaces"} {
		v.require(c.given == nil || c.given[key], key, "is not given; its default is open, so in production say what you want, be it the same")
	}
	if c.Store.Driver == DriverPostgres {
		host := clearTextHost(c.Store.DSN.Reveal())
		v.require(host == "", "store.dsn", "talks to %s without TLS (sslmode=disable); in production give sslmode=verify-full, or require at least", host)
	}
}

// clearTextHost is a host beyond this machine that a PostgreSQL DSN may connect to
// without TLS, be it as a last resort (sslmode=prefer, the default), or empty. What
// is wrong with a DSN itself the store tells.
func clearTextHost(dsn string) string {
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return ""
	}
	ways := append([]*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}}, config.Fallbacks...)
	for _, w := range ways {
		if w.TLSConfig == nil && !isThisMachine(w.Host, w.Port) {
			return w.Host
		}
	}
	return ""
}

func isThisMachine(host string, port uint16) bool {
	network, _ := pgconn.NetworkAddress(host, port)
	return network == "unix" || isLoopback(host)
}
