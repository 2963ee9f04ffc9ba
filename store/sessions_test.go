package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/store"
)

var noon = time.UnixMilli(1_700_000_000_000).UTC()

// ending ends sessions of alice, an hour after noon.
func ending() auth.Ending {
	return auth.Ending{AccountID: "alice", At: noon.Add(time.Hour), TokensEnd: noon.Add(2 * time.Hour)}
}

// alice is an account as it was checked.
func alice() auth.Account {
	return auth.Account{ID: "alice", Username: "alice", PasswordHash: "$1", Role: "user", CreatedAt: noon}
}

func openWithAlice(t *testing.T, d database) *store.DB {
	t.Helper()
	db := d.open(t)
	t.Cleanup(func() { _ = db.Close() })
	if err := db.CreateAccount(t.Context(), alice()); err != nil {
		t.Fatal(err)
	}
	return db
}

// session is one of alice's, opened n minutes after noon.
func session(n int) auth.Session {
	at := noon.Add(time.Duration(n) * time.Minute)
	return auth.Session{
		ID: fmt.Sprint("s", n), AccountID: "alice", FamilyHash: auth.Hash{1, byte(n)}, RefreshHash: auth.Hash{2, byte(n)},
		Client:    auth.Client{Device: "Firefox", Address: "192.0.2.1"},
		CreatedAt: at, UsedAt: at, ExpiresAt: at.Add(time.Hour), EndsAt: at.Add(24 * time.Hour), TokensEnd: at.Add(90 * time.Minute),
	}
}

func create(t *testing.T, db *store.DB, s auth.Session, limit int) string {
	t.Helper()
	ended, err := db.CreateSession(t.Context(), s, alice(), limit)
	if err != nil {
		t.Fatal(err)
	}
	return marksOf(ended)
}

// marksOf names the sessions that were ended, sorted.
func marksOf(ended []auth.Revocation) string {
	var names []string
	for _, r := range ended {
		names = append(names, r.Mark)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func ids(t *testing.T, db *store.DB) string {
	t.Helper()
	list, err := db.Sessions(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range list {
		names = append(names, s.ID)
	}
	return strings.Join(names, " ")
}

func marks(t *testing.T, db *store.DB, now time.Time) string {
	t.Helper()
	list, err := db.Revocations(t.Context(), 0, now)
	if err != nil {
		t.Fatal(err)
	}
	return marksOf(list)
}

// Sessions are kept as they are, listed by their last use, bounded in number, and
// forgotten when they and their tokens are over.
func TestSessionsAreKeptAndForgotten(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		db := openWithAlice(t, d)
		create(t, db, session(1), 10)
		got, account, err := db.SessionByFamily(t.Context(), auth.Hash{1, 1})
		if err != nil || got != session(1) || account.Username != "alice" || account.ID != "alice" || account.PasswordHash != "$1" {
			t.Errorf("got %+v of %+v, %v", got, account, err)
		}
		if _, _, err := db.SessionByFamily(t.Context(), auth.Hash{9}); !errors.Is(err, auth.ErrNotFound) {
			t.Errorf("a session that is not there: %v", err)
		}
		if _, err := db.CreateSession(t.Context(), session(1), alice(), 10); err == nil {
			t.Error("the same session was kept twice")
		}
		create(t, db, session(2), 10)
		create(t, db, session(3), 10)
		if got := ids(t, db); got != "s3 s2 s1" {
			t.Errorf("listed %s", got)
		}
		if ended := create(t, db, session(4), 2); ended != "s1 s2" {
			t.Errorf("over the limit, %v ended", ended)
		}
		create(t, db, session(64), 10) // s3 has expired by now, and its tokens have not
		if got := ids(t, db); got != "s64 s4 s3" {
			t.Errorf("while tokens live there are %s", got)
		}
		if got := marks(t, db, noon); got != "s1 s2" {
			t.Errorf("revoked are %s", got)
		}
		create(t, db, session(94), 10)
		if got := ids(t, db); got != "s94 s64 s4" {
			t.Errorf("at last there are %s", got)
		}
		if got := marks(t, db, noon); got != "" { // their tokens are over
			t.Errorf("revoked still are %s", got)
		}
	})
}

// A session is opened for the password that was checked and for no account that
// has been disabled meanwhile.
func TestNoSessionForAChangedAccount(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		db := openWithAlice(t, d)
		for what, change := range map[string]func(*auth.Account){
			"password": func(a *auth.Account) { a.PasswordHash = "$0" }, "role": func(a *auth.Account) { a.Role = "admin" },
		} {
			checked := alice()
			change(&checked)
			if _, err := db.CreateSession(t.Context(), session(1), checked, 10); !errors.Is(err, auth.ErrNotFound) {
				t.Errorf("another %s: %v", what, err)
			}
		}
		if _, err := db.Disable(t.Context(), ending()); err != nil {
			t.Fatal(err)
		}
		if a, err := db.AccountByID(t.Context(), "alice"); err != nil || a.DisabledAt != ending().At {
			t.Errorf("%+v, %v", a, err)
		}
		if _, err := db.CreateSession(t.Context(), session(1), alice(), 10); !errors.Is(err, auth.ErrNotFound) {
			t.Errorf("a disabled account: %v", err)
		}
		if err := db.Enable(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
		create(t, db, session(1), 10)
	})
}

