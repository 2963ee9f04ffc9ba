package ws_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws/wsutil"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/broker"
	"github.com/gatecast/gatecast/ratelimit"
	"github.com/gatecast/gatecast/store"
	"github.com/gatecast/gatecast/ws"
	"github.com/gatecast/gatecast/ws/netpoll"
)

var recoveryRounds = flag.Int("recovery.rounds", 6, "random histories that TestRecoveryIsExact plays")

// On two nodes clients subscribe, publish, stop reading, are cut off, come back, and leave, a
// broker loses what it likes, the log trims, and the server restarts. Whatever
// happens in whatever order, each client has every message of its channels once
// and in order, or was told that some are lost, and then they are.
func TestRecoveryIsExact(t *testing.T) {
	for round := range *recoveryRounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				w := &world{t: t, dir: dir, rng: rand.New(rand.NewPCG(7, uint64(round)))}
				w.start()
				w.play(300)
				w.settle()
				w.stop()
				t.Logf("%d messages, %d restarts, clients were told %v", w.sent, w.restarts, w.told)
			})
		})
	}
}

var roomsOfWorld = []string{"room:a", "room:b", "room:c"}

// world is a server, its clients, and what is known to be true of it.
type world struct {
	t   *testing.T
	dir string
	rng *rand.Rand

	db       *store.DB
	log      *store.Log
	hubs     [2]*ws.Hub
	loss     atomic.Int64 // envelopes that the broker loses next
	serving  sync.WaitGroup
	clients  []*observer
	sent     int
	restarts int

	mu     sync.Mutex
	stored map[place]string // the text of each message that was acked
	told   map[string]int   // how often clients were told what
}

// place is one message's.
type place struct {
	channel, epoch string
	seq            int64
}

