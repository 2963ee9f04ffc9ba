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
	ActionRead      Action = "read history"
)

// capabilityOf is what a token calls an action.
var capabilityOf = map[Action]string{
	ActionSubscribe: auth.CapabilitySubscribe,
	ActionPublish:   auth.CapabilityPublish,
	ActionPresence:  auth.CapabilityPresence,
	ActionRead:      auth.CapabilityRead,
}

// RoleOwner in a rule is the user whose ID is the rest of the channel's name.
const RoleOwner = "owner"

// Rule says which roles may do what, and how much is kept.
type Rule struct {
	Allow   map[Action][]string
	History History
}

// Rules are the rules by pattern: an exact channel name, or namespace:*. They
// do not change after they are made. What none allows is denied.
type Rules struct{ byPattern map[string]Rule }

// NewRules checks patterns, roles and bounds.
func NewRules(byPattern map[string]Rule) (*Rules, error) {
	for pattern, rule := range byPattern {
		if !isPattern(pattern) {
			return nil, fmt.Errorf("ws: %q is neither a channel's name nor namespace:*", pattern)
		}
		if rule.History.Count < 0 || rule.History.Age < 0 {
			return nil, fmt.Errorf("ws: %q: history: count and age must not be negative", pattern)
		}
		for action, roles := range rule.Allow {
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
//
// Where the token's own capabilities are about the channel, they decide instead,
// also where no rule is about it.
func (r *Rules) Allow(action Action, channel string, claims auth.Claims) error {
	if claims.Channels != nil {
		if _, _, err := ParseChannel(channel); err != nil {
			return err
		}
		if pattern, actions, named := claims.Channels.For(channel); named {
			return allowed(action, channel, pattern, actions)
		}
	}
	pattern, rule, err := r.find(channel)
	if err != nil {
		return err
	}
	roles := rule.Allow[action]
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

// allowed is Allow for the capability that is about the channel.
func allowed(action Action, channel, pattern string, actions []string) error {
	if slices.Contains(actions, capabilityOf[action]) {
		return nil
	}
	may := strings.Join(actions, ", ")
	if may == "" {
		may = "nothing"
	}
	return &Error{Code: CodeForbidden, Channel: channel, Message: fmt.Sprintf("your token's capability for %q allows %s; it does not let you %s", pattern, may, action)}
}

// History is what is kept of a channel; nothing where no rule is about it.
func (r *Rules) History(channel string) History {
	_, rule, _ := r.find(channel)
	return rule.History
}

// keep tells whether any rule keeps history.
func (r *Rules) keep() bool {
	for _, rule := range r.byPattern {
		if rule.History.Keeps() {
			return true
		}
	}
	return false
}

// find gives the rule for a channel and its pattern, or an *Error.
func (r *Rules) find(channel string) (pattern string, rule Rule, err error) {
	namespace, rest, err := ParseChannel(channel)
	if err != nil {
		return "", Rule{}, err
	}
	if rule, ok := r.byPattern[channel]; ok {
		return channel, rule, nil
	}
	if rest != "" {
		pattern = namespace + ":*"
		if rule, ok := r.byPattern[pattern]; ok {
			return pattern, rule, nil
		}
	}
	return "", Rule{}, &Error{Code: CodeForbidden, Channel: channel, Message: fmt.Sprintf("no rule is about channel %q, so nobody may use it", channel)}
}