// Whatever changes an account ends its sessions and says so. None that is opened
// at the same time gets away.
func TestChangesEndSessions(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		for name, change := range map[string]func(context.Context, *store.DB, auth.Ending) ([]auth.Revocation, error){
			"password": func(ctx context.Context, db *store.DB, e auth.Ending) ([]auth.Revocation, error) {
				return db.ChangePassword(ctx, "", "$2", e)
			},
			"role": func(ctx context.Context, db *store.DB, e auth.Ending) ([]auth.Revocation, error) {
				return db.ChangeRole(ctx, "admin", e)
			},
			"disable": func(ctx context.Context, db *store.DB, e auth.Ending) ([]auth.Revocation, error) {
				return db.Disable(ctx, e)
			},
			"delete": func(ctx context.Context, db *store.DB, e auth.Ending) ([]auth.Revocation, error) {
				return db.DeleteAccount(ctx, true, e)
			},
			"logout": func(ctx context.Context, db *store.DB, e auth.Ending) ([]auth.Revocation, error) {
				return db.EndSessions(ctx, e)
			},
		} {
			t.Run(name, func(t *testing.T) {
				db := openWithAlice(t, newDatabase(t, d.driver))
				create(t, db, session(1), 100)
				var opened sync.WaitGroup
				for n := range 20 {
					opened.Go(func() { _, _ = db.CreateSession(t.Context(), session(10+n), alice(), 100) })
				}
				ended, err := change(t.Context(), db, ending())
				opened.Wait()
				if err != nil || !strings.Contains(marksOf(ended)+" ", "s1 ") {
					t.Fatalf("%v ended, %v", ended, err)
				}
				if got := marks(t, db, noon); got != marksOf(ended) {
					t.Errorf("revoked are %s, ended were %v", got, ended)
				}
				if left := ids(t, db); left != "" && name != "logout" {
					t.Errorf("%s got away", left)
				}
			})
		}
		db := openWithAlice(t, d)
		for n := range 3 {
			create(t, db, session(n), 10)
		}
		only, except := ending(), ending()
		only.Only, except.Except = "s1", "s2"
		if ended, err := db.EndSessions(t.Context(), only); err != nil || marksOf(ended) != "s1" {
			t.Errorf("one: %v, %v", ended, err)
		}
		if ended, err := db.ChangePassword(t.Context(), "$1", "$2", except); err != nil || marksOf(ended) != "s0" {
			t.Errorf("all but one: %v, %v", ended, err)
		}
		if _, err := db.ChangePassword(t.Context(), "$1", "$3", except); !errors.Is(err, auth.ErrNotFound) {
			t.Errorf("by a password of before: %v", err)
		}
		other := only
		other.AccountID, other.Only = "bob", "s2"
		if ended, err := db.EndSessions(t.Context(), other); err != nil || len(ended) != 0 {
			t.Errorf("another's: %v, %v", ended, err)
		}
		if _, err := db.ChangeRole(t.Context(), "user", other); !errors.Is(err, auth.ErrNotFound) {
			t.Errorf("no such account: %v", err)
		}
	})
}

