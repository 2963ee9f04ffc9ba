package config

import (
	"fmt"
	"strings"
)

// minDistinct is how many different characters a secret has at least. Of 32
// random hexadecimal digits 14 are different on average, and fewer than 8 in one
// of thirty million secrets.
const minDistinct = 8

// weakness tells what makes a secret of enough bytes guessable nevertheless, and
// shows nothing of it; it is empty where nothing is found, or no secret is there.
func weakness(secret string) string {
	if secret == "" {
		return ""
	}
	if period := repeats(secret); period < MinHMACSecret && period <= len(secret)/2 {
		return fmt.Sprintf("repeats %d bytes again and again", period)
	}
	different := map[byte]bool{}
	for i := range len(secret) {
		different[secret[i]] = true
	}
	if len(different) < minDistinct {
		return fmt.Sprintf("has only %d different characters", len(different))
	}
	// Words of examples, none of them so short that a random secret may hold it.
	for _, word := range []string{
		"changeme", "change-me", "change_me", "change me", "replace", "placeholder", "example", "default", "insecure", "development",
		"secret", "password", "passphrase", "gatecast", "letmein", "qwerty", "abcdefgh", "12345678",
	} {
		if strings.Contains(strings.ToLower(secret), word) {
			return "holds a word or a row that stands in examples, such as changeme, secret or 12345678"
		}
	}
	return ""
}

// repeats is after how many bytes a text begins anew; its length where it does
// not.
func repeats(s string) int {
	for period := 1; period < len(s); period++ {
		if s[period:] == s[:len(s)-period] {
			return period
		}
	}
	return len(s)
}
