package attack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// frame is a frame from the server.
type frame map[string]any

func (f frame) str(name string) string {
	if f[name] == nil {
		return ""
	}
	return fmt.Sprint(f[name])
}

// peer is an open socket. A goroutine reads for it.
type peer struct {
	t      *testing.T
	name   string
	conn   *websocket.Conn
	frames chan frame
	over   chan struct{} // nobody takes frames any more
	closed chan struct{} // after which err is set
	err    error
}

// upgrade tries a handshake. Its connection is the caller's.
func (c *caller) upgrade(path string, header ...string) (*websocket.Conn, answer) {
	c.t.Helper()
	conn, a, err := c.tryUpgrade(c.t.Context(), path, header...)
	if err != nil {
		c.t.Fatalf("handshake: %v", err)
	}
	return conn, a
}

// tryUpgrade is upgrade for those who cannot fail the test.
func (c *caller) tryUpgrade(ctx context.Context, path string, header ...string) (*websocket.Conn, answer, error) {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	dialer := websocket.Dialer{NetDialContext: c.dialContext, HandshakeTimeout: patience}
	conn, response, err := dialer.DialContext(ctx, "ws://"+c.s.addr+path, h)
	if response == nil {
		return nil, answer{}, err
	}
	a := answer{status: response.StatusCode, header: response.Header}
	if err != nil {
		data, _ := io.ReadAll(response.Body)
		a.body = string(data)
	}
	return conn, a, nil
}

// connect opens a socket with the access token and waits for the welcome.
func (u *user) connect() *peer {
	u.t.Helper()
	conn, a := u.upgrade("/ws", "Authorization", "Bearer "+u.access)
	if conn == nil {
		u.t.Fatalf("the handshake of %s: %v", u.name, a)
	}
	return u.welcomed(conn)
}

func (u *user) welcomed(conn *websocket.Conn) *peer {
	u.t.Helper()
	p := u.reading(conn)
	p.until("subscribed") // to what all are: the last thing that is said to who comes
	return p
}

func (u *user) reading(conn *websocket.Conn) *peer {
	p := &peer{t: u.t, name: u.name, conn: conn, frames: make(chan frame, 10_000), over: make(chan struct{}), closed: make(chan struct{})}
	go p.read()
	u.t.Cleanup(func() {
		_ = conn.Close()
		close(p.over)
		<-p.closed
	})
	return p
}

func (p *peer) read() {
	defer close(p.closed)
	defer close(p.frames)
	for {
		_, data, err := p.conn.ReadMessage()
		if err != nil {
			p.err = err
			return
		}
		var f frame
		if err := json.Unmarshal(data, &f); err != nil {
			p.err = err
			return
		}
		select {
		case p.frames <- f:
		case <-p.over:
			return
		}
	}
}

func (p *peer) send(text string) {
	p.t.Helper()
	if err := p.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		p.t.Fatalf("%s sends %.60s: %v", p.name, text, err)
	}
}

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

// ask sends a frame of pairs and gives the one that answers it; others before it
// are dropped.
func (p *peer) ask(frameType string, pairs ...any) frame {
	p.t.Helper()
	p.send(toJSON(append([]any{"type", frameType, "id", "ask"}, pairs...)...))
	for {
		if f := p.next(); f.str("id") == "ask" {
			return f
		}
	}
}

// before gives what has come: the answer to a ping stands behind it.
func (p *peer) before() (frames []frame) {
	p.t.Helper()
	p.send(`{"type":"ping","id":"fence"}`)
	for {
		f := p.next()
		if f.str("id") == "fence" {
			return frames
		}
		frames = append(frames, f)
	}
}

// isAlive fails the test where the socket is closed.
func (p *peer) isAlive() {
	p.t.Helper()
	p.before()
}

// closeCode waits for the end of the socket and tells its code.
func (p *peer) closeCode() int {
	p.t.Helper()
	select {
	case <-p.closed:
		return codeOf(p.err)
	case <-time.After(patience):
		p.t.Fatalf("%s: the socket stays open", p.name)
		return 0
	}
}

// codeOf is a socket's close code; 1006 is an end without one.
func codeOf(err error) int {
	if e, ok := err.(*websocket.CloseError); ok {
		return e.Code
	}
	return websocket.CloseAbnormalClosure
}
