package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/config"
)

// errSharedSecret is what commands about keys answer where there are none.
var errSharedSecret = errors.New("tokens are signed with auth.hmac_secret, so there are no keys and nothing to rotate; another secret ends every token at once")

// rotateKeys makes the next key and tells what each does.
func rotateKeys(ctx context.Context, c config.Config, stdout io.Writer) error {
	if c.Auth.HMACSecret.Reveal() != "" {
		return errSharedSecret
	}
	rotation, err := auth.RotateKeys(ctx, keyDir(c), keyOptions(c))
	if err != nil {
		return explainKeys(err)
	}
	var text strings.Builder
	for _, id := range rotation.Removed {
		fmt.Fprintf(&text, "Removed %s, which was retired.\n", id)
	}
	fmt.Fprintf(&text, "Made %s.\n\n%s", rotation.Made, duties(rotation.Keys))
	_, err = io.WriteString(stdout, text.String())
	return err
}

// listKeys tells what each key does.
func listKeys(_ context.Context, c config.Config, stdout io.Writer) error {
	if c.Auth.HMACSecret.Reveal() != "" {
		return errSharedSecret
	}
	keys, err := auth.ListKeys(keyDir(c), keyOptions(c))
	if err != nil {
		return explainKeys(err)
	}
	_, err = io.WriteString(stdout, duties(keys))
	return err
}

// explainKeys adds what to do.
func explainKeys(err error) error {
	switch {
	case errors.Is(err, auth.ErrNoKeys):
		return fmt.Errorf("%w: the server makes the first one when it starts", err)
	case errors.Is(err, auth.ErrKeyWaits):
		return fmt.Errorf("%w. Has a key leaked? docs/operations.md tells what to do at once", err)
	default:
		return err
	}
}

// duties is a line for each key.
func duties(keys []auth.KeyStatus) string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, key := range keys {
		fmt.Fprintf(table, "%s\t%s\t%s\n", key.ID, key.Duty, times(key))
	}
	_ = table.Flush() // to a Builder
	return b.String()
}

// times tells the next time at which the key's duty changes.
func times(key auth.KeyStatus) string {
	switch key.Duty {
	case auth.KeyNext:
		return "published; signs from " + stamp(key.SignsFrom) + " on"
	case auth.KeySigns:
		if key.SignsUntil.IsZero() {
			return "until there is another"
		}
		return "until " + stamp(key.SignsUntil) + "; verifies until " + stamp(key.VerifiesUntil)
	case auth.KeyVerifies:
		return "until " + stamp(key.VerifiesUntil)
	case auth.KeyRetired:
		return "since " + stamp(key.VerifiesUntil) + "; the next `gatecast keys rotate` removes it"
	default:
		return ""
	}
}

func stamp(t time.Time) string { return t.Format(time.RFC3339) }
