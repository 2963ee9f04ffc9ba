package netpoll

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"
)

// await fails the test where nothing comes.
func await[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}

// say is the peer's writing.
func say(t testing.TB, peer io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(peer, text); err != nil {
		t.Fatalf("the peer's write: %v", err)
	}
}

// expect is the peer's reading.
func expect(t testing.TB, peer io.Reader, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(peer, got); err != nil {
		t.Fatalf("the peer read %d of %d bytes: %v", n, len(text), err)
	}
	if string(got) != text {
		t.Fatalf("the peer got %.100q, not %.100q", got, text)
	}
}

// silence is the peer's reading of the end.
func silence(t testing.TB, peer io.Reader) {
	t.Helper()
	if n, err := peer.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the peer's read of the end: %d, %v", n, err)
	}
}

// tell writes text, for which there is room.
func tell(t testing.TB, c Conn, text string) {
	t.Helper()
	if n, err := c.Write([]byte(text)); n != len(text) || err != nil {
		t.Errorf("Write took %d of %d bytes: %v", n, len(text), err)
	}
}

// mute is for a connection that takes nothing any more.
func mute(t testing.TB, c Conn) {
	t.Helper()
	if n, err := c.Write([]byte("more")); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write after the end: %d, %v", n, err)
	}
}

// fill writes until there is no room. The peer does not read.
func fill(t testing.TB, c Conn) {
	t.Helper()
	for p := make([]byte, 1<<20); ; {
		n, err := c.Write(p)
		if err != nil {
			t.Fatalf("Write: %v", err)
		}
		if n == 0 {
			return
		}
	}
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// noise is n bytes that are the same for the same seed.
func noise(seed uint64, n int) []byte {
	p := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}
