package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"go.uber.org/goleak"

	"github.com/gatecast/gatecast/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, lasting()...) }

// lasting are goroutines that are no leak: fasthttp's clock lives as long as the
// process, its cleaner sleeps on a little after a stop.
func lasting() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	}
}

// patience bounds every wait of these tests.
const patience = 20 * time.Second

// server is the real program, started through run on a free port.
type server struct {
	t    *testing.T
	addr string // host:port
	dir  string // its data
	logs *logs
	stop func() error // ends it as SIGTERM does, once
}

// start runs the server with flags on top of ones that keep the limits out of
// the way of tests that are not about them.
func start(t *testing.T, flags ...string) *server {
	t.Helper()
	return startIn(t, t.TempDir(), flags...)
}

func startIn(t *testing.T, dir string, flags ...string) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{t: t, dir: dir, logs: newLogs()}
	args := append([]string{"gatecast",
		"--log.level=debug", "--port=0", "--host=127.0.0.1", "--data-dir=" + dir,
		"--limits.handshakes.rate=0", "--limits.login.rate=0", "--limits.register.rate=0",
		"--limits.login-account.rate=0", "--limits.login-failures-account.rate=0", "--limits.login-failures.rate=0",
		"--limits.messages.rate=0", "--limits.bytes.rate=0", "--limits.connections-per-address=0",
	}, flags...)
	done := make(chan error, 1)
	go func() { done <- run(ctx, args, func(string) string { return "" }, s.logs) }()
	s.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("the server stopped with: %v", err)
		}
		if s.addr != "" && !s.logged(`"msg":"stopped","sockets":0,"slots":0,"limiters":0`) {
			t.Errorf("the server did not give everything back: %s", s.lastLog())
		}
	})
	select {
	case line := <-s.logs.first:
		var hello struct{ Page string }
		if err := json.Unmarshal(line, &hello); err != nil {
			t.Fatalf("first line %q: %v", line, err)
		}
		s.addr = strings.TrimSuffix(strings.TrimPrefix(hello.Page, "http://"), "/")
	case err := <-done:
		done <- err
		t.Fatalf("the server did not start: %v", err)
	case <-time.After(patience):
		t.Fatal("the server did not say that it listens")
	}
	return s
}

// logs is what the server writes to its standard output.
type logs struct {
	first chan []byte // the first line

	mu  sync.Mutex
	all bytes.Buffer
}

func newLogs() *logs { return &logs{first: make(chan []byte, 1)} }

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all.Len() == 0 {
		line, _, _ := bytes.Cut(p, []byte("\n")) // a pipe may bring more than one
		l.first <- bytes.Clone(line)
	}
	return l.all.Write(p)
}

// firstLine waits for the line that says where the server listens.
func (l *logs) firstLine(t *testing.T) []byte {
	t.Helper()
	select {
	case line := <-l.first:
		return line
	case <-time.After(patience):
		t.Fatal("the server says nothing")
		return nil
	}
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// logged tells whether the server has logged text.
func (s *server) logged(text string) bool { return strings.Contains(s.logs.String(), text) }

func (s *server) lastLog() string {
	lines := strings.Split(strings.TrimSpace(s.logs.String()), "\n")
	return lines[len(lines)-1]
}

// answer is a response, read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

// field is a member of the JSON body.
func (a answer) field(name string) string {
	var body map[string]any
	_ = json.Unmarshal([]byte(a.body), &body)
	if body[name] == nil {
		return ""
	}
	return fmt.Sprint(body[name])
}

// do sends a request; header is name, value, name, value.
func (s *server) do(method, path, body string, header ...string) answer {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			request.Host = header[i+1]
		}
		request.Header.Set(header[i], header[i+1])
	}
	// No keep-alive: connections that idle would be seen as leaks.
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: patience}).Do(request)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{response.StatusCode, response.Header, string(data)}
}

