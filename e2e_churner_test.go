package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
)

// churner is a client, which has one connection after another.
type churner struct {
	// static after construction
	w                 *churn
	name, user, token string
	rng               *rand.Rand // used by run alone

	lives int
	known map[string]*churnView // by channel; the life's, and between two lives nobody's
}

func newChurner(w *churn, name, user, token string, rng *rand.Rand) *churner {
	return &churner{w: w, name: name, user: user, token: token, rng: rng, known: make(map[string]*churnView)}
}

// rest is the client's pace of life. It ends early when all is to end, and tells
// whether it was not that.
func (c *churner) rest(ended <-chan struct{}) bool {
	pace := time.Duration(*churnClients) * *churnBeat
	select {
	case <-time.After(pace/2 + time.Duration(c.rng.Int64N(int64(pace)))):
		return !c.w.stopped()
	case <-ended:
		return true
	case <-c.w.stop:
		return false
	}
}

func (c *churner) run() {
	for c.rest(nil) {
		l, err := c.begin()
		if err != nil {
			c.w.wrong("%s cannot connect: %v", c.name, err)
			return
		}
		for goes := true; goes; {
			goes = c.rest(l.over) && l.act()
		}
		l.end()
	}
}

// churnLife is one connection of a client's.
type churnLife struct {
	*churner

	// static after construction
	conn *websocket.Conn
	tag  string        // what its ids begin with
	slow bool          // it may stop reading, and be closed for that
	over chan struct{} // closed when nothing more comes; err is set then
	err  error

	// owned by run
	asked   int            // so many ids were used
	numbers map[string]int // of its last message, by channel
	stalled time.Time      // when it stopped reading for good

	mu       sync.Mutex // guards the rest
	clientID string     // empty until welcome has come
	leaving  bool       // how it ends is its own doing
	paused   chan struct{}
	pending  map[string]churnAsk // by id
	views    map[string]*churnView
	acked    map[string]int // the last message that was acked, by channel
}

// churnAsk is what was asked, and is to be answered once.
type churnAsk struct {
	answer, channel string
	number          int // of a message
	since           *churnSpot
}

func (c *churner) begin() (*churnLife, error) {
	c.lives++
	l := &churnLife{
		churner: c, tag: fmt.Sprint(c.name, ".", c.lives, "."), slow: c.rng.IntN(5) == 0, over: make(chan struct{}),
		numbers: make(map[string]int), pending: make(map[string]churnAsk), views: c.known, acked: make(map[string]int),
	}
	for _, v := range l.views {
		v.forgetConnection()
	}
	dialer := websocket.Dialer{HandshakeTimeout: patience, ReadBufferSize: 2 << 10, WriteBufferSize: 1 << 10, NetDial: func(network, addr string) (net.Conn, error) {
		conn, err := net.DialTimeout(network, addr, patience)
		if err == nil && l.slow {
			err = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		}
		return conn, err
	}}
	var err error
	l.conn, _, err = dialer.Dial("ws://"+c.w.s.addr+"/ws", http.Header{"Authorization": {"Bearer " + c.token}})
	if err != nil {
		return nil, err
	}
	c.w.count("connections")
	go l.read()
	return l, nil
}

// read is the life's reader.
func (l *churnLife) read() {
	defer close(l.over)
	for {
		l.mu.Lock()
		paused := l.paused
		l.mu.Unlock()
		if paused != nil {
			<-paused
		}
		_, data, err := l.conn.ReadMessage()
		if err != nil {
			l.err = err
			return
		}
		f, err := parseChurnFrame(data)
		if err != nil {
			l.w.wrong("%s: %v in %.200q", l.tag, err, data)
			return
		}
		l.mu.Lock()
		l.take(f)
		l.mu.Unlock()
	}
}

