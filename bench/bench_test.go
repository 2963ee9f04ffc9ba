package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	wire "github.com/gobwas/ws"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every scenario runs against the real server, tells figures, and leaves
// nothing behind.
func TestScenarios(t *testing.T) {
	b, err := newBench(options{}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.close() })
	if err := b.build(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios() {
		for _, driver := range []string{driverSQLite, driverPostgres} {
			t.Run(s.name+"/"+driver, func(t *testing.T) {
				dir := openTempDir(t)
				var stdout, progress bytes.Buffer
				args := []string{
					s.name, "-json", "-server", b.server, "-driver", driver, "-compare", "-duration", "200ms", "-warmup", "50ms",
					"-publishers", "1,20", "-clients", "20", "-channels", "10", "-keep", "20",
				}
				if err := run(t.Context(), args, &stdout, &progress); err != nil {
					t.Fatal(err)
				}
				left, err := os.ReadDir(dir)
				if err != nil || len(left) > 0 {
					t.Errorf("left behind: %v %v", left, err)
				}
				if strings.Contains(progress.String(), "SKIPPED") {
					t.Skip(progress.String())
				}
				checkRows(t, s.name, driver, stdout.Bytes())
			})
		}
	}
}

// openTempDir is a new folder for temporary files; PostgreSQL's user must get
// through it.
func openTempDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "bench-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("TMPDIR", dir)
	return dir
}

func checkRows(t *testing.T, scenario, driver string, report []byte) {
	t.Helper()
	var rows []map[string]any
	if err := json.Unmarshal(report, &rows); err != nil || len(rows) == 0 {
		t.Fatalf("%v: %s", err, report)
	}
	for _, row := range rows {
		positive := []string{"clients", "perSecond", "p50Ms", "p99Ms"}
		if scenario == "publish" {
			positive = append(positive, "barePerSecond", "ofBare")
		}
		for _, key := range positive {
			if n, _ := row[key].(float64); n <= 0 {
				t.Errorf("%s is %v in %v", key, row[key], row)
			}
		}
		if row["scenario"] != scenario || row["driver"] != driver {
			t.Errorf("%v", row)
		}
	}
}

// An interrupt ends a run at once and in order.
func TestInterrupt(t *testing.T) {
	dir := openTempDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := run(ctx, []string{"bare", "-driver", "sqlite", "-publishers", "5", "-duration", "1m"}, os.Stdout, os.Stderr)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it ended with: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWrongArguments(t *testing.T) {
	for _, args := range []string{"publisch", "publish -driver mysql", "publish -publishers 0", "publish -publishers x", "bare -size 5", "bare -duration 0s", "publish more"} {
		if err := run(t.Context(), strings.Fields(args), os.Stdout, &bytes.Buffer{}); err == nil {
			t.Errorf("%s is taken", args)
		}
	}
}

func TestQuantilesAreTrue(t *testing.T) {
	var l latencies
	for i := 1; i <= 10_000; i++ {
		l.add(time.Duration(i) * time.Microsecond)
	}
	for _, part := range []float64{0.01, 0.5, 0.99} {
		want := part * 10_000
		if got := float64(l.quantile(part).Microseconds()); math.Abs(got-want) > want/50 {
			t.Errorf("quantile %v is %v, want %v", part, got, want)
		}
	}
}

// What the load sends is what the server's own codec reads, whatever its size.
func TestTemplates(t *testing.T) {
	for _, size := range []int{0, 50, 200, 70} {
		text := `{"id":########,"channel":"room:####","p":"` + strings.Repeat("x", size) + `"}`
		tmpl := newTemplate(text)
		tmpl.fill(12345678, 9)
		sent := bytes.NewBuffer(tmpl.fill(87654321, 42))
		header, err := wire.ReadHeader(sent)
		if err != nil {
			t.Fatal(err)
		}
		wire.Cipher(sent.Bytes(), header.Mask, 0)
		want := strings.NewReplacer("########", "87654321", "####", "0042").Replace(text)
		if got := sent.String(); got != want || header.Length != int64(len(got)) || !header.Fin || header.OpCode != wire.OpText {
			t.Errorf("%+v %s", header, got)
		}
	}
}

// A frame is read only when all of it is there.
func TestReadFrame(t *testing.T) {
	for _, size := range []int{0, 5, 125, 126, 65535, 65536} {
		payload := bytes.Repeat([]byte("x"), size)
		whole := wire.MustCompileFrame(wire.NewTextFrame(payload))
		for _, cut := range []int{0, 1, 2, len(whole) / 2, len(whole) - 1} {
			if _, n := readFrame(whole[:cut]); n != 0 && cut < len(whole) {
				t.Errorf("%d of %d bytes are taken for a frame", cut, len(whole))
			}
		}
		if f, n := readFrame(append(whole, 1, 2, 3)); n != len(whole) || !bytes.Equal(f.payload, payload) || f.opcode != opText {
			t.Errorf("a frame of %d bytes is read as %d", len(whole), n)
		}
	}
}

func TestParseStat(t *testing.T) {
	p, err := parseStat(fmt.Appendf(nil, "42 (a ) b) S 7 1 1 0 -1 0 0 0 0 0 150 50 20 5 20 0 1 0 1 1"))
	if err != nil || p.parent != 7 || p.own != 2*time.Second || p.waited != 250*time.Millisecond {
		t.Errorf("%+v %v", p, err)
	}
}
