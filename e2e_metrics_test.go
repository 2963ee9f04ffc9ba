package main

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/gatecast/gatecast/auth"
)

// scrape is what GET /metrics shows to a backend: values by name and labels, as
// they stand in the text.
func (s *server) scrape() map[string]float64 {
	s.t.Helper()
	a := s.do("GET", "/metrics", "", "Authorization", "Bearer "+s.tokenAs("prometheus", auth.RoleService))
	if a.status != http.StatusOK {
		s.t.Fatalf("scraping: %d %s", a.status, a.body)
	}
	values := make(map[string]float64)
	for line := range strings.Lines(a.body) {
		at := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		if err != nil {
			s.t.Fatalf("scraping: %q: %v", line, err)
		}
		values[line[:at]] = value
	}
	return values
}

// Who may read the metrics: backends and admins, with H1's and H2's answers for
// others.
func TestWhoReadsMetricsH2(t *testing.T) {
	s := start(t)
	for _, row := range []struct {
		header          []string
		status          int
		code, challenge string
	}{
		{nil, 401, "no_token", "Bearer"},
		{[]string{"Authorization", "Bearer x"}, 401, "invalid_token", `Bearer error="invalid_token"`},
		{[]string{"Authorization", "Bearer " + s.token("alice")}, 403, "forbidden", `Bearer error="insufficient_scope"`},
		{[]string{"Authorization", "Bearer " + s.tokenAs("feed", auth.RoleService)}, 200, "", ""},
		{[]string{"Authorization", "Bearer " + s.tokenAs("root", auth.RoleAdmin)}, 200, "", ""},
	} {
		a := s.do("GET", "/metrics", "", row.header...)
		if a.status != row.status || a.field("code") != row.code || a.header.Get("WWW-Authenticate") != row.challenge {
			t.Errorf("%v: %d %q %q", row.header, a.status, a.field("code"), a.header.Get("WWW-Authenticate"))
		}
		if want := map[bool]string{true: "text/plain", false: "application/problem+json"}[row.status == 200]; !strings.HasPrefix(a.header.Get("Content-Type"), want) {
			t.Errorf("%v: %s", row.header, a.header.Get("Content-Type"))
		}
		if a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v: may be cached", row.header)
		}
	}
	if a := start(t, "--http.metrics=open").do("GET", "/metrics", ""); a.status != 200 || !strings.Contains(a.body, "gatecast_connections 0\n") {
		t.Errorf("open: %d", a.status)
	}
	off := start(t, "--http.metrics=off")
	if a := off.do("GET", "/metrics", "", "Authorization", "Bearer "+off.tokenAs("feed", auth.RoleService)); a.status != 404 || a.field("code") != "not_found" {
		t.Errorf("off: %d %s", a.status, a.body)
	}
}

// A backend's token that `gatecast token` makes, without any right in a channel,
// is good for scraping, as the docs have it.
func TestTokenForPrometheus(t *testing.T) {
	s := start(t)
	out := newLogs()
	args := []string{"gatecast", "token", "--role=service", "--name=prometheus", "--channel=*=", "--ttl=2160h", "--data-dir=" + s.dir}
	if err := run(t.Context(), args, func(string) string { return "" }, out); err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(regexp.MustCompile(`(?m)^ey\S+$`).FindString(out.String()))
	if a := s.do("GET", "/metrics", "", "Authorization", "Bearer "+token); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.do("GET", "/channels/lobby/messages", "", "Authorization", "Bearer "+token); a.status != 403 {
		t.Errorf("the same token in a channel: %d", a.status)
	}
}

// Sockets, refusals, logins and the log are counted as they happen.
func TestMetrics(t *testing.T) {
	s := start(t, "--limits.connections=2")
	expect := func(when string, want map[string]float64) {
		t.Helper()
		for name, value := range want {
			got := 0.0
			eventually(t, fmt.Sprintf("%s: %s is %v", when, name, value), func() bool {
				got = s.scrape()[name]
				return got == value
			})
		}
	}
	expect("at the start", map[string]float64{
		"gatecast_connections": 0, "gatecast_connections_max": 2, "gatecast_channels": 0, "gatecast_queue_bytes": 0, "gatecast_log_up": 1,
		"gatecast_log_queued_messages": 0, "gatecast_log_queued_bytes": 0, "gatecast_log_failed_messages_total": 0,
	})

	alice, bob := s.join("alice"), s.join("bob")
	for i := range 10 {
		alice.ask(fmt.Sprintf(`{"type":"chat","id":%d,"message":"x"}`, i))
	}
	for _, try := range [][]string{{}, {"Authorization", "Bearer x"}, {"Authorization", "Bearer " + s.token("carol")}} {
		if conn, _ := s.upgrade("/ws", try...); conn != nil {
			t.Fatal("let in")
		}
	}
	s.signUp("dora")
	s.do("POST", "/login", `{"username":"dora","password":"wrong password"}`)
	s.do("GET", "/me", "")
	s.do("GET", "/channels/no%20name/messages", "", "Authorization", "Bearer "+s.token("alice"))
	s.do("GET", "/nowhere", "")
	expect("with two in", map[string]float64{
		"gatecast_connections": 2, "gatecast_channels": 1,
		`gatecast_handshakes_total{code="ok"}`:            2,
		`gatecast_handshakes_total{code="no_token"}`:      1,
		`gatecast_handshakes_total{code="invalid_token"}`: 1,
		`gatecast_handshakes_total{code="full"}`:          1,

		`gatecast_http_requests_total{code="ok",route="register"}`:           1,
		`gatecast_http_requests_total{code="ok",route="login"}`:              1,
		`gatecast_http_requests_total{code="bad_credentials",route="login"}`: 1,
		`gatecast_http_requests_total{code="no_token",route="account"}`:      1,
		`gatecast_http_requests_total{code="bad_channel",route="channels"}`:  1,
		`gatecast_http_requests_total{code="not_found",route="other"}`:       1,

		"gatecast_log_batch_messages_sum": 10,
	})
	values := s.scrape()
	transactions := values["gatecast_log_batch_messages_count"]
	if transactions < 2 || transactions != values["gatecast_log_commit_seconds_count"] || values["gatecast_log_commit_seconds_sum"] <= 0 {
		t.Errorf("%v transactions, %v times, %v s", transactions, values["gatecast_log_commit_seconds_count"], values["gatecast_log_commit_seconds_sum"])
	}
	for _, name := range []string{"go_goroutines", "process_start_time_seconds", "process_open_fds"} {
		if values[name] <= 0 && (name == "go_goroutines" || values["process_resident_memory_bytes"] > 0) {
			t.Errorf("%s is %v", name, values[name])
		}
	}
	alice.leave()
	bob.leave()
	expect("with nobody in", map[string]float64{"gatecast_connections": 0, "gatecast_channels": 0})
}

