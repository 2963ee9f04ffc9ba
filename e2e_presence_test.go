package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// roster is a client that keeps who is in room:1, as docs/protocol.md says.
type roster struct {
	*peer
	users map[string]bool
	count int
	next  string // where its list goes on
	lost  bool   // a summary did not name all

	singles, summaries, lists int // frames that came
}

// roster joins room:1 as a user.
func (s *server) roster(username string) *roster {
	s.t.Helper()
	r := &roster{peer: s.connect(s.token(username))}
	r.name = username
	r.send(`{"type":"subscribe","id":"join","channel":"room:1"}`)
	r.until(func() bool { return r.users != nil })
	return r
}

// until takes frames until ok holds.
func (r *roster) until(ok func() bool) {
	r.t.Helper()
	for !ok() {
		r.take(r.peer.next())
	}
}

func (r *roster) take(f frame) {
	r.t.Helper()
	if f.str("channel") != "room:1" {
		return
	}
	_, isSummary := f["joined"]
	switch {
	case f.str("type") == "error":
		r.t.Fatalf("%s: %v", r.name, f)
	case f.str("type") == "subscribed":
		r.begin(f["presence"].(map[string]any))
	case f.str("type") == "user_joined":
		r.singles++
		r.count++
		r.users[f.str("username")] = true
	case f.str("type") == "user_left":
		r.singles++
		r.count--
		delete(r.users, f.str("username"))
	case isSummary:
		r.summaries++
		r.apply(f)
	case f.str("type") == "presence" && f["id"] == nil:
		r.lists++
		r.begin(f)
	case f.str("type") == "presence":
		r.add(f)
	}
}

func (r *roster) begin(list frame) {
	r.users, r.lost = make(map[string]bool), false
	r.add(list)
}

func (r *roster) add(list frame) {
	for _, name := range strings.Fields(list.users()) {
		r.users[name] = true
	}
	r.count, r.next = int(list["count"].(float64)), list.str("next")
}

func (r *roster) apply(summary frame) {
	for _, name := range strings.Fields(frame{"users": summary["left"]}.users()) {
		delete(r.users, name)
	}
	for _, name := range strings.Fields(frame{"users": summary["joined"]}.users()) {
		if r.users[name] {
			r.t.Errorf("%s is told that %s has come, who was there", r.name, name)
		}
		r.users[name] = true
	}
	r.count = int(summary["count"].(float64))
	r.lost = r.lost || summary["more"] == true
}

// ask asks for the page behind the last one, or the first one where some were not named.
func (r *roster) ask() {
	r.t.Helper()
	if r.lost {
		r.next = ""
		r.users = make(map[string]bool)
	}
	r.send(fmt.Sprintf(`{"type":"presence","id":"page","channel":"room:1","after":%q}`, r.next))
	for {
		f := r.peer.next()
		r.take(f)
		if f["id"] == "page" {
			r.lost = false
			return
		}
	}
}

// settle waits until r knows that exactly these are there.
func (r *roster) settle(names []string) {
	r.t.Helper()
	for r.count != len(names) || r.next != "" || r.lost || !slices.Equal(slices.Sorted(maps.Keys(r.users)), names) {
		if r.next != "" || r.lost {
			r.ask()
		} else {
			r.take(r.peer.next())
		}
	}
}

func names(from, to int) []string {
	var all []string
	for n := from; n <= to; n++ {
		all = append(all, fmt.Sprintf("u%02d", n))
	}
	return all
}

// Over detail_max users nobody is told of each: a summary a second names who came
// and who went, and the list is had page by page. When the channel has shrunk
// everyone is listed, and each is told of again.
func TestCrowd(t *testing.T) {
	s := start(t, "--presence.detail-max=5", "--limits.connections=0")
	var all []*roster
	for _, name := range names(1, 5) {
		all = append(all, s.roster(name))
	}
	for i, r := range all {
		r.settle(names(1, 5))
		if r.singles != 4-i || r.summaries+r.lists != 0 {
			t.Errorf("%s was told of %d", r.name, r.singles)
		}
	}
	begun := time.Now()
	for _, name := range names(6, 12) {
		r := s.roster(name)
		if r.count < 5 || len(r.users) != 5 || r.users[name] || (r.count > 5) != (r.next != "") {
			t.Errorf("%s is given %d of %d, next %q", name, len(r.users), r.count, r.next)
		}
		all = append(all, r)
	}
	for i, r := range all {
		r.settle(names(1, 12))
		if r.singles != max(0, 4-i) || r.lists != 0 || r.summaries < 1 || r.summaries > 2+int(time.Since(begun)/time.Second) {
			t.Errorf("%s had %d single frames, %d summaries, %d lists", r.name, r.singles, r.summaries, r.lists)
		}
	}

	// Another tab is nobody else.
	tab := s.roster("u03")
	tab.settle(names(1, 12))
	tab.leave()

	for _, r := range all[5:] {
		r.leave()
	}
	for _, r := range all[:5] {
		r.until(func() bool { return r.lists == 1 })
		r.settle(names(1, 5))
	}
	all[4].leave()
	for i, r := range all[:4] {
		before := r.summaries
		r.settle(names(1, 4))
		if r.singles != 5-i || r.summaries != before {
			t.Errorf("%s had %d single frames, and %d summaries", r.name, r.singles, r.summaries-before)
		}
	}
}

