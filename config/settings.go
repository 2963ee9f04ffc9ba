package config

import "slices"

// settings lists every key once: its name, where it is kept and what it means.
// The flags, the environment, the file and the docs' table all come from here.
func (c *Config) settings() []setting {
	return slices.Concat(c.serverSettings(), c.storeSettings(), c.HTTP.settings(), c.Auth.settings(), c.Limits.settings(), c.socketSettings())
}

func (c *Config) serverSettings() []setting {
	return []setting{
		{"env", text(&c.Env), "development, or production, which refuses to start with what is a mistake in front of the public"},
		{"host", text(&c.Host), "address to listen on; empty is all"},
		{"port", integer(&c.Port), "TCP port; 0 picks a free one. The variable PORT sets it too, and wins over GATECAST_PORT"},
		{"data_dir", text(&c.DataDir), "folder for the database and the signing keys; made at the first start"},
		{"shutdown_timeout", duration(&c.ShutdownTimeout), "how long a stop may take to close every socket and finish every request"},
		{"auto_subscribe", texts(&c.AutoSubscribe), "channels that every socket joins when it connects"},
		{"namespaces", &c.Namespaces, "who may do what and what is kept, by channel name or `namespace:*`; a given pattern replaces the default rule of the same pattern, `{}` lets nobody in"},
		{"demo", boolean(&c.Demo), "publish made-up prices, readings and notifications, which the page shows, as a backend would; production refuses it"},
	}
}

func (c *Config) storeSettings() []setting {
	return []setting{
		{"store.driver", text(&c.Store.Driver), "where accounts, sessions and messages are kept: sqlite, a file in data_dir for one process, or postgres"},
		{"store.dsn", &c.Store.DSN, "the PostgreSQL database, such as postgres://user:password@host/database; sqlite takes none"},
		{"log.level", text(&c.Log.Level), "debug, info, warn or error"},
		{"log.format", text(&c.Log.Format), "text, json, or auto: text on a terminal and JSON otherwise"},
		{"log.dedupe_window", duration(&c.ChannelLog.DedupeWindow), "how long a stored message is never trimmed, whatever a channel's count and age say, so that a client may send again with the same key"},
		{"log.forget_after", duration(&c.ChannelLog.ForgetAfter), "how long a channel that keeps nothing any more and that nobody is in is remembered; used again after that, it begins with another epoch"},
		{"log.queue", integer(&c.ChannelLog.Queue), "messages that wait to be stored; more are refused with `busy`"},
		{"log.queue_bytes", integer(&c.ChannelLog.QueueBytes), "bytes of messages that wait to be stored; more are refused with `busy`"},
	}
}

func (h *HTTP) settings() []setting {
	return []setting{
		{"http.origins", texts(&h.Origins), "origins besides the server's own whose pages may call the API and open sockets, such as https://app.example.com"},
		{"http.trusted_proxies", prefixes(&h.TrustedProxies), "addresses or CIDR ranges of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed"},
		{"http.read_timeout", duration(&h.ReadTimeout), "how long a request may take to arrive"},
		{"http.write_timeout", duration(&h.WriteTimeout), "how long a response may take to leave"},
		{"http.idle_timeout", duration(&h.IdleTimeout), "how long a kept-alive connection may wait for its next request"},
		{"http.request_timeout", duration(&h.RequestTimeout), "how long the work on a request may take"},
		{"http.header_bytes", integer(&h.HeaderBytes), "size of a request's line and headers at most, in bytes"},
		{"http.body_bytes", integer(&h.BodyBytes), "size of a JSON request body at most, but for messages, in bytes"},
		{"http.metrics", text(&h.Metrics), "who may read GET /metrics: token is who shows one of the role service or admin, open is everyone, off is nobody"},
	}
}

