package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatecast/gatecast/auth"
)

// target is what clients connect to: this server on a database, or a peer.
type target struct {
	command  func(ctx context.Context) (*exec.Cmd, error)
	database *database // an empty one of no driver where it is a peer
	dialect  dialect
	// tokens makes what gives the token of a user; nil where all are let in.
	tokens func() (func(user int) (string, error), error)
}

// gatecast is this server's name among the peers'.
const gatecast = "gatecast"

// entrance is how far clients come before the load begins.
type entrance int

const (
	atDoor    entrance = iota // let in, and in no channel
	inChannel                 // in the channel of the load
	inLobby                   // in the channel that all join by default
)

// gatecast is this server, with the database and the keys in d.
func (b *bench) gatecast(d *database, in entrance) *target {
	return &target{
		command: func(ctx context.Context) (*exec.Cmd, error) {
			if err := b.build(ctx); err != nil {
				return nil, err
			}
			cmd := exec.Command(b.server, append(b.serverFlags(in), d.flags()...)...)
			cmd.Env = []string{} // nobody's GATECAST_ variables
			cmd.Dir = d.dir
			return cmd, nil
		},
		database: d,
		dialect:  gatecastDialect(in),
		tokens:   func() (func(int) (string, error), error) { return newTokens(d.dir) },
	}
}

// build makes the server's program.
func (b *bench) build(ctx context.Context) error {
	if b.server != "" {
		return nil
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	program := filepath.Join(b.dir, gatecast)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the server: %w\n%s", err, out)
	}
	b.server = program
	return nil
}

func moduleRoot(ctx context.Context) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("looking for the module: %w", err)
	}
	return strings.TrimSpace(string(root)), nil
}

// serverFlags are the defaults but for what a load would run into. Limits that a
// load is counted against are high and not off: counting is part of the work.
func (b *bench) serverFlags(in entrance) []string {
	history := fmt.Sprintf(`{"room:*": {subscribe: [user], publish: [user], presence: [user], read: [user], history: {count: %d, age: %s}}}`, b.opts.keep, keptFor)
	flags := []string{
		"serve", "--host=127.0.0.1", "--port=0", "--log.format=json", "--log.level=info",
		"--namespaces=" + history, "--log.dedupe-window=" + dedupeWindow.String(),
		"--limits.connections-per-address=1000000", "--limits.connections-per-user=1000000", "--limits.subscriptions=1000000",
	}
	for _, limit := range []string{"handshakes", "messages", "bytes"} {
		flags = append(flags, "--limits."+limit+".rate=1e9", "--limits."+limit+".burst=1000000000")
	}
	if in != inLobby {
		flags = append(flags, "--auto-subscribe=")
	}
	return flags
}

// newTokens reads, or makes, the keys in a server's data folder. What it gives is
// the token of a user. Issuer and audience are the server's defaults.
func newTokens(dataDir string) (func(user int) (string, error), error) {
	keys, err := auth.LoadKeySet(filepath.Join(dataDir, "keys"), auth.KeyOptions{})
	if err != nil {
		return nil, err
	}
	issuer := auth.NewIssuer(keys, auth.TokenOptions{Issuer: "gatecast", Audience: "gatecast", TTL: 2 * time.Hour})
	return func(user int) (string, error) {
		token, _, err := issuer.Issue(auth.Account{ID: userID(user), Username: username(user), Role: auth.RoleUser}, "session")
		return token, err
	}, nil
}

// userID has the length of a real one.
func userID(number int) string   { return fmt.Sprintf("USER%022d", number) }
func username(number int) string { return fmt.Sprintf("user%04d", number) }