// What clients make up becomes no label, and makes no series.
func TestMetricsHoldNothingOfRequests(t *testing.T) {
	const canary = "cAnArY"
	s := start(t)
	requests := []string{
		"GET /" + canary + " HTTP/1.1\r\nHost: x\r\n\r\n", "GET /channels/" + canary + "/messages HTTP/1.1\r\nHost: x\r\n\r\n",
		canary + " / HTTP/1.1\r\nHost: x\r\n\r\n", canary + "\r\n\r\n", "GET /ws?ticket=" + canary + " HTTP/1.1\r\nHost: " + canary + "\r\n\r\n",
		"GET /login/" + canary + " HTTP/1.1\r\nHost: x\r\n" + canary + ": " + strings.Repeat("x", 64<<10) + "\r\n\r\n",
		"OPTIONS /login HTTP/1.1\r\nHost: x\r\nOrigin: http://" + canary + "\r\nAccess-Control-Request-Method: POST\r\n\r\n",
		"DELETE /sessions/" + canary + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + s.token("alice") + "\r\n\r\n",
	}
	send := func() {
		for _, text := range requests {
			conn := s.rawConn()
			_, _ = conn.Write([]byte(text))
			readAnswer(t, conn, "GET")
			_ = conn.Close()
		}
	}
	send()
	s.scrape() // which is counted too
	before := s.scrape()
	send()
	after := s.scrape()
	if len(after) != len(before) {
		t.Errorf("%d series, and %d before", len(after), len(before))
	}
	problems := 0.0
	for name, n := range after {
		if strings.Contains(strings.ToLower(name), strings.ToLower(canary)) {
			t.Errorf("series %s", name)
		}
		if was := before[name]; strings.Contains(name, "_total{") && !strings.Contains(name, `"ok"`) {
			problems += n - was
		}
	}
	if int(problems) < len(requests)-1 { // CORS answers the preflight
		t.Errorf("%v problems of %d requests are counted", problems, len(requests))
	}
}

// Prometheus's own parser reads the page, whatever it asks for.
func TestMetricsAreReadable(t *testing.T) {
	s := start(t, "--http.metrics=open")
	for _, accept := range []string{"", "*/*", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"} {
		a := s.do("GET", "/metrics", "", "Accept", accept)
		parser := expfmt.NewTextParser(model.UTF8Validation)
		parsed, err := parser.TextToMetricFamilies(strings.NewReader(a.body))
		if err != nil || parsed["gatecast_ack_seconds"] == nil || a.header.Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" {
			t.Errorf("Accept %q: %v, %s", accept, err, a.header.Get("Content-Type"))
		}
	}
}

// Every code that the core refuses or closes with has a series, from the start.
func TestMetricsKnowEveryCode(t *testing.T) {
	s := start(t)
	values := s.scrape()
	for _, row := range []struct{ path, pattern, metric string }{
		{"ws/errors.go", `(?m)^\tCode\w+ += "(\w+)"`, "gatecast_refused_frames_total"},
		{"ws/closecode.go", `(?m)^\tClose\w+ += (\d+)`, "gatecast_closed_connections_total"},
	} {
		source, err := os.ReadFile(row.path)
		if err != nil {
			t.Fatal(err)
		}
		matches := regexp.MustCompile(row.pattern).FindAllStringSubmatch(string(source), -1)
		if len(matches) < 5 {
			t.Errorf("%d codes found in %s", len(matches), row.path)
		}
		for _, match := range matches {
			if _, there := values[fmt.Sprintf(`%s{code=%q}`, row.metric, match[1])]; !there {
				t.Errorf("%s has no series for %s: add it to metrics_readings.go", row.metric, match[1])
			}
		}
	}
}