func (a *Auth) settings() []setting {
	return []setting{
		{"auth.registration", text(&a.Registration), "who may sign up: open is everyone, closed is nobody"},
		{"auth.issuer", text(&a.Issuer), "`iss` of our tokens"},
		{"auth.audience", text(&a.Audience), "`aud` of our tokens"},
		{"auth.access_ttl", duration(&a.AccessTTL), "life of an access token; 5 to 15 minutes are advised"},
		{"auth.refresh_ttl", duration(&a.RefreshTTL), "life of a session: how long refresh tokens renew each other"},
		{"auth.refresh_idle", duration(&a.RefreshIdle), "life of a session that is not refreshed"},
		{"auth.refresh_grace", duration(&a.RefreshGrace), "how long a refresh token that was used still answers its successor, for calls that cross and answers that are lost; used later than that, it ends the session; 10s at most"},
		{"auth.sessions_per_user", integer(&a.SessionsPerUser), "sessions of an account; one more ends the longest unused"},
		{"auth.ticket_ttl", duration(&a.TicketTTL), "life of a ticket for a socket"},
		{"auth.revocation_poll", duration(&a.RevocationPoll), "time between two looks at the sessions that ended on other nodes, or by a command; their tokens are good until then; 1s at most"},
		{"auth.verified_tokens", integer(&a.VerifiedTokens), "good tokens that are remembered, so that their signatures need not be checked again, at half a kilobyte each; what ends a token ends it here too; 0 remembers none"},
		{"auth.hmac_secret", &a.HMACSecret, "sign tokens with HS256 and this secret of at least 32 bytes, shared with a backend; unset signs with Ed25519 and the keys in data_dir"},
		{"auth.key_poll", duration(&a.KeyPoll), "how often the keys in data_dir are looked at for changes"},
		{"auth.key_publish_ahead", duration(&a.KeyPublishAhead), "how long a new key is published before it signs, so that all who verify know it by then; the same for every node and for `gatecast keys`"},
		{"auth.token_ttl_max", duration(&a.TokenTTLMax), "longest life of a token that `gatecast token` issues; a key that no longer signs is kept that long"},
		{"auth.allow_query_token", boolean(&a.AllowQueryToken), "let sockets in with ?access_token=; tokens in URLs end up in logs, so leave it off where a header, a subprotocol or a ticket can be used"},
		{"auth.query_token_in_production", boolean(&a.QueryTokenInProduction), "let auth.allow_query_token be on in production"},
		{"auth.deleted_messages", text(&a.DeletedMessages), "what becomes of the messages of an account that is deleted: anonymise takes its name off them, remove leaves nothing but their places"},
		{"auth.issuers", &a.Issuers, "other issuers whose access tokens are good here, such as Keycloak, Auth0 or a backend of one's own: a list of `name`, `issuer`, `audience`, `jwks_url` or `key_file`, `claims`, `user_prefix`"},
		{"auth.password_min", integer(&a.PasswordMin), "characters in a new password at least; 15 are advised where nothing else guards an account"},
		{"auth.hash_memory_kib", integer(&a.HashMemoryKiB), "argon2id memory of a password hash, in KiB"},
		{"auth.hash_passes", integer(&a.HashPasses), "argon2id passes of a password hash"},
		{"auth.hash_slots", integer(&a.HashSlots), "passwords hashed at the same time"},
		{"auth.hash_queue", integer(&a.HashQueue), "requests that wait for a hash slot; more are answered 503"},
	}
}

// settings are the rates, and then the caps.
func (l *Limits) settings() []setting {
	return append(l.rates(),
		setting{"limits.keys", integer(&l.Keys), "users or addresses that each limiter remembers at most; more share buckets. So many tickets may wait to be used, too"},
		setting{"limits.connections", integer(&l.Connections), "sockets in all; 0 is as many as the process may have descriptors for, and no number lets in more"},
		setting{"limits.connections_per_user", integer(&l.ConnectionsPerUser), "sockets of a user; 0 is unlimited"},
		setting{"limits.connections_per_address", integer(&l.ConnectionsPerAddress), "sockets of an address (IPv6: of a /64), which may have five times as many connections of any kind; 0 is unlimited"},
		setting{"limits.message_bytes", integer(&l.MessageBytes), "size of a client's frame, and of a message's data over REST, in bytes; a larger frame closes the socket with 1009; 0 is unlimited, but for 4 MiB over REST"},
		setting{"limits.subscriptions", integer(&l.Subscriptions), "channels that a socket is subscribed to; 0 is unlimited"},
		setting{"limits.violations", integer(&l.Violations), "refused frames of a socket within 10 s that close it with 4429; 0 never closes"},
		setting{"limits.queue_bytes", integer(&l.QueueBytes), "bytes that wait to be sent to a socket; more closes it with 4408; 0 is unlimited"},
	)
}

func (l *Limits) rates() []setting {
	return slices.Concat(
		rate("limits.messages", &l.Messages, "messages of a user, all sockets and REST calls together; typing and pings cost less"),
		rate("limits.bytes", &l.Bytes, "bytes that a user sends over sockets and in requests about channels"),
		rate("limits.handshakes", &l.Handshakes, "WebSocket handshakes of an address"),
		rate("limits.login", &l.Login, "logins and changes of a password of an address"),
		rate("limits.login_account", &l.LoginAccount, "wrong passwords for an account from one address"),
		rate("limits.login_failures_account", &l.LoginFailuresAccount, "wrong passwords for an account from anywhere, beyond which limits.login_strict holds for it"),
		rate("limits.login_failures", &l.LoginFailures, "wrong passwords for all accounts, beyond which limits.login_strict holds for every address"),
		rate("limits.login_strict", &l.LoginStrict, "wrong passwords of an address while many are guessing"),
		rate("limits.register", &l.Register, "registrations of an address"),
		rate("limits.refresh", &l.Refresh, "refreshes and logouts of an address"),
	)
}

func (c *Config) socketSettings() []setting {
	return []setting{
		{"presence.detail_max", integer(&c.Presence.DetailMax), "users up to which the members of a channel are told of each who comes or goes; a larger one sends a summary a second. A presence list names so many at most"},
		{"socket.expiry_notice", duration(&c.Socket.ExpiryNotice), "how long before its token ends a socket is told `expiring`"},
		{"socket.ping_interval", duration(&c.Socket.PingInterval), "time between two pings to a socket"},
		{"socket.ping_timeout", duration(&c.Socket.PingTimeout), "time to answer a ping before the socket is closed"},
		{"socket.write_timeout", duration(&c.Socket.WriteTimeout), "how long a client may take nothing of what waits to be sent to it before it is closed with 4408"},
		{"socket.close_timeout", duration(&c.Socket.CloseTimeout), "how long a closed socket's peer may take to say goodbye"},
	}
}

func rate(key string, r *Rate, doc string) []setting {
	return []setting{
		{key + ".rate", float(&r.Rate), doc + ": tokens a second; 0 switches it off"},
		{key + ".burst", integer(&r.Burst), "the same: tokens held at most"},
	}
}
