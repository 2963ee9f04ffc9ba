package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatecast/gatecast/config"
)

// A secret as `openssl rand -hex 32` prints one.
const randomSecret = "5f1d3c9a07be42886d0e9f2c71ab54e3d8c06b3f92e1a7745c8d20fb6913ae47"

// sound are flags that production takes.
func sound(more ...string) []string {
	return append([]string{
		"--env=production", "--auth.registration=open", "--namespaces={}", "--http.origins=https://app.example.com",
		"--http.trusted-proxies=10.0.0.0/8,::1", "--auth.hmac-secret=" + randomSecret,
	}, more...)
}

// O5: what production refuses, each with its key; development takes it.
func TestProductionRefusesO5(t *testing.T) {
	if _, err := config.Load(sound(), env(nil), nil); err != nil {
		t.Fatalf("what is sound is refused: %v", err)
	}
	for _, row := range []struct {
		name, flag string
		wants      []string
	}{
		{"an http origin", "--http.origins=https://a.example,http://b.example", []string{"http.origins", `"http://b.example"`}},
		{"an http origin on localhost", "--http.origins=http://localhost:5173", []string{"http.origins"}},
		{"a secret of one character", "--auth.hmac-secret=" + strings.Repeat("x", 64), []string{"auth.hmac_secret", "repeats"}},
		{"a secret that repeats", "--auth.hmac-secret=" + strings.Repeat("0123456789", 4), []string{"auth.hmac_secret", "repeats 10"}},
		{"a secret that repeats and is cut off", "--auth.hmac-secret=" + strings.Repeat("k7#Qz!p", 5) + "k7#", []string{"auth.hmac_secret", "repeats 7"}},
		{"a secret of few characters", "--auth.hmac-secret=aababbbabaabbabbbaabababbbbaaababbabaaabb", []string{"auth.hmac_secret", "2 different"}},
		{"a placeholder", "--auth.hmac-secret=ChangeMe-ChangeMe-please-2fj39dk39s", []string{"auth.hmac_secret", "examples"}},
		{"a secret that says so", "--auth.hmac-secret=my-very-own-super-SECRET-for-tokens", []string{"auth.hmac_secret", "examples"}},
		{"a row of the alphabet", "--auth.hmac-secret=abcdefghijklmnopqrstuvwxyz-9876543", []string{"auth.hmac_secret", "examples"}},
		{"tokens in URLs", "--auth.allow-query-token", []string{"auth.allow_query_token", "auth.query_token_in_production"}},
		{"every address is a proxy", "--http.trusted-proxies=10.0.0.0/8,0.0.0.0/0", []string{"http.trusted_proxies", "0.0.0.0/0"}},
		{"every IPv6 address is a proxy", "--http.trusted-proxies=::/0", []string{"http.trusted_proxies", "::/0"}},
		{"metrics for everyone", "--http.metrics=open", []string{"http.metrics", "token"}},
		{"no login limit", "--limits.login.rate=0", []string{"limits.login.rate"}},
		{"no limit of an account", "--limits.login-account.rate=0", []string{"limits.login_account.rate"}},
		{"no alarm of an account", "--limits.login-failures-account.rate=0", []string{"limits.login_failures_account.rate"}},
		{"no alarm of all", "--limits.login-failures.rate=0", []string{"limits.login_failures.rate"}},
		{"nothing when an alarm rings", "--limits.login-strict.rate=0", []string{"limits.login_strict.rate"}},
		{"no handshake limit", "--limits.handshakes.rate=0", []string{"limits.handshakes.rate"}},
		{"no message limit", "--limits.messages.rate=0", []string{"limits.messages.rate"}},
		{"no byte limit", "--limits.bytes.rate=0", []string{"limits.bytes.rate"}},
		{"short passwords", "--auth.password-min=7", []string{"auth.password_min", "8"}},
		{"the demo", "--demo", []string{"demo", "switch it off"}},
		{"long tokens", "--auth.access-ttl=61m", []string{"auth.access_ttl", "1h"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := config.Load(sound(row.flag), env(nil), nil)
			if err == nil {
				t.Fatal("accepted")
			}
			if lines := strings.Count(err.Error(), "\n") + 1; lines != 1 {
				t.Errorf("%d findings: %v", lines, err)
			}
			for _, want := range row.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if _, value, _ := strings.Cut(row.flag, "--auth.hmac-secret="); value != "" && strings.Contains(err.Error(), value) {
				t.Errorf("the secret is shown: %v", err)
			}
			if _, err := config.Load(sound(row.flag, "--env=development"), env(nil), nil); err != nil {
				t.Errorf("development refuses: %v", err)
			}
		})
	}
	// Refused everywhere.
	for _, flag := range []string{"--http.origins=*", "--env=staging", "--auth.registration=maybe", "--auth.hmac-secret=short"} {
		if _, err := config.Load(sound(flag), env(nil), nil); err == nil {
			t.Errorf("%s is accepted", flag)
		}
	}
	if _, err := config.Load(sound("--auth.allow-query-token", "--auth.query-token-in-production"), env(nil), nil); err != nil {
		t.Errorf("tokens in URLs that are asked for twice: %v", err)
	}
}