// R2: of many that use one refresh token, one is the first.
func TestRotationIsAtomicR2(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		db := openWithAlice(t, d)
		s := session(1)
		create(t, db, s, 10)
		var firsts atomic.Int32
		var calls sync.WaitGroup
		for n := range 50 {
			calls.Go(func() {
				next := s
				next.RefreshHash, next.UsedAt = auth.Hash{3, byte(n)}, s.UsedAt.Add(time.Minute)
				first, err := db.Rotate(t.Context(), next, auth.Rotation{Used: s.RefreshHash, Seed: []byte{byte(n)}, UsedAt: next.UsedAt}, noon)
				if err != nil {
					t.Error(err)
				}
				if first {
					firsts.Add(1)
				}
			})
		}
		calls.Wait()
		now, _, err := db.SessionByFamily(t.Context(), s.FamilyHash)
		if err != nil || firsts.Load() != 1 {
			t.Fatalf("%d were first, %v", firsts.Load(), err)
		}
		use, err := db.RotationOf(t.Context(), s.RefreshHash)
		if err != nil || use.Seed[0] != now.RefreshHash[1] || !use.UsedAt.Equal(now.UsedAt) {
			t.Errorf("the use %+v is not the one that %+v comes from, %v", use, now, err)
		}
		next := now
		next.RefreshHash = auth.Hash{4}
		if first, err := db.Rotate(t.Context(), next, auth.Rotation{Used: now.RefreshHash, Seed: []byte{9}, UsedAt: now.UsedAt}, now.UsedAt.Add(time.Second)); !first || err != nil {
			t.Fatalf("the next one: %v, %v", first, err)
		}
		if _, err := db.RotationOf(t.Context(), s.RefreshHash); !errors.Is(err, auth.ErrNotFound) {
			t.Errorf("an old use is not forgotten: %v", err)
		}
	})
}

// What one node revokes, all read, a single token too; numbers go up.
func TestRevocationsAreRead(t *testing.T) {
	eachDriver(t, func(t *testing.T, d database) {
		db := openWithAlice(t, d)
		for _, mark := range []string{"a", "b", "c"} {
			if err := db.Revoke(t.Context(), auth.Revocation{Mark: mark, ExpiresAt: noon}); err != nil {
				t.Fatal(err)
			}
		}
		list, err := db.Revocations(t.Context(), 0, noon)
		if err != nil || len(list) != 3 || list[0].Mark != "a" || !list[0].ExpiresAt.Equal(noon) || list[1].Number <= list[0].Number {
			t.Fatalf("%+v, %v", list, err)
		}
		if rest, err := db.Revocations(t.Context(), list[0].Number, noon); err != nil || len(rest) != 2 || rest[0] != list[1] {
			t.Errorf("%+v, %v", rest, err)
		}
	})
}

// T2: of a hundred that show one ticket, one gets it, wherever tickets are kept.
func TestTicketsAreTakenOnceT2(t *testing.T) {
	ticket := auth.Ticket{
		Claims: auth.Claims{Subject: "alice", SessionID: "s", Channels: auth.Capabilities{"room:1": {"subscribe"}}, ExpiresAt: noon},
		Origin: "https://app.example", ExpiresAt: noon,
	}
	for name, open := range map[string]func(*testing.T) auth.TicketStore{
		"memory": func(*testing.T) auth.TicketStore { return auth.NewMemoryTickets(10) },
		"postgres": func(t *testing.T) auth.TicketStore {
			return store.NewTickets(openWithAlice(t, newDatabase(t, "postgres")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			tickets := open(t)
			if err := tickets.KeepTicket(t.Context(), auth.Hash{1}, ticket, noon); err != nil {
				t.Fatal(err)
			}
			var took atomic.Int32
			var calls sync.WaitGroup
			for range 100 {
				calls.Go(func() {
					got, err := tickets.TakeTicket(t.Context(), auth.Hash{1})
					switch {
					case err == nil && fmt.Sprint(got) == fmt.Sprint(ticket):
						took.Add(1)
					case !errors.Is(err, auth.ErrNotFound):
						t.Errorf("got %+v, %v", got, err)
					}
				})
			}
			calls.Wait()
			if took.Load() != 1 {
				t.Errorf("%d took it", took.Load())
			}
			for n := range 100 { // each comes after the one before has expired
				now := noon.Add(time.Duration(n) * time.Minute)
				ticket.ExpiresAt = now.Add(time.Second)
				if err := tickets.KeepTicket(t.Context(), auth.Hash{2, byte(n)}, ticket, now); err != nil {
					t.Fatalf("expired tickets pile up: %v", err)
				}
			}
		})
	}
}