// Who asks for a list is given it in pages: by name within a page, everyone once.
func TestPresencePages(t *testing.T) {
	s := start(t, "--presence.detail-max=5")
	for _, name := range names(1, 12) {
		s.roster(name)
	}
	alice := s.connect(s.token("alice")) // she looks from outside
	ask := func(fields string) frame {
		return alice.ask(`{"type":"presence","id":"p","channel":"room:1"` + fields + `}`)
	}
	eventually(t, "all are counted", func() bool { return ask("").str("count") == "12" })
	if f := ask(""); f.users() != "u01 u02 u03 u04 u05" {
		t.Errorf("%v", f)
	}
	for _, limit := range []int{1, 3, 5, 100} {
		var got []string
		for after := ""; len(got) == 0 || after != ""; {
			f := ask(fmt.Sprintf(`,"limit":%d,"after":%q`, limit, after))
			page := strings.Fields(f.users())
			if after = f.str("next"); len(page) != min(limit, 5) && after != "" || f.str("count") != "12" {
				t.Errorf("limit %d: %v", limit, f)
			}
			got = append(got, page...)
		}
		if !slices.Equal(got, names(1, 12)) {
			t.Errorf("limit %d: %v", limit, got)
		}
	}
	for fields, message := range map[string]string{
		`,"limit":0`:      "limit must be 1 at least",
		`,"limit":"many"`: "limit must be a whole number",
		`,"after":"!"`:    `after must be the "next" of an earlier page`,
		`,"after":7`:      "after must be a string",
	} {
		if f := ask(fields); f.str("code") != "bad_frame" || f.str("message") != message {
			t.Errorf("%s: %v", fields, f)
		}
	}
	// A place behind all is no mistake: those who stood there may have left.
	if f := ask(`,"after":"zzzzzzzzzzzz"`); f.str("count") != "12" || fmt.Sprint(f["users"]) != "[]" || f["next"] != nil {
		t.Errorf("%v", f)
	}
}

// Over REST the pages are the same.
func TestPresencePagesOverREST(t *testing.T) {
	s := start(t, "--presence.detail-max=5")
	for _, name := range names(1, 7) {
		s.roster(name)
	}
	token := s.token("alice")
	get := func(query string) answer { return s.get(token, "/channels/room:1/presence"+query) }
	eventually(t, "all are counted", func() bool { return get("").field("count") == "7" })
	first := get("?limit=1000")
	if !strings.HasPrefix(first.body, `{"count":7,"users":[{"userId":"ID-u01","username":"u01"},`) || strings.Count(first.body, "userId") != 5 {
		t.Errorf("%s", first.body)
	}
	want := `{"count":7,"users":[{"userId":"ID-u06","username":"u06"},{"userId":"ID-u07","username":"u07"}]}`
	if a := get("?after=" + first.field("next")); a.status != 200 || a.body != want {
		t.Errorf("%d %s", a.status, a.body)
	}
	for query, detail := range map[string]string{
		"?limit=0":    "limit must be 1 at least",
		"?limit=some": "limit must be a whole number",
		"?after=%20":  `after must be the "next" of an earlier page`,
	} {
		if a := get(query); a.status != 400 || a.field("code") != "bad_query" || a.field("detail") != detail {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
}

// Who may not see presence hears who comes and goes, as in a small channel, and
// not how many are there, nor who was there before.
func TestCrowdIsHushed(t *testing.T) {
	s := start(t, "--presence.detail-max=2", `--namespaces={"lobby": {}, "room:1": {subscribe: [user, service], presence: [service]}}`)
	alice := s.connect(s.token("alice"))
	alice.subscribe("room:1")
	service := s.connect(s.tokenAs("service", "service"))
	service.subscribe("room:1")
	bob := s.connect(s.token("bob"))
	bob.subscribe("room:1")
	if f := alice.until("user_joined"); f.str("username") != "service" {
		t.Errorf("%v", f)
	}
	if f := service.until("presence"); f.str("count") != "3" || (frame{"users": f["joined"]}).users() != "bob" || fmt.Sprint(f["left"]) != "[]" {
		t.Errorf("%v", f)
	}
	if f := alice.until("presence"); f["count"] != nil || (frame{"users": f["joined"]}).users() != "bob" || fmt.Sprint(f["left"]) != "[]" {
		t.Errorf("%v", f)
	}
	bob.leave()
	if f := service.until("presence"); (frame{"users": f["left"]}).users() != "bob" {
		t.Errorf("%v", f)
	}
	if f := service.until("presence"); f.users() != "alice service" || f["joined"] != nil || f["next"] != nil {
		t.Errorf("%v", f)
	}
	if f := alice.until("presence"); f["count"] != nil || (frame{"users": f["left"]}).users() != "bob" {
		t.Errorf("%v", f)
	}
	if got := alice.nothingBut(); len(got) != 0 {
		t.Errorf("alice is told %v", got)
	}
}

// Users come and go as they like, over and under detail_max, while others page.
func TestCrowdUnderChurn(t *testing.T) {
	s := start(t, "--presence.detail-max=5", "--limits.connections=0")
	rng := rand.New(rand.NewPCG(1, 2))
	there := make(map[string]*roster)
	for begun := time.Now(); time.Since(begun) < 4*time.Second; {
		name := fmt.Sprintf("u%02d", rng.IntN(14))
		switch r := there[name]; {
		case r == nil:
			there[name] = s.roster(name)
		case rng.IntN(3) > 0 && r.next != "":
			r.ask()
		default:
			r.leave()
			delete(there, name)
		}
	}
	for _, r := range there {
		r.settle(slices.Sorted(maps.Keys(there)))
	}
}
