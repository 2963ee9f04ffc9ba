package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// O1: on a stop every socket gets 1012, and the server ends well within its
// time, also with a client that does not answer.
func TestShutdownO1(t *testing.T) {
	s := start(t, "--shutdown-timeout=5s")
	var peers []*peer
	for i := range 20 {
		peers = append(peers, s.join(fmt.Sprint("user", i)))
	}
	mute := s.rawSocket(s.token("mute"))
	since := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	for _, p := range peers {
		if code := p.closeCode(); code != 1012 {
			t.Errorf("%s: closed with %d", p.name, code)
		}
	}
	if code := mute.closeCode(); code != 1012 {
		t.Errorf("the client that does not answer: closed with %d", code)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if took := time.Since(since); took > 4*time.Second {
		t.Errorf("the stop took %v", took)
	}
	if !s.logged(`"msg":"stopped"`) {
		t.Error("the log does not tell of the end")
	}
}

// A stop that comes as early as it can is a stop too.
func TestStopRightAfterStart(t *testing.T) {
	dir := t.TempDir()
	for range 30 {
		if err := startIn(t, dir).stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// O1: every socket gets 1012, also where there are more than the pace allows.
func TestShutdownOfManyO1(t *testing.T) {
	s := start(t, "--shutdown-timeout=1s", "--limits.connections-per-user=0", "--socket.close-timeout=100ms")
	token := s.token("alice")
	var peers []*peer
	for range 1100 {
		peers = append(peers, s.dial(token))
	}
	for _, p := range peers {
		p.until("subscribed")
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	codes := map[int]int{}
	for _, p := range peers {
		codes[p.closeCode()]++
	}
	if codes[1012] != len(peers) {
		t.Errorf("closed with %v", codes)
	}
}

// O1: while it drains, the server is not ready and lets no socket in.
func TestDrainingRefusesO1(t *testing.T) {
	s := start(t, "--socket.close-timeout=3s")
	mute := s.rawSocket(s.token("mute")) // holds the drain up
	request := s.rawConn()               // is there already, and asks late
	go func() { _ = s.stop() }()
	if code := mute.closeCode(); code != 1012 {
		t.Errorf("closed with %d", code)
	}
	ask := func(path, headers string) answer {
		if _, err := fmt.Fprintf(request, "GET %s HTTP/1.1\r\n%s\r\n", path, headers); err != nil {
			t.Fatal(err)
		}
		return readAnswer(t, request, "GET")
	}
	a := ask("/readyz", "Host: x\r\n")
	if a.status != http.StatusServiceUnavailable || a.field("code") != "draining" {
		t.Errorf("readyz: %d %s", a.status, a.body)
	}
	if a := ask("/healthz", "Host: x\r\n"); a.status != http.StatusOK {
		t.Errorf("healthz: %d %s", a.status, a.body)
	}
	a = ask("/ws", handshakeHeaders("Authorization", "Bearer "+s.token("alice")))
	if a.status != http.StatusServiceUnavailable || a.field("code") != "draining" || a.header.Get("Retry-After") == "" {
		t.Errorf("ws: %d %s", a.status, a.body)
	}
	_ = request.Close()
	_ = mute.conn.Close()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// Two hundred clients join, talk and leave at random; nothing of them stays.
func TestRandomClientsLeaveNothing(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	s := start(t, "--limits.messages.rate=1000", "--limits.messages.burst=1000", "--limits.connections-per-user=0")
	baseline := sessionGoroutines()
	const clients = 200
	done := make(chan struct{}, clients)
	for i := range clients {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		go func() {
			defer func() { done <- struct{}{} }()
			p := s.join(fmt.Sprint("user", i%70))
			for range rng.IntN(20) {
				switch rng.IntN(5) {
				case 0:
					p.send(`{"type":"typing","isTyping":true}`)
				case 1:
					p.send(fmt.Sprintf(`{"type":"subscribe","channel":"room:%d"}`, rng.IntN(5)))
				case 2:
					p.send(fmt.Sprintf(`{"type":"unsubscribe","channel":"room:%d"}`, rng.IntN(5)))
				default:
					p.send(fmt.Sprintf(`{"type":"publish","channel":"room:%d","data":%d}`, rng.IntN(5), rng.IntN(100)))
				}
			}
			if rng.IntN(2) == 0 {
				p.leave()
			} else {
				_ = p.conn.Close() // vanishes
			}
		}()
	}
	for range clients {
		<-done
	}
	eventually(t, "the lobby is empty", func() bool { return s.presence("lobby") == 0 })
	eventually(t, "no goroutine of a session is left", func() bool { return sessionGoroutines() == baseline })
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if !s.logged(`"msg":"stopped","sockets":0,"slots":0,"limiters":0`) {
		t.Errorf("something was not given back: %s", s.lastLog())
	}
	eventually(t, "the goroutine count is that of the start", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// T5: tokens, passwords, cookies and keys never reach the log, whatever goes
// wrong.
func TestLogsHoldNoSecretsT5(t *testing.T) {
	const canary = "cAnArY"
	s := start(t, "--auth.allow-query-token")
	good := s.signUp("alice")
	grant := s.do("POST", "/login", `{"username":"alice","password":"correct horse battery"}`)
	secrets := []string{canary, good, grant.field("access_token"), grant.field("refresh_token"), "correct horse battery"}

	s.do("POST", "/register", `{"username":"`+canary+`","password":"short"}`)
	s.do("POST", "/login", `{"username":"bob","password":"`+canary+`"}`)
	s.do("POST", "/login", `{"username":"`+canary+`","password":"x"}`)
	s.do("GET", "/me?access_token="+canary, "", "Authorization", "Bearer "+canary, "Cookie", "session="+canary)
	s.do("GET", "/nowhere?q="+canary, "", "X-Request-ID", canary)
	s.connect(grant.field("access_token")).leave()
	for _, path := range []string{"/ws?access_token=" + good, "/ws?access_token=" + canary, "/ws?ticket=" + canary} {
		if conn, _ := s.upgrade(path, "Cookie", "session="+canary); conn != nil {
			newPeer(t, conn).leave()
		}
	}
	for _, protocol := range []string{"bearer." + canary, "gatecast.v1, bearer." + good} {
		if conn, _ := s.upgrade("/ws", "Sec-WebSocket-Protocol", protocol); conn != nil {
			p := newPeer(t, conn)
			p.send(`{"type":"chat","message":"` + canary + `"}`)
			p.send(`{"type":"` + canary + `"}`)
			p.send(canary)
			p.leave()
		}
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		for line := range strings.SplitSeq(s.logs.String(), "\n") {
			if strings.Contains(line, secret) {
				t.Errorf("the log holds %.12s...: %s", secret, line)
			}
		}
	}
}

// One line a request, with what an operator looks for and no more than fits.
func TestRequestLog(t *testing.T) {
	s := start(t)
	token := s.signUp("alice")
	me := s.do("GET", "/me?x=1", "", "Authorization", "Bearer "+token)
	s.do("GET", "/"+strings.Repeat("long", 1000), "")
	found := 0
	for line := range strings.SplitSeq(strings.TrimSpace(s.logs.String()), "\n") {
		if len(line) > 1024 {
			t.Errorf("a line of %d bytes", len(line))
		}
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if entry["id"] != me.header.Get("X-Request-ID") {
			continue
		}
		found++
		if entry["method"] != "GET" || entry["path"] != "/me" || entry["status"] != 200.0 || entry["user"] != me.field("user_id") {
			t.Errorf("%s", line)
		}
	}
	if found != 1 {
		t.Errorf("%d lines for one request", found)
	}
}

// The first line says where everything is; a second server on the same data
// is told so.
func TestStart(t *testing.T) {
	s := start(t)
	hello, _, _ := strings.Cut(s.logs.String(), "\n")
	for _, want := range []string{`"page":"http://` + s.addr + `/"`, `"api":"http://` + s.addr + `/login"`, `"socket":"ws://` + s.addr + `/ws"`} {
		if !strings.Contains(hello, want) {
			t.Errorf("the first line %s lacks %s", hello, want)
		}
	}
	none := func(string) string { return "" }
	for _, row := range []struct {
		args []string
		says string
	}{
		{[]string{"--data-dir=" + s.dir, "--port=0"}, "in use"},
		{[]string{"--data-dir=" + t.TempDir(), "--port=" + s.addr[strings.LastIndex(s.addr, ":")+1:], "--host=127.0.0.1"}, "address already in use"},
		{[]string{"--data-dir=" + t.TempDir(), `--namespaces={"room:*:x": {}}`}, "namespaces"},
		{[]string{"--data-dir=" + t.TempDir(), `--namespaces={"lobby": {subscribe: [king]}}`}, "king"},
		{[]string{"--data-dir=" + t.TempDir(), "--auto-subscribe=no way"}, "auto_subscribe"},
		{[]string{"--data-dir=/dev/null/x"}, "data folder"},
		{[]string{"frobnicate"}, "frobnicate"},
	} {
		if err := run(t.Context(), append([]string{"gatecast"}, row.args...), none, newLogs()); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%v: %v, want %q", row.args, err, row.says)
		}
	}
}

// Logs are JSON where no person looks on, and text where one asks for it.
func TestLogFormats(t *testing.T) {
	for format, sign := range map[string]string{"auto": `{"time":`, "json": `{"time":`, "text": "time="} {
		ctx, cancel := context.WithCancel(t.Context())
		out := newLogs()
		done := make(chan error, 1)
		go func() {
			done <- run(ctx, []string{"gatecast", "--port=0", "--data-dir=" + t.TempDir(), "--log.format=" + format}, func(string) string { return "" }, out)
		}()
		if line := out.firstLine(t); !strings.HasPrefix(string(line), sign) {
			t.Errorf("%s writes %s", format, line)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestConfigAndHelpCommands(t *testing.T) {
	out := newLogs()
	env := func(name string) string {
		return map[string]string{"PORT": "4321", "GATECAST_AUTH_HMAC_SECRET": strings.Repeat("canary", 10)}[name]
	}
	if err := run(t.Context(), []string{"gatecast", "config"}, env, out); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "port: 4321") || !strings.Contains(text, "redacted") || strings.Contains(text, "canary") {
		t.Errorf("config prints:\n%s", text)
	}
	for _, args := range [][]string{{"help"}, {"--help"}, {"config", "-h"}} {
		out := newLogs()
		if err := run(t.Context(), append([]string{"gatecast"}, args...), env, out); err != nil || !strings.Contains(out.String(), "--limits.messages.rate") {
			t.Errorf("%v: %v, prints %.100s", args, err, out.String())
		}
	}
}

// The built program: SIGTERM ends it with 0, a second signal at once, and an
// environment variable that names nothing stops the start.
func TestSignalsAndEnvironment(t *testing.T) {
	binary := buildProgram(t)
	launch := func(env ...string) (*exec.Cmd, *logs) {
		cmd := exec.CommandContext(t.Context(), binary, "--port=0", "--host=127.0.0.1", "--socket.close-timeout=30s", "--shutdown-timeout=30s")
		cmd.Env = append(os.Environ(), append(env, "GATECAST_DATA_DIR="+t.TempDir())...)
		out := newLogs()
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, out
	}
	t.Run("SIGTERM", func(t *testing.T) {
		cmd, out := launch()
		out.firstLine(t)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("a second signal", func(t *testing.T) {
		cmd, out := launch()
		s := &server{t: t, logs: out}
		var hello struct{ Page, Data string }
		if err := json.Unmarshal(out.firstLine(t), &hello); err != nil {
			t.Fatal(err)
		}
		s.addr, s.dir = strings.Trim(strings.TrimPrefix(hello.Page, "http:"), "/"), hello.Data
		s.rawSocket(s.token("mute")) // would hold the stop up for 30 s
		since := time.Now()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		eventually(t, "it begins to stop", func() bool { return s.logged("stopping") })
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err == nil || time.Since(since) > 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(since))
		}
	})
	t.Run("a variable that names nothing", func(t *testing.T) {
		cmd, out := launch("GATECAST_LIMITS_MESAGES_RATE=5")
		if err := cmd.Wait(); err == nil || !strings.Contains(out.String(), "GATECAST_LIMITS_MESAGES_RATE") {
			t.Errorf("%v: %s", err, out)
		}
	})
}
