package main

import (
	"encoding/json"
	"net/http"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast/auth"
)

// credentials is the body of a registration or a login.
func credentials(username, password string) string {
	body, _ := json.Marshal(map[string]string{"username": username, "password": password}) // strings always encode
	return string(body)
}

// P3: a password that is among the first to be guessed is refused with the
// reason, whatever its case.
func TestCommonPasswordsAreRefusedP3(t *testing.T) {
	s := start(t)
	for password, reason := range map[string]string{
		"password":    "most common",
		"1234567890":  "most common",
		"QWERTYuiop":  "most common",
		"Iloveyou1":   "most common",
		"Long.Lake":   "username",
		"ekal.gnol":   "username",
		"lake.longer": "",
		"password to": "",
	} {
		a := s.do("POST", "/register", credentials("Long.Lake", password))
		switch {
		case reason == "" && a.status != http.StatusCreated && a.status != http.StatusConflict:
			t.Errorf("%s: %d %s", password, a.status, a.body)
		case reason != "" && (a.status != http.StatusBadRequest || a.field("code") != "invalid_password" || !strings.Contains(a.field("detail"), reason)):
			t.Errorf("%s: %d %s, want a refusal that says %q", password, a.status, a.body, reason)
		}
	}
}

// P4: a hash of other costs is renewed when its owner logs in, whatever today's
// rules say of the password.
func TestOldHashesAreRenewedP4(t *testing.T) {
	s := start(t, "--auth.password-min=15")
	s.signUp("alice")
	old := auth.NewHasher(auth.HasherOptions{MemoryKiB: 19 << 10, Passes: 3, Slots: 1})
	hash, err := old.Hash(t.Context(), "password")
	if err != nil {
		t.Fatal(err)
	}
	db := s.database()
	stored := func() (hash string) {
		t.Helper()
		if err := db.QueryRow(`SELECT password_hash FROM accounts WHERE username = 'alice'`).Scan(&hash); err != nil {
			t.Fatal(err)
		}
		return hash
	}
	if now := stored(); !strings.HasPrefix(now, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("a new hash is %s", now)
	}
	if _, err := db.Exec(`UPDATE accounts SET password_hash = $1`, hash); err != nil {
		t.Fatal(err)
	}
	if a := s.do("POST", "/login", credentials("alice", "passwort")); a.status != http.StatusUnauthorized || stored() != hash {
		t.Errorf("a wrong password: %d, and the hash is %s", a.status, stored())
	}
	for range 2 {
		if a := s.do("POST", "/login", credentials("alice", "password")); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if now := stored(); !strings.HasPrefix(now, "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Errorf("the hash stays %s", now)
		}
	}
}

// peak samples the memory of the process until stop, and gives the most that
// its heap held.
func peak() (stop func() (bytes uint64)) {
	end, result := make(chan struct{}), make(chan uint64)
	go func() {
		heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		var most uint64
		for {
			metrics.Read(heap)
			most = max(most, heap[0].Value.Uint64())
			select {
			case <-tick.C:
			case <-end:
				result <- most
				return
			}
		}
	}()
	return func() uint64 {
		close(end)
		return <-result
	}
}

