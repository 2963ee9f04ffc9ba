package auth

import (
	"maps"
	"slices"
	"strings"
)

// Actions that a capability names, the same words as in the rules of the
// configuration.
const (
	CapabilitySubscribe = "subscribe"
	CapabilityPublish   = "publish"
	CapabilityPresence  = "presence"
	CapabilityRead      = "read"
)

// AllCapabilities lists them.
func AllCapabilities() []string {
	return []string{CapabilitySubscribe, CapabilityPublish, CapabilityPresence, CapabilityRead}
}

// IsCapability tells whether a word is one of them.
func IsCapability(word string) bool { return slices.Contains(AllCapabilities(), word) }

// AnyChannel is the pattern that every channel fits.
const AnyChannel = "*"

// Capabilities are rights of a token's own, by channel name or pattern
// (room:42, prices:*, *). For a channel that one fits they say all that the
// bearer may do there, whatever the rules say of its role; for other channels
// they say nothing.
type Capabilities map[string][]string

// For gives the actions that are named for a channel by the pattern that fits
// it closest: its own name, its namespace, every channel. named tells whether
// there is one.
func (c Capabilities) For(channel string) (pattern string, actions []string, named bool) {
	namespace, _, colon := strings.Cut(channel, ":")
	patterns := []string{channel, namespace + ":" + AnyChannel, AnyChannel}
	for i, pattern := range patterns {
		if i == 1 && !colon {
			continue
		}
		if actions, named = c[pattern]; named {
			return pattern, actions, true
		}
	}
	return "", nil, false
}

// Equal tells whether both say the same.
func (c Capabilities) Equal(other Capabilities) bool {
	return maps.EqualFunc(c, other, func(a, b []string) bool {
		return slices.Equal(sortedSet(a), sortedSet(b))
	})
}

func sortedSet(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
