package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/fasthttp/websocket"
)

// limited is the program, started by a shell that sets a limit before.
func limited(t *testing.T, binary, ulimit string, flags ...string) *program {
	dir := t.TempDir()
	line := append([]string{
		ulimit, "exec", binary, "--port=0", "--host=127.0.0.1", "--data-dir=" + dir, "--limits.handshakes.rate=0", "--limits.messages.rate=0",
		"--limits.connections-per-user=0", "--limits.connections-per-address=0",
	}, flags...)
	return &program{t: t, dir: dir, binary: "sh", flags: []string{"-c", strings.Join(line, " ")}}
}

// A process that has no descriptor left for another connection goes on when it
// has again.
func TestOutOfDescriptors(t *testing.T) {
	p := limited(t, buildProgram(t), "ulimit -n 128;")
	s := p.start()
	var conns []net.Conn
	for range 200 {
		conns = append(conns, s.rawConn())
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	eventually(t, "it is ready again", func() bool { return s.do("GET", "/readyz", "").status == 200 })
	p.stop()
}

// tryRoom asks for a socket, and tells why there is none.
func (s *server) tryRoom(header http.Header) (conn *websocket.Conn, refused string) {
	dialer := websocket.Dialer{HandshakeTimeout: patience}
	conn, response, err := dialer.DialContext(s.t.Context(), "ws://"+s.addr+"/ws", header)
	switch {
	case err == nil:
		return conn, ""
	case response == nil:
		return nil, err.Error()
	}
	body, _ := io.ReadAll(response.Body)
	a := answer{response.StatusCode, response.Header, string(body)}
	return nil, fmt.Sprint(a.status, " ", a.field("code"), " close: ", response.Close)
}

// tryRoomAtOnce has so many ask at the same time, and tells who was let in and how
// many were refused for which reason.
func (s *server) tryRoomAtOnce(header http.Header, tried int) (peers []*peer, refused map[string]int) {
	var trying sync.WaitGroup
	var mu sync.Mutex
	refused = make(map[string]int)
	for range tried {
		trying.Go(func() {
			conn, why := s.tryRoom(header)
			mu.Lock()
			defer mu.Unlock()
			if conn != nil {
				peers = append(peers, newPeer(s.t, conn))
			} else {
				refused[why]++
			}
		})
	}
	trying.Wait()
	return peers, refused
}

// L6: the gate says no to the socket too many, while there are descriptors left
// for everything else, and lets others in once some have gone. All may come at once.
func TestFullBeforeDescriptorsRunOutL6(t *testing.T) {
	const room, tried = 56, 400 // (128 - 64) * 7/8
	p := limited(t, buildProgram(t), "ulimit -n 128;")
	s := p.start()
	eventually(t, "it says what there is room for", func() bool {
		return s.logged(`"msg":"capacity","sockets":56,"descriptors":128,"reason":"descriptors"`)
	})
	header := http.Header{"Authorization": {"Bearer " + s.token("alice")}}
	peers, refused := s.tryRoomAtOnce(header, tried)
	if len(peers) != room || refused["503 full close: true"] != tried-room || len(refused) != 1 {
		t.Fatalf("%d are let in; refused: %v", len(peers), refused)
	}
	for _, peer := range peers {
		peer.until("subscribed")
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if a := s.do("GET", path, ""); a.status != 200 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if values := s.scrape(); values["gatecast_connections"] != room || values["gatecast_connections_max"] != room || values[`gatecast_handshakes_total{code="full"}`] != tried-room {
		t.Errorf("%v of %v sockets, %v refused", values["gatecast_connections"], values["gatecast_connections_max"], values[`gatecast_handshakes_total{code="full"}`])
	}
	for round := range 3 {
		for range 5 {
			peers[0].leave()
			peers = peers[1:]
		}
		for range 5 { // a slot is free a moment after its socket has closed
			eventually(t, "another is let in", func() bool {
				conn, _ := s.tryRoom(header)
				if conn == nil {
					return false
				}
				peers = append(peers, newPeer(t, conn))
				return true
			})
		}
		if conn, why := s.tryRoom(header); conn != nil || why != "503 full close: true" {
			t.Errorf("round %d: one too many: %q", round, why)
		}
	}
	for _, peer := range peers {
		peer.leave()
	}
	p.stop()
}

// The soft limit does not matter, and limits.connections decides where it is less.
func TestCapacityAtStart(t *testing.T) {
	binary := buildProgram(t)
	for ulimit, row := range map[string]struct{ flag, says string }{
		"ulimit -Sn 40; ulimit -Hn 129;": {"--limits.connections=0", `"msg":"capacity","sockets":56,"descriptors":128,"reason":"descriptors"`},
		"ulimit -n 256;":                 {"--limits.connections=9", `"msg":"capacity","sockets":9,"descriptors":256,"reason":"limits.connections"`},
		"ulimit -n 128;":                 {"--limits.connections=1000", `"limits.connections":1000,"sockets":56`},
	} {
		p := limited(t, binary, ulimit, row.flag)
		s := p.start()
		eventually(t, fmt.Sprintf("%s %s: it says %s", ulimit, row.flag, row.says), func() bool { return s.logged(row.says) })
		p.stop()
	}
	p := limited(t, binary, "ulimit -n 64;")
	if out, err := exec.CommandContext(t.Context(), p.binary, p.flags...).CombinedOutput(); err == nil || !strings.Contains(string(out), "the process may have 64 descriptors") {
		t.Errorf("%v: %s", err, out)
	}
}
