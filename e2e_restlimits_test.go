package main

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// L4: REST and all sockets of a user spend one budget, and another user has
// their own. L3: responses tell of it.
func TestOneBudgetForRESTAndSocketsL3L4(t *testing.T) {
	s := start(t, "--limits.messages.rate=0.01", "--limits.messages.burst=10", "--limits.violations=0")
	alice, token := s.join("alice"), s.token("alice")
	passed, left := 0, regexp.MustCompile(`^"messages";r=(\d);t=\d+$`)
	for i := range 3 {
		for _, a := range []answer{
			s.post(token, "lobby", `{"data":1}`),
			s.get(token, "/channels/lobby/messages"),
			s.get(token, "/channels"),
			s.get(token, "/channels/lobby/presence"),
		} {
			match := left.FindStringSubmatch(a.header.Get("RateLimit"))
			if a.header.Get("RateLimit-Policy") != `"messages";q=10;w=1000` || match == nil {
				t.Fatalf("%d %v", a.status, a.header)
			}
			if a.status < 300 {
				if passed++; match[1] != strconv.Itoa(10-passed-i) { // i of them were sent on the socket
					t.Errorf("%d have passed, and %s are told to be left", passed, match[0])
				}
				continue
			}
			wait, err := strconv.Atoi(a.header.Get("Retry-After"))
			if a.status != 429 || a.field("code") != "rate_limited" || !strings.Contains(a.field("detail"), "messages") || err != nil || wait < 80 || wait > 100 {
				t.Errorf("%d %s, Retry-After %q", a.status, a.body, a.header.Get("Retry-After"))
			}
		}
		if f := alice.ask(fmt.Sprintf(`{"type":"chat","id":%d,"message":"x"}`, i)); (f.str("type") == "ack") != (i < 2) {
			t.Errorf("on the socket: %v", f)
		}
	}
	if passed != 8 {
		t.Errorf("%d requests passed beside 2 frames, want 8", passed)
	}
	if a := s.do("DELETE", "/me", "", "Authorization", "Bearer "+token); a.status != 429 {
		t.Errorf("DELETE /me: %d %s", a.status, a.body)
	}
	if a := s.post(s.token("bob"), "lobby", `{"data":1}`); a.status != 201 {
		t.Errorf("another user: %d %s", a.status, a.body)
	}
}

// L2: who waits as long as Retry-After says is let in.
func TestRetryAfterOfMessagesL2(t *testing.T) {
	s := start(t, "--limits.messages.rate=2", "--limits.messages.burst=1")
	token := s.token("alice")
	refused := false
	for range 5 {
		a := s.post(token, "lobby", `{"data":1}`)
		if a.status == 201 {
			continue
		}
		refused = true
		if a.status != 429 || a.header.Get("Retry-After") != "1" { // half a second, rounded up
			t.Fatalf("%d %s, Retry-After %q", a.status, a.body, a.header.Get("Retry-After"))
		}
		<-time.After(time.Second) // what a client does
		if a := s.post(token, "lobby", `{"data":1}`); a.status != 201 {
			t.Errorf("refused again: %d %s", a.status, a.body)
		}
		break
	}
	if !refused {
		t.Error("nothing was refused")
	}
}