// signUp registers a user over the API and answers a token from POST /login.
func (s *server) signUp(username string) (token string) {
	s.t.Helper()
	body := fmt.Sprintf(`{"username":%q,"password":"correct horse battery"}`, username)
	if a := s.do("POST", "/register", body); a.status != http.StatusCreated {
		s.t.Fatalf("registering %s: %d %s", username, a.status, a.body)
	}
	a := s.do("POST", "/login", body)
	if a.status != http.StatusOK {
		s.t.Fatalf("logging in %s: %d %s", username, a.status, a.body)
	}
	return a.field("access_token")
}

// issuer signs with the server's own key, for tokens that no login gives.
func (s *server) issuer(opts auth.TokenOptions) *auth.Issuer {
	s.t.Helper()
	keys, err := auth.LoadKeySet(filepath.Join(s.dir, "keys"), auth.KeyOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return auth.NewIssuer(keys, opts)
}

// token is one that a login of that user would give, without the cost of a
// password. The user's ID is ID- and the name.
func (s *server) token(username string) string { return s.tokenAs(username, auth.RoleUser) }

func (s *server) tokenAs(username, role string) string {
	s.t.Helper()
	token, _, err := s.issuer(auth.TokenOptions{Issuer: "gatecast", Audience: "gatecast", TTL: time.Hour}).
		Issue(auth.Account{ID: "ID-" + username, Username: username, Role: role}, "session")
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// upgrade tries a WebSocket handshake; header is name, value, name, value.
func (s *server) upgrade(path string, header ...string) (*websocket.Conn, answer) {
	s.t.Helper()
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	dialer := websocket.Dialer{HandshakeTimeout: patience}
	conn, response, err := dialer.DialContext(s.t.Context(), "ws://"+s.addr+path, h)
	if err != nil && response == nil {
		s.t.Fatalf("handshake: %v", err)
	}
	a := answer{status: response.StatusCode, header: response.Header}
	if err != nil {
		data, _ := io.ReadAll(response.Body)
		a.body = string(data)
		return nil, a
	}
	return conn, a
}

// frame is a frame from the server. A binary one has a payload beside the
// fields of its header.
type frame map[string]any

func (f frame) str(name string) string {
	if f[name] == nil {
		return ""
	}
	return fmt.Sprint(f[name])
}

// users are the names in a presence or subscribed frame.
func (f frame) users() string {
	from := map[string]any(f)
	if inner, ok := f["presence"].(map[string]any); ok {
		from = inner
	}
	var names []string
	list, _ := from["users"].([]any)
	for _, user := range list {
		names = append(names, user.(map[string]any)["username"].(string))
	}
	return strings.Join(names, " ")
}

// peer is a client with an open socket. A goroutine reads for it, so that it
// is never slow unless it wants to be.
type peer struct {
	t      *testing.T
	name   string
	conn   *websocket.Conn
	frames chan frame
	raw    chan string   // the same as text
	closed chan struct{} // after which err is set
	err    error
}

// connect opens a socket with a token and waits for the welcome.
func (s *server) connect(token string) *peer {
	s.t.Helper()
	p := s.dial(token)
	p.until("welcome")
	return p
}

// join is a user of that name who has been welcomed and is in the lobby.
func (s *server) join(username string) *peer {
	s.t.Helper()
	p := s.connect(s.token(username))
	p.name = username
	p.until("subscribed")
	return p
}

func (s *server) dial(token string) *peer {
	s.t.Helper()
	conn, a := s.upgrade("/ws", "Authorization", "Bearer "+token)
	if conn == nil {
		s.t.Fatalf("handshake: %d %s", a.status, a.body)
	}
	return newPeer(s.t, conn)
}

func newPeer(t *testing.T, conn *websocket.Conn) *peer {
	p := &peer{t: t, conn: conn, frames: make(chan frame, 10_000), raw: make(chan string, 10_000), closed: make(chan struct{})}
	go p.read()
	t.Cleanup(func() {
		_ = conn.Close()
		<-p.closed
	})
	return p
}

func (p *peer) read() {
	defer close(p.closed)
	defer close(p.frames)
	for {
		messageType, data, err := p.conn.ReadMessage()
		if err != nil {
			p.err = err
			return
		}
		select {
		case p.raw <- string(data):
		default: // a test that reads frames alone
		}
		f, err := parseFrame(messageType, data)
		if err != nil {
			p.err = err
			return
		}
		p.frames <- f
	}
}

func parseFrame(messageType int, data []byte) (f frame, err error) {
	if messageType != websocket.BinaryMessage {
		return f, json.Unmarshal(data, &f)
	}
	if len(data) < 4 || int64(binary.BigEndian.Uint32(data)) > int64(len(data)-4) {
		return nil, fmt.Errorf("the header of a binary frame of %d bytes is cut off", len(data))
	}
	header := data[4 : 4+binary.BigEndian.Uint32(data)]
	if err := json.Unmarshal(header, &f); err != nil {
		return nil, err
	}
	f["payload"] = string(data[4+len(header):])
	return f, nil
}

// send writes text as it is.
func (p *peer) send(text string) {
	p.t.Helper()
	if err := p.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		p.t.Fatalf("%s sends %.60s: %v", p.name, text, err)
	}
}

// next is the next frame.
func (p *peer) next() frame {
	p.t.Helper()
	select {
	case f, ok := <-p.frames:
		if !ok {
			p.t.Fatalf("%s: the socket closed: %v", p.name, p.err)
		}
		return f
	case <-time.After(patience):
		p.t.Fatalf("%s waits for a frame in vain", p.name)
		return nil
	}
}

// until is the next frame of a type; others before it are dropped.
func (p *peer) until(frameType string) frame {
	p.t.Helper()
	for {
		if f := p.next(); f.str("type") == frameType {
			return f
		}
	}
}

// ask sends text and gives the frame that answers its id.
func (p *peer) ask(text string) frame {
	p.t.Helper()
	var sent frame
	if err := json.Unmarshal([]byte(text), &sent); err != nil {
		p.t.Fatal(err)
	}
	p.send(text)
	for {
		if f := p.next(); f["id"] == sent["id"] {
			return f
		}
	}
}

// text is the next frame as it came.
func (p *peer) text() string {
	p.t.Helper()
	select {
	case text := <-p.raw:
		return text
	case <-time.After(patience):
		p.t.Fatalf("%s waits for a frame in vain", p.name)
		return ""
	}
}

// nothingBut sends a ping and gives what came before its answer: the way to
// see that something did not come, without waiting for it.
func (p *peer) nothingBut() []frame {
	p.t.Helper()
	p.send(`{"type":"ping","id":"fence"}`)
	var before []frame
	for {
		f := p.next()
		if f["id"] == "fence" {
			return before
		}
		before = append(before, f)
	}
}

// closeCode waits for the end of the socket and tells its code; 1006 is an end
// without a close frame.
func (p *peer) closeCode() int {
	p.t.Helper()
	select {
	case <-p.closed:
	case <-time.After(patience):
		p.t.Fatalf("%s: the socket stays open", p.name)
	}
	if e, ok := p.err.(*websocket.CloseError); ok {
		return e.Code
	}
	return websocket.CloseAbnormalClosure
}

// leave says goodbye and waits for the answer.
func (p *peer) leave() {
	p.t.Helper()
	message := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := p.conn.WriteControl(websocket.CloseMessage, message, time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	p.closeCode()
	_ = p.conn.Close()
}

// rawConn opens a TCP connection, closed with the test.
func (s *server) rawConn() net.Conn {
	s.t.Helper()
	conn, err := net.DialTimeout("tcp", s.addr, patience)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// readAnswer reads the response to a request of that method.
func readAnswer(t *testing.T, conn net.Conn, method string) answer {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("reading a response: %v", err)
	}
	a := answer{status: response.StatusCode, header: response.Header}
	if a.status != http.StatusSwitchingProtocols {
		data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		if err != nil {
			t.Fatalf("reading a body: %v", err)
		}
		a.body = string(data)
	}
	return a
}

// buildProgram builds the program, for tests that need it in a process of its own.
func buildProgram(t *testing.T) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "gatecast")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// eventually polls until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happens: %s", what)
		}
	}
}
