package ws

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatecast/gatecast/auth"
)

// Action is something that a rule allows.
type Action string

// The actions.
const (
	ActionSubscribe Action = "subscribe"
	ActionPublish   Action = "publish"
	ActionPresence  Action = "see presence"
)

// RoleOwner in a rule is the user whose ID is the rest of the channel's name.
const RoleOwner = "owner"

// Rule says which roles may do what.
type Rule map[Action][]string

// Rules are the rules by pattern: an exact channel name, or namespace:*. They
// do not change after they are made. What none allows is denied.
type Rules struct{ byPattern map[string]Rule }

// NewRules checks patterns and roles.
func NewRules(byPattern map[string]Rule) (*Rules, error) {
	for pattern, rule := range byPattern {
		if !isPattern(pattern) {
			return nil, fmt.Errorf("ws: %q is neither a channel's name nor namespace:*", pattern)
		}
		for action, roles := range rule {
			for _, role := range roles {
				if !slices.Contains([]string{auth.RoleUser, auth.RoleService, auth.RoleAdmin, RoleOwner}, role) {
					return nil, fmt.Errorf("ws: %q: %s: %q is not a role", pattern, action, role)
				}
			}
		}
	}
	return &Rules{byPattern}, nil
}

func isPattern(s string) bool {
	if namespace, ok := strings.CutSuffix(s, ":*"); ok {
		return isNamespace(namespace)
	}
	_, _, err := ParseChannel(s)
	return err == nil
}

// Allow answers nil where a rule lets the bearer of claims do action in
// channel, and otherwise an *Error: bad_channel, or forbidden, which names the
// rule that refused.
func (r *Rules) Allow(action Action, channel string, claims auth.Claims) error {
	pattern, rule, err := r.find(channel)
	if err != nil {
		return err
	}
	roles := rule[action]
	if slices.Contains(roles, claims.Role) && claims.Role != RoleOwner {
		return nil
	}
	_, rest, _ := strings.Cut(channel, ":")
	if slices.Contains(roles, RoleOwner) && rest != "" && rest == claims.Subject {
		return nil
	}
	who := strings.Join(roles, ", ")
	if who == "" {
		who = "nobody"
	}
	return &Error{Code: CodeForbidden, Channel: channel, Message: fmt.Sprintf("rule %q lets %s %s; you are %s", pattern, who, action, claims.Role)}
}

// find gives the rule for a channel and its pattern, or an *Error.
func (r *Rules) find(channel string) (pattern string, rule Rule, err error) {
	namespace, rest, err := ParseChannel(channel)
	if err != nil {
		return "", nil, err
	}
	if rule, ok := r.byPattern[channel]; ok {
		return channel, rule, nil
	}
	pattern = namespace + ":*"
	if rule, ok := r.byPattern[pattern]; ok && rest != "" {
		return pattern, rule, nil
	}
	return "", nil, &Error{Code: CodeForbidden, Channel: channel, Message: fmt.Sprintf("no rule is about channel %q, so nobody may use it", channel)}
}
