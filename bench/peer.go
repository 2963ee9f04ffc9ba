package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// errNoPeer says that a peer cannot be had here.
var errNoPeer = errors.New("this peer cannot be had here")

// buildPatience bounds the fetching and building of a peer.
const buildPatience = 10 * time.Minute

// peer is another server that does the same work.
type peer struct {
	name    string
	program string // its folder in bench/peers
	dialect func(in entrance) dialect
	// build puts the program, whose source is in one folder, into another one.
	build func(ctx context.Context, source, dir string) error
	start func(dir string) *exec.Cmd
}

func peers() []peer {
	return []peer{
		{"centrifuge", "centrifuge", centrifugeDialect, buildGo, startGo()},
		// The same, which waits for more to write together.
		{"centrifuge-5ms", "centrifuge", centrifugeDialect, buildGo, startGo("-write-delay=5ms")},
		{"gws", "gws", plainDialect, buildGo, startGo()},
		{"contrib", "contrib", plainDialect, buildGo, startGo()},
		{"node-ws", "node-ws", plainDialect, buildNode, startNode},
	}
}

func peerNames() []string {
	var names []string
	for _, p := range peers() {
		names = append(names, p.name)
	}
	return names
}

// peer is the peer of that name as a target. Its program is built when it is first
// needed.
func (b *bench) peer(ctx context.Context, name string, in entrance) (*target, error) {
	for _, p := range peers() {
		if p.name == name {
			dir, err := b.buildPeer(ctx, p)
			return &target{
				command:  func(context.Context) (*exec.Cmd, error) { return p.start(dir), nil },
				database: &database{},
				dialect:  p.dialect(in),
			}, err
		}
	}
	return nil, fmt.Errorf("there is no peer %q", name)
}

// buildPeer builds in a folder that gets its name when all is in it.
func (b *bench) buildPeer(ctx context.Context, p peer) (dir string, err error) {
	dir = filepath.Join(b.peerDir, p.program)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(b.peerDir, 0o755); err != nil {
		return "", err
	}
	unfinished, err := os.MkdirTemp(b.peerDir, "unfinished-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(unfinished)) }()
	fmt.Fprintln(b.progress, "building", p.program)
	ctx, cancel := context.WithTimeout(ctx, buildPatience)
	defer cancel()
	if err := p.build(ctx, filepath.Join(root, "bench", "peers", p.program), unfinished); err != nil {
		return "", fmt.Errorf("%w: %w", errNoPeer, err)
	}
	return dir, os.Rename(unfinished, dir)
}

func buildGo(ctx context.Context, source, dir string) error {
	return runIn(ctx, source, "go", "build", "-o", filepath.Join(dir, "peer"), ".")
}

func startGo(args ...string) func(dir string) *exec.Cmd {
	return func(dir string) *exec.Cmd { return exec.Command(filepath.Join(dir, "peer"), args...) }
}

func buildNode(ctx context.Context, source, dir string) error {
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		return err
	}
	return runIn(ctx, dir, "npm", "ci", "--no-audit", "--no-fund")
}

func startNode(dir string) *exec.Cmd { return exec.Command("node", filepath.Join(dir, "server.js")) }

func runIn(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}
