package config

import "time"

// Default is the configuration that a fresh start runs with.
func Default() Config {
	return Config{
		Env:             EnvDevelopment,
		Port:            3000,
		DataDir:         "./data",
		ShutdownTimeout: 10 * time.Second,
		AutoSubscribe:   []string{"lobby"},
		Namespaces:      defaultNamespaces(),
		Log:             Log{Level: "info", Format: "auto"},
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
			Metrics:        MetricsToken,
		},
		Auth:     defaultAuth(),
		Limits:   defaultLimits(),
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

func defaultNamespaces() Namespaces {
	everyone := []string{"user", "service", "admin"}
	backend := []string{"service", "admin"}
	owner := []string{"owner"}
	week := History{Count: 1000, Age: Duration(7 * 24 * time.Hour)}
	return Namespaces{
		"lobby":  {Subscribe: everyone, Publish: everyone, Presence: everyone, Read: everyone, History: week},
		"room:*": {Subscribe: everyone, Publish: everyone, Presence: everyone, Read: everyone, History: week},
		"user:*": {Subscribe: owner, Publish: backend, Presence: owner, Read: owner, History: week},
		"live:*": {Subscribe: everyone, Publish: everyone, Presence: everyone, Read: everyone}, // nothing is there to read
	}
}

func defaultAuth() Auth {
	return Auth{
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
		VerifiedTokens:  10_000,
		KeyPoll:         2 * time.Second,
		KeyPublishAhead: 10 * time.Minute,
		TokenTTLMax:     90 * 24 * time.Hour,
		DeletedMessages: MessagesAnonymise,
		PasswordMin:     8,
		HashMemoryKiB:   19 << 10,
		HashPasses:      2,
		HashSlots:       4,
		HashQueue:       32,
	}
}

func defaultLimits() Limits {
	return Limits{
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
	}
}
