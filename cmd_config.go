package main

import (
	"context"
	"io"

	"github.com/gatecast/gatecast/config"
)

// printConfig shows the effective settings, secrets redacted.
func printConfig(_ context.Context, c config.Config, stdout io.Writer) error {
	_, err := io.WriteString(stdout, c.Describe())
	return err
}
