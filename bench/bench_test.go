package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	short := []string{
		"-json", "-server", b.server, "-peer-dir", b.peerDir, "-duration", "200ms", "-warmup", "50ms",
		"-publishers", "1,20", "-clients", "40", "-channels", "10", "-keep", "20", "-compare",
	}
	for _, s := range scenarios() {
		if s.rows(options{drivers: []string{driverSQLite}, publishers: []int{1}, clients: []int{1}})[0].on == gatecast {
			t.Run(s.name, func(t *testing.T) { testOnServers(t, s, short) })
			continue
		}
		for _, driver := range []string{driverSQLite, driverPostgres} {
			t.Run(s.name+"/"+driver, func(t *testing.T) { testOnDatabase(t, s, driver, short) })
		}
	}
	t.Run("without a peer", func(t *testing.T) { testWithoutPeer(t, short) })
}

// A peer that cannot be had is told loudly, and the rest is measured all the
// same.
func testWithoutPeer(t *testing.T, args []string) {
	goProgram, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir()
	if err := os.Symlink(goProgram, filepath.Join(path, "go")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", path) // npm is not there
	s, _ := find("fanout")
	rows, progress := runShort(t, s, append(args, "-peer-dir", t.TempDir(), "-peers", "node-ws", "-rounds", "2"))
	if len(rows) != 1 || rows[0]["server"] != gatecast {
		t.Errorf("rows are %v", rows)
	}
	if strings.Count(progress, "SKIPPED: fanout node-ws: ") != 1 {
		t.Error(progress)
	}
}

func testOnDatabase(t *testing.T, s scenario, driver string, args []string) {
	rows, progress := runShort(t, s, append(args, "-driver", driver))
	if strings.Contains(progress, "SKIPPED") {
		t.Skip(progress)
	}
	if len(rows) == 0 {
		t.Fatal("there is no row")
	}
	for _, row := range rows {
		positive := []string{"clients", "perSecond", "p50Ms", "p99Ms"}
		if s.name == "publish" {
			positive = append(positive, "barePerSecond", "ofBare")
		}
		checkPositive(t, row, positive...)
		if row["scenario"] != s.name || row["driver"] != driver {
			t.Errorf("%v", row)
		}
	}
}

// testOnServers runs the peers too where a scenario is the first of its kind.
func testOnServers(t *testing.T, s scenario, args []string) {
	servers := []string{gatecast}
	positive := map[string][]string{
		"fanout": {"perSecond", "p50Ms", "p99Ms", "rssMB"}, "channels": {"perSecond"}, "large": {"perSecond"}, "steady": {"perSecond", "p99Ms"},
		"idle": {connectionKB}, "stalled": {"perSecond", "closed", "closedSeconds", "rssPeakMB"}, "storm": {"perSecond", "againPerSecond"}, "joins": {"allMs", "framesEach"},
	}[s.name]
	switch s.name {
	case "fanout":
		args = append(args, "-peers", "all")
		servers = append(servers, peerNames()...)
	case "stalled":
		// What waits for the stalled grows fast, and nobody else gets so far behind that
		// the server must close them, however busy the machine is.
		args = append(args, "-size", "8000", "-window", "8")
	}
	rows, progress := runShort(t, s, args)
	for _, server := range servers {
		t.Run(server, func(t *testing.T) {
			if strings.Contains(progress, "SKIPPED: "+s.name+" "+server) {
				t.Skip(progress)
			}
			i := slices.IndexFunc(rows, func(row map[string]any) bool { return row["server"] == server })
			if i < 0 {
				t.Fatalf("there is no row of it in %v", rows)
			}
			checkPositive(t, rows[i], positive...)
			if lost, told := rows[i]["lost"].(float64); told && lost != 0 {
				t.Errorf("%v messages are lost", lost)
			}
		})
	}
}

// runShort gives the rows of a run.
func runShort(t *testing.T, s scenario, args []string) (rows []map[string]any, progress string) {
	t.Helper()
	dir := openTempDir(t)
	var stdout, told bytes.Buffer
	if err := run(t.Context(), append([]string{s.name}, args...), &stdout, &told); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if err := json.Unmarshal(stdout.Bytes(), &rows); err != nil {
		t.Fatalf("%v: %s", err, stdout.Bytes())
	}
	return rows, told.String()
}

func checkPositive(t *testing.T, row map[string]any, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if n, _ := row[key].(float64); n <= 0 {
			t.Errorf("%s is %v in %v", key, row[key], row)
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
	for _, args := range []string{"publisch", "publish -driver mysql", "publish -publishers 0", "publish -publishers x", "bare -size 5", "bare -duration 0s", "publish more", "fanout -peers socketio", "fanout -rate -1", "fanout -window 1000000", "fanout -clients 100 -channels 51"} {
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

// A stamp is found in every dialect, wherever it stands, and read as it was
// written.
func TestStamps(t *testing.T) {
	for _, d := range []dialect{gatecastDialect(inChannel), centrifugeDialect(inChannel), plainDialect(inChannel)} {
		const size = 128
		f := newFanout(fanoutLoad{clients: 2, channels: 1, size: size}, d)
		tmpl := newTemplate(publication(d, "live:0000", size))
		for i := range 3 {
			frame := tmpl.fill(stampZero+i, firstID+i)
			header, err := wire.ReadHeader(bytes.NewReader(frame))
			if err != nil {
				t.Fatal(err)
			}
			payload := bytes.Clone(frame[len(frame)-int(header.Length):])
			wire.Cipher(payload, header.Mask, 0)
			payload = append(bytes.Repeat([]byte(" "), i), payload...)
			at := f.find(payload)
			if at < 0 || !json.Valid(payload) {
				t.Fatalf("%d in %s", at, payload)
			}
			if sent, number := readStamp(payload[at:]); sent != stampZero+i || number != firstID+i {
				t.Errorf("%d %d in %s", sent, number, payload)
			}
			if data, _, _ := bytes.Cut(payload[at:], []byte("}")); len(data)+1 != size {
				t.Errorf("%d bytes of data in %s", len(data)+1, payload)
			}
		}
	}
}

// What is missing, doubled or out of order is counted, once for each message.
func TestLostMessagesAreCounted(t *testing.T) {
	for numbers, want := range map[[4]int]int{{1, 2, 3, 4}: 0, {1, 2, 4, 5}: 1, {1, 1, 2, 3}: 1, {3, 4, 5, 6}: 2, {1, 5, 6, 9}: 5} {
		d := plainDialect(inChannel)
		f := newFanout(fanoutLoad{clients: 2, channels: 1, size: 128}, d)
		for _, n := range numbers {
			if _, err := f.heard(&client{}, frame{opText, fmt.Appendf(nil, `{"t":%d,"n":%d,"p":""}`, stampZero, firstID+n)}, f.started); err != nil {
				t.Fatal(err)
			}
		}
		if f.lost != want {
			t.Errorf("of %v %d are lost, want %d", numbers, f.lost, want)
		}
	}
}

// A peer is compared round by round.
func TestProportion(t *testing.T) {
	r := report{compared: "cost"}
	for _, round := range []struct{ ours, theirs float64 }{{1, 5}, {2, 10}, {4, 80}} {
		r.add(row{"fanout", gatecast, 10}, []metric{{"cost", "cost", round.ours}})
		r.add(row{"fanout", "gws", 10}, []metric{{"cost", "cost", round.theirs}})
	}
	for on, want := range map[string]string{gatecast: "1", "gws": "5"} {
		medians := r.medians(row{"fanout", on, 10})
		if got := medians[len(medians)-1]; got.key != "toGatecast" || got.String() != want {
			t.Errorf("%s: %s %s, want %s", on, got.key, got, want)
		}
	}
}

func TestMetricsHaveThreeFigures(t *testing.T) {
	for value, want := range map[float64]string{0: "0", 7: "7", 0.1949: "0.195", 1.5: "1.50", 21.04: "21.0", 14759.3: "14759", 0.001234: "0.00123"} {
		if got := (metric{value: value}).String(); got != want {
			t.Errorf("%v is told as %s, want %s", value, got, want)
		}
	}
}

// The line that says where a server listens need not be its first, nor come in
// one piece.
func TestTailFindsTheAddress(t *testing.T) {
	tail := newTail()
	for _, piece := range []string{`{"msg":"capacity"}` + "\n{\"msg\":\"listening\",", `"page":"http://127.0.0.1:1/"`, "}\n{}\n"} {
		_, _ = tail.Write([]byte(piece))
	}
	addr, err := firstAddress(t.Context(), tail.address)
	if err != nil || addr != "127.0.0.1:1" {
		t.Errorf("%q %v", addr, err)
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