// act does one thing. It tells whether the life goes on.
func (l *churnLife) act() bool {
	if l.isOver() || !l.stalled.IsZero() {
		return !l.isOver()
	}
	l.mu.Lock()
	welcomed := l.clientID != ""
	l.mu.Unlock()
	if !welcomed {
		return true
	}
	if l.asked == 0 {
		l.comeBack()
	}
	channel := l.w.channels[l.rng.IntN(len(l.w.channels))]
	switch n := l.rng.IntN(200); {
	case n < 1:
		l.publish("lobby")
	case n < 45:
		l.publish(channel)
	case n < 85:
		l.publish(l.pick(channel))
	case n < 93:
		l.ask(churnAsk{answer: "ack", channel: l.pick(channel)}, `{"type":"typing","id":%q,"channel":%q,"isTyping":true}`)
	case n < 120:
		l.subscribe(channel)
	case n < 126:
		l.subscribe(l.pick(channel)) // once more
	case n < 146:
		l.unsubscribe(l.pick(channel))
	case n < 150:
		l.ask(churnAsk{answer: "presence", channel: channel}, `{"type":"presence","id":%q,"channel":%q}`)
	case n < 155:
		l.ask(churnAsk{answer: "history", channel: channel}, `{"type":"history","id":%q,"channel":%q,"limit":10}`)
	case n < 160:
		l.ask(churnAsk{answer: "pong"}, `{"type":"ping","id":%q,"channel":%q}`)
	case n < 170 && l.slow:
		l.pause()
	case n < 176 && l.slow:
		l.pauseForGood()
	case n < 176:
		l.publish(l.pick(channel))
	default:
		return false
	}
	return true
}

// comeBack joins the channels that the client was in before, and some others.
func (l *churnLife) comeBack() {
	for i, at := range l.rng.Perm(len(l.w.channels)) {
		channel := l.w.channels[at]
		l.mu.Lock()
		v := l.views[channel]
		l.mu.Unlock()
		if i < 3 || v != nil && v.at.epoch != "" {
			l.subscribe(channel)
		}
	}
}

// pick is a channel that the client is in, or other where it is in none.
func (l *churnLife) pick(other string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range l.rng.Perm(len(l.w.channels)) {
		if v := l.views[l.w.channels[at]]; v != nil && v.joined {
			return l.w.channels[at]
		}
	}
	return other
}

// ask sends a frame with an id of its own; format has a place for that and one
// for the channel.
func (l *churnLife) ask(a churnAsk, format string) {
	l.asked++
	id := fmt.Sprint(l.tag, l.asked)
	l.mu.Lock()
	l.pending[id] = a
	l.mu.Unlock()
	l.send(fmt.Sprintf(format, id, a.channel))
}

// send fails where the server has ended the connection, which the reader sees.
func (l *churnLife) send(text string) {
	_ = l.conn.SetWriteDeadline(time.Now().Add(patience))
	_ = l.conn.WriteMessage(websocket.TextMessage, []byte(text))
}

// publish sends the next message to a channel. It says where it goes, from whom,
// and which one it is.
func (l *churnLife) publish(channel string) {
	l.numbers[channel]++
	n := l.numbers[channel]
	key := fmt.Sprintf("%s|%s|%d", channel, l.clientID, n)
	data := key
	if strings.HasPrefix(channel, "live:") {
		data += "|" + strings.Repeat("x", l.rng.IntN(2000))
	}
	l.w.count("published")
	l.ask(churnAsk{answer: "ack", channel: channel, number: n}, fmt.Sprintf(`{"type":"publish","id":%%q,"channel":%%q,"key":%q,"data":%q}`, key, data))
}

