package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/config"
	"github.com/gatecast/gatecast/ws"
)

// tokenFlags say what a token is to hold.
type tokenFlags struct {
	role     string
	name     string
	channels auth.Capabilities
	ttl      time.Duration
}

// tokenCommand issues a token that belongs to no login.
func tokenCommand() command {
	f := tokenFlags{channels: auth.Capabilities{}}
	return command{
		use: "token", does: "print an access token for a backend",
		flags: func(set *flag.FlagSet) {
			set.StringVar(&f.role, "role", auth.RoleService, "`ROLE` of the bearer: service, user or admin")
			set.StringVar(&f.name, "name", "backend", "`NAME` that others see; the bearer's user ID is ROLE:NAME")
			set.Func("channel", "`CHANNEL=ACTIONS`: all that the token may do there, such as 'prices:*=publish,subscribe'; again for more channels, '*=' for nothing anywhere else", f.addChannel)
			set.DurationVar(&f.ttl, "ttl", 24*time.Hour, "`TIME` that the token is good for")
		},
		run: func(_ context.Context, c config.Config, _ []string, stdout io.Writer) error {
			return f.issue(c, stdout)
		},
	}
}

// addChannel takes CHANNEL=ACTION,ACTION.
func (f *tokenFlags) addChannel(text string) error {
	pattern, list, ok := strings.Cut(text, "=")
	if !ok {
		return errors.New("write CHANNEL=ACTION,ACTION")
	}
	if !ws.IsCapabilityPattern(pattern) {
		return fmt.Errorf("%q is neither a channel's name, nor namespace:*, nor *", pattern)
	}
	actions := []string{}
	for action := range strings.SplitSeq(list, ",") {
		if action = strings.TrimSpace(action); action == "" {
			continue
		}
		if !auth.IsCapability(action) {
			return fmt.Errorf("%q is none of %s", action, strings.Join(auth.AllCapabilities(), ", "))
		}
		actions = append(actions, action)
	}
	f.channels[pattern] = append(f.channels[pattern], actions...)
	return nil
}

func (f *tokenFlags) issue(c config.Config, stdout io.Writer) error {
	if err := f.check(c); err != nil {
		return err
	}
	// A folder without keys is the wrong one: no server would take the token.
	if c.Auth.HMACSecret.Reveal() == "" {
		if _, err := auth.ListKeys(keyDir(c), keyOptions(c)); err != nil {
			return explainKeys(err)
		}
	}
	keys, err := keySet(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	token, claims, err := auth.NewIssuer(keys, tokenOptions(c)).IssueService(f.role+":"+f.name, f.name, f.role, f.channels, f.ttl)
	if err != nil {
		return err
	}
	// Standard output has the token alone, for whoever reads it into a variable.
	fmt.Fprintf(os.Stderr, "%s, good until %s. To end it before: gatecast token revoke %s\n",
		claims.Subject, claims.ExpiresAt.UTC().Format(time.RFC3339), claims.ID)
	_, err = fmt.Fprintln(stdout, token)
	return err
}

func (f *tokenFlags) check(c config.Config) error {
	if !auth.IsRole(f.role) {
		return fmt.Errorf("--role: %q is not a role; it must be user, service or admin", f.role)
	}
	if name, err := auth.Username(f.name); err != nil || name != f.name || !isRest(f.name) {
		return fmt.Errorf("--name: %q is not a name of lower-case letters, digits and - _ . @ = ~", f.name)
	}
	if f.ttl < time.Second || f.ttl > c.Auth.TokenTTLMax {
		return fmt.Errorf("--ttl: %v is not between 1s and auth.token_ttl_max, which is %v", f.ttl, c.Auth.TokenTTLMax)
	}
	return nil
}

// isRest tells whether a name can stand in a channel's behind the colon.
func isRest(name string) bool {
	_, _, err := ws.ParseChannel("user:" + name)
	return err == nil
}

// revokeToken ends the token whose ID args name, on every node.
func revokeToken(ctx context.Context, c config.Config, args []string, stdout io.Writer) (err error) {
	if strings.Contains(args[0], ".") {
		return errors.New("that is a token; name its ID, which `gatecast token` printed and which stands in it as jti")
	}
	db, err := joinStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	revocations := auth.NewRevocations(db, auth.RevocationOptions{})
	if err := revocations.RevokeToken(ctx, args[0], time.Now().Add(auth.MaxTokenTTL)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "Any token with the ID %s is refused from now on.\n", args[0])
	return err
}
