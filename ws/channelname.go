package ws

import (
	"fmt"
	"strings"

	"github.com/gatecast/gatecast/auth"
)

// ParseChannel takes a channel's name apart: lobby is the namespace lobby and
// no rest, room:42 the namespace room and the rest 42. A namespace is
// lower-case letters, digits, - and _, beginning with a letter; the rest is
// letters, digits and any of - _ . : @ = ~. A name has 255 bytes at most. What
// is not a name is an *Error.
func ParseChannel(name string) (namespace, rest string, err error) {
	if name == "" {
		return "", "", badFrame("channel is required")
	}
	if len(name) > maxChannel {
		return "", "", &Error{Code: CodeBadChannel, Message: fmt.Sprintf("the channel's name is longer than %d bytes", maxChannel)}
	}
	namespace, rest, colon := strings.Cut(name, ":")
	if !isNamespace(namespace) || colon && rest == "" || strings.IndexFunc(rest, notInRest) >= 0 {
		return "", "", &Error{Code: CodeBadChannel, Channel: name, Message: "a channel is named namespace:rest or namespace, such as room:42 or lobby, in letters, digits and - _ . : @ = ~"}
	}
	return namespace, rest, nil
}

// IsCapabilityPattern tells whether a token can speak of channels in that way: by
// a channel's name, by namespace:*, or of all with *.
func IsCapabilityPattern(s string) bool { return s == auth.AnyChannel || isPattern(s) }

func isNamespace(s string) bool {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}) < 0
}

func notInRest(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:@=~", r))
}