// subscribe goes on where the client was, where the channel remembers that.
func (l *churnLife) subscribe(channel string) {
	l.mu.Lock()
	v := l.views[channel]
	if v == nil {
		v = newChurnView(channel)
		l.views[channel] = v
	}
	if v.changing {
		l.mu.Unlock()
		return
	}
	v.changing = true
	ask := churnAsk{answer: "subscribed", channel: channel}
	since := ""
	if v.keeps && v.at.epoch != "" && l.rng.IntN(3) > 0 {
		at := v.at
		ask.since, since = &at, fmt.Sprintf(`,"since":{"epoch":%q,"seq":%d}`, at.epoch, at.seq)
	}
	l.mu.Unlock()
	l.ask(ask, `{"type":"subscribe","id":%q,"channel":%q`+since+`}`)
}

func (l *churnLife) unsubscribe(channel string) {
	l.mu.Lock()
	v := l.views[channel]
	if v == nil || !v.joined || v.changing {
		l.mu.Unlock()
		return
	}
	v.changing = true
	l.mu.Unlock()
	l.ask(churnAsk{answer: "unsubscribed", channel: channel}, `{"type":"unsubscribe","id":%q,"channel":%q}`)
}

// pause stops reading for a while.
func (l *churnLife) pause() {
	l.w.count("stalls")
	l.stopReading()
	select {
	case <-time.After(time.Duration(l.rng.Int64N(int64(3 * time.Second)))):
	case <-l.w.stop:
	}
	l.goOn()
}

func (l *churnLife) pauseForGood() {
	l.w.count("stalls for good")
	l.stopReading()
	l.stalled = time.Now()
}

func (l *churnLife) stopReading() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = make(chan struct{})
}

func (l *churnLife) goOn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.paused)
	l.paused = nil
}

func (l *churnLife) isOver() bool {
	select {
	case <-l.over:
		return true
	default:
		return false
	}
}

// end says goodbye or goes without a word, where the server has not ended it.
func (l *churnLife) end() {
	if !l.stalled.IsZero() {
		l.goOn()
	}
	if !l.stalled.IsZero() && time.Since(l.stalled) > churnLimit {
		l.awaitEnd("the server lets it stall for good")
	} else if l.w.stopped() {
		l.awaitAnswers()
	}
	l.mu.Lock()
	l.leaving = !l.isOver()
	l.mu.Unlock()
	tcp := l.conn.NetConn().(*net.TCPConn)
	switch how := l.rng.IntN(4); {
	case !l.leaving:
		l.judgeEnd()
	case how == 0:
		_ = l.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(patience))
		l.awaitEnd("its goodbye is not answered")
		if !websocket.IsCloseError(l.err, websocket.CloseNormalClosure) && !l.slow {
			l.w.wrong("%s: its goodbye is answered with %v", l.tag, l.err)
		}
	case how == 1: // FIN
		_ = tcp.CloseWrite()
		l.awaitEnd("it has ended its side, and the server has not")
	case how == 2: // RST
		_ = tcp.SetLinger(0)
	}
	_ = l.conn.Close()
	<-l.over
}

func (l *churnLife) awaitEnd(otherwise string) {
	select {
	case <-l.over:
	case <-time.After(patience):
		l.w.wrong("%s: %s", l.tag, otherwise)
	}
}

// judgeEnd is for a life that the server has ended.
func (l *churnLife) judgeEnd() {
	var closed *websocket.CloseError
	what := "cut off"
	if errors.As(l.err, &closed) && closed.Code != websocket.CloseAbnormalClosure {
		what = fmt.Sprint("closed with ", closed.Code)
	}
	l.w.count(what)
	if !l.slow || what != "cut off" && closed.Code != 4408 {
		l.w.wrong("%s: ended with %v", l.tag, l.err)
	}
}

// awaitAnswers waits until all that was asked is answered.
func (l *churnLife) awaitAnswers() {
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	late := time.After(patience)
	for {
		l.mu.Lock()
		open := len(l.pending)
		l.mu.Unlock()
		if open == 0 {
			return
		}
		select {
		case <-pace.C:
		case <-l.over:
			return
		case <-late:
			l.w.wrong("%s: %d requests are not answered: %v", l.tag, open, l.pending)
			return
		}
	}
}
