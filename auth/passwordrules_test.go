package auth_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gatecast/gatecast/auth"
)

// P1, P2, P3: a new password is long enough and is not what is guessed first;
// nothing else is asked of it.
func TestPasswordRulesP1P2P3(t *testing.T) {
	rules := auth.PasswordRules{MinLength: 8}
	for _, row := range []struct{ name, username, password, reason string }{
		{"7 characters", "alice", "vnhsirq", "8 characters"},
		{"8 characters of one kind", "alice", "vnhsirqe", ""},
		{"8 characters of several bytes", "alice", "ắắắắắắắắ", ""},
		{"a phrase", "alice", "correct horse", ""},
		{"64 characters", "alice", strings.Repeat("ắ", 64), ""},
		{"1024 bytes", "alice", strings.Repeat("x", 1024), ""},
		{"1025 bytes", "alice", strings.Repeat("x", 1025), "1024 bytes"},
		{"common", "alice", "password", "most common"},
		{"common, in capitals", "alice", "PassWord1", "most common"},
		{"the first of the list", "alice", "00000000", "most common"},
		{"a part of a common one", "alice", "iloveyou1x", ""},
		{"a common one and more", "alice", "password password", ""},
		{"the username", "nguyen.van", "Nguyen.Van", "username"},
		{"the username backwards", "nguyen.van", "nav.neyugn", "username"},
		{"the username, composed otherwise", "nguyễn.văn", "nguye\u0302\u0303n.va\u0306n", "username"},
		{"the username and more", "nguyen.van", "nguyen.van at the lake", ""},
		{"a line break that spans two of the list", "alice", "password\npassword1", "control"},
	} {
		err := rules.Check(row.username, row.password)
		var input *auth.InputError
		switch {
		case row.reason == "" && err != nil:
			t.Errorf("%s: %v", row.name, err)
		case row.reason != "" && (!errors.As(err, &input) || input.Field != "password" || !strings.Contains(input.Reason, row.reason)):
			t.Errorf("%s: %v, want an input error about %q", row.name, err, row.reason)
		}
	}
}

func BenchmarkPasswordRules(b *testing.B) {
	rules := auth.PasswordRules{MinLength: 8}
	for name, password := range map[string]string{"short": "correct horse", "long": strings.Repeat("x", 1024)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := rules.Check("alice", password); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