func (w *world) start() {
	everyone := []string{auth.RoleUser}
	rules, err := ws.NewRules(map[string]ws.Rule{"room:*": {
		Allow:   map[ws.Action][]string{ws.ActionSubscribe: everyone, ws.ActionPublish: everyone, ws.ActionRead: everyone, ws.ActionPresence: everyone},
		History: ws.History{Count: 150, Age: time.Hour},
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.db, err = store.OpenSQLite(context.Background(), w.dir); err != nil {
		w.t.Fatal(err)
	}
	w.log = store.NewLog(w.db, store.LogOptions{History: rules.History, DedupeWindow: time.Minute, ForgetAfter: 3 * time.Hour})
	between := &lossyBroker{loss: &w.loss}
	for i := range w.hubs {
		w.hubs[i], err = ws.NewHub(ws.Options{
			Rules: rules, Broker: between, Log: w.log, Poller: netpoll.Goroutines(), DetailMax: 10, QueueBytes: 64 << 10,
			PingInterval: time.Minute, PingTimeout: time.Second, WriteTimeout: 10 * time.Second, CloseTimeout: time.Second,
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	if w.stored == nil {
		w.stored, w.told = make(map[place]string), make(map[string]int)
		for i := range 4 {
			w.clients = append(w.clients, &observer{w: w, name: fmt.Sprint("client", i), views: make(map[string]*view)})
		}
	}
	for _, o := range w.clients {
		o.connect()
	}
}

// hub is one of the nodes.
func (w *world) hub() *ws.Hub { return w.hubs[w.rng.IntN(len(w.hubs))] }

func (w *world) stop() {
	for _, o := range w.clients {
		o.read(true)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, hub := range w.hubs {
		_ = hub.Shutdown(ctx) // who does not read is cut off
	}
	for _, o := range w.clients {
		o.cut()
	}
	w.serving.Wait()
	w.log.Shutdown()
	if err := w.db.Close(); err != nil {
		w.t.Error(err)
	}
}

// lossyBroker loses what it is told to.
type lossyBroker struct {
	broker.Memory
	loss *atomic.Int64
}

func (b *lossyBroker) Publish(ctx context.Context, e ws.Envelope) error {
	if e.Seq > 0 && b.loss.Load() > 0 {
		b.loss.Add(-1)
		return nil
	}
	return b.Memory.Publish(ctx, e)
}

// play does n random things.
func (w *world) play(n int) {
	for range n {
		o := w.clients[w.rng.IntN(len(w.clients))]
		channel := roomsOfWorld[w.rng.IntN(len(roomsOfWorld))]
		switch w.rng.IntN(40) {
		case 0:
			w.stop()
			w.start()
			w.restarts++
		case 1:
			time.Sleep(time.Duration(w.rng.IntN(20)) * time.Minute) // the log trims
		case 2:
			w.loss.Store(int64(w.rng.IntN(5)))
		case 3, 4, 5:
			o.cut()
		case 6, 7, 8, 9:
			o.comeBack()
		case 10:
			o.read(false)
		case 11, 12, 13:
			o.read(true)
		case 14, 15:
			o.send(channel, map[string]any{"type": "unsubscribe"})
		case 16, 17, 18:
			o.subscribe(channel)
		case 19, 20:
			w.publishMany(channel, w.rng.IntN(250)) // more than a page
		case 21, 22, 23, 24, 25:
			w.publishMany(channel, 1)
		default:
			for range 1 + w.rng.IntN(10) {
				w.sent++
				o.send(channel, map[string]any{"type": "publish", "data": fmt.Sprint("t", w.sent), "key": fmt.Sprint("t", w.sent)})
			}
		}
		if w.rng.IntN(3) == 0 {
			synctest.Wait()
		}
	}
}

// publishMany publishes as REST does.
func (w *world) publishMany(channel string, n int) {
	var wg sync.WaitGroup
	for range n {
		w.sent++
		text, hub := fmt.Sprint("t", w.sent), w.hub()
		wg.Go(func() {
			r, err := hub.Publish(context.Background(), auth.Claims{Subject: "rest", Role: auth.RoleUser}, ws.Message{Channel: channel, Data: fmt.Appendf(nil, "%q", text)})
			if err != nil {
				w.t.Error(err)
			}
			w.note(place{channel, r.Epoch, r.Seq}, text)
		})
	}
	wg.Wait()
}

func (w *world) note(p place, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if had, ok := w.stored[p]; ok && had != text {
		w.t.Errorf("%+v is %q and %q", p, had, text)
	}
	w.stored[p] = text
}

// settle brings every client back, lets it read, and looks whether it has
// everything up to the end.
func (w *world) settle() {
	w.loss.Store(0)
	for _, o := range w.clients {
		o.read(true)
		synctest.Wait() // what was lost meanwhile is known to be
		o.comeBack()
	}
	synctest.Wait()
	for _, channel := range roomsOfWorld {
		w.publishMany(channel, 1) // what the broker lost is known to be with the next that it does not
		synctest.Wait()
		page, err := w.log.Read(context.Background(), channel, ws.Span{Limit: 1, Newest: true})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, o := range w.clients {
			if v := o.views[channel]; v == nil || v.at != (ws.Position{Epoch: page.Epoch, Seq: page.Head}) {
				w.t.Errorf("%s is at %+v in %s, which is at %s %d", o.name, v, channel, page.Epoch, page.Head)
			}
		}
	}
}

// observer is a client that believes nothing.
type observer struct {
	w    *world
	name string

	mu      sync.Mutex // guards the rest
	conn    net.Conn
	paused  chan struct{} // closed when it may read on; nil while it reads
	pending map[string]string
	views   map[string]*view // by channel
}

// view is what a client has of one channel, through all its connections.
type view struct {
	known      bool
	subscribed bool
	at         ws.Position
	asked      *ws.Position // since of the subscribe that is not answered
}

func (o *observer) connect() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn != nil {
		return
	}
	server, client := net.Pipe()
	o.conn, o.pending = client, make(map[string]string)
	w, hub := o.w, o.w.hub()
	w.serving.Go(func() {
		hub.Serve(server, ws.Entry{
			Bearer:  auth.NewBearer(auth.Claims{Subject: o.name, Username: o.name, Role: auth.RoleUser}),
			Limiter: ratelimit.NewLimiter(nil, ratelimit.Rate{}, ratelimit.Rate{}),
		})
	})
	w.serving.Go(func() { o.listen(client) })
}

// comeBack does what every client does: it takes up all channels again.
func (o *observer) comeBack() {
	o.connect()
	for _, channel := range roomsOfWorld {
		o.subscribe(channel)
	}
}

func (o *observer) cut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lose()
}

// lose forgets the connection. The caller holds mu.
func (o *observer) lose() {
	if o.conn == nil {
		return
	}
	_ = o.conn.Close()
	o.conn = nil
	for _, v := range o.views {
		v.subscribed, v.asked = false, nil
	}
	if o.paused != nil {
		close(o.paused)
		o.paused = nil
	}
}

// read has the client read, or stop to.
func (o *observer) read(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case on && o.paused != nil:
		close(o.paused)
		o.paused = nil
	case !on && o.paused == nil && o.conn != nil:
		o.paused = make(chan struct{})
	}
}

func (o *observer) subscribe(channel string) {
	o.mu.Lock()
	v := o.views[channel]
	if v == nil {
		v = &view{}
		o.views[channel] = v
	}
	if o.conn == nil || v.subscribed || v.asked != nil {
		o.mu.Unlock()
		return
	}
	frame := map[string]any{"type": "subscribe", "id": channel}
	v.asked = &ws.Position{}
	if v.known {
		at := v.at
		v.asked, frame["since"] = &at, &at
	}
	o.mu.Unlock()
	o.send(channel, frame)
}

// send gives up when the server does not read: a client that waits for it would
// hold the test up.
func (o *observer) send(channel string, frame map[string]any) {
	o.mu.Lock()
	conn := o.conn
	if conn == nil {
		o.mu.Unlock()
		return
	}
	frame["channel"] = channel
	switch frame["type"] {
	case "publish":
		frame["id"] = frame["key"]
		o.pending[frame["key"].(string)] = channel
	case "unsubscribe":
		v := o.views[channel]
		if v == nil || !v.subscribed || v.asked != nil {
			o.mu.Unlock()
			return
		}
		v.subscribed = false
	}
	o.mu.Unlock()
	text, _ := json.Marshal(frame)
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	if err := wsutil.WriteClientText(conn, text); err != nil {
		o.cut()
	}
}

func (o *observer) listen(conn net.Conn) {
	for {
		text, op, err := wsutil.ReadServerData(conn)
		o.mu.Lock()
		if conn != o.conn {
			o.mu.Unlock()
			return
		}
		if err != nil {
			o.lose()
			o.mu.Unlock()
			return
		}
		if op.IsData() {
			o.take(text)
		}
		paused := o.paused
		o.mu.Unlock()
		if paused != nil {
			<-paused
		}
	}
}

type received struct {
	Type      string     `json:"type"`
	ID        string     `json:"id"`
	Channel   string     `json:"channel"`
	Epoch     string     `json:"epoch"`
	Seq       int64      `json:"seq"`
	Code      string     `json:"code"`
	Data      string     `json:"data"`
	UserID    string     `json:"userId"`
	Recovered *bool      `json:"recovered"`
	Messages  []received `json:"messages"`
}

// take is a client's whole rule: it moves on by messages and acks when their
// number is the next one, has what is not above its number already, and never
// sees one that is further ahead.
func (o *observer) take(text []byte) {
	var f received
	if err := json.Unmarshal(text, &f); err != nil {
		o.w.t.Errorf("%v in %s", err, text)
		return
	}
	v := o.views[f.Channel]
	switch f.Type {
	case "error":
		o.w.t.Errorf("%s: %s", o.name, text)
	case "subscribed":
		o.begin(v, f)
	case "ack":
		epoch := ""
		if v != nil && v.subscribed {
			epoch = v.at.Epoch
			if f.Seq == v.at.Seq+1 {
				v.at.Seq++
			}
		}
		if epoch != "" {
			o.w.note(place{f.Channel, epoch, f.Seq}, f.ID)
		}
	case "message":
		if v != nil && v.subscribed {
			o.move(v, f)
		}
	}
}

func (w *world) count(f received) {
	w.mu.Lock()
	defer w.mu.Unlock()
	what := "where it is"
	if f.Recovered != nil {
		what = fmt.Sprintf("recovered %v", *f.Recovered)
	}
	if f.ID == "" {
		what += " unasked"
	}
	w.told[what]++
}

func (o *observer) begin(v *view, f received) {
	asked := v.asked
	if f.ID == "" { // the server's own word that something is lost
		asked = &v.at
	} else {
		v.asked = nil
	}
	v.subscribed = true
	o.w.count(f)
	switch {
	case f.Recovered == nil:
		if v.known {
			o.w.t.Errorf("%s is not told whether it was recovered", o.name)
		}
	case *f.Recovered:
		if f.Epoch != asked.Epoch {
			o.w.t.Errorf("%s is recovered in another epoch", o.name)
		}
		for _, m := range f.Messages {
			o.move(v, m)
		}
		if v.at.Seq != f.Seq {
			o.w.t.Errorf("%s is at %d, and is told %d", o.name, v.at.Seq, f.Seq)
		}
	default:
		o.checkLost(f.Channel, *asked)
		next := f.Seq - int64(len(f.Messages))
		for _, m := range f.Messages {
			if next++; m.Seq != next {
				o.w.t.Errorf("%s: the newest messages have %d where %d is next", o.name, m.Seq, next)
			}
		}
	}
	v.known, v.at = true, ws.Position{Epoch: f.Epoch, Seq: f.Seq}
}

// checkLost looks whether what is said to be lost is.
func (o *observer) checkLost(channel string, since ws.Position) {
	page, err := o.w.log.Read(context.Background(), channel, ws.Span{Limit: 1, Newest: true})
	if err == nil && page.Epoch == since.Epoch && page.Tail <= since.Seq {
		o.w.t.Errorf("%s is told that it has lost something behind %d in %s, where all behind %d is kept", o.name, since.Seq, channel, page.Tail)
	}
}

func (o *observer) move(v *view, m received) {
	switch {
	case m.Seq == v.at.Seq+1:
		v.at.Seq++
		o.w.note(place{m.Channel, v.at.Epoch, m.Seq}, m.Data)
	case m.Seq <= v.at.Seq && m.UserID == o.name: // its own, acked before
	default:
		o.w.t.Errorf("%s has %d of %s and gets %d of %s", o.name, v.at.Seq, m.Channel, m.Seq, m.UserID)
	}
}
