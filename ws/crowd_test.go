package ws

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// Users come and go as they like, with one connection or several, slowly and all
// at once. Whoever takes the lists, pages and summaries as docs/protocol.md says
// has everyone who is there, and nobody else, after every summary.
func TestCrowdIsExact(t *testing.T) {
	for round := range 12 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, uint64(round)))
			w := &plaza{t: t, rng: rng, now: time.UnixMilli(1_800_000_000_000), connections: make(map[string]int), told: make(map[string]int)}
			w.crowd = newCrowd("room:1", 1+rng.IntN(80), w.now)
			for range 1000 {
				w.play()
			}
			w.settle()
			t.Logf("over %d users, members were told %v", w.crowd.detailMax, w.told)
		})
	}
}

// plaza is a crowd, those who are in it, and what is known to be true of it.
type plaza struct {
	t     *testing.T
	rng   *rand.Rand
	now   time.Time
	crowd *crowd

	connections map[string]int // by user ID, of who is there
	watchers    []*watcher
	rush        int  // how the mood is: many come above 0, many go below
	crowded     bool // summaries are sent

	told map[string]int // how often, and what
}

// watcher is one connection, which believes what it is told.
type watcher struct {
	w     *plaza
	user  User
	knows map[string]string // names by user ID
	count int
	next  string          // where it asks on
	lost  bool            // a summary has not named all
	given map[string]bool // by the pages since it began to ask
	since map[string]bool // who was there when it began to ask, and has been ever since
}

func (w *plaza) play() {
	switch n := w.rng.IntN(100); {
	case n == 0:
		w.rush = w.rng.IntN(5) - 2
	case n == 1:
		for range w.rng.IntN(100) {
			w.enter(fmt.Sprint("u", w.rng.IntN(400)))
		}
	case n == 2:
		for range w.rng.IntN(1 + len(w.watchers)) {
			w.exit(w.rng.IntN(len(w.watchers)))
		}
	case n < 6:
		w.tick()
	case n < 30:
		if len(w.watchers) > 0 {
			w.watchers[w.rng.IntN(len(w.watchers))].ask()
		}
	case n < 65+10*w.rush:
		w.enter(fmt.Sprint("u", w.rng.IntN(400)))
	case len(w.watchers) > 0:
		w.exit(w.rng.IntN(len(w.watchers)))
	}
	w.check()
}

func (w *plaza) enter(userID string) {
	user := User{UserID: userID, Username: fmt.Sprint("name ", w.rng.IntN(10))}
	if name, here := w.nameOf(userID); here {
		user.Username = name
	}
	told := w.crowd.enter(user)
	w.expectTold(told, w.connections[userID] == 0)
	w.connections[userID]++
	if told {
		w.tell(encode(crossingFrame{Type: TypeUserJoined, Sender: Sender{UserID: user.UserID, Username: user.Username}}))
	}
	o := &watcher{w: w, user: user}
	w.watchers = append(w.watchers, o)
	o.take(w.decode(w.crowd.first()))
}

func (w *plaza) exit(i int) {
	user := w.watchers[i].user
	w.watchers = slices.Delete(w.watchers, i, i+1)
	w.connections[user.UserID]--
	gone := w.connections[user.UserID] == 0
	if gone {
		delete(w.connections, user.UserID)
		for _, o := range w.watchers {
			delete(o.since, user.UserID)
		}
	}
	told := w.crowd.exit(user.UserID)
	w.expectTold(told, gone)
	if told {
		w.tell(encode(crossingFrame{Type: TypeUserLeft, Sender: Sender{UserID: user.UserID, Username: user.Username}}))
	}
}

// expectTold: each is told of at once in a small channel, and never in a large one.
func (w *plaza) expectTold(told, crossed bool) {
	if told && (!crossed || w.crowded) {
		w.t.Fatalf("told of a user: crossed %t, summaries %t", crossed, w.crowded)
	}
	w.crowded = w.crowded || crossed && !told
}

func (w *plaza) nameOf(userID string) (string, bool) {
	for _, o := range w.watchers {
		if o.user.UserID == userID {
			return o.user.Username, true
		}
	}
	return "", false
}

