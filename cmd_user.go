package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/config"
)

// userFlags are what commands that set a password take.
type userFlags struct {
	role         string
	passwordFile string
}

func addCommand() command {
	var f userFlags
	return command{
		use: "user add NAME", does: "make an account",
		flags: func(set *flag.FlagSet) {
			f.definePassword(set)
			set.StringVar(&f.role, "role", auth.RoleUser, "`ROLE` of the account: user, service or admin")
		},
		run: func(ctx context.Context, c config.Config, args []string, stdout io.Writer) error {
			password, err := f.password() // before the database is opened: a server may want to start
			if err != nil {
				return err
			}
			return withAccounts(ctx, c, stdout, func(accounts *auth.Accounts) (string, error) {
				return add(ctx, accounts, args[0], password, f.role)
			})
		},
	}
}

func passwdCommand() command {
	var f userFlags
	return command{
		use: "user passwd NAME", does: "give an account another password and end its sessions",
		flags: f.definePassword,
		run: func(ctx context.Context, c config.Config, args []string, stdout io.Writer) error {
			password, err := f.password()
			if err != nil {
				return err
			}
			return withAccount(ctx, c, args[0], stdout, func(accounts *auth.Accounts, a auth.Account) (string, error) {
				return a.Username + " has another password, and is logged out everywhere.", accounts.SetPassword(ctx, a.ID, password)
			})
		},
	}
}

func (f *userFlags) definePassword(set *flag.FlagSet) {
	set.StringVar(&f.passwordFile, "password-file", "", "`FILE` whose first line is the password; without it, it is asked for or read from standard input")
}

func add(ctx context.Context, accounts *auth.Accounts, name, password, role string) (string, error) {
	account, err := accounts.Create(ctx, name, password, role)
	if errors.Is(err, auth.ErrUsernameTaken) {
		return "", fmt.Errorf("there is an account %q already", name)
	}
	return fmt.Sprintf("%s is %s, with the ID %s.", account.Username, account.Role, account.ID), err
}

func setRole(ctx context.Context, c config.Config, args []string, stdout io.Writer) error {
	return withAccount(ctx, c, args[0], stdout, func(accounts *auth.Accounts, a auth.Account) (string, error) {
		return fmt.Sprintf("%s is %s, and is logged out everywhere.", a.Username, args[1]), accounts.ChangeRole(ctx, a.ID, args[1])
	})
}

func disableUser(ctx context.Context, c config.Config, args []string, stdout io.Writer) error {
	return withAccount(ctx, c, args[0], stdout, func(accounts *auth.Accounts, a auth.Account) (string, error) {
		return a.Username + " is disabled, and is logged out everywhere.", accounts.Disable(ctx, a.ID)
	})
}

func enableUser(ctx context.Context, c config.Config, args []string, stdout io.Writer) error {
	return withAccount(ctx, c, args[0], stdout, func(accounts *auth.Accounts, a auth.Account) (string, error) {
		return a.Username + " can log in.", accounts.Enable(ctx, a.ID)
	})
}

func deleteUser(ctx context.Context, c config.Config, args []string, stdout io.Writer) error {
	return withAccount(ctx, c, args[0], stdout, func(accounts *auth.Accounts, a auth.Account) (string, error) {
		return a.Username + " is deleted. A server that runs goes through the messages.", accounts.Delete(ctx, a.ID)
	})
}

// withAccounts opens the accounts, which a server may be using, and prints what
// do says.
func withAccounts(ctx context.Context, c config.Config, stdout io.Writer, do func(*auth.Accounts) (string, error)) (err error) {
	db, err := joinStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// Nobody logs in here, so no key is needed; the server reads from the
	// database whose sessions have ended.
	revocations := auth.NewRevocations(db, auth.RevocationOptions{})
	says, err := do(newAccounts(c, db, nil, revocations))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, says)
	return err
}

func withAccount(ctx context.Context, c config.Config, name string, stdout io.Writer, do func(*auth.Accounts, auth.Account) (string, error)) error {
	return withAccounts(ctx, c, stdout, func(accounts *auth.Accounts) (string, error) {
		account, err := find(ctx, accounts, name)
		if err != nil {
			return "", err
		}
		return do(accounts, account)
	})
}

func find(ctx context.Context, accounts *auth.Accounts, name string) (auth.Account, error) {
	account, err := accounts.ByUsername(ctx, name)
	if errors.Is(err, auth.ErrNotFound) {
		return account, fmt.Errorf("there is no account %q", name)
	}
	return account, err
}

// password is the first line of the file, of standard input, or of what is typed
// unseen.
func (f *userFlags) password() (string, error) {
	if f.passwordFile != "" {
		file, err := os.Open(f.passwordFile)
		if err != nil {
			return "", fmt.Errorf("password file: %w", err)
		}
		defer func() { _ = file.Close() }()
		return firstLine(file)
	}
	stdin := int(os.Stdin.Fd())
	if !term.IsTerminal(stdin) {
		return firstLine(os.Stdin)
	}
	fmt.Fprint(os.Stderr, "Password: ")
	typed, err := term.ReadPassword(stdin)
	fmt.Fprintln(os.Stderr)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return string(typed), nil
}

func firstLine(from io.Reader) (string, error) {
	line, err := bufio.NewReader(from).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
