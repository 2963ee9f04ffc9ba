package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/dunglas/httpsfv"
)

// L2, L3: every limited route tells its limit in fields that a parser of
// structured fields reads, also where it lets one through, and a refusal says
// when to come back.
func TestLimitsAreToldOnEveryRouteL2L3(t *testing.T) {
	const burst = 3
	flags := []string{"--limits.messages.burst=3", "--limits.messages.rate=0.05"}
	for _, limit := range []string{"handshakes", "login", "register", "refresh"} {
		flags = append(flags, "--limits."+limit+".burst=3", "--limits."+limit+".rate=0.05")
	}
	for _, row := range []struct{ call, body, limit string }{
		{"POST /register", `{"username":"bob","password":"x"}`, "register"},
		{"POST /login", `{"username":"bob","password":"x"}`, "login"},
		{"POST /refresh", `{"refresh_token":"x"}`, "refresh"},
		{"POST /logout", `{"refresh_token":"x"}`, "refresh"},
		{"GET /sessions", "", "messages"},
		{"DELETE /sessions/x", "", "messages"},
		{"GET /me", "", "messages"},
		{"PUT /me/password", "{}", "login"},
		{"DELETE /me", "", "messages"},
		{"POST /ws/ticket", "", "messages"},
		{"GET /channels", "", "messages"},
		{"GET /channels/lobby/messages", "", "messages"},
		{"POST /channels/lobby/messages", `{"data":1}`, "messages"},
		{"GET /channels/lobby/presence", "", "messages"},
		{"GET /ws", "", "handshakes"},
	} {
		t.Run(row.call, func(t *testing.T) {
			s := start(t, flags...)
			method, path, _ := strings.Cut(row.call, " ")
			var header []string
			if row.limit == "messages" || path == "/me/password" {
				header = []string{"Authorization", "Bearer " + s.token("alice")}
			}
			for n := range burst + 2 {
				a := s.do(method, path, row.body, header...)
				name, policy := onlyItem(t, a.header, "RateLimit-Policy")
				if name != row.limit || policy["q"] != int64(burst) || policy["w"] != int64(60) {
					t.Errorf("the policy of %s is %v: %v", name, policy, a.header)
				}
				name, left := onlyItem(t, a.header, "RateLimit")
				rest, reset := left["r"].(int64), left["t"].(int64)
				if want := int64(max(0, burst-1-n)); name != row.limit || rest != want || reset < 1 || reset > 20 {
					t.Errorf("after %d calls, %s has %d left and one more in %d s", n+1, name, rest, reset)
				}
				wait, err := strconv.Atoi(a.header.Get("Retry-After"))
				if n < burst {
					if a.status == 429 {
						t.Fatalf("call %d: %d %s", n+1, a.status, a.body)
					}
				} else if !refused(a, http.StatusTooManyRequests, "rate_limited") || err != nil || wait < 19 || wait > 20 || int64(wait) != reset {
					t.Errorf("call %d: %d %s, Retry-After %q", n+1, a.status, a.body, a.header.Get("Retry-After"))
				}
			}
		})
	}
}

// onlyItem is the one member of a list in a structured field (RFC 9651), and its
// parameters.
func onlyItem(t *testing.T, header http.Header, field string) (name string, parameters map[string]any) {
	t.Helper()
	list, err := httpsfv.UnmarshalList(header.Values(field))
	if err != nil || len(list) != 1 {
		t.Fatalf("%s is %q: %v", field, header.Values(field), err)
	}
	item, ok := list[0].(httpsfv.Item)
	if !ok {
		t.Fatalf("%s is %T", field, list[0])
	}
	parameters = make(map[string]any)
	for _, key := range item.Params.Names() {
		parameters[key], _ = item.Params.Get(key)
	}
	return fmt.Sprint(item.Value), parameters
}