// P5: 200 logins at once take the memory of the slots and not of 200 hashes.
// Who finds no place is told to come again, and the health check does not wait
// for anyone.
func TestLoginsAtOnceP5(t *testing.T) {
	const (
		logins, slots, queue = 200, 4, 16
		hashBytes            = 32 << 20
	)
	s := start(t, "--auth.hash-memory-kib=32768", "--auth.hash-slots=4", "--auth.hash-queue=16")
	s.signUp("alice")
	runtime.GC()
	mostMemory := peak()
	answers := make(chan answer)
	for range logins {
		go func() { answers <- s.do("POST", "/login", credentials("alice", "correct horse battery")) }()
	}
	count := map[int]int{}
	var health []time.Duration
	for done := 0; done < logins; {
		began := time.Now()
		if a := s.do("GET", "/healthz", ""); a.status != http.StatusOK {
			t.Errorf("healthz: %d", a.status)
		}
		health = append(health, time.Since(began))
		for waiting := true; waiting && done < logins; {
			select {
			case a := <-answers:
				done++
				count[a.status]++
				if a.status == http.StatusServiceUnavailable && (a.field("code") != "busy" || a.header.Get("Retry-After") == "") {
					t.Errorf("busy reads %s, %v", a.body, a.header)
				}
			default:
				waiting = false
			}
		}
	}
	if count[200] < slots+queue || count[503] == 0 || count[200]+count[503] != logins {
		t.Errorf("statuses %v, want %d logins at least and some 503", count, slots+queue)
	}
	// A hash that has ended is garbage until the collector comes, which may let
	// as much pile up as there is in use.
	if most := mostMemory(); most > 3*slots*hashBytes {
		t.Errorf("%d MiB were used, and %d hashes take %d", most>>20, slots, slots*hashBytes>>20)
	} else {
		t.Logf("%d MiB at most; %d health checks, the median in %v, the slowest in %v; %v", most>>20, len(health), median(health), slices.Max(health), count)
	}
	if m := median(health); m > time.Second {
		t.Errorf("a health check takes %v", m)
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// P6: a password of 1 MB is refused before a hash takes its memory.
func TestHugePasswordIsNotHashedP6(t *testing.T) {
	const hashBytes = 64 << 20
	huge := strings.Repeat("x", 1<<20)
	for _, row := range []struct {
		bodyBytes string
		status    int
		code      string
	}{
		{"16384", 413, "too_large"},
		{"4194304", 400, "invalid_password"},
	} {
		s := start(t, "--auth.hash-memory-kib=65536", "--http.body-bytes="+row.bodyBytes)
		s.do("POST", "/register", credentials("alice", "correct horse battery"))
		for _, path := range []string{"/register", "/login"} {
			for _, username := range []string{"alice", "nobody"} {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				a := s.do("POST", path, credentials(username, huge))
				runtime.ReadMemStats(&after)
				if a.status != row.status || a.field("code") != row.code {
					t.Errorf("%s %s: %d %s, want %d %s", path, username, a.status, a.body, row.status, row.code)
				}
				if used := after.TotalAlloc - before.TotalAlloc; used > hashBytes/2 {
					t.Errorf("%s %s took %d MiB: it was hashed", path, username, used>>20)
				}
			}
		}
	}
}

// P7: an unknown user takes as long as a wrong password, and a name that nobody
// can have does as well.
func TestUnknownUserTakesAsLongP7(t *testing.T) {
	s := start(t)
	s.signUp("alice")
	const samples, tries = 25, 5
	var wrong, unknown, impossible time.Duration
	for range tries {
		var times [3][]time.Duration
		for range samples { // by turns, so that what else the machine does falls on all
			for i, username := range []string{"alice", "nobody", "no one"} {
				began := time.Now()
				a := s.do("POST", "/login", credentials(username, "wrong horse battery"))
				times[i] = append(times[i], time.Since(began))
				if a.status != http.StatusUnauthorized || a.field("detail") != "wrong username or password" {
					t.Fatalf("%s: %d %s", username, a.status, a.body)
				}
			}
		}
		wrong, unknown, impossible = median(times[0]), median(times[1]), median(times[2])
		if alike(wrong, unknown) && alike(wrong, impossible) {
			t.Logf("a wrong password %v, an unknown user %v, an impossible one %v", wrong, unknown, impossible)
			return
		}
	}
	t.Errorf("a wrong password takes %v, an unknown user %v, an impossible one %v", wrong, unknown, impossible)
}

// alike allows 20 percent.
func alike(a, b time.Duration) bool { return min(a, b)*6/5 >= max(a, b) }

// P9: spellings that differ in case, width or composition lead to one account;
// what looks alike and is not is refused or another account, never the same.
func TestSpellingsOfAUsernameP9(t *testing.T) {
	s := start(t)
	const password = "correct horse battery"
	created := s.do("POST", "/register", credentials("Zoë", password))
	if created.status != http.StatusCreated || created.field("username") != "zoë" {
		t.Fatalf("%d %s", created.status, created.body)
	}
	for name, username := range map[string]string{
		"as typed": "Zoë", "lower case": "zoë", "upper case": "ZOË", "combining": "zoe\u0308", "full width": "\uff3a\uff4fë",
	} {
		a := s.do("POST", "/login", credentials(username, password))
		if a.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.status, a.body)
			continue
		}
		if me := s.do("GET", "/me", "", "Authorization", "Bearer "+a.field("access_token")); me.body != created.body {
			t.Errorf("%s is %s, want %s", name, me.body, created.body)
		}
		if a := s.do("POST", "/register", credentials(username, password)); a.status != http.StatusConflict {
			t.Errorf("%s is registered again: %d %s", name, a.status, a.body)
		}
	}
	for name, username := range map[string]string{
		"invisible": "zo\u200bë", "a ligature": "\ufb01sh", "a circled letter": "\u24e9oë", "an emoji": "zoë😀", "a space": "zoë ", "both directions": "zoë\u05d0",
		"a joiner": "zo\u200dë", "a bidirectional mark": "zoë\u202e",
	} {
		if a := s.do("POST", "/register", credentials(username, password)); a.status != http.StatusBadRequest || a.field("code") != "invalid_username" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if a := s.do("POST", "/login", credentials(username, password)); a.status != http.StatusUnauthorized {
			t.Errorf("%s logs in: %d %s", name, a.status, a.body)
		}
	}
}