func (w *plaza) tick() {
	w.now = w.now.Add(summaryInterval)
	was := w.crowd.isRestless()
	b := w.crowd.summarise(w.now)
	if !was && len(b.seeing)+len(b.others) > 0 {
		w.t.Fatal("a crowd at rest has something to say")
	}
	for _, frame := range b.seeing {
		if len(frame) > 8<<10 {
			w.t.Fatalf("a frame of %d bytes", len(frame))
		}
		w.tell(payloadOf(frame))
	}
	for _, frame := range b.others {
		var f map[string]any
		if err := json.Unmarshal(payloadOf(frame), &f); err != nil || f["count"] != nil || f["users"] != nil || f["joined"] == nil {
			w.t.Fatalf("who may not see presence is told %v", f)
		}
	}
	w.crowded = w.crowd.large
	for _, o := range w.watchers {
		o.checkExact()
	}
}

// check looks at what holds at any time.
func (w *plaza) check() {
	if !w.crowd.large {
		for _, o := range w.watchers {
			o.checkExact()
		}
	}
	if p := w.crowd.page(0, 0); !w.crowd.large && (p.Next != "" || p.Count != len(w.connections) || len(p.Users) != p.Count) {
		w.t.Fatalf("the whole list is %+v", p)
	}
	if n := len(w.crowd.order); n > 2*len(w.crowd.places)+2*fewHoles {
		w.t.Fatalf("%d places for %d users", n, len(w.crowd.places))
	}
}

// settle lets nobody come or go any more, and everyone ask for the rest.
func (w *plaza) settle() {
	for range 1 + int(listPause/summaryInterval) {
		w.tick()
	}
	if w.crowd.isRestless() {
		w.t.Fatal("nobody comes or goes, and there still is something to tell")
	}
	for _, o := range w.watchers {
		for o.lost || o.next != "" {
			o.ask()
		}
		o.checkExact()
	}
	if len(w.crowd.places) != len(w.connections) || w.crowd.here != len(w.connections) {
		w.t.Fatalf("%d places for %d users, of %d", len(w.crowd.places), w.crowd.here, len(w.connections))
	}
}

// ask asks for the next page, or for the first one where a summary did not name all.
func (o *watcher) ask() {
	if o.lost {
		o.next = ""
	} else if o.next == "" {
		return
	}
	after, err := arrivalOf(o.next)
	if err != nil {
		o.w.t.Fatal(err)
	}
	limit := o.w.rng.IntN(20)
	p := o.w.crowd.page(after, limit)
	if !slices.IsSortedFunc(p.Users, byName) || limit > 0 && len(p.Users) > limit || len(p.Users) > o.w.crowd.detailMax {
		o.w.t.Fatalf("asked for %d of %d: %+v", limit, o.w.crowd.detailMax, p)
	}
	if o.next == "" {
		o.begin(p)
	} else {
		o.add(p)
	}
}

// begin takes a first page.
func (o *watcher) begin(p Presence) {
	o.knows, o.given, o.lost = make(map[string]string), make(map[string]bool), false
	o.since = make(map[string]bool)
	for place := range o.w.crowd.listed {
		who := &o.w.crowd.order[place]
		if who.connections > 0 {
			o.since[who.UserID] = true
		}
	}
	o.add(p)
}

func (o *watcher) add(p Presence) {
	for _, user := range p.Users {
		if o.since[user.UserID] && o.given[user.UserID] {
			o.w.t.Fatalf("%s stays and is given twice", user.UserID)
		}
		o.given[user.UserID] = true
		o.knows[user.UserID] = user.Username
	}
	o.count, o.next = p.Count, p.Next
	if o.next != "" {
		return
	}
	for userID := range o.since {
		if !o.given[userID] {
			o.w.t.Fatalf("%s stays and is skipped", userID)
		}
	}
}

// heard is a frame, or a first page, which has no type.
type heard struct {
	User
	summaryFrame
	Users []User
	Next  string
}

// tell gives the watchers a frame.
func (w *plaza) tell(text []byte) {
	f := w.decode(text)
	for _, o := range w.watchers {
		o.take(f)
	}
}

func (w *plaza) decode(text []byte) (f heard) {
	if err := json.Unmarshal(text, &f); err != nil {
		w.t.Fatalf("%v in %s", err, text)
	}
	return f
}

func (o *watcher) take(f heard) {
	told := o.w.told
	switch {
	case f.Type == TypeUserJoined:
		told["of one"]++
		o.knows[f.UserID] = f.Username
		o.count++
	case f.Type == TypeUserLeft:
		told["of one"]++
		delete(o.knows, f.UserID)
		o.count--
	case f.Users != nil:
		told[fmt.Sprintf("a list, more behind it: %t", f.Next != "")]++
		o.begin(Presence{Count: *f.Count, Users: f.Users, Next: f.Next})
	default:
		told[fmt.Sprintf("a summary, more than it names: %t", f.More)]++
		o.apply(f.summaryFrame)
	}
}

