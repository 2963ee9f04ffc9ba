package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/gatecast/gatecast/config"
)

// command is something that the program does.
type command struct {
	use  string // its name and, in capitals, its arguments
	does string
	run  func(ctx context.Context, c config.Config, args []string, stdout io.Writer) error
	// flags defines flags of the command's own, beside the settings; nil defines
	// none.
	flags func(*flag.FlagSet)
}

// commands are all there are. The first is what runs where none is named.
func commands() []command {
	return []command{
		{use: "serve", does: "run the server", run: withoutArgs(serve)},
		{use: "config", does: "print the effective settings", run: withoutArgs(printConfig)},
		{use: "db check", does: "look for damage in the database; the server may run", run: withoutArgs(checkDB)},
		{use: "db backup FILE", does: "copy the SQLite database into a new file; the server may run", run: backupDB},
		addCommand(),
		passwdCommand(),
		{use: "user role NAME ROLE", does: "make an account a user, service or admin, and end its sessions", run: setRole},
		{use: "user disable NAME", does: "end an account's sessions and let nobody log in to it", run: disableUser},
		{use: "user enable NAME", does: "let people log in to a disabled account again", run: enableUser},
		{use: "user delete NAME", does: "delete an account, as DELETE /me does", run: deleteUser},
		// The longer name stands first: words are taken for the first that fits.
		{use: "token revoke ID", does: "end a token of `gatecast token` before its time", run: revokeToken},
		tokenCommand(),
		{use: "keys list", does: "tell which signing key does what; the server may run", run: withoutArgs(listKeys)},
		{use: "keys rotate", does: "make the next signing key and remove retired ones; the server may run", run: withoutArgs(rotateKeys)},
		{use: "help", does: "print this text"},
	}
}

func withoutArgs(run func(context.Context, config.Config, io.Writer) error) func(context.Context, config.Config, []string, io.Writer) error {
	return func(ctx context.Context, c config.Config, _ []string, stdout io.Writer) error {
		return run(ctx, c, stdout)
	}
}

func (c command) isHelp() bool { return c.run == nil }

// parts are the words of the command's name and those that stand for arguments.
func (c command) parts() (name, args []string) {
	words := strings.Fields(c.use)
	n := slices.IndexFunc(words, func(word string) bool { return word == strings.ToUpper(word) })
	if n < 0 {
		n = len(words)
	}
	return words[:n], words[n:]
}

// splitWords takes what comes before the first flag off a command line.
func splitWords(args []string) (words, flags []string) {
	n := 0
	for n < len(args) && args[n] != "" && args[n][0] != '-' {
		n++
	}
	return args[:n], args[n:]
}

// findCommand gives the command that words name, and its arguments.
func findCommand(words []string) (command, []string, error) {
	all := commands()
	if len(words) == 0 {
		return all[0], nil, nil
	}
	given := strings.Join(words, " ")
	var near []string // commands that begin with the same word
	for _, c := range all {
		name, args := c.parts()
		if len(words) >= len(name) && slices.Equal(words[:len(name)], name) {
			if len(words) == len(name)+len(args) {
				return c, words[len(name):], nil
			}
			return command{}, nil, fmt.Errorf("%q is not how it goes; write `gatecast %s [flags]`", given, c.use)
		}
		if words[0] == name[0] {
			near = append(near, "`gatecast "+c.use+" [flags]`")
		}
	}
	if len(near) == 0 {
		return command{}, nil, fmt.Errorf("there is no command %q; `gatecast help` lists them", given)
	}
	return command{}, nil, fmt.Errorf("there is no command %q; write %s", given, strings.Join(near, " or "))
}

// printFlags prints the command's own flags.
func (c command) printFlags(table io.Writer) {
	if c.flags == nil {
		return
	}
	own := flag.NewFlagSet(c.use, flag.ContinueOnError)
	c.flags(own)
	own.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		if f.DefValue != "" {
			usage += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(table, "    --%s\t%s\n", strings.TrimSpace(f.Name+" "+value), usage)
	})
}

func printUsage(stdout io.Writer) error {
	var b strings.Builder
	b.WriteString("Gatecast is a realtime API server with the door built in.\n\n")
	table := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	for i, c := range commands() {
		use := c.use
		if i == 0 {
			use = "[" + use + "]"
		}
		if !c.isHelp() {
			use += " [flags]"
		}
		fmt.Fprintf(table, "  gatecast %s\t%s\n", use, c.does)
		c.printFlags(table)
	}
	_ = table.Flush() // to a Builder
	b.WriteString("\nFlags, each also an environment variable (--a.b-c is GATECAST_A_B_C) and a key\nof the YAML file (a.b_c):\n\n")
	b.WriteString(config.Usage())
	_, err := io.WriteString(stdout, b.String())
	return err
}
