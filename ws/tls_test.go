package ws_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	wire "github.com/gobwas/ws"
	"github.com/valyala/fasthttp"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/ws"
)

// serveTLS is serveHub with TLS in this process, as a program of its own may have
// it: there is no descriptor that could be read and written past it.
func serveTLS(t *testing.T, change func(*ws.Options)) (addr string, hub *ws.Hub) {
	t.Helper()
	certificate, key := selfMade(t)
	return serveHubBy(t, func(s *fasthttp.Server, l net.Listener) error { return s.ServeTLSEmbed(l, certificate, key) }, change)
}

// selfMade is a certificate for this machine and its key, in PEM.
func selfMade(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	encoded, failed := x509.MarshalPKCS8PrivateKey(private)
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

// dialTLS believes any certificate.
func dialTLS(t *testing.T, addr string) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, HandshakeTimeout: 10 * time.Second}
	conn, _, err := dialer.DialContext(t.Context(), "wss://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// endOf reads until the connection ends, and tells the code.
func endOf(conn *websocket.Conn) int {
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			if e, ok := errors.AsType[*websocket.CloseError](err); ok {
				return e.Code
			}
			return websocket.CloseAbnormalClosure
		}
	}
}

// Small frames and the largest there are go both ways, many at once.
func TestPublishOverTLS(t *testing.T) {
	addr, _ := serveTLS(t, func(o *ws.Options) { o.AutoSubscribe = []string{"lobby"} })
	alice, bob := dialTLS(t, addr), dialTLS(t, addr)
	until(t, alice, "subscribed")
	until(t, bob, "subscribed")
	const each = 50
	big := strings.Repeat("x", 65_000)
	go func() {
		for i := range each {
			_ = alice.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"type":"chat","id":%d,"message":"small"}`, 2*i))
			_ = alice.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"type":"chat","id":%d,"message":%q}`, 2*i+1, big))
		}
	}()
	for i := range 2 * each {
		want := "small"
		if i%2 == 1 {
			want = big
		}
		if f := until(t, bob, "chat"); f["message"] != want {
			t.Fatalf("message %d is %.60v", i, f)
		}
		if f := until(t, alice, "ack"); f["id"] != float64(i) {
			t.Fatalf("ack %d is %v", i, f)
		}
	}
}

// What a client sends right behind its handshake is not lost, also not within a
// record that holds both.
func TestEarlyFramesOverTLS(t *testing.T) {
	addr, _ := serveTLS(t, func(*ws.Options) {})
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	early := []byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	const pings = 200 // more than one buffer holds
	for i := range pings {
		early = append(early, wire.MustCompileFrame(wire.MaskFrame(wire.NewTextFrame(fmt.Appendf(nil, `{"type":"ping","id":%d}`, i))))...)
	}
	if _, err := conn.Write(early); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if response, err := http.ReadResponse(in, nil); err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake: %v %v", response, err)
	}
	for i := -1; i < pings; i++ {
		header, err := wire.ReadHeader(in)
		if err != nil {
			t.Fatal(err)
		}
		payload := make([]byte, header.Length)
		if _, err := io.ReadFull(in, payload); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(`"pong","id":%d,`, i); i >= 0 && !strings.Contains(string(payload), want) {
			t.Fatalf("%s, want %s", payload, want)
		}
	}
}

// C3, C4, L7, O1: whoever ends a socket, the other side reads why.
func TestCloseCodesOverTLS(t *testing.T) {
	addr, hub := serveTLS(t, func(*ws.Options) {})
	for name, row := range map[string]struct {
		end  func(conn *websocket.Conn)
		code int
	}{
		"the client says goodbye": {func(conn *websocket.Conn) {
			_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4000, ""), time.Now().Add(time.Second))
		}, 4000},
		"C3 not UTF-8": {func(conn *websocket.Conn) { _ = conn.WriteMessage(websocket.TextMessage, []byte("\xff")) }, ws.CloseInvalidText},
		"C4 no mask":   {func(conn *websocket.Conn) { _, _ = conn.NetConn().Write([]byte{0x81, 2, '{', '}'}) }, ws.CloseProtocol},
		"L7 too big": {func(conn *websocket.Conn) {
			_ = conn.WriteMessage(websocket.TextMessage, []byte(strings.Repeat("x", 1<<16+1)))
		}, ws.CloseTooBig},
		"the session is ended": {func(*websocket.Conn) {
			hub.CloseSessions(func(auth.Claims) bool { return true }, ws.CloseUnauthorized, ws.ReasonEnded)
		}, ws.CloseUnauthorized},
	} {
		conn := dialTLS(t, addr)
		until(t, conn, "welcome")
		row.end(conn)
		if code := endOf(conn); code != row.code {
			t.Errorf("%s: closed with %d, want %d", name, code, row.code)
		}
	}
	last := dialTLS(t, addr)
	until(t, last, "welcome")
	if err := hub.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if code := endOf(last); code != ws.CloseRestart {
		t.Errorf("a stop closes with %d", code)
	}
}

// L8: who never reads is closed, and no more was kept for it than the queue and
// what stands before it.
func TestNeverReadsOverTLSL8(t *testing.T) {
	const queue = 100_000
	addr, hub := serveTLS(t, func(o *ws.Options) {
		o.AutoSubscribe = []string{"lobby"}
		o.QueueBytes = queue
		o.WriteTimeout = time.Minute
	})
	silent, reader := dialTLS(t, addr), dialTLS(t, addr)
	tcp := silent.NetConn().(*tls.Conn).NetConn().(*net.TCPConn)
	_ = tcp.SetReadBuffer(4 << 10)
	until(t, silent, "subscribed")
	until(t, reader, "subscribed")
	data := fmt.Appendf(nil, "%q", strings.Repeat("x", 10_000))
	published := 0
	for closed := false; !closed && published < 10<<20; published += len(data) {
		if _, err := hub.Publish(context.Background(), auth.Claims{Subject: "2", Role: auth.RoleUser}, ws.Message{Channel: "lobby", Data: data}); err != nil {
			t.Fatal(err)
		}
		until(t, reader, "message")
		closed = hub.Stats().Closed[ws.CloseTooSlow] == 1
	}
	if most := 1 << 20; published > most {
		t.Errorf("it was closed after %d bytes, want %d at most", published, most)
	}
}
