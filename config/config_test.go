package config_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast/config"
)

func env(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatecast.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLayersWinInOrder(t *testing.T) {
	path := file(t, `
port: 4001
data_dir: /from/file
http:
  origins: [https://a.example, https://b.example]
limits:
  messages: {rate: 5, burst: 7}
namespaces:
  "prices:*": {subscribe: [user], publish: [service]}
`)
	c, err := config.Load(
		[]string{"--config", path, "--limits.messages.burst=9", "--auth.allow-query-token"},
		env(map[string]string{
			"GATECAST_DATA_DIR": "/from/env", "GATECAST_LIMITS_MESSAGES_BURST": "8",
			"GATECAST_PORT": "4002", "PORT": "4003",
			"GATECAST_AUTH_ACCESS_TTL": "5m", "GATECAST_HTTP_TRUSTED_PROXIES": "10.0.0.0/8, ::1",
		}), nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2]any{
		"PORT wins over GATECAST_PORT and the file": {c.Port, 4003},
		"environment over file":                     {c.DataDir, "/from/env"},
		"flag over environment":                     {c.Limits.Messages.Burst, 9},
		"file over default":                         {c.Limits.Messages.Rate, 5.0},
		"a flag that stands alone":                  {c.Auth.AllowQueryToken, true},
		"duration":                                  {c.Auth.AccessTTL, 5 * time.Minute},
		"list":                                      {fmt.Sprint(c.HTTP.Origins), "[https://a.example https://b.example]"},
		"prefixes":                                  {fmt.Sprint(c.HTTP.TrustedProxies), "[10.0.0.0/8 ::1/128]"},
		"a namespace is added":                      {fmt.Sprint(c.Namespaces["prices:*"].Publish), "[service]"},
		"the default namespaces stay":               {len(c.Namespaces), 5},
		"default":                                   {c.Limits.ConnectionsPerUser, 20},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %v, want %v", what, pair[0], pair[1])
		}
	}
}

// 0 is unlimited, everywhere; a group with nothing in it changes nothing.
func TestCapsOfZero(t *testing.T) {
	path := file(t, "limits:\n  # connections: 5\nhttp: {}\n")
	_, err := config.Load([]string{"--config", path, "--limits.message-bytes=0", "--limits.queue-bytes=0", "--limits.subscriptions=0",
		"--limits.violations=0", "--limits.connections-per-user=0", "--limits.connections-per-address=0", "--limits.messages.rate=0"}, env(nil), nil)
	if err != nil {
		t.Error(err)
	}
}