// L4, L5: bodies are charged to the bytes of the user, before they are read
// where their length is told, and afterwards where it is not.
func TestByteBudgetOfREST(t *testing.T) {
	s := start(t, "--limits.bytes.rate=1", "--limits.bytes.burst=100000")
	body := `{"data":"` + strings.Repeat("x", 60_000) + `"}`
	inChunks := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	for _, user := range []string{"alice", "bob"} {
		token, peer := s.token(user), s.join(user)
		if user == "alice" {
			if a := s.post(token, "room:1", body); a.status != 201 {
				t.Fatalf("%d %s", a.status, a.body)
			}
		} else if a := s.rawRequest("POST /channels/room:1/messages", token, inChunks); a.status != 201 {
			t.Fatalf("in chunks: %d %s", a.status, a.body)
		}
		for name, a := range map[string]answer{
			"before it is read": s.rawRequest("POST /channels/room:1/messages", token, "Content-Length: 60000\r\n\r\n{"),
			"in chunks":         s.rawRequest("POST /channels/room:1/messages", token, inChunks),
		} {
			if a.status != 429 || !strings.Contains(a.field("detail"), "bytes") || len(a.header.Get("Retry-After")) != 5 {
				t.Errorf("%s: %d %s, Retry-After %q", name, a.status, a.body, a.header.Get("Retry-After"))
			}
		}
		if f := peer.ask(`{"type":"chat","id":1,"message":"` + strings.Repeat("x", 60_000) + `"}`); f.str("code") != "rate_limited" {
			t.Errorf("on the socket: %v", f)
		}
		if a := s.post(token, "room:1", `{"data":"small"}`); a.status != 201 {
			t.Errorf("a small one: %d %s", a.status, a.body)
		}
		// What the bucket never holds gets no wait, and no number fills it.
		for _, length := range []string{"100001", "9223372036854775807"} {
			a := s.rawRequest("POST /channels/room:1/messages", token, "Content-Length: "+length+"\r\n\r\n{")
			if a.status != 413 || a.field("code") != "too_large" || a.header.Get("Retry-After") != "" {
				t.Errorf("%s bytes: %d %v %s", length, a.status, a.header, a.body)
			}
		}
		if a := s.post(token, "room:1", body); a.status != 429 {
			t.Errorf("afterwards: %d %s", a.status, a.body)
		}
	}
}

// database opens the server's own database beside it, and keeps one connection.
func (s *server) database() *sql.DB {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dir, "gatecast.db")+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	if err != nil {
		s.t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	s.t.Cleanup(func() { _ = db.Close() })
	return db
}

// A full queue, and a database that takes its time, are told apart, and what
// was accepted is stored.
func TestBusyAndUnknownOverREST(t *testing.T) {
	s := start(t, "--log.queue=1", "--http.request-timeout=500ms")
	token := s.token("alice")
	if a := s.post(token, "room:1", `{"data":"first"}`); a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	lock, err := s.database().Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Rollback() }()
	const posts = 10
	answers := make(chan answer, posts)
	for range posts {
		go func() { answers <- s.post(token, "room:1", `{"data":"more"}`) }()
	}
	codes := map[string]int{}
	for range posts {
		a := <-answers
		codes[a.field("code")]++
		if a.status != 503 || a.header.Get("Retry-After") != "1" {
			t.Errorf("%d %s, Retry-After %q", a.status, a.body, a.header.Get("Retry-After"))
		}
	}
	if codes["busy"] == 0 || codes["unknown"] == 0 || codes["busy"]+codes["unknown"] != posts {
		t.Errorf("%v, want some that found no room and some that waited", codes)
	}
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was accepted is stored", func() bool {
		return s.page(token, "/channels/room:1/messages").seqs() == fmt.Sprintf("1-%d", 1+codes["unknown"])
	})
}

// A database that cannot store or read is told of in one word, and nothing of
// its inside; afterwards all goes on.
func TestUnavailableOverREST(t *testing.T) {
	s := start(t)
	token, db := s.token("alice"), s.database()
	s.post(token, "room:1", `{"data":1}`)
	if _, err := db.Exec(`ALTER TABLE messages RENAME TO lost`); err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]answer{
		"publishing": s.post(token, "room:1", `{"data":2}`),
		"reading":    s.get(token, "/channels/room:1/messages"),
		"listing":    s.get(token, "/channels"),
	} {
		if a.status != 503 || a.field("code") != "unavailable" || a.header.Get("Retry-After") == "" || strings.Contains(a.body, "table") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if _, err := db.Exec(`ALTER TABLE lost RENAME TO messages`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "messages are stored again", func() bool { return s.post(token, "room:1", `{"data":3}`).status == 201 })
	if p := s.page(token, "/channels/room:1/messages"); p.seqs() != "1-2" {
		t.Errorf("%v", p)
	}
}
