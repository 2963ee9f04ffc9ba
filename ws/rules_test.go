package ws_test

import (
	"testing"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/ws"
)

func TestNewRulesChecksPatternsAndRoles(t *testing.T) {
	for pattern, ok := range map[string]bool{
		"lobby": true, "room:*": true, "room:42": true, "a-b_c:*": true,
		"*": false, "": false, "room:*:x": false, "room*": false, "*:room": false, "Room:*": false, "room:a*": false, "room:": false,
	} {
		if _, err := ws.NewRules(map[string]ws.Rule{pattern: {}}); (err == nil) != ok {
			t.Errorf("pattern %q: %v", pattern, err)
		}
	}
	if _, err := ws.NewRules(map[string]ws.Rule{"lobby": {Allow: map[ws.Action][]string{ws.ActionPublish: {"king"}}}}); err == nil {
		t.Error("a role that does not exist is taken")
	}
}

// The exact rule wins over the namespace's, also where it allows less; owner
// is who the channel is named after, and no token can claim to be it.
func TestRulesAllow(t *testing.T) {
	rules, err := ws.NewRules(map[string]ws.Rule{
		"room:*":    {Allow: map[ws.Action][]string{ws.ActionSubscribe: {"user"}}},
		"room:vip":  {Allow: map[ws.Action][]string{ws.ActionSubscribe: {"admin"}}},
		"user:*":    {Allow: map[ws.Action][]string{ws.ActionSubscribe: {"owner"}}},
		"user:open": {Allow: map[ws.Action][]string{ws.ActionSubscribe: {"user", "owner"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	alice := auth.Claims{Subject: "alice", Role: "user"}
	for _, row := range []struct {
		claims  auth.Claims
		channel string
		ok      bool
	}{
		{alice, "room:1", true},
		{alice, "room:vip", false},
		{auth.Claims{Subject: "root", Role: "admin"}, "room:vip", true},
		{auth.Claims{Subject: "root", Role: "admin"}, "room:1", false},
		{alice, "user:alice", true},
		{alice, "user:bob", false},
		{alice, "user:alice:x", false},
		{alice, "user:open", true},
		{alice, "user", false},
		{auth.Claims{Subject: "", Role: "owner"}, "user:bob", false},
		{auth.Claims{Subject: "eve", Role: "owner"}, "user:bob", false},
		{auth.Claims{}, "room:1", false},
	} {
		if err := rules.Allow(ws.ActionSubscribe, row.channel, row.claims); (err == nil) != row.ok {
			t.Errorf("%+v in %s: %v", row.claims, row.channel, err)
		}
	}
}

// Where a token's own capabilities are about a channel, they decide: the closest
// pattern, for more and for less than the role's rule. Elsewhere the rule does.
func TestCapabilitiesDecide(t *testing.T) {
	rules, err := ws.NewRules(map[string]ws.Rule{
		"room:*": {Allow: map[ws.Action][]string{ws.ActionSubscribe: {"user"}, ws.ActionPublish: {"user"}}},
		"user:*": {Allow: map[ws.Action][]string{ws.ActionSubscribe: {"owner"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	claims := auth.Claims{Subject: "alice", Role: "user", Channels: auth.Capabilities{
		"room:42": {"subscribe"}, "prices:*": {"subscribe", "publish", "presence", "read"}, "prices:secret": {}, "user:bob": {"shout"},
	}}
	for _, row := range []struct {
		action  ws.Action
		channel string
		ok      bool
	}{
		{ws.ActionSubscribe, "room:42", true},
		{ws.ActionPublish, "room:42", false},
		{ws.ActionPublish, "room:43", true},
		{ws.ActionPublish, "prices:btc", true},
		{ws.ActionPresence, "prices:btc", true},
		{ws.ActionRead, "prices:btc", true},
		{ws.ActionSubscribe, "prices:secret", false},
		{ws.ActionSubscribe, "prices", false},
		{ws.ActionSubscribe, "prices:*", false}, // a pattern is no channel
		{ws.ActionSubscribe, "user:bob", false},
		{ws.ActionSubscribe, "user:alice", true},
		{ws.ActionSubscribe, "other:1", false},
	} {
		if err := rules.Allow(row.action, row.channel, claims); (err == nil) != row.ok {
			t.Errorf("%s in %s: %v", row.action, row.channel, err)
		}
	}
	claims.Channels["*"] = []string{}
	for channel, ok := range map[string]bool{"room:42": true, "prices:btc": true, "room:43": false, "user:alice": false} {
		if err := rules.Allow(ws.ActionSubscribe, channel, claims); (err == nil) != ok {
			t.Errorf("with *: %s: %v", channel, err)
		}
	}
}