func TestNamespacesFromEnvironment(t *testing.T) {
	c, err := config.Load(nil, env(map[string]string{"GATECAST_NAMESPACES": `{"lobby": {}, "live:*": {"publish": ["user"]}}`}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Namespaces["lobby"].Subscribe) != 0 || c.Namespaces["live:*"].Publish[0] != "user" || len(c.Namespaces["room:*"].Publish) == 0 {
		t.Errorf("got %v", c.Namespaces)
	}
}

// Every mistake stops the start and names the key. J9: weak HMAC secrets.
func TestMistakesNameTheKey(t *testing.T) {
	for _, row := range []struct {
		name  string
		file  string
		env   map[string]string
		args  []string
		wants []string
	}{
		{name: "unknown key in the file", file: "limits:\n  mesages: {rate: 1}\n", wants: []string{"line 2", "limits.mesages", "unknown key"}},
		{name: "unknown top key", file: "prot: 1\n", wants: []string{"prot", "unknown key"}},
		{name: "a value where a group is", file: "limits: 5\n", wants: []string{"limits"}},
		{name: "not a mapping", file: "- a\n", wants: []string{"line 1"}},
		{name: "bad value in the file", file: "port: many\n", wants: []string{"line 1", "port", `"many"`}},
		{name: "unknown field of a rule", file: "namespaces:\n  lobby: {subscrbe: [user]}\n", wants: []string{"namespaces", "subscrbe"}},
		{name: "a key twice", file: "limits:\n  connections: 1\n  connections: 2\n", wants: []string{"line 3", "connections", "twice"}},
		{name: "two documents", file: "port: 1\n---\nport: 2\n", wants: []string{"more than one document"}},
		{name: "a rate that is next to nothing", args: []string{"--limits.login.rate=1e-9"}, wants: []string{"limits.login.rate"}},
		{name: "a queue that holds no message", args: []string{"--limits.queue-bytes=1000"}, wants: []string{"limits.queue_bytes", "65536"}},
		{name: "bad YAML", file: "a: [", wants: []string{"gatecast.yaml"}},
		{name: "bad environment value", env: map[string]string{"GATECAST_AUTH_ACCESS_TTL": "soon"}, wants: []string{"GATECAST_AUTH_ACCESS_TTL", "auth.access_ttl"}},
		{name: "bad PORT", env: map[string]string{"PORT": "http"}, wants: []string{"PORT", "port"}},
		{name: "unknown flag", args: []string{"--limits.mesages.rate=1"}, wants: []string{"limits.mesages.rate"}},
		{name: "bad flag value", args: []string{"--limits.messages.rate=x"}, wants: []string{"limits.messages.rate", `"x"`}},
		{name: "a word that is no flag", args: []string{"extra"}, wants: []string{"extra"}},
		{name: "missing file", args: []string{"--config=/nowhere/x.yaml"}, wants: []string{"/nowhere/x.yaml"}},
		{name: "port out of range", args: []string{"--port=70000"}, wants: []string{"port", "70000"}},
		{name: "wildcard origin", args: []string{"--http.origins=*"}, wants: []string{"http.origins"}},
		{name: "origin with a path", args: []string{"--http.origins=https://a.example/x"}, wants: []string{"http.origins"}},
		{name: "origin with its scheme's port", args: []string{"--http.origins=https://a.example:443"}, wants: []string{"http.origins"}},
		{name: "J9 HMAC secret empty", args: []string{"--auth.hmac-secret="}, wants: []string{"auth.hmac_secret", "empty"}},
		{name: "J9 HMAC secret a word", args: []string{"--auth.hmac-secret=secret"}, wants: []string{"auth.hmac_secret", "6 bytes"}},
		{name: "J9 HMAC secret of 31 bytes", env: map[string]string{"GATECAST_AUTH_HMAC_SECRET": strings.Repeat("x", 31)}, wants: []string{"auth.hmac_secret", "31 bytes"}},
		{name: "burst 0 would refuse all", args: []string{"--limits.login.burst=0"}, wants: []string{"limits.login.burst"}},
		{name: "bytes burst under a message", args: []string{"--limits.bytes.burst=100"}, wants: []string{"limits.bytes.burst", "65536"}},
		{name: "fewer tokens than none", args: []string{"--auth.verified-tokens=-1"}, wants: []string{"auth.verified_tokens"}},
		{name: "metrics for whom", args: []string{"--http.metrics=on"}, wants: []string{"http.metrics", `"on"`, "token, open, off"}},
		{name: "negative cap", args: []string{"--limits.connections=-1"}, wants: []string{"limits.connections"}},
		{name: "a key that signs before it is known", args: []string{"--auth.key-publish-ahead=3s"}, wants: []string{"auth.key_publish_ahead", "auth.key_poll", "2s"}},
		{name: "a key that is not published ahead", args: []string{"--auth.key-publish-ahead=0s", "--auth.key-poll=1ms"}, wants: []string{"auth.key_publish_ahead", "1s at least"}},
		{name: "keys that nobody looks at", args: []string{"--auth.key-poll=0s"}, wants: []string{"auth.key_poll"}},
		{name: "tokens that outlive their key", args: []string{"--auth.token-ttl-max=14m"}, wants: []string{"auth.token_ttl_max", "auth.access_ttl", "15m"}},
		{name: "ping timeout over the interval", args: []string{"--socket.ping-timeout=1m"}, wants: []string{"socket.ping_timeout"}},
		{name: "unknown field of an issuer", file: "auth:\n  issuers:\n    - {name: sso, isuer: x}\n", wants: []string{"line 3", "auth.issuers", "isuer"}},
		{name: "issuers that are no list", file: "auth:\n  issuers: {name: sso}\n", wants: []string{"auth.issuers"}},
		{name: "an issuer of nothing", file: "auth:\n  issuers: [{}]\n", wants: []string{"auth.issuers: item 1: name", "item 1: issuer is empty", "item 1: audience is empty", "jwks_url or by key_file"}},
		{name: "an issuer's name", args: issuer(`"name":"Main_SSO"`), wants: []string{"auth.issuers", `"Main_SSO": name`}},
		{name: "an issuer's name with a colon", args: issuer(`"name":"a:b"`), wants: []string{`"a:b": name`}},
		{name: "keys in two places", args: issuer(`"key_file":"x"`), wants: []string{`"sso": `, "one of them"}},
		{name: "keys over http", args: issuer(`"jwks_url":"http://sso.example.com/keys"`), wants: []string{`"sso": jwks_url`, "https"}},
		{name: "keys over http near by", args: issuer(`"jwks_url":"http://localhost.example.com/keys"`), wants: []string{"jwks_url"}},
		{name: "keys of a file's URL", args: issuer(`"jwks_url":"file:///etc/keys"`), wants: []string{"jwks_url"}},
		{name: "keys at no host", args: issuer(`"jwks_url":"https:///keys"`), wants: []string{"jwks_url"}},
		{name: "keys behind a password", args: issuer(`"jwks_url":"https://me:` + strings.Repeat("x", 31) + `@sso.example.com/keys"`), wants: []string{"jwks_url", "password"}},
		{name: "our own issuer", args: issuer(`"issuer":"gatecast"`), wants: []string{`"sso": issuer is "gatecast"`}},
		{name: "a prefix that is no ID", args: issuer(`"user_prefix":"sso|"`), wants: []string{`"sso": user_prefix is "sso|"`}},
		{name: "an issuer twice", file: "auth:\n  issuers:\n    - &a {name: sso, issuer: x, audience: a, key_file: k}\n    - *a\n", wants: []string{"two issuers", `issuer is "x"`}},
		{name: "all mistakes at once", args: []string{"--port=-1", "--log.level=loud"}, wants: []string{"port", "log.level"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			args := row.args
			if row.file != "" {
				args = append(args, "--config", file(t, row.file))
			}
			_, err := config.Load(args, env(row.env), nil)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range row.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if strings.Contains(err.Error(), strings.Repeat("x", 31)) {
				t.Errorf("error shows a secret: %v", err)
			}
		})
	}
}

// issuer is the flag of an issuer that is as it should be but for one member.
func issuer(member string) []string {
	good := map[string]any{"name": "sso", "issuer": "https://sso.example.com", "audience": "chat", "jwks_url": "https://sso.example.com/keys"}
	if err := json.Unmarshal([]byte("{"+member+"}"), &good); err != nil {
		panic(err)
	}
	list, err := json.Marshal([]any{good})
	if err != nil {
		panic(err)
	}
	return []string{"--auth.issuers=" + string(list)}
}

func TestIssuers(t *testing.T) {
	c, err := config.Load(nil, env(map[string]string{"GATECAST_AUTH_ISSUERS": `
- name: sso
  issuer: https://sso.example.com/realms/main
  audience: chat
  jwks_url: http://[::1]:8080/keys
  claims: {user_id: id, username: name, role: realm_access.roles, capabilities: "https://chat.example.com/caps"}
- {name: own, issuer: shop, audience: chat, key_file: shop.pem, user_prefix: ""}
- {name: third, issuer: third, audience: chat, key_file: third.pem, user_prefix: x.}`}), nil)
	if err != nil {
		t.Fatal(err)
	}
	list := c.Auth.Issuers
	if len(list) != 3 || list[0].Issuer != "https://sso.example.com/realms/main" || list[0].Audience != "chat" || list[0].JWKSURL != "http://[::1]:8080/keys" ||
		list[0].Claims != (config.IssuerClaims{UserID: "id", Username: "name", Role: "realm_access.roles", Capabilities: "https://chat.example.com/caps"}) || list[1].KeyFile != "shop.pem" {
		t.Errorf("got %+v", list)
	}
	for i, want := range []string{"sso:", "", "x."} {
		if got := list[i].Prefix(); got != want {
			t.Errorf("prefix %d is %q, want %q", i, got, want)
		}
	}
	again, err := config.Load([]string{"--config", file(t, c.Describe())}, env(nil), nil)
	if err != nil || again.Describe() != c.Describe() || again.Auth.Issuers[1].Prefix() != "" {
		t.Errorf("%v\nbefore:\n%s\nafter:\n%s", err, c.Describe(), again.Describe())
	}
	// A later layer's list takes the place of an earlier one's.
	fewer, err := config.Load(append([]string{"--config", file(t, c.Describe())}, issuer("")...), env(nil), nil)
	if err != nil || len(fewer.Auth.Issuers) != 1 {
		t.Errorf("%v %+v", err, fewer.Auth.Issuers)
	}
	if none, err := config.Load([]string{"--config", file(t, c.Describe()), "--auth.issuers="}, env(nil), nil); err != nil || len(none.Auth.Issuers) != 0 {
		t.Errorf("%v %+v", err, none.Auth.Issuers)
	}
}

// The docs' example of issuers is one.
func TestDocsIssuers(t *testing.T) {
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "## Tokens of other issuers")
	_, example, _ := strings.Cut(section, "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	c, err := config.Load([]string{"--config", file(t, example)}, env(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	list := c.Auth.Issuers
	if len(list) != 3 || list[0].Prefix() != "keycloak:" || list[1].Claims.Username != "https://chat.example.com/name" || list[2].Prefix() != "" {
		t.Errorf("got %+v", list)
	}
}

func TestUnknownEnvironmentVariable(t *testing.T) {
	if err := config.CheckEnviron([]string{"HOME=/x", "GATECAST_PORT=1", "GATECAST_CONFIG=x", "GATECAST_SERVICE_HOST=10.0.0.1", "GATECAST_PORT_80_TCP=x"}); err != nil {
		t.Errorf("known variables are refused: %v", err)
	}
	err := config.CheckEnviron([]string{"GATECAST_LIMIT_MESSAGES_RATE=1"})
	if err == nil || !strings.Contains(err.Error(), "GATECAST_LIMIT_MESSAGES_RATE") {
		t.Errorf("got %v", err)
	}
}

// O5: no way of printing a configuration shows a secret.
func TestSecretsAreRedactedO5(t *testing.T) {
	const secret = "canary-0123456789-0123456789-0123456789"
	c, err := config.Load([]string{"--auth.hmac-secret=" + secret, "--store.driver=postgres", "--store.dsn=postgres://user:canary@db.example/gatecast"}, env(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{c.Describe(), fmt.Sprintf("%v %+v %#v %s %q", c, c.Auth, c.Auth, c.Auth.HMACSecret, c.Auth.HMACSecret), string(encoded)} {
		if strings.Contains(shown, "canary") {
			t.Errorf("shows the secret: %s", shown)
		}
		if !strings.Contains(shown, "redacted") {
			t.Errorf("does not say that a secret is there: %s", shown)
		}
	}
	if c.Auth.HMACSecret.Reveal() != secret {
		t.Error("the secret itself is lost")
	}
}

// What `gatecast config` prints is a file that gives the same configuration.
func TestDescribeIsAConfigFile(t *testing.T) {
	before, err := config.Load([]string{"--http.origins=https://a.example", "--limits.login.rate=0.25"}, env(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	after, err := config.Load([]string{"--config", file(t, before.Describe())}, env(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	if before.Describe() != after.Describe() {
		t.Errorf("before:\n%s\nafter:\n%s", before.Describe(), after.Describe())
	}
}

var update = flag.Bool("update", false, "rewrite the generated table in docs/configuration.md")

// The docs' table is the code's: go test ./config -update writes it.
func TestDocsTableIsGenerated(t *testing.T) {
	const path, begin, end = "../docs/configuration.md", "<!-- begin generated -->\n", "<!-- end generated -->"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(page), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatal("the page lacks the marks of the generated table")
	}
	want := head + begin + config.Markdown() + end + tail
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(page) != want {
		t.Error("docs/configuration.md is behind the code; run: go test ./config -update")
	}
}
