package netpoll

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
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
	pair   pairing
	resets bool // an end without a goodbye is told from one with it
	halves bool // one side can end, and the other go on
	slow   bool // connecting takes long
}

// pairing makes a connection: the end that a Poller takes, and the other one.
type pairing func(t testing.TB, l *listener) (taken, peer net.Conn)

func goroutinesWorld() (Poller, error) { return Goroutines(), nil }

func worlds() []world {
	return []world{
		{name: "system", poller: New, pair: tcpPair, resets: true, halves: true},
		{name: "system over a wrapper", poller: New, pair: wrappedPair, resets: true, halves: true},
		{name: "system over TLS", poller: New, pair: tlsPair, resets: true, halves: true, slow: true},
		{name: "goroutines over TCP", poller: goroutinesWorld, pair: tcpPair, resets: true, halves: true},
		{name: "goroutines over TLS", poller: goroutinesWorld, pair: tlsPair, resets: true, halves: true, slow: true},
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
	c, err := take(s.poller, taken, []byte(early), h)
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
