package netpoll

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// world is a Poller and a kind of connection that it takes.
type world struct {
	name   string
	poller func() (Poller, error)
	pair   func(t testing.TB, listen *listener) (taken, peer net.Conn)
	socket bool // the peer is a *net.TCPConn, and the kernel holds bytes for it
	halves bool // the peer can be told that nothing more comes, and read on
}

func goroutinesWorld() (Poller, error) { return Goroutines(), nil }

func worlds() []world {
	return []world{
		{name: "system", poller: New, pair: tcpPair, socket: true, halves: true},
		{name: "system over a wrapper", poller: New, pair: wrappedPair, socket: true, halves: true},
		{name: "system over TLS", poller: New, pair: tlsPair, halves: true},
		{name: "goroutines over TCP", poller: goroutinesWorld, pair: tcpPair, socket: true, halves: true},
		{name: "goroutines over TLS", poller: goroutinesWorld, pair: tlsPair, halves: true},
		{name: "goroutines over a pipe", poller: goroutinesWorld, pair: pipePair},
	}
}

// everywhere runs a test in each world, with a Poller that is closed after it.
func everywhere(t *testing.T, test func(t *testing.T, w *scene)) {
	for _, w := range worlds() {
		t.Run(w.name, func(t *testing.T) { test(t, newScene(t, w)) })
	}
}

type scene struct {
	world
	poller   Poller
	listener *listener
}

func newScene(t testing.TB, w world) *scene {
	t.Helper()
	p, err := w.poller()
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{world: w, poller: p, listener: newListener(t)}
	t.Cleanup(p.Close)
	return s
}

// connect has a connection taken over by h. Both ends are closed after the test.
func (s *scene) connect(t testing.TB, h Handler, early string) (Conn, net.Conn) {
	t.Helper()
	taken, peer := s.pair(t, s.listener)
	c, err := s.poller.Take(taken, []byte(early), h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close(true)
		_ = peer.Close()
	})
	_ = peer.SetDeadline(time.Now().Add(patience))
	return c, peer
}

// listener makes pairs of connected sockets.
type listener struct {
	net.Listener
	mu sync.Mutex // so that who dials is who is accepted
}

func newListener(t testing.TB) *listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &listener{Listener: l}
}

func (l *listener) pair() (taken, peer net.Conn, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if peer, err = net.Dial("tcp", l.Addr().String()); err != nil {
		return nil, nil, err
	}
	if taken, err = l.Accept(); err != nil {
		_ = peer.Close()
	}
	return taken, peer, err
}

func tcpPair(t testing.TB, l *listener) (taken, peer net.Conn) {
	t.Helper()
	taken, peer, err := l.pair()
	if err != nil {
		t.Fatal(err)
	}
	return taken, peer
}

// counted is a connection with something to give back, as a listener may make them.
type counted struct {
	*net.TCPConn
	closed func()
}

func (c counted) Close() error {
	c.closed()
	return c.TCPConn.Close()
}

func wrappedPair(t testing.TB, l *listener) (taken, peer net.Conn) {
	t.Helper()
	inner, peer := tcpPair(t, l)
	var given sync.WaitGroup
	given.Add(1)
	t.Cleanup(given.Wait)
	return counted{inner.(*net.TCPConn), sync.OnceFunc(given.Done)}, peer
}

func pipePair(testing.TB, *listener) (taken, peer net.Conn) { return net.Pipe() }

func tlsPair(t testing.TB, l *listener) (taken, peer net.Conn) {
	t.Helper()
	server, client := tcpPair(t, l)
	taken = tls.Server(server, &tls.Config{Certificates: []tls.Certificate{certificate()}})
	secured := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- secured.Handshake() }()
	if err := errors.Join(taken.(*tls.Conn).Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	return taken, secured
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// await fails the test where nothing comes.
func await[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("not reached")
	}
}

// expect reads text from r.
func expect(t testing.TB, r io.Reader, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatalf("reading %q: %v", text, err)
	}
	if string(got) != text {
		t.Fatalf("got %q, not %q", got, text)
	}
}

// say writes text to w.
func say(t testing.TB, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatalf("writing %q: %v", text, err)
	}
}
