package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// Two people in the lobby: one rolls, the other sees it; rude words stay out.
func TestDice(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	address := freeAddress(t)
	done := make(chan error, 1)
	go func() { done <- run(ctx, address, t.TempDir(), slog.New(slog.DiscardHandler)) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	waitFor(t, address)

	alice, bob := enter(t, address, "alice"), enter(t, address, "bob")
	bob.write(`{"type":"roll","id":1,"channel":"lobby","sides":6}`)
	rolled := bob.until("rolled")
	seen := alice.until("message")
	if data, _ := seen["data"].(map[string]any); data["rolled"] != rolled["rolled"] || seen["event"] != "dice" {
		t.Errorf("bob rolled %v, alice saw %v", rolled, seen)
	}
	bob.write(`{"type":"roll","channel":"lobby","sides":1}`)
	if f := bob.until("error"); f["code"] != "bad_dice" {
		t.Errorf("%v", f)
	}
	bob.write(`{"type":"chat","message":"Darn!"}`)
	if f := bob.until("error"); f["message"] != "mind your words, please" {
		t.Errorf("%v", f)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func waitFor(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return
		}
	}
	t.Fatal("the server does not listen")
}

type person struct {
	t    *testing.T
	conn *websocket.Conn
}

// enter signs a user up and opens a socket.
func enter(t *testing.T, address, username string) person {
	t.Helper()
	body := fmt.Sprintf(`{"username":%q,"password":"correct horse"}`, username)
	post(t, "http://"+address+"/register", body)
	var grant struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(post(t, "http://"+address+"/login", body), &grant); err != nil {
		t.Fatal(err)
	}
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+address+"/ws", http.Header{"Authorization": {"Bearer " + grant.AccessToken}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	p := person{t, conn}
	p.until("subscribed")
	return p
}

func post(t *testing.T, url, body string) []byte {
	t.Helper()
	response, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s: %d %s %v", url, response.StatusCode, data, err)
	}
	return data
}

func (p person) write(text string) {
	p.t.Helper()
	if err := p.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

func (p person) until(frameType string) map[string]any {
	p.t.Helper()
	for {
		var f map[string]any
		if err := p.conn.ReadJSON(&f); err != nil {
			p.t.Fatalf("waiting for %s: %v", frameType, err)
		}
		if f["type"] == frameType {
			return f
		}
	}
}
