package ws

import (
	"slices"
	"strings"

	"github.com/gatecast/gatecast/auth"
)

// visible are the names of channels with history that the bearer of claims may
// subscribe to, as ranges that do not overlap, in order: single names that
// something is said of, and namespaces without them.
func (r *Rules) visible(claims auth.Claims) []NameRange {
	var ranges []NameRange
	names := r.named(claims)
	for _, name := range names {
		if r.History(name).Keeps() && r.Allow(ActionSubscribe, name, claims) == nil {
			ranges = append(ranges, only(name))
		}
	}
	for pattern, rule := range r.byPattern {
		namespace, wild := strings.CutSuffix(pattern, ":*")
		if wild && rule.History.Keeps() && rule.letsAnyone(claims, pattern) {
			ranges = append(ranges, without(names, namespace)...)
		}
	}
	slices.SortFunc(ranges, func(a, b NameRange) int { return strings.Compare(a.From, b.From) })
	return ranges
}

// named are the channels that a rule, the token or its bearer's ID name, sorted.
func (r *Rules) named(claims auth.Claims) []string {
	var names []string
	for pattern := range r.byPattern {
		if namespace, wild := strings.CutSuffix(pattern, ":*"); wild {
			pattern = namespace + ":" + claims.Subject
		}
		names = append(names, pattern)
	}
	for pattern := range claims.Channels {
		names = append(names, pattern)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		_, _, err := ParseChannel(name)
		return err != nil
	})
}

// letsAnyone tells whether the bearer of claims may subscribe to channels of a
// namespace that nothing more is said of.
func (rule *Rule) letsAnyone(claims auth.Claims, pattern string) bool {
	if _, actions, named := claims.Channels.For(pattern); named {
		return slices.Contains(actions, auth.CapabilitySubscribe)
	}
	return claims.Role != RoleOwner && slices.Contains(rule.Allow[ActionSubscribe], claims.Role)
}

// without is a namespace without the names in it, which are sorted.
func without(names []string, namespace string) (ranges []NameRange) {
	from := namespace + ":"
	for _, name := range names {
		if strings.HasPrefix(name, namespace+":") {
			ranges = append(ranges, NameRange{from, name})
			from = only(name).To
		}
	}
	return append(ranges, NameRange{from, namespace + ";"}) // ; comes behind :
}

// only is the range of one name: no name goes on with a control character.
func only(name string) NameRange { return NameRange{name, name + "\x01"} }