func (o *watcher) apply(s summaryFrame) {
	for _, user := range s.Left {
		delete(o.knows, user.UserID)
	}
	for _, user := range s.Joined {
		if _, known := o.knows[user.UserID]; known && !o.lost {
			o.w.t.Fatalf("%s has joined and was there", user.UserID)
		}
		o.knows[user.UserID] = user.Username
	}
	o.count = *s.Count
	o.lost = o.lost || s.More
}

// checkExact looks whether it has everyone, or else knows that it has not.
func (o *watcher) checkExact() {
	if o.count != len(o.w.connections) {
		o.w.t.Fatalf("counts %d of %d", o.count, len(o.w.connections))
	}
	if o.lost {
		return
	}
	for userID := range o.knows {
		if o.w.connections[userID] == 0 {
			o.w.t.Fatalf("%s is known and not there", userID)
		}
	}
	if o.next == "" && len(o.knows) != o.count {
		missing := maps.Clone(o.w.connections)
		maps.DeleteFunc(missing, func(userID string, _ int) bool { return o.knows[userID] != "" })
		o.w.t.Fatalf("does not know %v", missing)
	}
}

// A channel that is now larger than detailMax and now not does not list everyone
// each time.
func TestWholeListsAreRare(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	c := newCrowd("room:1", 2, now)
	c.enter(User{UserID: "alice"})
	c.enter(User{UserID: "bob"})
	lists, summaries := 0, 0
	sum := func() {
		now = now.Add(summaryInterval)
		for _, frame := range c.summarise(now).seeing {
			if strings.Contains(string(frame), `"users":`) {
				lists++
			} else {
				summaries++
			}
		}
	}
	for range 60 {
		c.enter(User{UserID: "carol"})
		sum()
		c.exit("carol")
		sum()
	}
	if lists > 12 || lists < 6 || summaries < 60 {
		t.Errorf("%d lists and %d summaries in 120 s", lists, summaries)
	}
}

// A channel that was empty lives anew. Who pages through it from before gets
// everyone who is there now.
func TestPagesOfALifeBefore(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	c := newCrowd("room:1", 2, now)
	for i := range 5 {
		c.enter(User{UserID: fmt.Sprint(i)})
	}
	c.summarise(now)
	after, err := arrivalOf(c.page(0, 2).Next)
	if err != nil {
		t.Fatal(err)
	}
	c = newCrowd("room:1", 2, now.Add(time.Millisecond))
	c.enter(User{UserID: "alice"})
	if p := c.page(after, 0); len(p.Users) != 1 {
		t.Errorf("%+v", p)
	}
}

// BenchmarkOccupants is a user who comes and one who goes in a large channel, and
// what each who is there takes of memory.
func BenchmarkOccupants(b *testing.B) {
	const users = 5000
	ids := make([]User, 2*users)
	for i := range ids {
		ids[i] = User{UserID: fmt.Sprintf("USER%022d", i), Username: fmt.Sprint("username", i)}
	}
	before := heapBytes()
	c := newCrowd("lobby", detailDefault, time.UnixMilli(1_800_000_000_000))
	for _, user := range ids[:users] {
		c.enter(user)
	}
	c.summarise(time.UnixMilli(1_800_000_000_000))
	each := float64(heapBytes()-before) / users
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		c.enter(ids[(n+users)%len(ids)])
		c.exit(ids[n%len(ids)].UserID)
		if n++; n%100 == 0 {
			c.summarise(time.UnixMilli(1_800_000_000_000))
		}
	}
	b.ReportMetric(each, "bytes/user")
}

// BenchmarkFirstPage is the list for someone who joins a large channel.
func BenchmarkFirstPage(b *testing.B) {
	c := newCrowd("lobby", detailDefault, time.UnixMilli(1_800_000_000_000))
	for i := range 5000 {
		c.enter(User{UserID: fmt.Sprintf("USER%022d", i), Username: fmt.Sprint("username", i)})
	}
	c.summarise(time.UnixMilli(1_800_000_000_000))
	b.ReportAllocs()
	for b.Loop() {
		c.first()
	}
}

func heapBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
