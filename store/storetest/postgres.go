// Package storetest starts a private PostgreSQL for tests and measurements,
// from the binaries that the machine has, on a Unix socket and nothing else.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNoPostgres: the machine has no PostgreSQL to start.
var ErrNoPostgres = errors.New("storetest: there is no PostgreSQL on this machine")

// startTimeout bounds the start and the stop of the server.
const startTimeout = 60 * time.Second

// Postgres is a server of one's own.
type Postgres struct {
	bin string // folder of its programs
	dir string // data and socket
	as  *syscall.Credential
}

// StartPostgres makes a database cluster and starts its server. Stop ends it and
// removes it from the disk.
func StartPostgres(ctx context.Context) (*Postgres, error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "gatecast-pg-")
	if err != nil {
		return nil, fmt.Errorf("storetest: %w", err)
	}
	p := &Postgres{bin: bin, dir: dir, as: as}
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			return nil, errors.Join(fmt.Errorf("storetest: %w", err), os.RemoveAll(dir))
		}
	}
	err = p.run(ctx, "initdb", "-D", p.data(), "-U", "gatecast", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	if err == nil {
		err = p.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

// findPostgres gives the folder of the newest PostgreSQL: Debian keeps them out
// of the path.
func findPostgres() (string, error) {
	versions, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err == nil && len(versions) > 0 {
		slices.SortFunc(versions, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(versions[len(versions)-1]), nil
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(initdb), nil
	}
	return "", ErrNoPostgres
}

func version(path string) int {
	n, _ := strconv.Atoi(strings.Split(path, "/")[4])
	return n
}

// unprivileged is who the server runs as: PostgreSQL refuses root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
			gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
			if uidErr == nil && gidErr == nil {
				return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
			}
		}
	}
	return nil, fmt.Errorf("%w that could run as root, and no other user is there", ErrNoPostgres)
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

func (p *Postgres) run(ctx context.Context, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, program), args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("storetest: %s: %w\n%s", program, err, out.String())
	}
	return nil
}

// Start starts the server after a Halt.
func (p *Postgres) Start(ctx context.Context) error {
	options := "-c listen_addresses='' -c unix_socket_directories=" + p.dir + " -c max_connections=200"
	return p.run(ctx, "pg_ctl", "-D", p.data(), "-w", "-l", filepath.Join(p.dir, "log"), "-o", options, "start")
}

// Halt stops the server as if its machine had lost power; Start has it recover.
func (p *Postgres) Halt(ctx context.Context) error {
	return p.run(ctx, "pg_ctl", "-D", p.data(), "-w", "-m", "immediate", "stop")
}

// Stop ends the server and removes what it kept.
func (p *Postgres) Stop(ctx context.Context) error {
	return errors.Join(p.Halt(ctx), os.RemoveAll(p.dir))
}

// NewDatabase makes an empty database and gives its DSN.
func (p *Postgres) NewDatabase(ctx context.Context) (string, error) {
	name := "db_" + strings.ToLower(rand.Text())
	conn, err := pgx.Connect(ctx, p.dsn("postgres"))
	if err != nil {
		return "", fmt.Errorf("storetest: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return "", fmt.Errorf("storetest: %w", err)
	}
	return p.dsn(name), nil
}

func (p *Postgres) dsn(database string) string {
	return fmt.Sprintf("host=%s user=gatecast dbname=%s", p.dir, database)
}