// O5: random secrets are not taken for weak ones.
func TestProductionTakesRandomSecretsO5(t *testing.T) {
	for _, secret := range []string{
		randomSecret, randomSecret[:32], "V0xk3mJ8qYtR5nZ2bLw9cHs7fGd4pTaE", "kq+7Zr/1mWfT0uXc9LbHsJ3vQe5yNd8gIoPa2RxCtE4=",
	} {
		if _, err := config.Load(sound("--auth.hmac-secret="+secret), env(nil), nil); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
	}
}

// O5: who may sign up and what is open is said in some layer, and all that is
// wrong is told at once.
func TestProductionAsksForWhatIsOpenO5(t *testing.T) {
	_, err := config.Load([]string{"--env=production", "--http.origins=http://a.example", "--auth.password-min=4", "--limits.login.rate=0"}, env(nil), nil)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, key := range []string{"auth.registration: ", "namespaces: ", "http.origins: ", "auth.password_min: ", "limits.login.rate: "} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("error lacks %s: %v", key, err)
		}
	}
	for name, layers := range map[string]struct {
		file string
		env  map[string]string
		args []string
	}{
		"flags":       {args: []string{"--env=production", "--auth.registration=closed", "--namespaces={lobby: {}}"}},
		"environment": {env: map[string]string{"GATECAST_ENV": "production", "GATECAST_AUTH_REGISTRATION": "open", "GATECAST_NAMESPACES": "{}"}},
		"file":        {file: "env: production\nauth: {registration: closed}\nnamespaces:\n  \"room:*\": {}\n"},
		"each one":    {file: "namespaces: {}\n", env: map[string]string{"GATECAST_AUTH_REGISTRATION": "open"}, args: []string{"--env=production"}},
	} {
		args := layers.args
		if layers.file != "" {
			args = append(args, "--config", file(t, layers.file))
		}
		c, err := config.Load(args, env(layers.env), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// What is printed is a file that production takes too.
		if _, err := config.Load([]string{"--config", file(t, c.Describe())}, env(nil), nil); err != nil {
			t.Errorf("%s, as it is printed: %v", name, err)
		}
	}
	made := config.Default()
	made.Env = config.EnvProduction
	if err := made.Validate(); err != nil {
		t.Errorf("a Config that a program has made: %v", err)
	}
}

// O5: a database beyond this machine is not spoken to in the clear.
func TestProductionDatabaseO5(t *testing.T) {
	const password = "canary"
	for dsn, refused := range map[string]bool{
		"postgres://user:canary@db.example/gatecast?sslmode=disable":                 true,
		"postgres://user:canary@10.1.2.3:5432/gatecast?sslmode=disable":              true,
		"host=db.example user=user password=canary sslmode=disable":                  true,
		"host=/run/postgresql,db.example user=user password=canary sslmode=disable":  true,
		"postgres://user:canary@localhost,db.example/gatecast?sslmode=disable":       true,
		"postgres://user:canary@db.example/gatecast?sslmode=prefer":                  true,
		"postgres://user:canary@db.example/gatecast?sslmode=allow":                   true,
		"postgres://user:canary@db.example/gatecast":                                 true,
		"postgres://user:canary@db.example/gatecast?sslmode=verify-full":             false,
		"postgres://user:canary@db.example/gatecast?sslmode=require":                 false,
		"postgres://user:canary@localhost/gatecast?sslmode=disable":                  false,
		"postgres://user:canary@127.0.0.1,[::1]/gatecast?sslmode=disable":            false,
		"host=/run/postgresql user=user password=canary sslmode=disable":             false,
		"postgres://user:canary@db.example:port/gatecast?sslmode=disable&password=x": false, // the store says what is wrong
	} {
		flags := []string{"--store.driver=postgres", "--store.dsn=" + dsn}
		_, err := config.Load(sound(flags...), env(nil), nil)
		if (err != nil) != refused {
			t.Errorf("%s: %v", dsn, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "store.dsn") || strings.Contains(err.Error(), password)) {
			t.Errorf("%s: %v", dsn, err)
		}
		if _, err := config.Load(slices.Concat(sound(flags...), []string{"--env=development"}), env(nil), nil); err != nil {
			t.Errorf("%s in development: %v", dsn, err)
		}
	}
}
